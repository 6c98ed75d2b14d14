//! The task library's scripts, run by real shells against real JVMs: each on a host of its own (a process table
//! and mounts), under dash, bash and busybox.

mod finding;
mod heap;
mod heap_faults;
mod host;
mod page;
mod planted;
mod releases;
mod shell_text;
mod spaces;
mod threads;
mod units;
mod whole_host;
mod zookeeper;
