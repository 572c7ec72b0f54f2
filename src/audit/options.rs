//! Where the journal is published, and who sees it.

use super::git::GitAnchor;
use super::place::Place;
use crate::error::BursarError;
use bursar_audit::{
    Anchor, FileAnchor, HttpAnchor, LogFolder, Publisher, WitnessAt, origin_of, read_key, read_or_make_key,
};
use bursar_ledger::Ledger;
use bursar_proof::{KeyKind, VerifierKey};
use bursar_types::{Clock, Entropy, Transport};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the journal is published unless somebody says otherwise.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// Where the journal is published, how often, and who sees it.
///
/// Name, folder and key are remembered in the data folder: whoever opens that later without saying them finds the same log.
///
/// # Example
/// ```
/// use bursar::audit::{AnchorAt, AuditOptions};
/// let audit = AuditOptions::default()
///     .origin("example.com/agents")
///     .log("/srv/www/log")
///     .anchor(AnchorAt::File("/mnt/elsewhere/checkpoint".into()));
/// # let _ = audit;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct AuditOptions {
    place: Place,
    every: Option<Duration>,
    witnesses: Vec<WitnessAt>,
    anchors: Vec<AnchorAt>,
}

/// A second place for checkpoints.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AnchorAt {
    /// A file on another disk, or of another account.
    File(PathBuf),
    /// A URL that takes `PUT`, and gives `GET` if it can be read back.
    Http(http::Uri),
    /// The file `checkpoint` of a Git repository: each becomes a commit.
    Git(PathBuf),
    /// Another.
    Other(Arc<dyn Anchor>),
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self { place: Place::default(), every: Some(EVERY), witnesses: Vec::new(), anchors: Vec::new() }
    }
}

impl AuditOptions {
    /// The log's name: a URL without its scheme under a domain of yours, such as `example.com/agents`. By default one that
    /// follows from the ledger's id.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.place.origin = Some(origin.into());
        self
    }

    /// The folder it is published into; by default `log` in the data folder.
    pub fn log(mut self, folder: impl Into<PathBuf>) -> Self {
        self.place.log = Some(folder.into());
        self
    }

    /// The file of the key that signs checkpoints, made at first use; by default `log.key` in the data folder.
    pub fn key(mut self, file: impl Into<PathBuf>) -> Self {
        self.place.key = Some(file.into());
        self
    }

    /// How often it is published beside other work, if something happened. `None`: only on opening, after runs, on closing, and
    /// when somebody asks.
    pub const fn every(mut self, every: Option<Duration>) -> Self {
        self.every = every;
        self
    }

    /// Has each checkpoint cosigned by a witness: `url` is what stands before `/add-checkpoint`.
    pub fn witness(mut self, url: impl Into<String>, key: VerifierKey) -> Self {
        self.witnesses.push(WitnessAt { key, url: url.into() });
        self
    }

    /// Keeps a copy of each checkpoint at a second place.
    pub fn anchor(mut self, anchor: AnchorAt) -> Self {
        self.anchors.push(anchor);
        self
    }

    pub(crate) const fn period(&self) -> Option<Duration> {
        self.every
    }

    /// Where the log lies, and the public key beside the journal if there is one. Makes and remembers nothing.
    pub(super) fn reading(&self, data: &Path) -> Result<(LogFolder, Option<VerifierKey>), BursarError> {
        let read = |source| BursarError::Write { path: data.to_owned(), source };
        let place = self.place.clone().chosen(data).map_err(read)?;
        let file = place.key.unwrap_or_else(|| data.join("log.key"));
        let key = read_key(&file)?.map(|key| key.verifier());
        Ok((LogFolder::new(place.log.unwrap_or_else(|| data.join("log"))), key))
    }

    pub(super) fn witnesses_asked(&self) -> &[WitnessAt] {
        &self.witnesses
    }

    pub(super) fn anchors_at(&self, transport: &Arc<dyn Transport>) -> Vec<Arc<dyn Anchor>> {
        self.anchors.iter().map(|anchor| anchor.open(transport)).collect()
    }

    /// Puts together what publishes. Makes the key, if there is none.
    pub(crate) fn publisher(
        &self,
        data: &Path,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        transport: Arc<dyn Transport>,
    ) -> Result<Publisher, BursarError> {
        let write = |source| BursarError::Write { path: data.to_owned(), source };
        let place = self.place.clone().remembered(data).map_err(write)?;
        let origin = place.origin.unwrap_or_else(|| origin_of(ledger.id()));
        let file = place.key.unwrap_or_else(|| data.join("log.key"));
        let key = read_or_make_key(&file, &origin, KeyKind::Log, entropy)?;
        let folder = LogFolder::new(place.log.unwrap_or_else(|| data.join("log")));
        let anchors = self.anchors_at(&transport);
        let log = Publisher::new(ledger, key, folder, clock);
        Ok(log.shown_to(transport, self.witnesses.clone(), anchors))
    }
}

impl AnchorAt {
    fn open(&self, transport: &Arc<dyn Transport>) -> Arc<dyn Anchor> {
        match self {
            Self::File(path) => Arc::new(FileAnchor(path.clone())),
            Self::Http(url) => Arc::new(HttpAnchor { url: url.clone(), transport: transport.clone() }),
            Self::Git(repository) => Arc::new(GitAnchor::new(repository)),
            Self::Other(anchor) => anchor.clone(),
        }
    }
}
