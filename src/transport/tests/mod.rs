//! The supervisor against real shells: dash, bash and busybox, with and without sudo.

mod detached;
mod ends;
mod killed;
mod runs;
mod ways;
