//! The binary: parses, calls the app, returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    fab_rs::app::main(std::env::args_os().collect())
}
