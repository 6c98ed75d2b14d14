//! `cargo lab`: fleets, the demo and the checks of the project, from the command line.
#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own, for developers: it reads the environment"
)]
#![expect(
    clippy::print_stderr,
    reason = "a program of its own: it talks to its user"
)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
