//! What happened in a seed, line by line, and how often each thing happened.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// How many of the last lines are kept to be shown.
const KEPT: usize = 60;

/// The lines of one seed. Their hash stands for all of them.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: VecDeque<String>,
    all: bool,
    hash: u64,
    count: u64,
}

impl Trace {
    /// An empty one, which keeps all lines or the last.
    pub(crate) const fn new(all: bool) -> Self {
        Self { lines: VecDeque::new(), all, hash: 0xcbf2_9ce4_8422_2325, count: 0 }
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, now_ms: u64, text: fmt::Arguments<'_>) {
        self.count = self.count.saturating_add(1);
        let line = format!("{:>5} {:>10} ms  {text}", self.count, now_ms);
        self.hash(line.as_bytes());
        self.lines.push_back(line);
        if !self.all && self.lines.len() > KEPT {
            self.lines.pop_front();
        }
    }

    /// Adds bytes to the hash alone.
    pub(crate) fn hash(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// FNV-1a over all lines.
    pub(crate) const fn digest(&self) -> u64 {
        self.hash
    }

    /// The lines that are kept.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}

/// How often each thing was reached.
#[derive(Debug, Clone, Default)]
pub struct Coverage(BTreeMap<Cow<'static, str>, u64>);

impl Coverage {
    /// Counts one.
    pub(crate) fn count(&mut self, what: impl Into<Cow<'static, str>>) {
        let count = self.0.entry(what.into()).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        for (what, more) in &other.0 {
            let count = self.0.entry(what.clone()).or_default();
            *count = count.saturating_add(*more);
        }
    }

    /// How often `what` was reached.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Everything that was reached, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, count)| (what.as_ref(), *count))
    }
}
