//! What the ledger itself holds of an artifact: what evidence is checked against.

use crate::library::{normalised, stream};
use crate::passage::split;
use crate::text::extract;
use bursar_ledger::{Commitment, Entry, EventError, Ledger, StoreError};
use bursar_types::{ArtifactId, ArtifactRecord, Digest};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// What is held of one artifact.
#[derive(Debug)]
pub(super) enum Holding {
    /// Its bytes, and they are those that were bought.
    Here(Goods),
    /// It was bought, and its bytes or its record were erased since.
    Erased,
    /// Bytes are kept, and they are not those of the record.
    Damaged,
    /// It was never bought.
    Nothing,
}

impl Holding {
    /// What is held of the artifact that these records speak of. One of them with its bytes is enough.
    pub(super) async fn of(ledger: &Ledger, records: &[ArtifactRecord]) -> Result<Self, StoreError> {
        let mut found = Self::Nothing;
        for record in records {
            found = match ledger.payload(Commitment::from_digest(record.payload)).await? {
                Some(bytes) if Digest::of(&bytes) == record.artifact.digest => {
                    return Ok(Self::Here(Goods::new(bytes, record)));
                }
                Some(_) => Self::Damaged,
                None => Self::Erased,
            };
        }
        Ok(found)
    }
}

/// The bytes of an artifact, and their text once somebody asks for it.
#[derive(Debug)]
pub(super) struct Goods {
    pub(super) digest: Digest,
    media_type: Option<String>,
    bytes: Bytes,
    /// The whole text and then every passage, with their whitespace folded.
    texts: OnceLock<Vec<String>>,
}

impl Goods {
    fn new(bytes: Bytes, record: &ArtifactRecord) -> Self {
        let media_type = record.artifact.media_type.clone();
        Self { digest: record.artifact.digest, media_type, bytes, texts: OnceLock::new() }
    }

    /// Whether these words stand in its text; only whitespace may differ. No words stand nowhere.
    pub(super) fn has_words(&self, words: &str) -> bool {
        let words = normalised(words);
        let texts = self.texts.get_or_init(|| {
            let document = extract(self.media_type.as_deref(), &self.bytes);
            let passages = split(&document).into_iter().map(|piece| piece.text);
            // A passage may be cut inside a very long word, so it is not always a part of the whole.
            std::iter::once(document.text()).chain(passages).map(|text| normalised(&text)).collect()
        });
        !words.is_empty() && texts.iter().any(|text| text.contains(&words))
    }
}

/// The entries of what was bought, by artifact.
#[derive(Debug)]
pub(super) struct Shelf<'l> {
    ledger: &'l Ledger,
    by_artifact: BTreeMap<String, Vec<Entry>>,
    /// Entries that do not name their artifact, which only their records tell.
    unnamed: Vec<Entry>,
}

impl<'l> Shelf<'l> {
    pub(super) async fn read(ledger: &'l Ledger) -> Result<Self, StoreError> {
        let mut shelf = Self { ledger, by_artifact: BTreeMap::new(), unnamed: Vec::new() };
        for entry in ledger.stream(&stream(), 0).await? {
            if entry.kind != ArtifactRecord::KIND {
                continue;
            }
            match artifact_of(&entry).map(str::to_owned) {
                Some(artifact) => shelf.by_artifact.entry(artifact).or_default().push(entry),
                None => shelf.unnamed.push(entry),
            }
        }
        Ok(shelf)
    }

    pub(super) async fn holding(&self, artifact: ArtifactId) -> Result<Holding, StoreError> {
        let named = self.by_artifact.get(&artifact.to_string());
        let mut records = Vec::new();
        for entry in named.into_iter().flatten().chain(&self.unnamed) {
            match self.ledger.event::<ArtifactRecord>(entry).await {
                Ok(record) if record.artifact.id == artifact => records.push(record),
                Ok(_) | Err(EventError::Erased { .. } | EventError::Unreadable { .. }) => {}
                Err(EventError::Store(error)) => return Err(error),
            }
        }
        // It was bought, as the leaf says for ever, but its record is gone.
        if records.is_empty() && named.is_some() {
            return Ok(Holding::Erased);
        }
        Holding::of(self.ledger, &records).await
    }
}

/// The artifact that an entry's leaf names.
pub(super) fn artifact_of(entry: &Entry) -> Option<&str> {
    entry.body.get("artifact")?.as_str()
}
