//! The journal, shown to others: so that nobody has to believe its operator.
//!
//! A [`Publisher`] writes what the ledger's journal is into a [`LogFolder`] that any web server can serve and other people's tools
//! can read: tiles, and a checkpoint signed with the ledger's own key. What it signed before it looks at first, and a journal
//! that does not continue it is not signed again. [`WitnessAt`]s cosign a checkpoint after they saw that it continues what
//! they cosigned before, and [`Anchor`]s keep copies elsewhere. A [`Witness`] is the other side, for somebody else's logs.
//!
//! What is signed here is checked with [`bursar_proof`] alone.

mod anchor;
mod client;
mod error;
mod folder;
mod history;
mod key_file;
mod publisher;
mod schedule;
mod witness;

pub use anchor::{Anchor, AnchorError, FileAnchor, HttpAnchor};
pub use client::{WitnessAt, WitnessProblem};
pub use error::PublishError;
pub use folder::LogFolder;
pub use history::{History, Past};
pub use key_file::{KeyFileError, origin_of, read_key, read_or_make_key};
pub use publisher::{Concern, Published, Publisher};
pub use schedule::Schedule;
pub use witness::{Witness, WitnessAnswer, WitnessError};
