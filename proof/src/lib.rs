//! Checks a transparency log without trusting whoever keeps it.
//!
//! Everything here is a pure function over bytes: no files, no network, no clock, no randomness. An auditor who wants to know
//! why a proof of Bursar's should be believed reads this crate, and needs nothing else of Bursar to check one.
//!
//! | question | answer | source |
//! |---|---|---|
//! | what is a tree of entries? | [`leaf_hash`], [`struct@Hash`] | RFC 6962, section 2.1 |
//! | is this entry in that tree? | [`Inclusion`] | RFC 6962, section 2.1.1; RFC 9162, section 2.1.3.2 |
//! | is this tree an earlier one, grown? | [`Consistency`] | RFC 6962, section 2.1.2; RFC 9162, section 2.1.4.2 |
//! | where are the tree's hashes? | [`Tile`] | C2SP tlog-tiles |
//! | who says that this is the tree? | [`SignedNote`], [`Checkpoint`] | C2SP signed-note, tlog-checkpoint |
//! | who else saw it? | [`Cosignature`] | C2SP tlog-cosignature |
//! | may I say that I saw it? | [`Submission::judge`] | C2SP tlog-witness |
//! | what are the bytes that an entry keeps back? | [`Disclosure`] | of Bursar's own |
//! | how does one carry all of it about? | [`ProofFile`] | C2SP tlog-proof |
//!
//! # Example
//! A log of two entries, a checkpoint of it, and a proof that the second is in it:
//! ```
//! use bursar_proof::{Checkpoint, Inclusion, KeyKind, NoteKey, ProofFile, leaf_hash, perfect_root};
//! let leaves = [leaf_hash(b"paid 1"), leaf_hash(b"paid 2")];
//! let key = NoteKey::from_seed("example.com/log", KeyKind::Log, &[7; 32])?;
//! let tree = Checkpoint { origin: "example.com/log".to_owned(), size: 2, root: perfect_root(&leaves) };
//! let note = tree.sign(&key)?;
//!
//! let proof = Inclusion { index: 1, hashes: vec![leaves[0]] };
//! let file = ProofFile { extra: None, inclusion: proof, checkpoint: note }.to_string();
//!
//! let checked = ProofFile::parse(&file)?.check(&leaf_hash(b"paid 2"), &key.verifier())?;
//! assert_eq!(checked.size, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkpoint;
mod cosignature;
mod disclosure;
mod hash;
mod key;
mod note;
mod proof;
mod proof_file;
mod tile;
mod tree;
mod witness;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use cosignature::Cosignature;
pub use disclosure::{Disclosure, DisclosureError};
pub use hash::{Hash, HashError, empty_root, leaf_hash, node_hash, perfect_root};
pub use key::{KeyError, KeyKind, NoteKey, VerifierKey};
pub use note::{NoteError, NoteSignature, SignedNote};
pub use proof::{Consistency, Inclusion, ProofError};
pub use proof_file::{ProofFile, ProofFileError};
pub use tile::{Tile, TileError, tiles_between};
pub use tree::{Node, Nodes, SIZE_MAX, prove_consistency, prove_inclusion, root_of};
pub use witness::{Submission, SubmissionError, Turned};
