//! Answers to the engine's questions: from the terminal, or from `--yes`.

use std::io::BufRead as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::report::ScreenHandle;
use crate::run::prompt::{Answer, Prompt};

/// Who answers.
pub(super) enum Asker {
    /// A person at the terminal.
    Terminal {
        /// Where the question appears.
        screen: ScreenHandle,
        /// The start gate comes first and `--yes` has answered it; taken by the first question.
        start_answered: AtomicBool,
    },
    /// `--yes`, where it has answered every question there can be.
    Yes,
}

impl Prompt for Asker {
    async fn ask(
        &self,
        question: &str,
        default: Option<bool>,
        timeout: Option<Duration>,
    ) -> Answer {
        match self {
            Self::Yes => Answer {
                yes: true,
                by: "--yes",
            },
            Self::Terminal { start_answered, .. }
                if start_answered.swap(false, Ordering::Relaxed) =>
            {
                Answer {
                    yes: true,
                    by: "--yes",
                }
            }
            Self::Terminal { screen, .. } => ask_terminal(screen, question, default, timeout).await,
        }
    }
}

async fn ask_terminal(
    screen: &ScreenHandle,
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
    let limit = timeout.map(|limit| tokio::time::Instant::now() + limit);
    loop {
        let _asking = screen.ask(&prompt).await;
        // A blocking read cannot be taken back: after a timeout its thread waits for the process's end.
        let typed = tokio::task::spawn_blocking(read_line);
        let line = match limit {
            None => typed.await,
            Some(limit) => match tokio::time::timeout_at(limit, typed).await {
                Ok(line) => line,
                Err(_) => {
                    return Answer {
                        yes: default.unwrap_or(false),
                        by: "timeout",
                    };
                }
            },
        };
        let Ok(Some(line)) = line else {
            return Answer {
                yes: false,
                by: "end of input",
            };
        };
        match (line.trim().to_lowercase().as_str(), default) {
            ("y" | "yes", _) => {
                return Answer {
                    yes: true,
                    by: "terminal",
                };
            }
            ("n" | "no", _) => {
                return Answer {
                    yes: false,
                    by: "terminal",
                };
            }
            ("", Some(yes)) => return Answer { yes, by: "default" },
            _ => screen.note("please type y or n"),
        }
    }
}

/// A line of stdin; `None` at the end of input.
fn read_line() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).ok()?;
    (read > 0).then_some(line)
}
