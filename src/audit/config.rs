//! `[audit]` of `bursar.toml`.

use super::options::{AnchorAt, AuditOptions, EVERY};
use crate::config::is_http;
use bursar_proof::{KeyKind, VerifierKey};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the journal is published, how often, and who sees it. Every field has a default.
///
/// ```
/// let config: bursar::audit::AuditConfig = toml::from_str(r#"
///     origin = "example.com/agents"
///     log = "/srv/www/log"
///     every = "5s"
///     witness = [{ url = "https://witness.example", key = "witness.example+7a84f8e3+BK7Gh0+0/Zw4lk2PLo5W2eR1S/+tA2oxC+8wYiG3A5pr" }]
///     anchor = [{ file = "/mnt/elsewhere/checkpoint" }, { git = "/srv/checkpoints" }]
/// "#)?;
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditConfig {
    /// The log's name: a URL without its scheme, under a domain of yours. By default one that follows from the ledger's id.
    pub origin: Option<String>,
    /// The folder it is published into; by default `log` in the data folder.
    pub log: Option<PathBuf>,
    /// The file of the key that signs, made at first use; by default `log.key` in the data folder.
    pub key: Option<PathBuf>,
    /// How often, if something happened: a number and `ms`, `s` or `m`, from `100ms` to `60m`; `1s` by default. With `off` it
    /// is published on opening, after runs, on closing and by `bursar audit checkpoint`.
    pub every: Option<String>,
    /// Who cosigns.
    #[serde(default, rename = "witness")]
    pub witnesses: Vec<WitnessConfig>,
    /// Where copies of checkpoints are kept.
    #[serde(default, rename = "anchor")]
    pub anchors: Vec<AnchorConfig>,
}

/// A witness.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// What stands before `/add-checkpoint`. Over plain `http://` whoever is on the way can claim a fork, which stops all spending.
    pub url: String,
    /// Its public key, as a C2SP verifier key.
    pub key: String,
}

/// A second place: one of `file`, `http` and `git`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnchorConfig {
    /// A file.
    File(PathBuf),
    /// A URL that takes `PUT`.
    Http(String),
    /// A Git repository that is there.
    Git(PathBuf),
}

impl AuditConfig {
    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(origin) = &self.origin
            && bursar_proof::NoteKey::from_seed(origin, KeyKind::Log, &[1; 32]).is_err()
        {
            let name = origin.escape_debug();
            return Some(format!(
                "audit.origin: `{name}` is not a name such as `example.com/agents`: no spaces, no plus signs"
            ));
        }
        if let Err(problem) = self.period() {
            return Some(problem);
        }
        for (at, witness) in self.witnesses.iter().enumerate() {
            let (url, key) = (witness.url.escape_debug(), witness.key.escape_debug());
            if !is_http(&witness.url) {
                return Some(format!(
                    "audit.witness[{at}].url: `{url}` is not a URL such as `https://witness.example`"
                ));
            }
            if let Err(problem) = witness_key(&witness.key) {
                return Some(format!("audit.witness[{at}].key: `{key}`: {problem}"));
            }
        }
        self.anchors.iter().enumerate().find_map(|(at, anchor)| match anchor {
            AnchorConfig::Http(url) if !is_http(url) => {
                let url = url.escape_debug();
                Some(format!(
                    "audit.anchor[{at}].http: `{url}` is not a URL such as `https://kept.example/checkpoint`"
                ))
            }
            AnchorConfig::Http(_) | AnchorConfig::File(_) | AnchorConfig::Git(_) => None,
        })
    }

    fn period(&self) -> Result<Option<Duration>, String> {
        let Some(text) = &self.every else { return Ok(Some(EVERY)) };
        if text == "off" {
            return Ok(None);
        }
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000)];
        let read = |(unit, ms): (&str, u64)| {
            let number = text.strip_suffix(unit).filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?;
            number.parse::<u64>().ok()?.checked_mul(ms)
        };
        let ms = units.into_iter().find_map(read).filter(|ms| (100..=3_600_000).contains(ms));
        let wrong = || {
            let text = text.escape_debug();
            format!("audit.every: `{text}` is neither `off` nor a time such as `1s`, from `100ms` to `60m`")
        };
        ms.map(|ms| Some(Duration::from_millis(ms))).ok_or_else(wrong)
    }

    /// As options; paths are relative to `base`. What [`Self::problem`] finds is left out.
    pub(crate) fn options(&self, base: &Path) -> AuditOptions {
        let mut options = AuditOptions::default().every(self.period().unwrap_or(Some(EVERY)));
        if let Some(origin) = &self.origin {
            options = options.origin(origin);
        }
        if let Some(log) = &self.log {
            options = options.log(base.join(log));
        }
        if let Some(key) = &self.key {
            options = options.key(base.join(key));
        }
        for witness in &self.witnesses {
            if let Ok(key) = witness_key(&witness.key) {
                options = options.witness(&witness.url, key);
            }
        }
        for anchor in &self.anchors {
            options = match anchor {
                AnchorConfig::File(path) => options.anchor(AnchorAt::File(base.join(path))),
                AnchorConfig::Git(path) => options.anchor(AnchorAt::Git(base.join(path))),
                AnchorConfig::Http(url) => match url.parse() {
                    Ok(url) => options.anchor(AnchorAt::Http(url)),
                    Err(_) => options,
                },
            };
        }
        options
    }
}

fn witness_key(text: &str) -> Result<VerifierKey, String> {
    match VerifierKey::parse(text) {
        Ok(key) if key.kind() == KeyKind::Witness => Ok(key),
        Ok(_) => Err("this is a log's key; `bursar witness` prints a witness's".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
