//! Answers to the engine's questions: from the terminal, or from `--yes`.

use std::io::BufRead as _;
use std::time::Duration;

use crate::report::{Console, ScreenHandle};
use crate::run::event::GateAnswer;
use crate::run::prompt::{Answer, GateQuestion, GateReply, Prompt};
use crate::task::GateAt;

/// Who answers.
pub(super) enum Asker {
    /// A person at the terminal.
    Terminal {
        /// Where the question appears.
        screen: ScreenHandle,
        /// `--yes` has answered the start gate.
        yes_to_start: bool,
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
            Self::Terminal { screen, .. } => ask_terminal(screen, question, default, timeout).await,
        }
    }

    async fn gate(&self, gate: &GateQuestion<'_>) -> GateReply {
        match self {
            Self::Yes => GateReply {
                answer: yes_to(gate.offers),
                by: "--yes",
            },
            Self::Terminal { yes_to_start, .. }
                if *yes_to_start && gate.at == Some(GateAt::Start) =>
            {
                GateReply {
                    answer: GateAnswer::Go,
                    by: "--yes",
                }
            }
            Self::Terminal { screen, .. } => gate_at_terminal(screen, gate).await,
        }
    }
}

/// What `--yes=all` says: go on; and where a rollout that stopped asks what to do about it, to leave it so.
fn yes_to(offers: &[GateAnswer]) -> GateAnswer {
    // What became of an interrupted step is nothing that a flag can know.
    if offers.starts_with(&[GateAnswer::Retry]) {
        return GateAnswer::Stop;
    }
    let wanted = [GateAnswer::Go, GateAnswer::All, GateAnswer::Stop];
    let offered = wanted.into_iter().find(|answer| offers.contains(answer));
    offered.unwrap_or(GateAnswer::Pause)
}

/// The letter of an answer, and what it says.
fn letter(answer: GateAnswer) -> (&'static str, &'static str) {
    match answer {
        GateAnswer::Go => ("y", "go on"),
        GateAnswer::All => ("a", "go on and ask no more"),
        GateAnswer::Retry => ("r", "retry failed hosts"),
        GateAnswer::Stop => ("s", "stop"),
        GateAnswer::Rollback => ("b", "roll back"),
        GateAnswer::Pause => ("p", "pause"),
    }
}

/// The line that is typed behind: every answer that is taken, by its letter.
fn letters(offers: &[GateAnswer]) -> String {
    let offers = offers.iter().map(|answer| {
        let (letter, says) = letter(*answer);
        format!("{letter} {says}")
    });
    format!("{}: ", offers.collect::<Vec<_>>().join(", "))
}

/// What stands behind the question: of an interrupted step whose it is, as several hosts may ask one after the other.
fn choices(gate: &GateQuestion<'_>) -> String {
    match gate.host {
        Some(host) => format!("{host}: r run it again, y take it as done, s leave it: "),
        None => letters(gate.offers),
    }
}

/// The answer that was typed, if it is one of those that are taken.
fn typed_answer(line: &str, offers: &[GateAnswer]) -> Option<GateAnswer> {
    let line = line.trim().to_lowercase();
    let line = if line == "yes" { "y" } else { &line };
    offers
        .iter()
        .copied()
        .find(|answer| letter(*answer).0 == line)
}

async fn gate_at_terminal(screen: &ScreenHandle, gate: &GateQuestion<'_>) -> GateReply {
    let prompt = choices(gate);
    let limit = tokio::time::Instant::now() + gate.timeout;
    let pause = |by| GateReply {
        answer: GateAnswer::Pause,
        by,
    };
    forget_typed();
    loop {
        let _asking = screen.ask(&prompt).await;
        // A blocking read cannot be taken back: after a timeout its thread waits for the process's end.
        let typed = tokio::task::spawn_blocking(read_line);
        let Ok(line) = tokio::time::timeout_at(limit, typed).await else {
            return pause("timeout");
        };
        let Ok(Some(line)) = line else {
            return pause("end of input");
        };
        match typed_answer(&line, gate.offers) {
            Some(answer) => {
                return GateReply {
                    answer,
                    by: "terminal",
                };
            }
            None => screen.note("please type one of the letters"),
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
    forget_typed();
    loop {
        let _asking = screen.ask(&prompt).await;
        // As above.
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
        let answer = |yes, by| Answer { yes, by };
        let Ok(Some(line)) = line else {
            return answer(false, "end of input");
        };
        match (line.trim().to_lowercase().as_str(), default) {
            ("y" | "yes", _) => return answer(true, "terminal"),
            ("n" | "no", _) => return answer(false, "terminal"),
            ("", Some(yes)) => return answer(yes, "default"),
            _ => screen.note("please type y or n"),
        }
    }
}

/// Asks with yes or no before there is a screen; the end of input is a no.
pub(super) fn confirm(console: &Console, question: &str) -> bool {
    forget_typed();
    loop {
        console.question(&format!("{question} [y/n] "));
        match read_line()
            .map(|line| line.trim().to_lowercase())
            .as_deref()
        {
            Some("y" | "yes") => return true,
            None | Some("n" | "no") => return false,
            Some(_) => console.note("please type y or n"),
        }
    }
}

/// Drops what was typed before a question stood on the screen: it was no answer to it.
fn forget_typed() {
    // Where stdin is no terminal there is nothing to drop, and nobody is asked.
    let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
}

/// A line of stdin; `None` at the end of input.
fn read_line() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).ok()?;
    (read > 0).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [GateAnswer; 6] = [
        GateAnswer::Go,
        GateAnswer::All,
        GateAnswer::Retry,
        GateAnswer::Stop,
        GateAnswer::Rollback,
        GateAnswer::Pause,
    ];

    #[test]
    fn only_an_offered_letter_is_an_answer() {
        let offers = [GateAnswer::Go, GateAnswer::Stop];
        assert_eq!(letters(&offers), "y go on, s stop: ");
        assert_eq!(typed_answer("Y\n", &offers), Some(GateAnswer::Go));
        assert_eq!(typed_answer("yes", &offers), Some(GateAnswer::Go));
        assert_eq!(typed_answer("\n", &offers), None);
        assert_eq!(typed_answer("b", &offers), None);
        for answer in ALL {
            assert_eq!(typed_answer(letter(answer).0, &ALL), Some(answer));
        }
    }

    #[test]
    fn a_host_that_asks_about_a_step_is_named_beside_the_choices() {
        let offers = [GateAnswer::Retry, GateAnswer::Go, GateAnswer::Stop];
        let gate = GateQuestion {
            at: None,
            host: Some("app-2"),
            question: "step `x` on app-2 was interrupted",
            offers: &offers,
            timeout: Duration::ZERO,
        };
        assert_eq!(
            choices(&gate),
            "app-2: r run it again, y take it as done, s leave it: "
        );
        let at_a_gate = GateQuestion { host: None, ..gate };
        assert_eq!(
            choices(&at_a_gate),
            "r retry failed hosts, y go on, s stop: "
        );
    }

    #[test]
    fn yes_goes_on_and_leaves_a_stopped_rollout_stopped() {
        assert_eq!(yes_to(&ALL), GateAnswer::Go);
        let stopped = [GateAnswer::Retry, GateAnswer::Rollback, GateAnswer::Stop];
        assert_eq!(yes_to(&stopped), GateAnswer::Stop);
        assert_eq!(yes_to(&[GateAnswer::Pause]), GateAnswer::Pause);
    }
}
