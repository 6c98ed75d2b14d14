//! A fleet of real SSH hosts on one machine.
