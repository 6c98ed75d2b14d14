//! Asks for a password at the terminal, once, without showing it.

use std::io::BufRead as _;

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::model::{Diagnostic, Secret};
use crate::report::Console;
use crate::signal::Undo;

use super::failure::Failure;

/// A terminal that does not show what is typed; it does again once this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new(shown: &Termios) -> std::io::Result<Self> {
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(shown.clone()))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        show(&self.0);
    }
}

fn show(shown: &Termios) {
    // Nothing is left to do where even that is refused: the terminal has gone.
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, shown);
}

/// Asks; the typed text does not appear. The terminal is put back however this ends: by an answer, an error, a
/// panic, or a signal that ends the process.
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
    let restored = shown.clone();
    let undo = Undo::at_signal(move || show(&restored)).context("cannot listen for signals")?;
    let mut line = String::new();
    // Hidden before it asks: who answers fast is not seen either.
    let read = Hidden::new(&shown).and_then(|_hidden| {
        console.question(&format!("{question}: "));
        stdin.lock().read_line(&mut line)
    });
    drop(undo);
    match read {
        Ok(bytes) if bytes > 0 && !line.trim_end_matches(['\n', '\r']).is_empty() => {
            Ok(Secret::new(line.trim_end_matches(['\n', '\r'])))
        }
        _ => Err(Diagnostic::new(format!("no {question} was typed"))
            .hint("nothing was run")
            .into()),
    }
}
