//! The library of bought artifacts, and full-text recall over it.
//!
//! The ledger is the record of what was bought; this crate keeps an index over it that can be thrown away and built
//! again: text and passages out of the bytes ([`extract`], [`split`]), and a [`Library`] that finds them again, in
//! this session or a later one. Every passage has a [`Citation`], so that a quote can be checked against what was
//! really bought or fetched, and a use of what was bought can be recorded with evidence ([`UseRecord`]). No agent and no HTTP here.

mod citation;
mod error;
mod index;
mod library;
mod passage;
mod text;
mod uses;
mod words;
mod worker;

pub use citation::{Citation, PageId, ParseCitationError, SourceId};
pub use error::LibraryError;
pub use library::{FreePage, Library, OwnedArtifact, Passage};
pub use passage::{Piece, split};
pub use text::{Block, BlockKind, Document, Note, clean_line, clean_text, extract};
pub use uses::{
    EvidenceProblem, UseCheck, UseError, UseEvidence, UseRecord, UsesVerified, read_uses, verify_uses,
};
