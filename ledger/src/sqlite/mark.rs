//! The high-water mark: what was already seen, kept outside the data file.
//!
//! One record of fixed length, written in place after each commit and before its acknowledgement, under a lock that other
//! processes take too. It only rises. Because it is written after the commit is durable, the data file is never behind it
//! unless the file was put back.

use super::filesystem::open_private;
use crate::entry::TreeHead;
use bursar_types::{Digest, LedgerId};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

const HEADING: &str = "bursar-mark/v1";

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) ledger: LedgerId,
    pub(super) head: TreeHead,
}

/// An open mark file.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
}

impl Mark {
    /// Opens the file, made if it is missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: open_private(path)? })
    }

    /// What it says; `None` if it is new or cannot be read as a mark.
    pub(super) fn read(&mut self) -> io::Result<Option<Recorded>> {
        self.file.lock_shared()?;
        let read = self.read_locked();
        self.file.unlock()?;
        read
    }

    /// Keeps other processes from the mark, and by that from opening the ledger, until [`Self::release`] or a drop.
    pub(super) fn hold(&self) -> io::Result<()> {
        self.file.lock()
    }

    /// Ends [`Self::hold`].
    pub(super) fn release(&self) -> io::Result<()> {
        self.file.unlock()
    }

    /// Raises the mark to `now`, unless it is there already.
    pub(super) fn raise(&mut self, now: Recorded) -> io::Result<()> {
        self.file.lock()?;
        let raised = self.raise_locked(now);
        self.file.unlock()?;
        raised
    }

    /// Makes the file durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// [`Self::read`], for whoever holds the mark.
    pub(super) fn read_locked(&mut self) -> io::Result<Option<Recorded>> {
        let mut text = Vec::with_capacity(256);
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(1_024).read_to_end(&mut text)?;
        Ok(std::str::from_utf8(&text).ok().and_then(parse))
    }

    /// [`Self::raise`], for whoever holds the mark.
    pub(super) fn raise_locked(&mut self, now: Recorded) -> io::Result<()> {
        let before = self.read_locked()?;
        if before.is_some_and(|before| before.ledger == now.ledger && before.head.size >= now.head.size) {
            return Ok(());
        }
        if before.is_some_and(|before| before.ledger != now.ledger && before.head.size > 0) {
            return Err(io::Error::other("the high-water mark was taken by another ledger"));
        }
        self.file.seek(SeekFrom::Start(0))?;
        // One write of one length, so that a reader after a crash finds the old record or the new one.
        self.file.write_all(print(&now).as_bytes())
    }
}

fn print(recorded: &Recorded) -> String {
    let Recorded { ledger, head } = recorded;
    let record = format!("{HEADING} {ledger} {:020} {}", head.size, head.root);
    let check = Digest::of(record.as_bytes());
    format!("{record} {check}\n")
}

fn parse(text: &str) -> Option<Recorded> {
    let (record, check) = text.strip_suffix('\n')?.rsplit_once(' ')?;
    if Digest::parse(check).ok()? != Digest::of(record.as_bytes()) {
        return None;
    }
    let mut words = record.strip_prefix(HEADING)?.split_whitespace();
    let ledger = LedgerId::parse(words.next()?).ok()?;
    let size = words.next()?.parse().ok()?;
    let root = Digest::parse(words.next()?).ok()?;
    words.next().is_none().then_some(Recorded { ledger, head: TreeHead { size, root } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(ledger: &[u8], size: u64) -> Recorded {
        let root = Digest::of(&size.to_be_bytes());
        Recorded { ledger: LedgerId::derived(&[ledger]), head: TreeHead { size, root } }
    }

    #[test]
    fn a_mark_only_rises_whoever_writes_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/mark");
        let (mut one, mut other) = (Mark::open(&path).unwrap(), Mark::open(&path).unwrap());
        assert_eq!(one.read().unwrap(), None);
        other.raise(recorded(b"a", 12)).unwrap();
        one.raise(recorded(b"a", 10)).unwrap();
        assert_eq!(one.read().unwrap(), Some(recorded(b"a", 12)));
        assert!(one.raise(recorded(b"b", 20)).is_err());
        assert_eq!(other.read().unwrap(), Some(recorded(b"a", 12)));
    }

    #[test]
    fn what_is_not_a_whole_mark_reads_as_none() {
        let whole = print(&recorded(b"a", 12));
        assert_eq!(parse(&whole), Some(recorded(b"a", 12)));
        let half = whole.get(..whole.len() / 2).unwrap();
        let other_size = whole.replace("00012 ", "00011 ");
        for text in ["", "\n", "garbage", whole.trim_end(), half, &other_size] {
            assert_eq!(parse(text), None, "`{text}`");
        }
    }
}
