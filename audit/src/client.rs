//! Asking witnesses.

use crate::folder::LogFolder;
use bursar_ledger::{Ledger, StoreError};
use bursar_proof::{
    Checkpoint, Consistency, Cosignature, NoteError, NoteSignature, SignedNote, Submission, VerifierKey,
};
use bursar_types::{Limits, Transport, TransportError};
use bytes::Bytes;
use thiserror::Error;

/// A witness tells a size that it saw at most this often before we give up for now.
const TRIES: u8 = 3;
/// What a witness's answer may weigh.
const LIMITS: Limits = Limits {
    body_bytes_max: 64 << 10,
    challenge_bytes_max: 64 << 10,
    head_bytes_max: 16 << 10,
    timeout_ms: 10_000,
};

/// A witness, where it is asked.
#[derive(Debug, Clone)]
pub struct WitnessAt {
    /// What checks its cosignatures.
    pub key: VerifierKey,
    /// The prefix under which `add-checkpoint` is.
    pub url: String,
}

/// Why a witness did not cosign.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WitnessProblem {
    /// It could not be asked; the next checkpoint asks again.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Its address is none.
    #[error("`{0}` is no address of a witness")]
    Address(String),
    /// It does not know this log, or not this key of it.
    #[error("it does not know this log; give it the log's public key")]
    Unknown,
    /// It saw more entries than there are, and has this log's own signature to show for it: the journal was rolled back.
    #[error(
        "it saw {seen} entries, and the journal has {found}: an old copy of the data file was put back. Do not pay: bring the current file back, and check it with `bursar audit verify`"
    )]
    SawMore {
        /// What it saw.
        seen: u64,
        /// What there is.
        found: u64,
    },
    /// It saw other entries, and has this log's own signature to show for it: the journal was rewritten.
    #[error(
        "it saw another journal: somebody rewrote this one. Keep all of it, and run `bursar audit verify`"
    )]
    SawAnother {
        /// How many entries it saw.
        seen: u64,
    },
    /// It says that it saw more or other entries, and shows nothing that this log signed: anybody can say that.
    #[error("it says that it saw {0}, and shows no checkpoint that this log signed; ask whoever runs it")]
    Says(&'static str),
    /// What it answered as its cosignature is none of its key.
    #[error("its answer is not its cosignature: {0}")]
    Forged(#[from] NoteError),
    /// An answer that the specification does not have.
    #[error("it answered {0}")]
    Status(u16),
    /// It keeps saying that it is somewhere else.
    #[error("it did not stay at one size; the next checkpoint asks again")]
    Restless,
    /// The ledger could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WitnessProblem {
    /// Whether what the witness saw and what is there contradict each other, by this log's own signature. A witness's word alone
    /// is no alarm: it would let whoever runs it, or stands on the way, stop all spending.
    #[must_use]
    pub const fn is_alarm(&self) -> bool {
        matches!(self, Self::SawMore { .. } | Self::SawAnother { .. })
    }
}

impl WitnessAt {
    /// Has a checkpoint cosigned.
    ///
    /// # Source
    /// C2SP tlog-witness, "add-checkpoint".
    pub(crate) async fn cosign(
        &self,
        ledger: &Ledger,
        transport: &dyn Transport,
        folder: &LogFolder,
        note: &SignedNote,
        new: &Checkpoint,
        log: &VerifierKey,
    ) -> Result<NoteSignature, WitnessProblem> {
        let mut old = self.remembered(folder).min(new.size);
        for _ in 0..TRIES {
            let proof = ledger.prove_consistency(old, new.size).await?;
            let proof = proof.unwrap_or(Consistency { hashes: Vec::new() });
            let asked = Submission { old_size: old, proof, note: note.clone() };
            match self.ask(transport, asked.to_string()).await? {
                (200, body) => {
                    let signature = self.cosignature(note, &body)?;
                    self.remember(folder, new.size);
                    return Ok(signature);
                }
                (409, body) => {
                    let seen = body.trim_end().parse().map_err(|_| WitnessProblem::Status(409))?;
                    if seen > new.size {
                        return Err(self.shown(ledger, transport, new, log, "more entries").await?);
                    }
                    old = seen;
                }
                (422, _) => return Err(self.shown(ledger, transport, new, log, "other entries").await?),
                (403 | 404, _) => return Err(WitnessProblem::Unknown),
                (status, _) => return Err(WitnessProblem::Status(status)),
            }
        }
        Err(WitnessProblem::Restless)
    }

    /// Looks at what the witness cosigned last: whether this log signed it, and whether the journal continues it.
    ///
    /// # Source
    /// C2SP tlog-witness, "Monitor Retrieval Mechanism"; the same prefix is taken for both.
    async fn shown(
        &self,
        ledger: &Ledger,
        transport: &dyn Transport,
        new: &Checkpoint,
        log: &VerifierKey,
        says: &'static str,
    ) -> Result<WitnessProblem, WitnessProblem> {
        let path = format!("{}/checkpoint", bursar_types::Digest::of(new.origin.as_bytes()));
        let (_, body) = self.request(transport, http::Method::GET, &path, String::new()).await?;
        let signed = SignedNote::parse(&body).ok().and_then(|note| Checkpoint::check(&note, log).ok());
        let Some(seen) = signed else { return Ok(WitnessProblem::Says(says)) };
        if seen.size > new.size {
            return Ok(WitnessProblem::SawMore { seen: seen.size, found: new.size });
        }
        let root = ledger.root_at(seen.size).await?;
        Ok(match root.is_some_and(|root| *root.as_bytes() == seen.root.0) {
            true => WitnessProblem::Says(says),
            false => WitnessProblem::SawAnother { seen: seen.size },
        })
    }

    async fn ask(&self, transport: &dyn Transport, body: String) -> Result<(u16, String), WitnessProblem> {
        self.request(transport, http::Method::POST, "add-checkpoint", body).await
    }

    async fn request(
        &self,
        transport: &dyn Transport,
        method: http::Method,
        path: &str,
        body: String,
    ) -> Result<(u16, String), WitnessProblem> {
        let address = format!("{}/{path}", self.url.trim_end_matches('/'));
        let mut request = http::Request::new(Bytes::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = address.parse().map_err(|_| WitnessProblem::Address(address.clone()))?;
        let answer = transport.send(request, LIMITS).await?;
        let status = answer.status().as_u16();
        Ok((status, String::from_utf8_lossy(answer.body()).into_owned()))
    }

    /// The line of the answer that is this witness's, checked.
    fn cosignature(&self, note: &SignedNote, answer: &str) -> Result<NoteSignature, NoteError> {
        let unsigned = || NoteError::Unsigned(self.key.name().to_owned());
        let ours = |line: &NoteSignature| line.name == self.key.name() && line.id == self.key.id();
        let line = answer.lines().filter_map(NoteSignature::parse).find(ours).ok_or_else(unsigned)?;
        let mut cosigned = note.clone();
        cosigned.add([line.clone()])?;
        Cosignature::check(&cosigned, &self.key).map(|_| line)
    }

    fn file(&self) -> String {
        format!("witnesses/{}", hex::encode(self.key.id()))
    }

    /// What it cosigned last, as far as is known here. It only saves a question: the witness says if it is another.
    fn remembered(&self, folder: &LogFolder) -> u64 {
        let text = std::fs::read_to_string(folder.file(&self.file())).ok();
        text.and_then(|text| text.trim_end().parse().ok()).unwrap_or(0)
    }

    fn remember(&self, folder: &LogFolder, size: u64) {
        if let Err(error) = folder.write(&self.file(), format!("{size}\n").as_bytes()) {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "what a witness saw could not be noted"
            );
        }
    }
}
