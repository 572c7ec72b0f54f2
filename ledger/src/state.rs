//! What a whole transaction does: the decision both stores share.

use crate::books::{Books, Dirty, Draft, DraftChanges, Need, Stop};
use crate::entry::{StreamId, TreeHead};
use crate::prepared::{ACCOUNTS_KIND, ERASED_KIND, Prepared, TURNED_KIND, TurnedBody, canonical_text};
use crate::refusal::Refusal;
use crate::transaction::{AccountOp, Committed, LinkWrite, OpOutcome, Require};
use crate::tree::{Frontier, leaf_hash};
use bursar_types::{Digest, HoldId, Timestamp};
use std::collections::{BTreeMap, HashMap};

/// The last moment that canonical JSON can write.
const MOMENT_MAX: Timestamp = Timestamp::from_unix_ms(9_007_199_254_740_991);

/// The largest leaf that a bundle of entries can hold: tlog-tiles writes its length in 16 bits.
const ENTRY_MAX: usize = 65_535;

/// An entry that was decided, with everything a store keeps of it.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) stream: StreamId,
    pub(crate) stream_sequence: u64,
    pub(crate) kind: String,
    /// Canonical JSON.
    pub(crate) body: String,
    /// The largest complete subtree that ends with this leaf.
    pub(crate) peak: Digest,
    /// The entry before it in its stream, by its place in the journal.
    pub(crate) previous: Option<u64>,
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StreamEnd {
    /// How many entries it has.
    pub(crate) length: u64,
    /// Its last entry, by its place in the journal.
    pub(crate) last: Option<u64>,
}

/// A transaction that may be written. Nothing of it counts until [`State::adopt`].
#[derive(Debug)]
pub(crate) struct Ruling {
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) committed: Committed,
    changes: DraftChanges,
    tree: Frontier,
    streams: BTreeMap<StreamId, StreamEnd>,
    links: BTreeMap<String, Option<String>>,
    writes: bool,
}

/// The ledger as far as it is known: all of it in memory, a cache of it over a file.
#[derive(Debug)]
pub(crate) struct State {
    complete: bool,
    pub(crate) books: Books,
    pub(crate) tree: Frontier,
    /// When anything was decided last; time does not go back behind it.
    pub(crate) last_at: Timestamp,
    /// From when it was turned back, until the entry that says so is written.
    turned_from: Option<Timestamp>,
    streams: HashMap<StreamId, StreamEnd>,
    dirty_streams: BTreeMap<StreamId, StreamEnd>,
    links: HashMap<String, Option<String>>,
}

impl State {
    /// A new, empty ledger, all of it known.
    pub(crate) fn complete() -> Self {
        let state = Self::partial(Books::complete(), Frontier::default(), Timestamp::from_unix_ms(0));
        Self { complete: true, ..state }
    }

    /// A ledger of which only the head is known yet.
    pub(crate) fn partial(books: Books, tree: Frontier, last_at: Timestamp) -> Self {
        Self {
            complete: false,
            books,
            tree,
            last_at,
            turned_from: None,
            streams: HashMap::new(),
            dirty_streams: BTreeMap::new(),
            links: HashMap::new(),
        }
    }

    pub(crate) fn head(&self) -> TreeHead {
        TreeHead { size: self.tree.size(), root: self.tree.root() }
    }

    /// Answers [`Need::Stream`].
    pub(crate) fn learn_stream(&mut self, stream: StreamId, end: StreamEnd) {
        self.streams.insert(stream, end);
    }

    /// Answers [`Need::Link`].
    pub(crate) fn learn_link(&mut self, key: String, value: Option<String>) {
        self.links.insert(key, value);
    }

    /// The moment a transaction that is decided now gets.
    pub(crate) fn now(&self, clock: Timestamp) -> Timestamp {
        clock.max(self.last_at)
    }

    /// From when the time is turned back to `to`.
    pub(crate) fn turns_back_from(&self, to: Timestamp) -> Result<Timestamp, Refusal> {
        if to < self.last_at {
            Ok(self.last_at)
        } else {
            Err(Refusal::BadTurn("it is not later than the clock"))
        }
    }

    /// Turns the time back; `books` are those that [`turned_back`](crate::turn_back::turned_back) gave.
    pub(crate) fn turn_back(&mut self, books: Books, to: Timestamp) {
        self.turned_from = Some(self.last_at);
        self.last_at = to;
        self.books = books;
    }

    /// Decides a transaction at `now`. Changes nothing but what follows from the time alone.
    pub(crate) fn rule(&mut self, prepared: &Prepared, now: Timestamp) -> Result<Ruling, Stop> {
        if now > MOMENT_MAX {
            return Err(Refusal::NotCanonical("time is out of range".to_owned()).into());
        }
        // Whatever comes of it, holds and windows are brought up to this moment, and nothing may be decided before it.
        self.last_at = now;
        self.books.expire(now)?;
        let mut draft = Draft::new(&self.books, now);
        for require in &prepared.require {
            self.check(&draft, require)?;
        }
        let mut outcomes = Vec::with_capacity(prepared.accounts.len());
        let mut done = Vec::with_capacity(prepared.accounts.len());
        for (op, json) in &prepared.accounts {
            let outcome = draft.apply(op)?;
            if outcome == OpOutcome::Done {
                done.push(json.as_str());
            }
            outcomes.push(outcome);
        }
        let mut holds = Vec::new();
        for id in prepared.accounts.iter().filter_map(|(op, _)| hold_of(op)) {
            holds.extend(draft.hold(id)?.map(|row| row.state(now)));
        }
        let links = self.write_links(&prepared.links)?;
        let mut appended =
            Appended { now, tree: self.tree.clone(), streams: BTreeMap::new(), leaves: Vec::new() };
        if let Some(from) = self.turned_from.filter(|_| prepared.turns_back) {
            let body = canonical_text(&TurnedBody { from: from.unix_ms() })?;
            self.append(&mut appended, StreamId::clock(), TURNED_KIND, body)?;
        }
        if !done.is_empty() {
            let body = format!(r#"{{"ops":[{}]}}"#, done.join(","));
            let stream = StreamId::accounts();
            self.append(&mut appended, stream, ACCOUNTS_KIND, body)?;
        }
        let mut sequences = Vec::with_capacity(prepared.entries.len());
        for entry in &prepared.entries {
            sequences.push(appended.tree.size());
            self.append(&mut appended, entry.stream.clone(), &entry.kind, entry.body.clone())?;
        }
        for body in &prepared.erased {
            self.append(&mut appended, StreamId::erasures(), ERASED_KIND, body.clone())?;
        }
        let Appended { tree, streams, leaves, .. } = appended;
        let head = TreeHead { size: tree.size(), root: tree.root() };
        let writes = !leaves.is_empty() || !links.is_empty() || !prepared.payloads.is_empty();
        let committed = Committed { at: now, outcomes, holds, sequences, head };
        Ok(Ruling { leaves, committed, changes: draft.into_changes(), tree, streams, links, writes })
    }

    /// Takes over a ruling that was written.
    pub(crate) fn adopt(&mut self, ruling: Ruling) -> Committed {
        self.turned_from = None;
        self.books.adopt(ruling.changes);
        self.tree = ruling.tree;
        for (stream, end) in ruling.streams {
            self.streams.insert(stream.clone(), end);
            self.dirty_streams.insert(stream, end);
        }
        self.links.extend(ruling.links);
        ruling.committed
    }

    /// Rows that changed since the last call.
    pub(crate) fn take_dirty(&mut self) -> (Dirty, BTreeMap<StreamId, StreamEnd>) {
        (self.books.take_dirty(), std::mem::take(&mut self.dirty_streams))
    }

    /// Forgets what can be fetched again. Only after [`Self::take_dirty`].
    pub(crate) fn trim(&mut self, rows_max: usize) {
        self.books.trim(rows_max);
        if !self.complete && self.streams.len() > rows_max {
            self.streams.clear();
        }
        if !self.complete && self.links.len() > rows_max {
            self.links.clear();
        }
    }

    fn check(&self, draft: &Draft<'_>, require: &Require) -> Result<(), Stop> {
        match require {
            Require::ClockWithin { now, by_ms } if now.plus_ms(*by_ms) < self.last_at => {
                let later_ms = self.last_at.unix_ms().saturating_sub(now.unix_ms());
                Err(Refusal::ClockBehind { later_ms }.into())
            }
            Require::ClockWithin { .. } => Ok(()),
            Require::HoldPending(id) => draft.require_pending(*id),
            Require::HoldPinned(id) => draft.require_pinned(*id),
            Require::UsedAtMost { budget, used_max } => draft.require_used_at_most(*budget, used_max),
            Require::StreamAt { stream, length } => {
                let found = self.stream_end(stream)?.length;
                if found == *length {
                    return Ok(());
                }
                Err(Refusal::StreamMoved { stream: stream.clone(), expected: *length, found }.into())
            }
        }
    }

    fn stream_end(&self, stream: &StreamId) -> Result<StreamEnd, Stop> {
        match self.streams.get(stream) {
            Some(end) => Ok(*end),
            None if self.complete => Ok(StreamEnd::default()),
            None => Err(Stop::Needs(Need::Stream(stream.clone()))),
        }
    }

    fn write_links(&self, writes: &[LinkWrite]) -> Result<BTreeMap<String, Option<String>>, Stop> {
        let mut written: BTreeMap<String, Option<String>> = BTreeMap::new();
        for write in writes {
            let found = match written.get(&write.key).or_else(|| self.links.get(&write.key)) {
                Some(found) => found.clone(),
                None if self.complete => None,
                None => return Err(Stop::Needs(Need::Link(write.key.clone()))),
            };
            if found != write.expected {
                return Err(Refusal::LinkMoved { key: write.key.clone(), found }.into());
            }
            written.insert(write.key.clone(), write.value.clone());
        }
        Ok(written)
    }

    fn append(&self, to: &mut Appended, stream: StreamId, kind: &str, body: String) -> Result<(), Stop> {
        let before = match to.streams.get(&stream) {
            Some(end) => *end,
            None => self.stream_end(&stream)?,
        };
        let length = before.length.checked_add(1).ok_or(Refusal::OutOfRange)?;
        let sequence = to.tree.size();
        let mut leaf = Leaf {
            sequence,
            at: to.now,
            stream: stream.clone(),
            stream_sequence: before.length,
            kind: kind.to_owned(),
            body,
            peak: Digest::from_bytes([0; 32]),
            previous: before.last,
        };
        let canonical = leaf.canonical()?;
        if canonical.len() > ENTRY_MAX {
            return Err(Refusal::EntryTooLarge { kind: leaf.kind, bytes: canonical.len() }.into());
        }
        leaf.peak = to.tree.append(leaf_hash(canonical.as_bytes()));
        to.streams.insert(stream, StreamEnd { length, last: Some(sequence) });
        to.leaves.push(leaf);
        Ok(())
    }
}

/// What a transaction has appended so far.
struct Appended {
    now: Timestamp,
    tree: Frontier,
    streams: BTreeMap<StreamId, StreamEnd>,
    leaves: Vec<Leaf>,
}

impl Ruling {
    /// Links as they are after the transaction.
    pub(crate) const fn links(&self) -> &BTreeMap<String, Option<String>> {
        &self.links
    }

    /// Whether there is anything to write.
    pub(crate) const fn writes(&self) -> bool {
        self.writes
    }
}

impl Leaf {
    /// The canonical bytes of the [`crate::Entry`], put together from the body's: its keys come in this order.
    fn canonical(&self) -> Result<String, Refusal> {
        let kind = canonical_text(&self.kind)?;
        Ok(format!(
            r#"{{"at":{},"body":{},"kind":{kind},"sequence":{},"stream":"{}","stream_sequence":{}}}"#,
            self.at.unix_ms(),
            self.body,
            self.sequence,
            self.stream,
            self.stream_sequence,
        ))
    }
}

const fn hold_of(op: &AccountOp) -> Option<HoldId> {
    match op {
        AccountOp::Open(_) => None,
        AccountOp::Hold { id, .. }
        | AccountOp::Pin { id }
        | AccountOp::Capture { id, .. }
        | AccountOp::Release { id } => Some(*id),
        AccountOp::Refund { hold, .. } => Some(*hold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;
    use bursar_types::canonical_bytes;
    use serde_json::json;

    #[test]
    fn the_bytes_put_together_are_the_canonical_bytes_of_the_entry() {
        for (kind, body) in [
            ("payment.signing", json!({"b": 1, "a": ["\u{20ac}", null, {"z": "\n"}]})),
            ("a \"quoted\"\\ kind\u{1f}", json!("text")),
            ("", json!(null)),
        ] {
            let entry = Entry {
                sequence: 7,
                at: Timestamp::from_unix_ms(1_795_264_200_123),
                stream: StreamId::new("payment/pay_1").unwrap(),
                stream_sequence: 3,
                kind: kind.to_owned(),
                body: body.clone(),
            };
            let leaf = Leaf {
                sequence: 7,
                at: entry.at,
                stream: entry.stream.clone(),
                stream_sequence: 3,
                kind: kind.to_owned(),
                body: canonical_text(&body).unwrap(),
                peak: Digest::of(b""),
                previous: None,
            };
            assert_eq!(leaf.canonical().unwrap().into_bytes(), canonical_bytes(&entry).unwrap());
        }
    }
}
