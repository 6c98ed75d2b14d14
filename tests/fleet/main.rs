//! The real binary against real hosts: what an operator would try on fleets that nobody has seen.

mod desk;
mod fleets;
mod streams;
