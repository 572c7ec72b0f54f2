//! The library: what was bought, found before anything is bought again.

use crate::citation::{Citation, PageId, SourceId};
use crate::error::LibraryError;
use crate::index::{Found, Index, NewRecord, NewSource, StoredRecord, is_damage};
use crate::text::{Document, Note, extract};
use crate::words::terms;
use crate::worker::Worker;
use bursar_ledger::{Commitment, Entry, EventError, Ledger, StreamId};
use bursar_types::{ArtifactId, ArtifactRecord, Digest};
use bytes::Bytes;
use serde::Serialize;
use std::path::Path;
use url::Url;

#[cfg(test)]
mod tests;

/// Most passages of one answer.
const RECALL_MAX: usize = 100;

/// Something that was bought, and can be had again without paying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnedArtifact {
    /// The ledger's record of it.
    pub record: ArtifactRecord,
    /// Its title; its vendor wrote it.
    pub title: String,
}

/// A free page that was indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FreePage {
    /// Its id: `web_…`.
    pub id: SourceId,
    /// Its title; its host wrote it.
    pub title: String,
    /// What a reader should know about its text, in words.
    pub notes: Vec<String>,
}

/// A passage found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Passage {
    /// Its name, to be copied into an answer.
    pub citation: Citation,
    /// Where it stands: `art_…` for what was bought, `web_…` for a free page.
    pub artifact: SourceId,
    /// The title of the whole.
    pub title: String,
    /// Where it came from.
    pub url: String,
    /// The headings above it, joined by ` > `; empty at the top.
    pub heading: String,
    /// Its text. Code stands between fences of three backticks.
    pub text: String,
    /// How well it fits, in thousandths; only comparable within one answer.
    pub score_milli: i64,
}

/// What was bought, and the free pages that were read.
///
/// Cheap to clone; all clones share one thread, which alone touches the index file. Other processes may use the same
/// file.
///
/// # What it promises
/// The ledger is the record and the file only an index: where it is missing, damaged, of another version or of another
/// ledger, it is built again without being asked. Free pages alone are lost then; they can be fetched again.
///
/// # Example
/// ```
/// use bursar_ledger::{Ledger, MemoryStore};
/// use bursar_memory::Library;
/// use bursar_types::{ManualClock, SeededEntropy, Timestamp};
/// use std::sync::Arc;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(0)));
/// let ledger = Ledger::new(Arc::new(MemoryStore::new(clock, Arc::new(SeededEntropy::new(1)))));
/// let folder = tempfile::tempdir().unwrap();
/// let library = Library::open(folder.path().join("library.sqlite"), ledger).await?;
/// library.add_free("https://a.example/", Some("text/markdown"), "# Gas\n\nThe submitter pays the gas.".into()).await?;
///
/// let found = library.recall("who pays?", 1).await?;
/// assert_eq!(found[0].text, "The submitter pays the gas.");
/// assert!(library.contains(found[0].citation, "pays the gas").await?);
/// assert!(library.list().await?.is_empty(), "nothing was bought");
/// # Ok::<(), bursar_memory::LibraryError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Library {
    worker: Worker,
    ledger: Ledger,
}

impl Library {
    /// Opens the index at `path` and reads what the ledger has since been given.
    ///
    /// # Errors
    /// [`LibraryError`]: the folder cannot be written, or the ledger not read.
    pub async fn open(path: impl AsRef<Path>, ledger: Ledger) -> Result<Self, LibraryError> {
        let worker = Worker::start(path.as_ref().to_owned()).await?;
        let library = Self { worker, ledger };
        library.sync().await?;
        Ok(library)
    }

    /// Reads what the ledger was given since the last time, and says how many artifacts came. Call it after a delivery.
    ///
    /// # Errors
    /// [`LibraryError`].
    ///
    /// # Idempotency
    /// A second call, also at the same time or from another process, changes nothing.
    ///
    /// # Cancellation
    /// Dropping the future leaves the index at some point of the stream; the next call goes on from there.
    pub async fn sync(&self) -> Result<u64, LibraryError> {
        match self.read_stream().await {
            Err(Failure::Index(error)) if is_damage(&error) => {
                self.start_over(&error).await?;
                self.read_stream().await.map_err(|failure| failure.into_error(&self.worker))
            }
            other => other.map_err(|failure| failure.into_error(&self.worker)),
        }
    }

    /// Forgets everything taken from the ledger and reads it again: what was erased there is gone here too.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn rebuild(&self) -> Result<u64, LibraryError> {
        self.ask(|index| index.forget_bought()).await?;
        self.sync().await
    }

    /// What was bought from this address, if anything was. Fragments, default ports and the case of the host do not count.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn find(&self, url: &str) -> Result<Option<OwnedArtifact>, LibraryError> {
        let key = url_key(url);
        let found = self.ask(move |index| index.find(&key)).await?;
        Ok(found.as_ref().and_then(owned))
    }

    /// What was bought with exactly these bytes, from whatever address: the same text at another seller.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn find_content(&self, digest: Digest) -> Result<Option<OwnedArtifact>, LibraryError> {
        let digest = digest.to_string();
        let found = self.ask(move |index| index.find_content(&digest)).await?;
        Ok(found.as_ref().and_then(owned))
    }

    /// Everything bought, oldest first, each artifact once.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn list(&self) -> Result<Vec<OwnedArtifact>, LibraryError> {
        let found = self.ask(|index| index.list()).await?;
        Ok(found.iter().filter_map(owned).collect())
    }

    /// The passages that fit a question best, best first; none for a question without a word that says anything.
    ///
    /// Any text is a fine question: nothing in it is read as an operator. At most 100 passages are given.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn recall(&self, question: &str, limit: usize) -> Result<Vec<Passage>, LibraryError> {
        let terms = terms(question);
        let limit = limit.min(RECALL_MAX);
        let found = self.ask(move |index| index.recall(&terms, limit)).await?;
        Ok(found.into_iter().filter_map(passage).collect())
    }

    /// One passage, if there is such a one.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn passage(&self, citation: Citation) -> Result<Option<Passage>, LibraryError> {
        let found = self.ask(move |index| index.passage(citation)).await?;
        Ok(found.and_then(passage))
    }

    /// The whole text of something; `None` if it is not here, was erased, or is no text.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn text(&self, source: SourceId) -> Result<Option<String>, LibraryError> {
        let id = source.to_string();
        self.ask(move |index| index.text(&id)).await
    }

    /// The title of something; `None` if it is not here.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn title(&self, source: SourceId) -> Result<Option<String>, LibraryError> {
        let id = source.to_string();
        self.ask(move |index| index.title(&id)).await
    }

    /// Whether this artifact is in the library.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn owns(&self, artifact: ArtifactId) -> Result<bool, LibraryError> {
        Ok(self.title(SourceId::Artifact(artifact)).await?.is_some())
    }

    /// Whether `quote` stands in the cited passage, word for word; only whitespace may differ. An empty quote stands nowhere.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn contains(&self, citation: Citation, quote: &str) -> Result<bool, LibraryError> {
        let quote = normalised(quote);
        let passage = self.passage(citation).await?;
        Ok(!quote.is_empty() && passage.is_some_and(|passage| normalised(&passage.text).contains(&quote)))
    }

    /// Keeps a free page that was read, so that it can be found and cited. It has no receipt and is no artifact.
    ///
    /// # Errors
    /// [`LibraryError`].
    ///
    /// # Idempotency
    /// The same bytes from the same address are one page.
    pub async fn add_free(
        &self,
        url: &str,
        media_type: Option<&str>,
        bytes: Bytes,
    ) -> Result<FreePage, LibraryError> {
        let id = SourceId::Page(PageId::derived(url, &bytes));
        let (url, media_type) = (url.to_owned(), media_type.map(str::to_owned));
        let (title, notes) = self
            .ask(move |index| {
                let document = extract(media_type.as_deref(), &bytes);
                let notes = document.notes.iter().map(Note::to_string).collect();
                let title = index.add_page(&source(id, &url, Some(document)))?;
                Ok((title, notes))
            })
            .await?;
        Ok(FreePage { id, title, notes })
    }

    /// Forgets the text of something and all its passages, as when its bytes were erased from the ledger. That it was bought
    /// stays known; a free page is gone. Erase it in the ledger first: a rebuild reads again what is there.
    ///
    /// # Errors
    /// [`LibraryError`].
    pub async fn forget(&self, source: SourceId) -> Result<(), LibraryError> {
        let id = source.to_string();
        self.ask(move |index| index.forget(&id)).await
    }

    /// Forgets whatever the ledger does not keep any more: records that were erased with everything found in them, texts of
    /// which the bytes were erased, and all free pages, since nothing says for whom they were read. Says how many things of
    /// the ledger's are gone. No word of them is left in the file.
    ///
    /// # Errors
    /// [`LibraryError`].
    ///
    /// # Idempotency
    /// A second call finds nothing more.
    pub async fn forget_erased(&self) -> Result<u64, LibraryError> {
        self.sync().await?;
        let (mut records, mut texts) = (Vec::new(), Vec::new());
        let entries = self.ledger.stream_with_payloads(&stream(), 0).await.map_err(LibraryError::Ledger)?;
        for (entry, payload) in entries.iter().filter(|(entry, _)| entry.kind == ArtifactRecord::KIND) {
            match payload {
                None => records.push(entry.stream_sequence),
                Some(payload) => {
                    let Ok(record) = serde_json::from_slice::<ArtifactRecord>(payload) else { continue };
                    let bytes = self.ledger.payload(Commitment::from_digest(record.payload)).await;
                    if bytes.map_err(LibraryError::Ledger)?.is_none() {
                        texts.push(SourceId::Artifact(record.artifact.id).to_string());
                    }
                }
            }
        }
        let gone = u64::try_from(records.len().saturating_add(texts.len())).unwrap_or(u64::MAX);
        self.ask(move |index| index.forget_all(&records, &texts)).await?;
        Ok(gone)
    }

    /// The ledger it is built from.
    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Every record of an artifact; none if it is not owned.
    pub(crate) async fn records_of(&self, artifact: ArtifactId) -> Result<Vec<ArtifactRecord>, LibraryError> {
        let id = artifact.to_string();
        let found = self.ask(move |index| index.records_of(&id)).await?;
        Ok(found.iter().filter_map(|record| serde_json::from_str(record).ok()).collect())
    }

    /// Asks the index; a damaged one is built again, and asked once more.
    async fn ask<T, F>(&self, question: F) -> Result<T, LibraryError>
    where
        T: Send + 'static,
        F: Fn(&mut Index) -> rusqlite::Result<T> + Clone + Send + 'static,
    {
        match self.worker.ask(question.clone()).await? {
            Err(error) if is_damage(&error) => {
                self.start_over(&error).await?;
                self.read_stream().await.map_err(|failure| failure.into_error(&self.worker))?;
                self.worker.ask(question).await?.map_err(|error| self.worker.failed(error))
            }
            answer => answer.map_err(|error| self.worker.failed(error)),
        }
    }

    async fn start_over(&self, error: &rusqlite::Error) -> Result<(), LibraryError> {
        tracing::warn!(%error, "the library's index is damaged; it is built again");
        self.worker.ask(Index::start_over).await?.map_err(|error| self.worker.failed(error))
    }

    async fn read_stream(&self) -> Result<u64, Failure> {
        let stream = stream();
        let lengths = self.ledger.streams(ArtifactRecord::STREAM).await.map_err(LibraryError::Ledger)?;
        let length = lengths.iter().find(|(name, _)| *name == stream).map_or(0, |(_, length)| *length);
        let ledger = self.ledger.id().to_string();
        let from = self.worker.ask(move |index| index.position(&ledger, length)).await??;
        let mut kept = 0_u64;
        for entry in self.ledger.stream(&stream, from).await.map_err(LibraryError::Ledger)? {
            let content = match self.record(&entry).await? {
                Some(record) => {
                    let commitment = Commitment::from_digest(record.payload);
                    let bytes = self.ledger.payload(commitment).await.map_err(LibraryError::Ledger)?;
                    kept = kept.saturating_add(1);
                    Some((record, bytes))
                }
                None => None,
            };
            let position = entry.stream_sequence;
            self.worker.ask(move |index| index.add_record(new_record(position, content))).await??;
        }
        Ok(kept)
    }
}

impl Library {
    /// The record of an entry; `None` if the entry is of another kind, or was erased.
    async fn record(&self, entry: &Entry) -> Result<Option<ArtifactRecord>, LibraryError> {
        if entry.kind != ArtifactRecord::KIND {
            return Ok(None);
        }
        match self.ledger.event(entry).await {
            Ok(record) => Ok(Some(record)),
            Err(EventError::Store(error)) => Err(LibraryError::Ledger(error)),
            Err(error @ (EventError::Erased { .. } | EventError::Unreadable { .. })) => {
                tracing::warn!(sequence = entry.sequence, %error, "a record of the library cannot be read; it is left out");
                Ok(None)
            }
        }
    }
}

/// Why the stream was not read to its end.
enum Failure {
    Library(LibraryError),
    Index(rusqlite::Error),
}

impl Failure {
    fn into_error(self, worker: &Worker) -> LibraryError {
        match self {
            Self::Library(error) => error,
            Self::Index(error) => worker.failed(error),
        }
    }
}

impl From<LibraryError> for Failure {
    fn from(error: LibraryError) -> Self {
        Self::Library(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error)
    }
}

#[expect(clippy::expect_used, reason = "by INVARIANT the constant is a stream name")]
pub(crate) fn stream() -> StreamId {
    StreamId::new(ArtifactRecord::STREAM).expect("`library` is a stream name")
}

fn new_record(position: u64, content: Option<(ArtifactRecord, Option<Bytes>)>) -> NewRecord {
    let content = content.and_then(|(record, bytes)| {
        let media_type = record.artifact.media_type.as_deref();
        let genuine = bytes.filter(|bytes| {
            let genuine = Digest::of(bytes) == record.artifact.digest;
            if !genuine {
                tracing::warn!(artifact = %record.artifact.id, "kept bytes are not those of the record; not indexed");
            }
            genuine
        });
        let document = genuine.map(|bytes| extract(media_type, &bytes));
        let id = SourceId::Artifact(record.artifact.id);
        let url = &record.payment.resource;
        let json = serde_json::to_string(&record).ok()?;
        let digest = record.artifact.digest.to_string();
        Some((json, digest, NewSource { id, url: url.clone(), url_key: url_key(url), document }))
    });
    NewRecord { position, content }
}

fn source(id: SourceId, url: &str, document: Option<Document>) -> NewSource {
    NewSource { id, url: url.to_owned(), url_key: url_key(url), document }
}

fn owned(stored: &StoredRecord) -> Option<OwnedArtifact> {
    let record = serde_json::from_str(&stored.record).ok()?;
    Some(OwnedArtifact { record, title: stored.title.clone() })
}

fn passage(found: Found) -> Option<Passage> {
    let source = SourceId::parse(&found.source).ok()?;
    Some(Passage {
        citation: Citation { source, number: found.number },
        artifact: source,
        title: found.title,
        url: found.url,
        heading: found.heading,
        text: found.text,
        score_milli: found.score_milli,
    })
}

/// An address in its one form; a text that is no address stands for itself.
fn url_key(text: &str) -> String {
    match Url::parse(text.trim()) {
        Ok(mut url) => {
            url.set_fragment(None);
            url.into()
        }
        Err(_) => text.to_owned(),
    }
}

/// A text with its whitespace folded.
pub(crate) fn normalised(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
