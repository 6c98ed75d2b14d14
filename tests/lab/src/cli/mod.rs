//! What can be typed after `cargo lab`, one file a command.

/// Prints a line for the user. A reader that went away (`| head`) is no reason to stop halfway.
macro_rules! say {
    () => { say!("") };
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

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
            say!("{}", arguments::help().trim_end());
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
