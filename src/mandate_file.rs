//! A mandate in a file of its own, with its issuer's signature beside it.

use crate::config::Config;
use crate::error::BursarError;
use bursar_ledger::{CommitError, Ledger, LinkWrite, Refusal, SealedEvent, StreamId, Transaction};
use bursar_payments::{Mandate, MandateFile, MandateSignatureError, PinnedKey, SignedMandate, Wallet};
use bursar_types::{AssetRegistry, Digest, Entropy, Timestamp};
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// A mandate as it was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) mandate: Mandate,
    /// Its signature; `None` where none is asked for.
    pub(crate) issued: Option<Issued>,
}

/// A mandate's file with a signature that was found good. Kept in the journal, so that anybody can check it later.
#[derive(Debug, Serialize)]
pub(crate) struct Issued {
    issuer: PinnedKey,
    signed: SignedMandate,
    file: String,
}

impl Issued {
    /// Journals it, once for each file and signature.
    pub(crate) async fn record(&self, ledger: &Ledger, entropy: &dyn Entropy) -> Result<(), BursarError> {
        let digest = self.signed.statement.digest;
        let mut transaction = Transaction::default();
        let text = self.signed.signature.to_string();
        let key = format!("mandate/{}", Digest::of_parts("bursar/issued/v1", &[text.as_bytes()]));
        if ledger.link(&key).await?.is_some() {
            return Ok(());
        }
        transaction.links.push(LinkWrite { key, expected: None, value: Some(digest.to_string()) });
        // Digest, key and text are in the payload: a leaf would lead to whoever can guess at the file.
        let stream = StreamId::of("mandates", "issued");
        SealedEvent::new(stream, "mandate.issued", [], self, entropy)
            .map_err(|error| Refusal::NotCanonical(error.to_string()))
            .map_err(CommitError::from)?
            .add_to(&mut transaction);
        match ledger.commit(transaction).await {
            // Another process was first.
            Ok(_) | Err(CommitError::Refused(Refusal::LinkMoved { .. })) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A mandate that bears no signature where one is asked for.
pub(crate) fn unsigned(what: &str) -> BursarError {
    BursarError::MandateSignature { path: PathBuf::from(what), source: MandateSignatureError::Missing }
}

/// Who pays issues no mandates, and where issuers are named, nobody else's counts.
pub(crate) fn check_issuers(
    issuers: &[PinnedKey],
    unissued: bool,
    wallet: &dyn Wallet,
) -> Result<(), BursarError> {
    if let Some(own) = issuers.iter().find(|issuer| wallet.can_approve_as(&issuer.key)) {
        return Err(BursarError::IssuerIsAgent(own.name.clone()));
    }
    match unissued && !issuers.is_empty() {
        true => Err(unsigned("a mandate in code")),
        false => Ok(()),
    }
}

/// The signature's file of a mandate's file: the same name with `.sig` after it.
#[must_use]
pub fn mandate_signature_file(mandate: &Path) -> PathBuf {
    let mut name = mandate.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// Reads the mandate that a configuration names. Where it names issuers, one of them must have signed it, byte for byte.
pub(crate) fn read(
    config: &Config,
    base: &Path,
    registry: &AssetRegistry,
    now: Timestamp,
) -> Result<Option<Read>, BursarError> {
    let path = match (&config.mandate_file, &config.mandate) {
        (Some(_), Some(_)) => return Err(BursarError::TwoMandates),
        (Some(file), None) => base.join(file),
        // A part of the configuration cannot bear a signature.
        (None, Some(_)) if !config.issuers.is_empty() => return Err(unsigned("[mandate]")),
        (None, Some(inline)) => {
            return Ok(Some(Read { mandate: inline.clone().into_mandate(registry)?, issued: None }));
        }
        (None, None) => return Ok(None),
    };
    read_file(&path, &config.issuers, registry, now).map(Some)
}

/// Reads a mandate's file. Where there are issuers, one of them must have signed it, byte for byte.
pub(crate) fn read_file(
    path: &Path,
    issuers: &[PinnedKey],
    registry: &AssetRegistry,
    now: Timestamp,
) -> Result<Read, BursarError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| BursarError::ConfigFile { path: path.to_owned(), source })?;
    // Checked before anything of it is believed, and these very bytes are used: the file is not read twice.
    let signed = signature(path, text.as_bytes(), issuers, now)
        .map_err(|source| BursarError::MandateSignature { path: path.to_owned(), source })?;
    let file: MandateFile =
        toml::from_str(&text).map_err(|error| BursarError::malformed(path, &text, &error))?;
    let mut mandate = file.into_mandate(registry)?;
    let ends = signed.as_ref().and_then(|(_, signed)| signed.statement.expires_at);
    mandate.expires_at = [mandate.expires_at, ends].into_iter().flatten().min();
    let issued = signed.map(|(issuer, signed)| Issued { issuer, signed, file: text });
    Ok(Read { mandate, issued })
}

/// The signature that lies beside the file, and whose it is; `None` where no issuer is named.
fn signature(
    path: &Path,
    bytes: &[u8],
    issuers: &[PinnedKey],
    now: Timestamp,
) -> Result<Option<(PinnedKey, SignedMandate)>, MandateSignatureError> {
    if issuers.is_empty() {
        return Ok(None);
    }
    let text = match std::fs::read_to_string(mandate_signature_file(path)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(MandateSignatureError::Missing),
        Err(error) => return Err(MandateSignatureError::Unreadable(error.to_string())),
    };
    let signed = SignedMandate::parse(&text)?;
    let issuer = signed.check(bytes, issuers, now)?.clone();
    Ok(Some((issuer, signed)))
}
