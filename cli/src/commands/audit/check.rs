//! `bursar audit check`: a proof, without the journal.

use crate::args::CheckProofArgs;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::ledger::Entry;
use bursar::proof::{Cosignature, Disclosure, ProofFile, leaf_hash};
use bursar::types::{Timestamp, canonical_bytes};
use serde::Serialize;
use serde::de::IgnoredAny;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Larger files are no proofs: an entry is below 64 KiB.
const PROOF_MAX: u64 = 4 << 20;

/// Runs the command.
pub(super) fn check(args: &CheckProofArgs) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    let mut out = anstream::stdout().lock();
    let mut shown = Shown::read(&files_of(&args.disclosed, "disclosed")?)?;
    for path in &files_of(&args.proofs, "tlog-proof")? {
        let text = read(path)?;
        let told = match checked(&text, args, &mut shown) {
            Ok(told) => told,
            Err(problem) => {
                exit = Exit::Failed;
                format!("not proven: {}\n", line(&problem, 400))
            }
        };
        let _ = write!(out, "{}: {told}", named(path));
    }
    for path in shown.of_none() {
        exit = Exit::Failed;
        let _ = writeln!(out, "{}: no entry that was proven speaks of this", named(path));
    }
    Ok(exit)
}

/// Files as they are, and of a folder those of this kind in order, as `prove` writes them for a payment.
fn files_of(paths: &[PathBuf], kind: &str) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unread = |source| CliError::File { doing: "read", path: path.clone(), source };
        let mut found = Vec::new();
        for file in std::fs::read_dir(path).map_err(unread)? {
            let file = file.map_err(unread)?.path();
            if file.extension().is_some_and(|extension| extension == kind) {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(unread(std::io::Error::new(ErrorKind::NotFound, format!("no `.{kind}` file in it"))));
        }
        found.sort_by_key(|file| (file.as_os_str().len(), file.clone()));
        files.extend(found);
    }
    Ok(files)
}

/// Whoever sent a file has named it too.
fn named(path: &Path) -> String {
    line(&path.display().to_string(), 400)
}

/// What entries keep back, by what they name it with.
struct Shown(Vec<(PathBuf, Disclosure, bool)>);

impl Shown {
    fn read(paths: &[PathBuf]) -> Result<Self, CliError> {
        let parse = |path: &PathBuf| -> Result<_, CliError> {
            let bad = |problem: String| CliError::Unproven(format!("{}: {problem}", path.display()));
            let text = String::from_utf8(read(path)?).map_err(|_| bad("this is no text".to_owned()))?;
            let shown = Disclosure::parse(&text).map_err(|error| bad(error.to_string()))?;
            Ok((path.clone(), shown, false))
        };
        Ok(Self(paths.iter().map(parse).collect::<Result<_, _>>()?))
    }

    /// What this entry speaks of, if it was brought.
    fn of(&mut self, entry: &Entry) -> Option<&[u8]> {
        let detail = entry.detail()?.digest();
        let mut found = None;
        for (_, shown, used) in &mut self.0 {
            if shown.commitment().0 == *detail.as_bytes() {
                *used = true;
                found = Some(shown.bytes.as_slice());
            }
        }
        found
    }

    fn of_none(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter(|(_, _, used)| !used).map(|(path, _, _)| path.as_path())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let file = |source| CliError::File { doing: "read", path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(file)?.len() > PROOF_MAX {
        return Err(file(std::io::Error::other("it is too large for a proof")));
    }
    std::fs::read(path).map_err(file)
}

/// What the proof proves, in words.
fn checked(bytes: &[u8], args: &CheckProofArgs, shown: &mut Shown) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "this is no text".to_owned())?;
    let proof = ProofFile::parse(text).map_err(|error| error.to_string())?;
    let leaf = proof.extra.as_deref().ok_or("it does not carry its entry")?;
    let checkpoint = proof.check(&leaf_hash(leaf), &args.key).map_err(|error| error.to_string())?;
    let entry: Entry =
        serde_json::from_slice(leaf).map_err(|error| format!("the entry is none of Bursar's: {error}"))?;
    // What is signed are bytes. Only in canonical form does everybody read the same in them.
    if canonical_bytes(&entry).map_err(|error| error.to_string())? != leaf {
        return Err("the entry is not in canonical form: others may read something else in it".to_owned());
    }
    if entry.sequence != proof.inclusion.index {
        return Err(format!("it is entry {} at place {}", entry.sequence, proof.inclusion.index));
    }
    let mut cosigned = String::new();
    for witness in &args.witness {
        let seen = Cosignature::check(&proof.checkpoint, witness).map_err(|error| error.to_string())?;
        let at = Timestamp::from_unix_ms(seen.at.saturating_mul(1_000));
        cosigned.push_str(&format!("  cosigned {at} by {}\n", line(witness.name(), 200)));
    }
    let mut body = pretty(&entry.body);
    if let Some(bytes) = shown.of(&entry) {
        body.push_str("  disclosed, and what the entry speaks of\n");
        let text = String::from_utf8_lossy(bytes);
        body.push_str(&match serde_json::from_str::<IgnoredAny>(&text) {
            Ok(_) => shown_lines(&indented(&text)),
            Err(_) => shown_lines(&text.replace('\n', "\u{240a}")),
        });
    }
    Ok(format!(
        "proven: entry {} of {} in {}\n  at       {}\n  stream   {}, place {}\n  kind     {}\n{cosigned}{body}",
        entry.sequence,
        checkpoint.size,
        line(&checkpoint.origin, 200),
        entry.at,
        line(entry.stream.as_str(), 130),
        entry.stream_sequence,
        line(&entry.kind, 80),
    ))
}

fn pretty<T: Serialize>(value: &T) -> String {
    shown_lines(&serde_json::to_string_pretty(value).unwrap_or_default())
}

fn shown_lines(text: &str) -> String {
    text.split('\n').map(|text| format!("    {}\n", clean(text))).collect()
}

/// JSON on several lines, and else as it stands there: nothing is read, so nothing that is there twice or is too exact gets lost.
fn indented(json: &str) -> String {
    let (mut text, mut depth, mut quoted, mut escaped) = (String::new(), 0_usize, false, false);
    for c in json.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            text.push(c);
            continue;
        }
        match c {
            ' ' | '\n' | '\r' | '\t' => continue,
            '{' | '[' => depth = depth.saturating_add(1),
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => quoted = c == '"',
        }
        let end = format!("\n{}", "  ".repeat(depth));
        match c {
            '{' | '[' | ',' => text.extend([c.to_string(), end]),
            '}' | ']' => text.extend([end, c.to_string()]),
            ':' => text.push_str(": "),
            _ => text.push(c),
        }
    }
    text
}

/// A line of JSON, indented as it was, without characters that a terminal would obey.
fn clean(text: &str) -> String {
    let plain = |c: char| c == ' ' || c.is_ascii_graphic();
    text.chars().map(|c| if plain(c) { c.to_string() } else { c.escape_unicode().to_string() }).collect()
}
