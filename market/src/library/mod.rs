//! What is sold: documents read from a folder, and the free search over them.

mod document;
mod folder;
mod front_matter;
mod markup;
mod search;
mod snippet;
mod words;

pub use document::{Document, SourceDocument};
pub use folder::{FolderError, Library, Skipped};
pub use search::{Hit, SearchIndex};
