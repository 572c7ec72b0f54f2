//! Suites as files.

use super::{LogSpec, Scenario, SellerSpec, Step};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a suite cannot be read. Each names the file and what to change.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file or folder cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no suite.
    #[error("{file}:{line}: {problem}")]
    Invalid {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong, with the field.
        problem: String,
    },
    /// Two cases have one name.
    #[error("{file}: case `{id}` stands in {other} too; give each case its own id")]
    Twice {
        /// The case.
        id: String,
        /// The second file.
        file: String,
        /// The first.
        other: String,
    },
    /// There is no case.
    #[error("no case in {0}; `bursar eval init` writes a first one")]
    Empty(String),
}

/// Scenarios with the files they come from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suite {
    /// The cases with their files, in order; the file is empty where a case was made in code.
    pub cases: Vec<(String, Scenario)>,
}

/// A file: what its cases share, and the cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    shared: Shared,
    #[serde(default, rename = "case")]
    cases: Vec<Scenario>,
}

/// What every case of a file has, unless it says otherwise: keys of the mandate one by one, sellers by name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    #[serde(default)]
    mode: String,
    #[serde(default)]
    family: String,
    #[serde(default)]
    mandate: toml::Table,
    #[serde(default, rename = "seller")]
    sellers: Vec<SellerSpec>,
}

impl Suite {
    /// Reads files and the `.toml` files of folders, in the order of their names.
    ///
    /// # Errors
    /// [`LoadError`], naming file and line.
    pub fn load<P: AsRef<Path>>(paths: &[P]) -> Result<Self, LoadError> {
        let mut suite = Self::default();
        let mut shown = Vec::new();
        for path in paths {
            shown.push(path.as_ref().display().to_string());
            for file in files(path.as_ref())? {
                let text = std::fs::read_to_string(&file)
                    .map_err(|source| LoadError::Read { path: file.clone(), source })?;
                suite.add(&file.display().to_string(), &text)?;
            }
        }
        if suite.cases.is_empty() {
            return Err(LoadError::Empty(format!("`{}`", shown.join("`, `"))));
        }
        Ok(suite)
    }

    /// Adds the cases of a file's text.
    ///
    /// # Errors
    /// [`LoadError`], naming `file` and line.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), LoadError> {
        let read: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            let written: String = text
                .lines()
                .nth(line.saturating_sub(1))
                .unwrap_or_default()
                .trim()
                .chars()
                .take(80)
                .collect();
            // The message does not always name the field; the line does.
            let step = wrong_step(text).map_or_else(String::new, |step| format!("{step}: "));
            let problem = format!("{step}{}, at `{written}`", error.message());
            LoadError::Invalid { file: file.to_owned(), line, problem }
        })?;
        for case in read.cases {
            let case = read.shared.completed(case);
            if let Some((other, _)) = self.cases.iter().find(|(_, known)| known.id == case.id) {
                let (file, other) = (file.to_owned(), other.clone());
                return Err(LoadError::Twice { id: case.id, file, other });
            }
            if let Some(problem) = problem(&case) {
                let line = text.lines().position(|line| line.contains(&format!("\"{}\"", case.id)));
                let line = line.map_or(1, |line| line.saturating_add(1));
                let problem = format!("case `{}`: {problem}", case.id);
                return Err(LoadError::Invalid { file: file.to_owned(), line, problem });
            }
            self.cases.push((file.to_owned(), case));
        }
        Ok(())
    }

    /// Only the cases whose id, family or mode contains this text.
    #[must_use]
    pub fn filtered(mut self, text: &str) -> Self {
        let text = text.to_lowercase();
        let fits = |field: &str| field.to_lowercase().contains(&text);
        self.cases.retain(|(_, case)| fits(&case.id) || fits(&case.family) || fits(&case.mode));
        self
    }
}

impl Shared {
    fn completed(&self, mut case: Scenario) -> Scenario {
        for (key, value) in &self.mandate {
            if !case.mandate.contains_key(key) {
                case.mandate.insert(key.clone(), value.clone());
            }
        }
        let own: BTreeSet<_> = case.sellers.iter().map(|seller| seller.name.clone()).collect();
        let shared = self.sellers.iter().filter(|seller| !own.contains(&seller.name));
        case.sellers.extend(shared.cloned());
        if case.mode.is_empty() {
            case.mode.clone_from(&self.mode);
        }
        if case.family.is_empty() {
            case.family.clone_from(&self.family);
        }
        case
    }
}

/// What cannot be played, as far as it can be seen before.
fn problem(case: &Scenario) -> Option<String> {
    if case.id.is_empty() {
        return Some("its `id` is empty".to_owned());
    }
    if case.not_run.is_some() {
        return None;
    }
    if case.steps.is_empty() {
        return Some("it has no `[[case.step]]`".to_owned());
    }
    if !copies_before(&case.steps) {
        return Some("`put_back` needs a `copy` before it".to_owned());
    }
    if case.log == LogSpec::Unpublished && case.steps.iter().any(Step::needs_log) {
        let problem = "`publish` and `show` need a log: `log = \"published\"` or `log = \"witnessed\"`";
        return Some(problem.to_owned());
    }
    let mut hosts = BTreeSet::new();
    let mut named = BTreeSet::new();
    for seller in &case.sellers {
        if !named.insert(&seller.name) {
            return Some(format!("two sellers are named `{}`", seller.name));
        }
        if !hosts.insert(&seller.host) {
            return Some(format!("two sellers have the host `{}`", seller.host));
        }
    }
    if rounds(&case.steps) > STEPS_MAX {
        return Some(format!("its steps come to more than {STEPS_MAX}, with their repetitions"));
    }
    let names: BTreeSet<_> = case.sellers.iter().map(|seller| seller.name.as_str()).collect();
    let wanted = case.steps.iter().flat_map(Step::sellers);
    let unknown = wanted.into_iter().find(|name| !names.contains(name));
    unknown.map(|name| format!("there is no seller `{name}`"))
}

/// Whether a copy was kept before each that is put back.
pub(crate) fn copies_before(steps: &[Step]) -> bool {
    fn walk(steps: &[Step], kept: &mut bool) -> bool {
        steps.iter().all(|step| match step {
            Step::Copy { .. } => {
                *kept = true;
                true
            }
            Step::PutBack { .. } => *kept,
            Step::Repeat { times, steps } => *times == 0 || walk(steps, kept),
            _ => true,
        })
    }
    walk(steps, &mut false)
}

/// More than this many steps and payments would play for hours.
const STEPS_MAX: u64 = 100_000;

/// How many steps and payments there are, with repetitions.
fn rounds(steps: &[Step]) -> u64 {
    steps.iter().fold(0, |sum, step| {
        let here = match step {
            Step::Repeat { times, steps } => u64::from(*times).saturating_mul(rounds(steps).max(1)),
            Step::Pay(pay) => u64::from(pay.times).max(1),
            _ => 1,
        };
        sum.saturating_add(here)
    })
}

/// The first step that cannot be read: the parser names the line on which the list of steps begins.
fn wrong_step(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    for case in table.get("case")?.as_array()? {
        let id = case.get("id").and_then(toml::Value::as_str).unwrap_or("without an id");
        let steps = case.get("step").and_then(toml::Value::as_array).into_iter().flatten();
        for (number, step) in (1_usize..).zip(steps) {
            if step.clone().try_into::<Step>().is_err() {
                return Some(format!("case `{id}`, step {number}"));
            }
        }
    }
    None
}

fn files(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let fail = |source| LoadError::Read { path: path.to_owned(), source };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        // The table of codes lies beside the cases and is none.
        if path.extension().is_some_and(|kind| kind == "toml") && !path.ends_with("codes.toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count().saturating_add(1)
}
