//! The models that are always there: scripted ones for tests, and research by retrieval and extraction.

mod extractive;
mod scripted;

pub use extractive::{Extractive, ExtractiveSettings};
pub use scripted::{Scripted, ScriptedTurn};
