//! Budgets with two-phase holds, and a tamper-evident journal, in one transaction.
//!
//! The ledger knows nothing of agents, HTTP or chains. It keeps three things that must never disagree: accounts (what may
//! still be spent), the journal (what happened), and payloads (the erasable bytes that journal entries commit to).
//! Everything that changes goes through [`Store::commit`], all of it or none.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic)]

mod account;
mod audit;
mod books;
mod entry;
mod event;
mod ledger;
mod memory;
mod payload;
mod prepared;
mod proofs;
mod refusal;
mod run_journal;
mod sqlite;
mod state;
mod transaction;
mod tree;
mod turn_back;

pub use account::{Budget, BudgetState, HoldPhase, HoldState, Line, Window};
pub use entry::{Entry, NewEntry, StreamId, StreamIdError, TreeHead};
pub use event::{EventError, SealedEvent};
pub use ledger::{Ledger, Store, Verification};
pub use memory::MemoryStore;
pub use payload::{Commitment, Payload};
pub use proofs::EntryProof;
pub use refusal::{CommitError, Refusal, StoreError};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use transaction::{AccountOp, Committed, Erasure, LinkWrite, OpOutcome, Require, Transaction};
