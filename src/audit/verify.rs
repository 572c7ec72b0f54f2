//! The journal against everything that was published of it.

use super::options::AuditOptions;
use crate::error::BursarError;
use bursar_audit::{AnchorError, History, LogFolder, WitnessAt};
use bursar_ledger::Ledger;
use bursar_proof::{Checkpoint, Cosignature, NoteError, SignedNote, Tile, VerifierKey, tiles_between};
use bursar_types::{Digest, Limits, Transport};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

/// More problems than this are only counted: a rewritten journal contradicts all of it.
const PROBLEMS_MAX: usize = 20;
/// A tile that is full.
const FULL: u16 = 256;

/// What somebody brings from elsewhere to check a log with.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// The log's public key, from a place that the operator cannot change. Without it the key beside the journal is believed.
    pub key: Option<VerifierKey>,
    /// Checkpoints that somebody kept, each with what to call it.
    pub checkpoints: Vec<(String, String)>,
    /// Witnesses to ask, by what stands before `/add-checkpoint`.
    pub witnesses: Vec<String>,
}

/// What a check of a log found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogVerified {
    /// The key that everything was checked under; `None` if there is none, and so no log.
    pub key: Option<String>,
    /// Checkpoints of the history that the journal continues.
    pub checkpoints: u64,
    /// How many entries the published checkpoint is of.
    pub published: Option<u64>,
    /// Tiles on disk that are the journal's.
    pub tiles: u64,
    /// Who cosigned the published checkpoint, and which other places keep a checkpoint that the journal continues.
    pub agree: Vec<String>,
    /// What could not be looked at, which says nothing.
    pub unchecked: Vec<String>,
    /// What does not agree; empty means that the log verifies.
    pub problems: Vec<String>,
}

/// Checks a journal against its history of checkpoints, the published checkpoint and tiles, the anchors and witnesses of
/// `options`, and what was brought. Writes nothing.
///
/// # Errors
/// [`BursarError`] if the journal or the log's files cannot be read; what does not agree is listed in the answer.
pub async fn verify_log(
    data: impl AsRef<Path>,
    ledger: &Ledger,
    options: &AuditOptions,
    brought: &Brought,
) -> Result<LogVerified, BursarError> {
    let transport: Arc<dyn Transport> = Arc::new(bursar_payments::HttpTransport::new()?);
    let (folder, beside) = options.reading(data.as_ref())?;
    let mut found = LogVerified::default();
    if let (Some(given), Some(beside)) = (&brought.key, &beside)
        && given != beside
    {
        found.problem(format!("the key beside the journal is {beside}, another than the one given"));
    }
    let past = History::of(folder.clone()).read()?;
    let Some(key) = brought.key.clone().or(beside) else {
        if !past.is_empty() || !brought.checkpoints.is_empty() || !brought.witnesses.is_empty() {
            found.problem("there is no key to check the log with; give it with --key".to_owned());
        }
        return Ok(found);
    };
    found.key = Some(key.to_string());
    let mut check = Check { ledger, key, size: ledger.head().await?.size, found };
    let texts = check.history(past).await?;
    check.published(&folder, &texts, options.witnesses_asked()).await?;
    for anchor in options.anchors_at(&transport) {
        let name = anchor.name();
        match anchor.kept().await {
            Ok(Some(note)) => check.place(&name, &note).await?,
            Ok(None) => check.found.unchecked.push(format!("{name} keeps nothing yet")),
            Err(error @ (AnchorError::NoNote(_) | AnchorError::NoCheckpoint(_))) => {
                check.found.problem(format!("{name}: {error}"));
            }
            Err(error) => check.found.unchecked.push(format!("{name}: {error}")),
        }
    }
    for (name, text) in &brought.checkpoints {
        match SignedNote::parse(text) {
            Ok(note) => check.place(name, &note).await?,
            Err(error) => check.found.problem(format!("{name}: {error}")),
        }
    }
    for WitnessAt { url, key } in options.witnesses_asked() {
        match check.ask(&*transport, url).await {
            Ok(note) => match Cosignature::check(&note, key) {
                Ok(_) => check.place(&format!("witness {}", key.name()), &note).await?,
                Err(error) => check.found.problem(format!("witness {}: {error}", key.name())),
            },
            Err(problem) => check.found.unchecked.push(format!("witness {}: {problem}", key.name())),
        }
    }
    for url in &brought.witnesses {
        match check.ask(&*transport, url).await {
            Ok(note) => check.place(&format!("witness at {url}"), &note).await?,
            Err(problem) => check.found.problem(format!("witness at {url}: {problem}")),
        }
    }
    // Whoever brings a key has seen the log: that nothing is left of it is no beginning.
    if brought.key.is_some() && check.size > 0 && check.found.says_nothing() {
        let problem = "there is no checkpoint under the key that was given: what was published is gone, or is elsewhere";
        check.found.problem(problem.to_owned());
    }
    Ok(check.found)
}

impl LogVerified {
    /// Whether no checkpoint was found, here or elsewhere, that says what the journal must be.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        self.published.is_none() && self.checkpoints == 0 && self.agree.is_empty()
    }

    fn problem(&mut self, text: String) {
        match self.problems.len() {
            n if n < PROBLEMS_MAX => self.problems.push(text),
            PROBLEMS_MAX => self.problems.push("and more of the kind".to_owned()),
            _ => {}
        }
    }
}

struct Check<'a> {
    ledger: &'a Ledger,
    key: VerifierKey,
    size: u64,
    found: LogVerified,
}

impl Check<'_> {
    /// Whether the journal continues a checkpoint that this log signed; if not, that is a problem.
    async fn continues(&mut self, name: &str, note: &SignedNote) -> Result<Option<Checkpoint>, BursarError> {
        let checkpoint = match Checkpoint::check(note, &self.key) {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                self.found.problem(format!("{name}: {error}"));
                return Ok(None);
            }
        };
        let (size, journal) = (checkpoint.size, self.size);
        if size > journal {
            self.found.problem(format!(
                "{name} is of {size} entries, and the journal has {journal}: an old copy of the data file was put back"
            ));
            return Ok(None);
        }
        let root = self.ledger.root_at(size).await?;
        if root.is_none_or(|root| *root.as_bytes() != checkpoint.root.0) {
            self.found.problem(format!(
                "{name}: the first {size} entries of the journal are not those that were signed: it was rewritten"
            ));
            return Ok(None);
        }
        Ok(Some(checkpoint))
    }

    /// The same of a place elsewhere.
    async fn place(&mut self, name: &str, note: &SignedNote) -> Result<(), BursarError> {
        if let Some(checkpoint) = self.continues(name, note).await? {
            self.found.agree.push(format!("{name} keeps {} entries", checkpoint.size));
        }
        Ok(())
    }

    /// Every checkpoint that was ever signed; answers their texts.
    async fn history(
        &mut self,
        past: Vec<Result<bursar_audit::Past, usize>>,
    ) -> Result<Vec<String>, BursarError> {
        let (mut texts, mut largest) = (Vec::new(), 0);
        for (number, past) in (1_usize..).zip(past) {
            let Ok(past) = past else {
                self.found.problem(format!("line {number} of the log's history cannot be read"));
                continue;
            };
            let name = format!("line {number} of the log's history");
            if let Some(checkpoint) = self.continues(&name, &past.note).await? {
                if checkpoint.size < largest {
                    self.found.problem(format!("{name} is of fewer entries than those before"));
                }
                largest = largest.max(checkpoint.size);
                self.found.checkpoints = self.found.checkpoints.saturating_add(1);
            }
            texts.push(past.note.text().to_owned());
        }
        Ok(texts)
    }

    /// The checkpoint that is published, with its tiles and cosignatures.
    async fn published(
        &mut self,
        folder: &LogFolder,
        past: &[String],
        witnesses: &[WitnessAt],
    ) -> Result<(), BursarError> {
        let note = match folder.checkpoint() {
            Ok(Some(note)) => note,
            // The first one may have been signed when a crash came.
            Ok(None) if past.len() < 2 => return Ok(()),
            Ok(None) => {
                self.found.problem("the published checkpoint is gone".to_owned());
                return Ok(());
            }
            Err(bursar_audit::PublishError::Note(error)) => {
                self.found.problem(format!("the published checkpoint: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let Some(checkpoint) = self.continues("the published checkpoint", &note).await? else {
            return Ok(());
        };
        match past.iter().rposition(|text| text == note.text()) {
            None => self
                .found
                .problem("the published checkpoint is not in the log's history: that was cut".to_owned()),
            // A crash leaves one behind that was signed and not published.
            Some(at) if at.saturating_add(2) < past.len() => self.found.problem(format!(
                "the published checkpoint of {} entries is an old one, shown again: later ones were signed; \
                 `bursar audit checkpoint` publishes the journal as it is",
                checkpoint.size
            )),
            Some(_) => {}
        }
        self.found.published = Some(checkpoint.size);
        for tile in tiles_between(0, checkpoint.size) {
            self.tile(folder.path(), tile).await?;
        }
        for witness in witnesses {
            let name = witness.key.name();
            match Cosignature::check(&note, &witness.key) {
                Ok(_) => self.found.agree.push(format!("{name} cosigned it")),
                Err(NoteError::Unsigned(_)) => {
                    self.found.unchecked.push(format!("{name} has not cosigned it yet"));
                }
                Err(error) => self.found.problem(format!("the published checkpoint: {error}")),
            }
        }
        Ok(())
    }

    async fn tile(&mut self, folder: &Path, tile: Tile) -> Result<(), BursarError> {
        let expected = self.ledger.tile(tile).await?.unwrap_or_default();
        // Whoever published more since, and died before its checkpoint, left the full tile in place of the part.
        let full = Tile { width: FULL, ..tile };
        let read = |tile: Tile| std::fs::read(folder.join(tile.to_string()));
        match read(tile).or_else(|_| read(full)) {
            Ok(bytes) if bytes == expected || (!tile.is_full() && bytes.starts_with(&expected)) => {
                self.found.tiles = self.found.tiles.saturating_add(1);
            }
            Ok(_) => self.found.problem(format!("`{tile}` is not what the journal has there")),
            Err(error) => self.found.problem(format!("`{tile}` cannot be read: {error}")),
        }
        Ok(())
    }

    /// The checkpoint of this log that a witness saw last.
    async fn ask(&self, transport: &dyn Transport, url: &str) -> Result<SignedNote, String> {
        let log = Digest::of(self.key.name().as_bytes());
        let address = format!("{}/{log}/checkpoint", url.trim_end_matches('/'));
        let mut request = http::Request::new(Bytes::new());
        *request.uri_mut() = address.parse().map_err(|_| "this is no address".to_owned())?;
        let answer = transport.send(request, Limits::default()).await.map_err(|error| error.to_string())?;
        match answer.status().as_u16() {
            200 => {}
            404 => return Err("it does not know this log, or does not tell".to_owned()),
            status => return Err(format!("it answered {status}")),
        }
        let text = std::str::from_utf8(answer.body()).map_err(|error| error.to_string())?;
        SignedNote::parse(text).map_err(|error| error.to_string())
    }
}
