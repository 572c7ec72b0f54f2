//! Asking the person at the terminal about a plan.

use crate::args::ApproveArg;
use crate::interrupt::Interrupt;
use crate::screen::Notes;
use async_trait::async_trait;
use bursar::types::{ApprovalTicket, Provenance, Untrusted};
use bursar::{ApprovalAnswer, Approve, Approver};
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Questions on their way to the terminal.
pub(crate) struct Asking(mpsc::Receiver<Question>);

/// A question that waits for its answer. Dropped unanswered, it counts as not now.
pub(super) struct Question {
    ticket: ApprovalTicket,
    answer: oneshot::Sender<ApprovalAnswer>,
}

/// Who is asked, and where the questions arrive: between events, so that the prices are on the screen before them.
pub(crate) fn asking(approve: ApproveArg) -> (Approve, Asking) {
    let (questions, asked) = mpsc::channel(1);
    let approve = match approve {
        // Whoever waits does so between two parts of the run, so that waiting is not the run's time.
        ApproveArg::Auto | ApproveArg::Wait => Approve::Rule,
        ApproveArg::Never => Approve::Never,
        ApproveArg::Ask => Approve::Ask(Arc::new(Terminal { questions })),
    };
    (approve, Asking(asked))
}

impl Asking {
    pub(super) async fn next(&mut self) -> Option<Question> {
        self.0.recv().await
    }
}

#[derive(Debug)]
struct Terminal {
    questions: mpsc::Sender<Question>,
}

#[async_trait]
impl Approver for Terminal {
    fn name(&self) -> &str {
        "the person at the terminal"
    }

    async fn answer(&self, ticket: &ApprovalTicket) -> ApprovalAnswer {
        let (answer, answered) = oneshot::channel();
        if self.questions.send(Question { ticket: ticket.clone(), answer }).await.is_err() {
            return ApprovalAnswer::Later;
        }
        answered.await.unwrap_or(ApprovalAnswer::Later)
    }
}

impl Question {
    /// Shows the ticket and reads `y` or anything else, which is no. Without a terminal the answer is no.
    pub(super) async fn put(self, interrupt: &Interrupt) {
        let summary = Untrusted::new(self.ticket.summary.as_str(), Provenance::Model);
        if !std::io::stdin().is_terminal() {
            Notes.say(format!("{summary}\nno terminal to ask at, so the answer is no"));
            let _ = self.answer.send(ApprovalAnswer::Refused);
            return;
        }
        Notes.say(summary.to_string());
        drop(write!(anstream::stderr().lock(), "approve? [y/N] "));
        tokio::select! {
            approved = read_yes() => {
                let answer = if approved { ApprovalAnswer::Approved } else { ApprovalAnswer::Refused };
                let _ = self.answer.send(answer);
            }
            () = interrupt.wait() => {
                let _ = self.answer.send(ApprovalAnswer::Later);
            }
        }
    }
}

/// Reads on a thread of its own, which nobody waits for: Ctrl-C must not need another line.
async fn read_yes() -> bool {
    let (said, answered) = oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let yes = std::io::stdin().read_line(&mut text).is_ok() && is_yes(&text);
        let _ = said.send(yes);
    });
    answered.await.unwrap_or(false)
}

fn is_yes(text: &str) -> bool {
    matches!(text.trim(), "y" | "Y" | "yes" | "Yes" | "YES")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_approves() {
        for text in ["y\n", "Y", "yes\r\n", " yes "] {
            assert!(is_yes(text), "{text:?}");
        }
        for text in ["", "\n", "n", "no", "yes please", "ye", "yy"] {
            assert!(!is_yes(text), "{text:?}");
        }
    }
}
