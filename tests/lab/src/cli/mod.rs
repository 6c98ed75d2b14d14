//! What can be typed after `cargo lab`, one file a command.

mod arguments;
mod bench;
mod checks;
mod demo;
mod packages;
mod status;
mod up;

use std::process::ExitCode;

use anyhow::Result;

use arguments::Command;

/// Does what the command line asks for.
pub(crate) fn run() -> Result<ExitCode> {
    match arguments::parse()? {
        Command::Help => {
            print!("{}", arguments::help());
            Ok(ExitCode::SUCCESS)
        }
        Command::Up(up) => up::up(up),
        Command::Down { name } => up::down(name.as_deref()),
        Command::Status { json } => status::status(json),
        Command::Demo { keep, ec2 } => demo::demo(keep, ec2),
        Command::Test { no_aws } => checks::test(no_aws),
        Command::Bench(arguments) => bench::bench(&arguments),
    }
}
