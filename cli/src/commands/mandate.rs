//! `bursar mandate`: signs mandates, and checks their signatures.

use super::approvals::{outside, password};
use crate::args::{MandateAction, MandateArgs, SignArgs, VerifyMandateArgs};
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::payments::{ApproverKey, MandateFile, MandateSignatureError, PinnedKey, SignedMandate};
use bursar::types::{Clock as _, Timestamp};
use bursar::{BursarError, Config, SystemClock, mandate_signature_file};
use std::io::Write as _;
use std::path::{Path, PathBuf};

const DAY_MS: u64 = 86_400_000;

/// Runs the command.
pub(crate) fn run(args: MandateArgs) -> Result<Exit, CliError> {
    let (text, exit) = match args.action {
        MandateAction::Sign(args) => (sign(&args)?, Exit::Done),
        MandateAction::Verify(args) => verify(&args)?,
    };
    let _ = write!(anstream::stdout().lock(), "{text}");
    Ok(exit)
}

fn sign(args: &SignArgs) -> Result<String, CliError> {
    let text = read(&args.file)?;
    // What is signed is at least a mandate; whether it holds together is seen where its assets are known.
    let mandate: MandateFile =
        toml::from_str(&text).map_err(|error| BursarError::malformed(&args.file, &text, &error))?;
    let key = ApproverKey::read(&args.key, password().as_deref(), &outside(&args.data.folder)?)?;
    let now = SystemClock.now();
    let ends = args.days.map(|days| now.plus_ms(days.saturating_mul(DAY_MS)));
    let signed = SignedMandate::sign(text.as_bytes(), &key, now, ends).map_err(MandateSignatureError::from);
    let refused = |source| BursarError::MandateSignature { path: args.file.clone(), source };
    let signed = signed.map_err(refused)?;
    let path = mandate_signature_file(&args.file);
    let json = serde_json::to_string_pretty(&signed)
        .map_err(|error| refused(MandateSignatureError::Unreadable(error.to_string())))?;
    std::fs::write(&path, json + "\n").map_err(|source| CliError::File {
        doing: "write",
        path: path.clone(),
        source,
    })?;
    Ok(format!(
        "signed: {}, for “{}”, {}\nthe signature is in {}; the key that it needs is {}\n",
        args.file.display(),
        line(mandate.purpose(), 200),
        until(ends),
        path.display(),
        key.public()
    ))
}

fn verify(args: &VerifyMandateArgs) -> Result<(String, Exit), CliError> {
    let now = SystemClock.now();
    let (path, issuers) = match (&args.file, &args.config) {
        (Some(file), _) => {
            let named = args.issuer.iter().map(|key| PinnedKey { name: key.to_string(), key: *key });
            (file.clone(), named.collect())
        }
        (None, Some(config)) => of_config(config)?,
        // Refused by the command line already.
        (None, None) => (PathBuf::new(), Vec::new()),
    };
    let text = read(&path)?;
    let checked = std::fs::read_to_string(mandate_signature_file(&path))
        .map_err(|_| MandateSignatureError::Missing)
        .and_then(|signature| SignedMandate::parse(&signature))
        .and_then(|signed| {
            let issuer = signed.check(text.as_bytes(), &issuers, now)?;
            Ok((issuer.name.clone(), signed.statement.expires_at))
        });
    Ok(match checked {
        Ok((name, ends)) => (
            format!("holds: {} is as {} signed it, {}\n", path.display(), line(&name, 80), until(ends)),
            Exit::Done,
        ),
        Err(error) => {
            (format!("does not hold: {}: {}: {error}\n", path.display(), error.code()), Exit::Failed)
        }
    })
}

/// The mandate's file that a configuration names, and its issuers.
fn of_config(path: &Path) -> Result<(PathBuf, Vec<PinnedKey>), CliError> {
    let config = Config::read(path)?;
    let base = path.parent().unwrap_or(Path::new("."));
    match config.mandate_file {
        Some(file) => Ok((base.join(file), config.issuers)),
        None => Err(CliError::NoMandateFile { path: path.to_owned() }),
    }
}

fn until(ends: Option<Timestamp>) -> String {
    ends.map_or_else(|| "until it is replaced".to_owned(), |ends| format!("until {ends}"))
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|source| CliError::File {
        doing: "read",
        path: path.to_owned(),
        source,
    })
}
