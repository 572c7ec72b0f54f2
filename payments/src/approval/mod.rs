//! Approvals: a person, or code in a person's name, answers what the rules will not decide alone.
//!
//! A [`Question`] says exactly what would be done and is in the journal before anybody is asked. A [`SignedAnswer`] names that
//! question's digest, its session and its ledger, so an approval of one thing is never one of another; it counts once and
//! ends. Who may answer stands in the mandate.

mod answer;
mod approver;
mod key;
mod key_file;
mod question;
mod show;

pub(crate) use show::CALL_CHARS_MAX;

pub use answer::{Answer, AnswerError, SignedAnswer, Statement};
pub use approver::{ApprovalAnswer, ApproveWith, Approver};
pub use key::{ApproverKey, KeyError, PinnedKey, PublicKey, Signature};
pub use key_file::{KeyFileError, Outside};
pub use question::{ApprovalAction, CallTerms, GivenBy, PaymentTerms, Question};
