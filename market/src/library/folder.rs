//! Reading a folder of texts.

use super::document::{Document, SourceDocument, media_type, slug};
use serde::Serialize;
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use thiserror::Error;

const FILES_MAX: usize = 100_000;

/// Why a folder cannot be sold.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The folder or something in it cannot be read.
    #[error("read the sources in `{}`: {source}; give a folder that exists and that you may read", path.display())]
    Unreadable {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file was given instead of a folder.
    #[error("read the sources in `{}`: it is a file; give the folder that holds it", path.display())]
    NotAFolder {
        /// What was given.
        path: PathBuf,
    },
    /// Nothing in the folder can be sold.
    #[error(
        "find anything to sell in `{}`: no .md, .txt or .html file with text in it ({skipped} skipped); \
         put at least one there",
        path.display()
    )]
    Empty {
        /// The folder.
        path: PathBuf,
        /// How many files had the right name but no usable text.
        skipped: usize,
    },
    /// More files than the market is made for.
    #[error("read the sources in `{}`: more than {FILES_MAX} files; give a smaller folder", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

/// A file that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its path in the folder.
    pub path: String,
    /// Why it cannot be sold.
    pub reason: String,
}

/// Documents in the order of their paths, each with its own id.
#[derive(Debug, Clone, Default)]
pub struct Library {
    documents: Vec<Arc<Document>>,
    skipped: Vec<Skipped>,
}

impl Library {
    /// Reads every .md, .txt, .html and .htm file under `folder`. Links are not followed.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: the folder is missing, unreadable, a file, too big, or has nothing to sell.
    pub fn read(folder: &Path) -> Result<Self, FolderError> {
        let unreadable = |source| FolderError::Unreadable { path: folder.to_owned(), source };
        if !fs::metadata(folder).map_err(unreadable)?.is_dir() {
            return Err(FolderError::NotAFolder { path: folder.to_owned() });
        }
        let mut sources = Vec::new();
        let mut skipped = Vec::new();
        for path in files_under(folder)? {
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if media_type(&name).is_none() {
                continue;
            }
            match usable_text(&path) {
                Ok(text) => sources.push(SourceDocument { path: name, text }),
                Err(reason) => skipped.push(Skipped { path: name, reason }),
            }
        }
        if sources.is_empty() {
            return Err(FolderError::Empty { path: folder.to_owned(), skipped: skipped.len() });
        }
        Ok(Self { skipped, ..Self::from_sources(sources) })
    }

    /// Makes documents out of texts in hand; their order is that of their paths.
    #[must_use]
    pub fn from_sources(mut sources: Vec<SourceDocument>) -> Self {
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        let mut taken = HashSet::new();
        let documents = sources
            .iter()
            .map(|source| {
                let id = free_id(&slug(&source.path), &taken);
                taken.insert(id.clone());
                Arc::new(Document::read(id, source))
            })
            .collect();
        Self { documents, skipped: Vec::new() }
    }

    /// These documents and then those of `more`, whose ids give way where both have the same.
    pub(crate) fn with(mut self, more: &Self) -> Self {
        let mut taken: HashSet<String> =
            self.documents.iter().map(|document| document.id().to_owned()).collect();
        for document in &more.documents {
            let id = free_id(document.id(), &taken);
            taken.insert(id.clone());
            self.documents.push(Arc::new(document.renamed(id)));
        }
        self
    }

    /// The documents.
    #[must_use]
    pub fn documents(&self) -> &[Arc<Document>] {
        &self.documents
    }

    /// The files that were left out.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

fn free_id(wanted: &str, taken: &HashSet<String>) -> String {
    if !taken.contains(wanted) {
        return wanted.to_owned();
    }
    (2_usize..)
        .map(|n| format!("{wanted}-{n}"))
        .find(|id| !taken.contains(id))
        .unwrap_or_else(|| wanted.to_owned())
}

fn usable_text(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(text)
}

fn files_under(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        let unreadable = |source| FolderError::Unreadable { path: current.clone(), source };
        for entry in fs::read_dir(&current).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if kind.is_dir() && !hidden {
                folders.push(entry.path());
            } else if kind.is_file() && !hidden {
                files.push(entry.path());
            }
            if files.len() > FILES_MAX {
                return Err(FolderError::TooMany { path: folder.to_owned() });
            }
        }
    }
    files.sort();
    Ok(files)
}
