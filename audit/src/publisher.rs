//! Publishing: from the journal to a checkpoint that others can check.

use crate::anchor::{self, Anchor, AnchorError};
use crate::client::{WitnessAt, WitnessProblem};
use crate::error::PublishError;
use crate::folder::LogFolder;
use crate::history::{History, Past};
use bursar_ledger::{Ledger, TreeHead};
use bursar_proof::{Checkpoint, NoteKey, SignedNote, VerifierKey, tiles_between};
use bursar_types::{Clock, Transport};
use std::sync::Arc;

/// Publishes one ledger's journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ledger: Ledger,
    key: NoteKey,
    folder: LogFolder,
    clock: Arc<dyn Clock>,
    transport: Option<Arc<dyn Transport>>,
    witnesses: Vec<WitnessAt>,
    anchors: Vec<Arc<dyn Anchor>>,
    /// The largest checkpoint that is known to have been signed; who holds it publishes.
    signed: tokio::sync::Mutex<Option<Checkpoint>>,
}

/// Who is asked beside the witnesses that have not cosigned yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) anchors: bool,
    /// Witnesses that have cosigned.
    pub(crate) cosigners: bool,
}

/// What came of publishing.
#[derive(Debug)]
pub struct Published {
    /// What is published now; `None` while the journal is empty.
    pub checkpoint: Option<(Checkpoint, SignedNote)>,
    /// Whether it was signed now; else nothing had happened since.
    pub fresh: bool,
    /// Who cosigned it now.
    pub cosigned: Vec<String>,
    /// Who did not, or did not keep it, and why. It is published all the same.
    pub concerns: Vec<Concern>,
}

/// Something that went wrong beside the checkpoint.
#[derive(Debug)]
pub enum Concern {
    /// A witness did not cosign.
    Witness {
        /// Its name.
        name: String,
        /// Why.
        problem: WitnessProblem,
    },
    /// A second place does not keep it.
    Anchor {
        /// Its name.
        name: String,
        /// Why.
        problem: AnchorError,
    },
    /// A second place keeps a checkpoint of this log that the journal does not continue.
    Contradicted {
        /// Its name.
        name: String,
        /// How many entries that checkpoint is about.
        size: u64,
    },
}

impl Concern {
    /// Whether somebody has to look at it: two histories were seen.
    #[must_use]
    pub const fn is_alarm(&self) -> bool {
        match self {
            Self::Witness { problem, .. } => problem.is_alarm(),
            Self::Anchor { .. } => false,
            Self::Contradicted { .. } => true,
        }
    }

    /// A name for the alarm that it is: the same however often it is found, and another for another contradiction.
    #[must_use]
    pub fn alarm(&self) -> Option<String> {
        match self {
            Self::Witness { name, problem: WitnessProblem::SawMore { seen, .. } } => {
                Some(format!("witness {name} saw {seen}"))
            }
            Self::Witness { name, problem: WitnessProblem::SawAnother { seen } } => {
                Some(format!("witness {name} saw another {seen}"))
            }
            Self::Contradicted { name, size } => Some(format!("{name} keeps {size}")),
            Self::Witness { .. } | Self::Anchor { .. } => None,
        }
    }
}

impl std::fmt::Display for Concern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Witness { name, problem } => write!(f, "witness {name}: {problem}"),
            Self::Anchor { name, problem } => write!(f, "{name}: {problem}"),
            Self::Contradicted { name, size } => write!(
                f,
                "{name} keeps a checkpoint of {size} entries that this journal does not continue: it was rolled back or \
                 rewritten. Do not pay; run `bursar audit verify`"
            ),
        }
    }
}

impl Publisher {
    /// A publisher without witnesses and anchors.
    #[must_use]
    pub fn new(ledger: Ledger, key: NoteKey, folder: LogFolder, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            ledger,
            key,
            folder,
            clock,
            transport: None,
            witnesses: Vec::new(),
            anchors: Vec::new(),
            signed: tokio::sync::Mutex::new(None),
        }))
    }

    /// Has each checkpoint cosigned by these, and kept by those.
    #[must_use]
    pub fn shown_to(
        self,
        transport: Arc<dyn Transport>,
        witnesses: Vec<WitnessAt>,
        anchors: Vec<Arc<dyn Anchor>>,
    ) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => Self(Arc::new(Inner { transport: Some(transport), witnesses, anchors, ..inner })),
            // Handed out already: it stays as it was handed out.
            Err(shared) => Self(shared),
        }
    }

    /// What checks the checkpoints. Whoever audits needs it from a place that the operator cannot change.
    #[must_use]
    pub fn key(&self) -> VerifierKey {
        self.0.key.verifier()
    }

    /// The journal that it publishes.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }

    /// Who is asked to cosign.
    #[must_use]
    pub fn witnesses(&self) -> &[WitnessAt] {
        &self.0.witnesses
    }

    /// Where copies are kept.
    #[must_use]
    pub fn anchors(&self) -> &[Arc<dyn Anchor>] {
        &self.0.anchors
    }

    /// Where the log lies.
    #[must_use]
    pub fn folder(&self) -> &LogFolder {
        &self.0.folder
    }

    /// Publishes the journal as it stands: tiles, then a checkpoint, then cosignatures and copies.
    ///
    /// # Errors
    /// [`PublishError`]. One that [`PublishError::is_alarm`] means that the journal contradicts what was signed: nothing is
    /// signed then, whoever asks.
    ///
    /// # Idempotency
    /// If nothing happened since, nothing is signed; witnesses and anchors that lack the checkpoint are asked again.
    ///
    /// # Cancellation
    /// Dropped at any point, the log is whole: the next call goes on.
    pub async fn publish(&self) -> Result<Published, PublishError> {
        self.publish_as(Asked { anchors: true, cosigners: false }).await
    }

    /// The same, and asks also the witnesses that have cosigned what is published: an old copy of everything on this machine brings
    /// back their old cosignatures too, and only they know that they saw more since. Before anything is paid, for one.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn publish_and_ask(&self) -> Result<Published, PublishError> {
        self.publish_as(Asked { anchors: true, cosigners: true }).await
    }

    pub(crate) async fn publish_as(&self, asked: Asked) -> Result<Published, PublishError> {
        let mut signed = self.0.signed.lock().await;
        let folder = self.0.folder.clone();
        let _turn = tokio::task::spawn_blocking(move || folder.turn()).await.map_err(broken)??;
        let head = self.0.ledger.head().await?;
        if signed.is_none() {
            *signed = self.largest_in_history()?;
        }
        if let Some(signed) = &*signed {
            self.must_continue(signed, head).await?;
        }
        let before = self.published_before(head).await?;
        let (checkpoint, mut note, fresh) = match before {
            Some((checkpoint, note)) if checkpoint.size == head.size => (checkpoint, note, false),
            None if head.size == 0 => {
                return Ok(Published { checkpoint: None, fresh: false, cosigned: vec![], concerns: vec![] });
            }
            before => {
                let old = before.map_or(0, |(checkpoint, _)| checkpoint.size);
                self.write_tiles(old, head.size).await?;
                let (checkpoint, note) = self.sign(head)?;
                (checkpoint, note, true)
            }
        };
        *signed = Some(checkpoint.clone());
        let (cosigned, mut concerns) = self.ask_witnesses(&checkpoint, &mut note, asked.cosigners).await?;
        if asked.anchors {
            concerns.extend(self.keep_elsewhere(&checkpoint, &note).await?);
        }
        Ok(Published { checkpoint: Some((checkpoint, note)), fresh, cosigned, concerns })
    }

    /// How many entries the journal has.
    pub(crate) async fn entries(&self) -> Result<u64, PublishError> {
        Ok(self.0.ledger.head().await?.size)
    }

    fn largest_in_history(&self) -> Result<Option<Checkpoint>, PublishError> {
        let (signed, _) = History::of(self.0.folder.clone()).signed_by(&self.key())?;
        Ok(signed.into_iter().max_by_key(|checkpoint| checkpoint.size))
    }

    /// What is published, once it is known that the journal continues it.
    async fn published_before(
        &self,
        head: TreeHead,
    ) -> Result<Option<(Checkpoint, SignedNote)>, PublishError> {
        let Some(note) = self.0.folder.checkpoint()? else { return Ok(None) };
        let path = self.0.folder.file("checkpoint");
        let published =
            Checkpoint::check(&note, &self.key()).map_err(|source| PublishError::NotOurs { path, source })?;
        self.must_continue(&published, head).await?;
        Ok(Some((published, note)))
    }

    /// Refuses to go on from a journal that does not continue what this key signed.
    async fn must_continue(&self, signed: &Checkpoint, head: TreeHead) -> Result<(), PublishError> {
        if signed.size > head.size {
            return Err(PublishError::RolledBack { found: head.size, signed: signed.size });
        }
        match self.continues(signed).await? {
            true => Ok(()),
            false => Err(PublishError::Rewritten { signed: signed.size }),
        }
    }

    async fn continues(&self, earlier: &Checkpoint) -> Result<bool, PublishError> {
        let root = self.0.ledger.root_at(earlier.size).await?;
        Ok(root.is_some_and(|root| *root.as_bytes() == earlier.root.0))
    }

    async fn write_tiles(&self, old: u64, new: u64) -> Result<(), PublishError> {
        for tile in tiles_between(old, new) {
            // The journal has `new` entries, and only grows.
            let Some(bytes) = self.0.ledger.tile(tile).await? else { continue };
            let folder = self.0.folder.clone();
            tokio::task::spawn_blocking(move || folder.write_tile(tile, &bytes)).await.map_err(broken)??;
        }
        Ok(())
    }

    fn sign(&self, head: TreeHead) -> Result<(Checkpoint, SignedNote), PublishError> {
        let origin = self.key().name().to_owned();
        let checkpoint = Checkpoint { origin, size: head.size, root: head.hash() };
        let note = checkpoint.sign(&self.0.key)?;
        let past = Past { at: self.0.clock.now(), note };
        History::of(self.0.folder.clone()).add(&past)?;
        self.0.folder.write_checkpoint(&past.note)?;
        Ok((checkpoint, past.note))
    }

    async fn ask_witnesses(
        &self,
        checkpoint: &Checkpoint,
        note: &mut SignedNote,
        cosigners: bool,
    ) -> Result<(Vec<String>, Vec<Concern>), PublishError> {
        let (mut cosigned, mut concerns) = (Vec::new(), Vec::new());
        let Some(transport) = &self.0.transport else { return Ok((cosigned, concerns)) };
        for witness in &self.0.witnesses {
            let has = bursar_proof::Cosignature::check(note, &witness.key).is_ok();
            if has && !cosigners {
                continue;
            }
            let name = witness.key.name().to_owned();
            let log = self.key();
            let cosigned_now =
                witness.cosign(&self.0.ledger, &**transport, &self.0.folder, note, checkpoint, &log);
            match cosigned_now.await {
                // It says again what it said.
                Ok(_) if has => {}
                Ok(signature) => {
                    note.add([signature])?;
                    cosigned.push(name);
                }
                Err(problem) => concerns.push(Concern::Witness { name, problem }),
            }
        }
        if !cosigned.is_empty() {
            self.0.folder.write_checkpoint(note)?;
        }
        Ok((cosigned, concerns))
    }

    async fn keep_elsewhere(
        &self,
        checkpoint: &Checkpoint,
        note: &SignedNote,
    ) -> Result<Vec<Concern>, PublishError> {
        let mut concerns = Vec::new();
        for anchor in &self.0.anchors {
            let name = anchor.name();
            match self.keep_at(&**anchor, checkpoint, note).await? {
                Ok(None) => {}
                Ok(Some(size)) => concerns.push(Concern::Contradicted { name, size }),
                Err(problem) => concerns.push(Concern::Anchor { name, problem }),
            }
        }
        Ok(concerns)
    }

    /// Keeps a checkpoint at a place, unless it keeps one that contradicts it: that one is evidence, and stays. Answers its size.
    async fn keep_at(
        &self,
        anchor: &dyn Anchor,
        checkpoint: &Checkpoint,
        note: &SignedNote,
    ) -> Result<Result<Option<u64>, AnchorError>, PublishError> {
        let kept = match anchor.kept().await {
            Ok(kept) => kept,
            Err(problem) => return Ok(Err(problem)),
        };
        if let Some(kept) = kept {
            // Whoever can write there could put down anything; only what this log signed says something of it.
            let signed = Checkpoint::check(&kept, &self.key());
            let Ok(earlier) = signed else {
                return Ok(anchor::read(&kept).and_then(|_| {
                    Err(AnchorError::Other(
                        "it keeps a checkpoint of another log, which is not replaced".to_owned(),
                    ))
                }));
            };
            if earlier.size > checkpoint.size || !self.continues(&earlier).await? {
                return Ok(Ok(Some(earlier.size)));
            }
            if kept == *note {
                return Ok(Ok(None));
            }
        }
        Ok(anchor.keep(note).await.map(|()| None))
    }
}

fn broken(error: tokio::task::JoinError) -> PublishError {
    let source = std::io::Error::other(error);
    PublishError::File { path: std::path::PathBuf::from("log"), source }
}
