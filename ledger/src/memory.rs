//! A ledger in memory, for tests and for agents whose money is forgotten with the process.

use crate::account::{BudgetState, HoldState};
use crate::audit::{Audit, Windows, drop_left, keep_windows};
use crate::books::{Books, HoldRow, Need, Stop};
use crate::entry::{Entry, StreamId, TreeHead};
use crate::ledger::{Store, Verification};
use crate::payload::{Commitment, Payload};
use crate::prepared::Prepared;
use crate::refusal::{CommitError, Refusal, StoreError};
use crate::state::{Leaf, Ruling, State, StreamEnd};
use crate::transaction::{Committed, Transaction};
use crate::tree::{self, Leaves};
use crate::turn_back::turned_back;
use async_trait::async_trait;
use bursar_proof::{Hash, Node};
use bursar_types::{BudgetId, Clock, Digest, Entropy, HoldId, LedgerId, Timestamp};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps everything in memory.
#[derive(Debug)]
pub struct MemoryStore {
    id: LedgerId,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    closed: bool,
    state: State,
    windows: Windows,
    entries: Vec<Entry>,
    /// Beside each entry.
    peaks: Vec<Digest>,
    streams: BTreeMap<StreamId, Vec<u64>>,
    links: BTreeMap<String, String>,
    payloads: HashMap<Commitment, Payload>,
}

impl MemoryStore {
    /// An empty ledger.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let kept = Kept {
            closed: false,
            state: State::complete(),
            windows: Windows::new(),
            entries: Vec::new(),
            peaks: Vec::new(),
            streams: BTreeMap::new(),
            links: BTreeMap::new(),
            payloads: HashMap::new(),
        };
        Self { id: LedgerId::random(&*entropy), clock, entropy, kept: Mutex::new(kept) }
    }

    fn open(&self) -> Result<MutexGuard<'_, Kept>, StoreError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.closed { Err(StoreError::Closed) } else { Ok(kept) }
    }
}

impl Kept {
    fn commit(&mut self, prepared: Prepared, now: Timestamp) -> Result<Committed, CommitError> {
        let ruling = loop {
            match self.state.rule(&prepared, now) {
                Ok(ruling) => break ruling,
                Err(Stop::Refused(refusal)) => return Err(refusal.into()),
                Err(Stop::Needs(Need::Window(budget))) => {
                    drop_left(&mut self.state.books, &mut self.windows, budget, now)?;
                }
                Err(Stop::Needs(need)) => return Err(missing(&need)),
            }
        };
        self.keep(&ruling)?;
        for payload in prepared.payloads {
            self.payloads.insert(payload.commitment(), payload);
        }
        for commitment in prepared.erase {
            self.payloads.remove(&commitment);
        }
        let committed = self.state.adopt(ruling);
        keep_windows(&mut self.state.books, &mut self.windows);
        Ok(committed)
    }

    fn turn_back(&mut self, to: Timestamp) -> Result<(), CommitError> {
        let from = self.state.turns_back_from(to)?;
        let budgets = self.state.books.budgets().into_values().cloned().collect();
        let holds = self.state.books.holds().into_values().cloned().collect();
        let mut books = Books::restored(budgets, holds);
        turned_back(&mut books, &mut self.windows, from, to)
            .map_err(|why| CommitError::Store(StoreError::Io(why.into())))?;
        self.state.turn_back(books, to);
        Ok(())
    }

    fn keep(&mut self, ruling: &Ruling) -> Result<(), CommitError> {
        let entries = ruling.leaves.iter().map(entry_of).collect::<Result<Vec<_>, _>>()?;
        for entry in &entries {
            self.streams.entry(entry.stream.clone()).or_default().push(entry.sequence);
        }
        self.entries.extend(entries);
        self.peaks.extend(ruling.leaves.iter().map(|leaf| leaf.peak));
        for (key, value) in ruling.links() {
            match value {
                Some(value) => self.links.insert(key.clone(), value.clone()),
                None => self.links.remove(key),
            };
        }
        Ok(())
    }

    fn budget(&self, id: BudgetId, now: Timestamp) -> Result<Option<BudgetState>, Stop> {
        let Some(row) = self.state.books.budget(id)? else { return Ok(None) };
        let mut left: u128 = 0;
        for ((budget, at, _), amount) in &self.windows {
            if *budget == id && !row.counts(*at, now) {
                left = left.checked_add(*amount).ok_or(Refusal::OutOfRange)?;
            }
        }
        let mut expired: u128 = 0;
        for hold in self.state.books.due_holds(now) {
            let held = self.state.books.hold(hold)?.map_or(0, |hold| hold.held_in(id));
            expired = expired.checked_add(held).ok_or(Refusal::OutOfRange)?;
        }
        Ok(Some(row.state(left, expired)?))
    }

    fn verify(&self) -> Verification {
        let mut audit = Audit::new();
        for entry in &self.entries {
            audit.entry(entry, None);
        }
        for (commitment, payload) in &self.payloads {
            audit.payload(*commitment, Commitment::new(payload.salt(), payload.bytes()));
        }
        audit.payloads_end();
        audit.streams(self.streams.iter().map(|(stream, entries)| {
            (stream.clone(), StreamEnd { length: length(entries), last: entries.last().copied() })
        }));
        let budgets = self.state.books.budgets().into_values().cloned().collect();
        let holds: Vec<HoldRow> = self.state.books.holds().into_values().cloned().collect();
        audit.books(Books::restored(budgets, holds), self.windows.clone(), self.state.last_at);
        audit.finish(self.state.head())
    }
}

impl Leaves for &Kept {
    type Error = StoreError;

    fn peak(&mut self, at: u64) -> Result<Option<Digest>, StoreError> {
        Ok(self.peaks.get(index(at)).copied())
    }

    fn leaf(&mut self, at: u64) -> Result<Option<Digest>, StoreError> {
        let hash = self.entries.get(index(at)).map(tree::entry_hash).transpose();
        hash.map_err(|error| StoreError::Io(Box::new(error)))
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn id(&self) -> LedgerId {
        self.id
    }

    fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let prepared = Prepared::new(transaction)?;
        let mut kept = self.open()?;
        let clock = self.clock.now();
        if prepared.turns_back {
            kept.turn_back(clock)?;
        }
        let now = kept.state.now(clock);
        kept.commit(prepared, now)
    }

    async fn stream(&self, stream: &StreamId, from: u64) -> Result<Vec<Entry>, StoreError> {
        let kept = self.open()?;
        let sequences = kept.streams.get(stream).map(Vec::as_slice).unwrap_or_default();
        let sequences = sequences.iter().skip(index(from));
        Ok(sequences.filter_map(|sequence| kept.entries.get(index(*sequence)).cloned()).collect())
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let kept = self.open()?;
        Ok(kept.entries.iter().skip(index(from)).take(index(u64::from(limit))).cloned().collect())
    }

    async fn streams(&self, prefix: &str) -> Result<Vec<(StreamId, u64)>, StoreError> {
        let kept = self.open()?;
        let streams = kept.streams.iter().filter(|(stream, _)| stream.as_str().starts_with(prefix));
        Ok(streams.map(|(stream, entries)| (stream.clone(), length(entries))).collect())
    }

    async fn budget(&self, id: BudgetId) -> Result<Option<BudgetState>, StoreError> {
        let kept = self.open()?;
        let now = kept.state.now(self.clock.now());
        kept.budget(id, now).map_err(|stop| StoreError::Io(format!("{stop:?}").into()))
    }

    async fn hold(&self, id: HoldId) -> Result<Option<HoldState>, StoreError> {
        let kept = self.open()?;
        let now = kept.state.now(self.clock.now());
        let hold = kept.state.books.hold(id).map_err(|stop| StoreError::Io(format!("{stop:?}").into()))?;
        Ok(hold.map(|row| row.state(now)))
    }

    async fn link(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.open()?.links.get(key).cloned())
    }

    async fn links(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let kept = self.open()?;
        let links = kept.links.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(links.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    async fn payload(&self, commitment: Commitment) -> Result<Option<Bytes>, StoreError> {
        Ok(self.open()?.payloads.get(&commitment).map(|payload| payload.bytes().clone()))
    }

    async fn sealed(&self, commitment: Commitment) -> Result<Option<Payload>, StoreError> {
        Ok(self.open()?.payloads.get(&commitment).cloned())
    }

    async fn head(&self) -> Result<TreeHead, StoreError> {
        Ok(self.open()?.state.head())
    }

    async fn nodes(&self, nodes: &[Node]) -> Result<Vec<Option<Hash>>, StoreError> {
        let kept = self.open()?;
        nodes.iter().map(|node| tree::node(&mut &*kept, *node)).collect()
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        Ok(self.open()?.verify())
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.open()?.closed = true;
        Ok(())
    }
}

/// An entry with its body read back.
fn entry_of(leaf: &Leaf) -> Result<Entry, Refusal> {
    Ok(Entry {
        sequence: leaf.sequence,
        at: leaf.at,
        stream: leaf.stream.clone(),
        stream_sequence: leaf.stream_sequence,
        kind: leaf.kind.clone(),
        body: serde_json::from_str(&leaf.body).map_err(|error| Refusal::NotCanonical(error.to_string()))?,
    })
}

fn missing(need: &Need) -> CommitError {
    StoreError::Io(format!("{need:?} is missing").into()).into()
}

fn length(entries: &[u64]) -> u64 {
    u64::try_from(entries.len()).unwrap_or(u64::MAX)
}

fn index(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
