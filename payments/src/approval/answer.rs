//! Signed answers.

use super::key::{ApproverKey, PinnedKey, PublicKey, Signature};
use super::question::Question;
use bursar_types::{ApprovalId, CanonicalError, Digest, LedgerId, SessionId, Timestamp, canonical_bytes};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What precedes the bytes that are signed, so that no other signature can be taken for an answer.
const DOMAIN: &[u8] = b"bursar/approval-answer/v1\n";
/// A reason is a sentence or two.
const REASON_CHARS_MAX: usize = 500;

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It may be done, once.
    Approve,
    /// It may not.
    Deny,
}

/// What an approver signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The question.
    pub question: ApprovalId,
    /// The ledger in which it was asked.
    pub ledger: LedgerId,
    /// The session that asks.
    pub session: SessionId,
    /// [Digest](Question::digest) of the question: of the exact action.
    pub action: Digest,
    /// Yes or no.
    pub answer: Answer,
    /// When it was signed, by the approver's clock. For the record; nothing depends on it.
    pub at: Timestamp,
    /// After this moment it counts for nothing.
    pub expires_at: Timestamp,
    /// Why, in the approver's words.
    pub reason: Option<String>,
}

/// An approver's answer. Its JSON form is what is sent over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAnswer {
    /// What is signed.
    pub statement: Statement,
    /// Who signed.
    pub key: PublicKey,
    /// Over the statement's canonical bytes.
    pub signature: Signature,
}

/// Why an answer does not count. Nothing was approved by it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// There is no such question in this ledger.
    #[error("there is no question {0} here")]
    NoQuestion(ApprovalId),
    /// It was answered, or is not asked any more.
    #[error("question {0} was answered already, or is not asked any more")]
    Answered(ApprovalId),
    /// The answer is for another ledger, session or action.
    #[error("the answer is for another {0} than the question")]
    Mismatch(&'static str),
    /// The key is not one that the mandate pins.
    #[error("{0} is not the key of an approver of this session")]
    NotAnApprover(PublicKey),
    /// The signature does not fit the key and what it should sign.
    #[error("the signature is not one of {0} over this answer")]
    Signature(PublicKey),
    /// It came too late.
    #[error("it counted until {0}")]
    Expired(Timestamp),
    /// The reason is too long.
    #[error("a reason has at most 500 characters")]
    Reason,
    /// Something has no canonical form.
    #[error("the answer has no canonical form: {0}")]
    Canonical(String),
}

impl AnswerError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoQuestion(_) => "APPROVAL_UNKNOWN",
            Self::Answered(_) => "APPROVAL_ANSWERED",
            Self::Mismatch(_) => "APPROVAL_MISMATCH",
            Self::NotAnApprover(_) => "APPROVER_UNKNOWN",
            Self::Signature(_) => "APPROVAL_SIGNATURE",
            Self::Expired(_) => "APPROVAL_EXPIRED",
            Self::Reason | Self::Canonical(_) => "APPROVAL_MALFORMED",
        }
    }
}

impl From<CanonicalError> for AnswerError {
    fn from(error: CanonicalError) -> Self {
        Self::Canonical(error.to_string())
    }
}

impl Statement {
    /// An answer to a question, which counts as long as the question does.
    ///
    /// # Errors
    /// [`CanonicalError`] if the question has no canonical form.
    pub fn on(
        question: &Question,
        answer: Answer,
        at: Timestamp,
        reason: Option<String>,
    ) -> Result<Self, CanonicalError> {
        Ok(Self {
            question: question.id,
            ledger: question.ledger,
            session: question.session,
            action: question.digest()?,
            answer,
            at,
            expires_at: question.expires_at,
            reason,
        })
    }

    fn message(&self) -> Result<Vec<u8>, CanonicalError> {
        Ok([DOMAIN, &canonical_bytes(self)?].concat())
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`CanonicalError`] if it has no canonical form.
    pub fn sign(self, key: &ApproverKey) -> Result<SignedAnswer, CanonicalError> {
        let signature = key.sign(&self.message()?);
        Ok(SignedAnswer { key: key.public(), signature, statement: self })
    }
}

impl SignedAnswer {
    /// Checks it against the question as it was asked and the approvers that the mandate pins. Whether the question still
    /// waits is the caller's to check, in the transaction that uses the answer up.
    ///
    /// # Errors
    /// [`AnswerError`]; then it counts for nothing.
    pub fn check<'a>(
        &self,
        question: &Question,
        approvers: &'a [PinnedKey],
        now: Timestamp,
    ) -> Result<&'a PinnedKey, AnswerError> {
        let said = &self.statement;
        let approver = approvers.iter().find(|pinned| pinned.key == self.key);
        let approver = approver.ok_or(AnswerError::NotAnApprover(self.key))?;
        if !self.key.verifies(&said.message()?, &self.signature) {
            return Err(AnswerError::Signature(self.key));
        }
        let fits = [
            ("question", said.question == question.id),
            ("ledger", said.ledger == question.ledger),
            ("session", said.session == question.session),
            ("action", said.action == question.digest()?),
        ];
        if let Some((what, _)) = fits.into_iter().find(|(_, fits)| !fits) {
            return Err(AnswerError::Mismatch(what));
        }
        let until = said.expires_at.min(question.expires_at);
        if now >= until {
            return Err(AnswerError::Expired(until));
        }
        if said.reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
            return Err(AnswerError::Reason);
        }
        Ok(approver)
    }
}
