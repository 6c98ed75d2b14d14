//! Asks for a password at the terminal, once, without showing it.

use std::io::BufRead as _;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::model::{Diagnostic, Secret};
use crate::report::Console;

use super::failure::Failure;

/// Asks; the typed text does not appear. The terminal is put back even where reading fails.
///
/// # Errors
/// stdin is no terminal, or nothing was typed.
pub(super) fn ask(console: &Console, question: &str) -> Result<Secret, Failure> {
    let stdin = std::io::stdin();
    let Ok(shown) = tcgetattr(&stdin) else {
        let error = Diagnostic::new(format!(
            "cannot ask for the {question}: stdin is no terminal"
        ));
        return Err(error.hint("nothing was run").into());
    };
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    let mut line = String::new();
    // Hidden before it asks: who answers fast is not seen either.
    let read = tcsetattr(&stdin, OptionalActions::Flush, &hidden)
        .map_err(std::io::Error::from)
        .and_then(|()| {
            console.question(&format!("{question}: "));
            stdin.lock().read_line(&mut line)
        });
    // Whatever came of it, what is typed next is to be seen again.
    let _ = tcsetattr(&stdin, OptionalActions::Flush, &shown);
    match read {
        Ok(bytes) if bytes > 0 && !line.trim_end_matches(['\n', '\r']).is_empty() => {
            Ok(Secret::new(line.trim_end_matches(['\n', '\r'])))
        }
        _ => Err(Diagnostic::new(format!("no {question} was typed"))
            .hint("nothing was run")
            .into()),
    }
}
