//! Answers to the engine's questions: from the terminal, or from `--yes`.

use std::io::BufRead as _;
use std::sync::Arc;
use std::time::Duration;

use crate::report::Console;
use crate::run::prompt::{Answer, Prompt};

/// Who answers.
#[derive(Clone)]
pub(crate) enum Asker {
    /// A person at the terminal.
    Terminal(Arc<Console>),
    /// `--yes=all`.
    YesToAll,
    /// `--yes`, where the only question is the start gate, or nobody: planning has refused tasks that would ask
    /// more without a terminal.
    YesToStart,
}

impl Prompt for Asker {
    async fn ask(&self, question: &str, default: Option<bool>, timeout: Option<Duration>) -> Answer {
        match self {
            Self::YesToAll | Self::YesToStart => Answer { yes: true, by: "--yes" },
            Self::Terminal(console) => ask_terminal(console, question, default, timeout).await,
        }
    }
}

async fn ask_terminal(
    console: &Arc<Console>,
    question: &str,
    default: Option<bool>,
    timeout: Option<Duration>,
) -> Answer {
    let choices = match default {
        None => "y/n",
        Some(true) => "Y/n",
        Some(false) => "y/N",
    };
    let prompt = format!("{question} [{choices}] ");
    let console = Arc::clone(console);
    // A blocking read cannot be taken back: after a timeout its thread waits for the process's end.
    let typed = tokio::task::spawn_blocking(move || read_answer(&console, &prompt, default));
    let answered = async { typed.await.ok().flatten() };
    let answer = match timeout {
        None => answered.await,
        Some(limit) => match tokio::time::timeout(limit, answered).await {
            Ok(answer) => answer,
            Err(_) => return Answer { yes: default.unwrap_or(false), by: "timeout" },
        },
    };
    match answer {
        Some(answer) => answer,
        None => Answer { yes: false, by: "end of input" },
    }
}

/// Asks until the answer is one; `None` at the end of input.
fn read_answer(console: &Console, prompt: &str, default: Option<bool>) -> Option<Answer> {
    loop {
        console.question(prompt);
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line).ok()? == 0 {
            console.note("");
            return None;
        }
        match (line.trim().to_lowercase().as_str(), default) {
            ("y" | "yes", _) => return Some(Answer { yes: true, by: "terminal" }),
            ("n" | "no", _) => return Some(Answer { yes: false, by: "terminal" }),
            ("", Some(yes)) => return Some(Answer { yes, by: "default" }),
            _ => console.note("please type y or n"),
        }
    }
}
