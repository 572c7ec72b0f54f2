//! Uses: what something bought was used for, with evidence that anybody can check again.
//!
//! A use is a record of its own, in a stream of its own. It touches neither the stream of the payment nor any account, so
//! nothing that may be asked of the payee is asked less, or less long, because something was used: what was used can be
//! claimed as before. Records live in the ledger; the index knows nothing of them.

mod check;
#[cfg(test)]
mod tests;
mod verify;

pub use verify::{UseCheck, UsesVerified, read_uses, verify_uses};

use crate::citation::{Citation, SourceId};
use crate::error::LibraryError;
use crate::library::{Library, normalised};
use crate::text::{clean_line, clean_text};
use bursar_ledger::{CommitError, EventError, LinkWrite, Refusal, SealedEvent, StreamId, Transaction};
use bursar_types::{ArtifactId, Digest, RunId, SessionId, Timestamp};
use check::{Goods, Holding, Shelf};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use thiserror::Error;
use verify::check_again;

/// What shows that something bought was used.
///
/// What can be checked is that it is of that artifact and of no other. That the words were made use of, and that the command
/// ran, stays the word of whoever records it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "evidence")]
pub enum UseEvidence {
    /// Words that stand in it, quoted in what was made with it.
    Quoted {
        /// Where they stand.
        citation: Citation,
        /// The words. Only whitespace may differ from what stands there.
        quote: String,
    },
    /// A command that took its bytes.
    Consumed {
        /// The command, as it was called. Untrusted text.
        command: String,
        /// SHA-256 of what it took: the artifact's own digest.
        input: Digest,
    },
}

impl UseEvidence {
    /// Its kind, as the journal names it: `quoted` or `consumed`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Quoted { .. } => "quoted",
            Self::Consumed { .. } => "consumed",
        }
    }
}

/// A use of something bought, sealed in its entry's payload. The leaf names the artifact and the kinds of evidence only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseRecord {
    /// What was used.
    pub artifact: ArtifactId,
    /// The session in which it was used; another one may have paid for it.
    pub session: SessionId,
    /// The run that used it, if it was a run.
    pub run: Option<RunId>,
    /// What it was used for. Untrusted text: a model wrote it.
    pub used_for: String,
    /// What shows it. Recorded sorted, each once.
    pub evidence: Vec<UseEvidence>,
    /// When.
    pub at: Timestamp,
}

impl UseRecord {
    /// The journal stream of these records.
    pub const STREAM: &str = "uses";
    /// The kind of their entries.
    pub const KIND: &str = "artifact.used";
    /// Longest text on what it was used for, in characters; the rest is cut off.
    pub const USED_FOR_CHARS_MAX: usize = 2_000;
    /// Most evidence of one record.
    pub const EVIDENCE_MAX: usize = 100;
    /// Longest quote or command, in characters.
    pub const QUOTE_CHARS_MAX: usize = 4_000;
    /// Shortest quote that shows anything, in characters without whitespace.
    pub const QUOTE_CHARS_MIN: usize = 8;

    /// The one form of a record: bounded, without hidden characters, its evidence sorted and each once.
    fn settled(mut self) -> Result<Self, UseError> {
        if self.evidence.len() > Self::EVIDENCE_MAX {
            return Err(UseError::TooMuch { what: "pieces of evidence", most: Self::EVIDENCE_MAX });
        }
        self.used_for = clean_line(&self.used_for, Self::USED_FOR_CHARS_MAX);
        for evidence in &mut self.evidence {
            let (text, quoted) = match evidence {
                UseEvidence::Quoted { quote, .. } => (quote, true),
                UseEvidence::Consumed { command, .. } => (command, false),
            };
            if text.chars().nth(Self::QUOTE_CHARS_MAX).is_some() {
                let what = "characters in a quote or command";
                return Err(UseError::TooMuch { what, most: Self::QUOTE_CHARS_MAX });
            }
            *text = if quoted { normalised(text) } else { clean_text(text, Self::QUOTE_CHARS_MAX) };
        }
        self.evidence.sort();
        self.evidence.dedup();
        Ok(self)
    }

    /// The link that keeps a use from being recorded twice.
    fn link(&self) -> Result<String, serde_json::Error> {
        let evidence = serde_json::to_vec(&self.evidence)?;
        let run = self.run.as_ref().map_or(&[][..], |run| run.as_bytes());
        let parts = [self.session.as_bytes(), run, self.artifact.as_bytes(), &evidence];
        Ok(format!("use/{}", Digest::of_parts("bursar/use/v1", &parts)))
    }

    fn kinds(&self) -> BTreeSet<&'static str> {
        self.evidence.iter().map(UseEvidence::kind).collect()
    }
}

/// Why evidence does not show the use of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvidenceProblem {
    /// There is no evidence at all.
    #[error("no evidence shows it")]
    Nothing,
    /// The quote is of something else.
    #[error("`{0}` is no passage of it")]
    OtherSource(Citation),
    /// The words do not stand there.
    #[error("the quote does not stand in `{0}`")]
    NotThere(Citation),
    /// The words are too few to show anything.
    #[error("the quote from `{0}` is too short to show anything")]
    TooShort(Citation),
    /// The command has no name.
    #[error("the command that took it is not named")]
    NoCommand,
    /// The command took other bytes.
    #[error("the command took {input}, and it is {digest}")]
    OtherInput {
        /// What the command took.
        input: Digest,
        /// The artifact's digest.
        digest: Digest,
    },
}

/// Why a use was not recorded. But for [`UseError::Ledger`], nothing was written.
#[derive(Debug, Error)]
pub enum UseError {
    /// Nothing such was bought.
    #[error("{0} was not bought")]
    NotOwned(ArtifactId),
    /// Its bytes are gone, or not those that were recorded: no evidence can be checked any more.
    #[error("the bytes of {0} were erased or are damaged, so its use cannot be shown any more")]
    Erased(ArtifactId),
    /// The evidence does not show it.
    #[error("use of {artifact}: {problem}")]
    Evidence {
        /// What was said to be used.
        artifact: ArtifactId,
        /// What is wrong.
        problem: EvidenceProblem,
    },
    /// More than is kept.
    #[error("there are more than {most} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The bound.
        most: usize,
    },
    /// The library did not answer.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The record has no JSON.
    #[error("the use cannot be written")]
    Json(#[from] serde_json::Error),
    /// The ledger did not answer: record it again, which never makes a second record.
    #[error("the use could not be recorded")]
    Ledger(#[source] Box<CommitError>),
}

impl Library {
    /// Records that something bought was used, once its evidence was checked: it is owned, every quote stands in its passage
    /// ([`Library::contains`]), and every command took its digest.
    ///
    /// The record is one entry of the stream `uses`. No payment hears of it, so a use never shortens the time in which
    /// money can be asked back, nor settles anything that is owed.
    ///
    /// # Errors
    /// [`UseError`], which says what does not hold. After [`UseError::Ledger`] it may be recorded or not: record it again.
    ///
    /// # Idempotency
    /// The same evidence of the same artifact in the same session and run is one record, whoever records it again and from
    /// whatever process; the words on what it was used for are those of the first.
    ///
    /// # Cancellation
    /// Dropping the future leaves it recorded or not; record it again.
    pub async fn record_use(&self, used: UseRecord) -> Result<(), UseError> {
        let used = used.settled()?;
        let artifact = used.artifact;
        let records = self.records_of(artifact).await?;
        if records.is_empty() {
            return Err(UseError::NotOwned(artifact));
        }
        let holding = Holding::of(self.ledger(), &records).await.map_err(LibraryError::Ledger)?;
        let Holding::Here(goods) = holding else { return Err(UseError::Erased(artifact)) };
        let failed = |problem| UseError::Evidence { artifact, problem };
        check(&used, &goods).map_err(failed)?;
        for evidence in &used.evidence {
            if let UseEvidence::Quoted { citation, quote } = evidence
                && !self.contains(*citation, quote).await?
            {
                return Err(failed(EvidenceProblem::NotThere(*citation)));
            }
        }
        let leaf = [("artifact", json!(artifact)), ("evidence", json!(used.kinds()))];
        let entropy = self.ledger().entropy();
        let sealed = SealedEvent::new(stream(), UseRecord::KIND, leaf, &used, entropy)?;
        let value = Some(sealed.payload.commitment().to_string());
        let once = LinkWrite { key: used.link()?, expected: None, value };
        let mut transaction = Transaction { links: vec![once], ..Transaction::default() };
        sealed.add_to(&mut transaction);
        match self.ledger().commit(transaction).await {
            Ok(_) | Err(CommitError::Refused(Refusal::LinkMoved { .. })) => Ok(()),
            Err(error) => Err(UseError::Ledger(Box::new(error))),
        }
    }

    /// The recorded uses of an artifact, oldest first. A record that was erased is left out.
    ///
    /// # Errors
    /// [`LibraryError::Ledger`].
    pub async fn uses(&self, artifact: ArtifactId) -> Result<Vec<UseRecord>, LibraryError> {
        let named = artifact.to_string();
        let mut found = Vec::new();
        for entry in self.ledger().stream(&stream(), 0).await.map_err(LibraryError::Ledger)? {
            if entry.kind != UseRecord::KIND || check::artifact_of(&entry) != Some(&named) {
                continue;
            }
            match self.ledger().event(&entry).await {
                Ok(record) => found.push(record),
                Err(EventError::Store(error)) => return Err(LibraryError::Ledger(error)),
                Err(EventError::Erased { .. } | EventError::Unreadable { .. }) => {}
            }
        }
        Ok(found)
    }

    /// Looks again whether the evidence of a recorded use holds, by the bytes that the ledger keeps and nothing else.
    ///
    /// A quote has to stand anywhere in the text: passages are numbered by the index, and another version may number them
    /// otherwise.
    ///
    /// # Errors
    /// [`LibraryError::Ledger`].
    pub async fn check_use(&self, used: &UseRecord) -> Result<UseCheck, LibraryError> {
        let holding = async { Shelf::read(self.ledger()).await?.holding(used.artifact).await };
        Ok(check_again(used, &holding.await.map_err(LibraryError::Ledger)?))
    }

    /// Looks again at every recorded use: see [`verify_uses`].
    ///
    /// # Errors
    /// [`LibraryError::Ledger`].
    pub async fn verify_uses(&self) -> Result<UsesVerified, LibraryError> {
        verify_uses(self.ledger()).await.map_err(LibraryError::Ledger)
    }
}

/// Whether all evidence of a record holds against the bytes themselves.
fn check(used: &UseRecord, goods: &Goods) -> Result<(), EvidenceProblem> {
    if used.evidence.is_empty() {
        return Err(EvidenceProblem::Nothing);
    }
    used.evidence.iter().try_for_each(|evidence| match evidence {
        UseEvidence::Quoted { citation, .. } if citation.source != SourceId::Artifact(used.artifact) => {
            Err(EvidenceProblem::OtherSource(*citation))
        }
        UseEvidence::Quoted { citation, quote } if !goods.has_words(quote) => {
            Err(EvidenceProblem::NotThere(*citation))
        }
        UseEvidence::Quoted { citation, quote } if too_short(quote) => {
            Err(EvidenceProblem::TooShort(*citation))
        }
        UseEvidence::Consumed { command, .. } if command.trim().is_empty() => Err(EvidenceProblem::NoCommand),
        UseEvidence::Consumed { input, .. } if *input != goods.digest => {
            Err(EvidenceProblem::OtherInput { input: *input, digest: goods.digest })
        }
        UseEvidence::Quoted { .. } | UseEvidence::Consumed { .. } => Ok(()),
    })
}

/// Whether a quote has too few characters to show anything.
fn too_short(quote: &str) -> bool {
    let shown = quote.chars().filter(|c| !c.is_whitespace());
    shown.count() < UseRecord::QUOTE_CHARS_MIN
}

#[expect(clippy::expect_used, reason = "by INVARIANT the constant is a stream name")]
fn stream() -> StreamId {
    StreamId::new(UseRecord::STREAM).expect("`uses` is a stream name")
}
