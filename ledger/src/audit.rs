//! A check of the whole ledger that trusts nothing but the entries.

use crate::books::{Books, BudgetRow, Draft, Need, Stop, WindowKey};
use crate::entry::{Entry, StreamId, TreeHead};
use crate::ledger::Verification;
use crate::payload::Commitment;
use crate::prepared::{ACCOUNTS_KIND, ERASED_KIND, ErasedBody, TURNED_KIND, TurnedBody};
use crate::refusal::Refusal;
use crate::state::StreamEnd;
use crate::transaction::{AccountOp, OpOutcome};
use crate::tree::{Frontier, entry_hash};
use crate::turn_back::turned_back;
use bursar_types::{BudgetId, Digest, HoldId, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Problems beyond this many are counted, not listed.
const PROBLEMS_MAX: usize = 100;

/// The body of an entry that changes accounts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountsBody {
    ops: Vec<AccountOp>,
}

/// What each capture counts in each rolling window.
pub(crate) type Windows = BTreeMap<WindowKey, u128>;

/// What a store keeps beside an entry; it follows from the entries before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside {
    /// The largest complete subtree that ends with it.
    pub(crate) peak: Digest,
    /// The entry before it in its stream.
    pub(crate) previous: Option<u64>,
}

/// Reads entry after entry, then compares what they add up to with what is stored.
#[derive(Debug)]
pub(crate) struct Audit {
    tree: Frontier,
    last_at: Timestamp,
    streams: HashMap<StreamId, StreamEnd>,
    books: Books,
    payloads_checked: u64,
    /// Which events' payloads must be there, and which entry says so.
    named: HashMap<Commitment, u64>,
    erased: HashSet<Commitment>,
    problems: Vec<String>,
    more: u64,
    /// Windows of the replayed books.
    windows: Windows,
}

impl Audit {
    pub(crate) fn new() -> Self {
        Self {
            tree: Frontier::default(),
            last_at: Timestamp::from_unix_ms(0),
            streams: HashMap::new(),
            books: Books::complete(),
            payloads_checked: 0,
            named: HashMap::new(),
            erased: HashSet::new(),
            problems: Vec::new(),
            more: 0,
            windows: BTreeMap::new(),
        }
    }

    /// Notes a disagreement.
    pub(crate) fn problem(&mut self, problem: String) {
        match self.problems.len() < PROBLEMS_MAX {
            true => self.problems.push(problem),
            false => self.more = self.more.saturating_add(1),
        }
    }

    /// Reads the next entry, with what was stored beside it, if anything was.
    pub(crate) fn entry(&mut self, entry: &Entry, beside: Option<Beside>) {
        let sequence = self.tree.size();
        if entry.sequence != sequence {
            self.problem(format!("entry {} stands where entry {sequence} belongs", entry.sequence));
        }
        if entry.stream == StreamId::clock() {
            self.turn_back(entry);
        } else if entry.at < self.last_at {
            self.problem(format!("entry {sequence} is older than the one before it"));
        }
        self.last_at = self.last_at.max(entry.at);
        let end = self.streams.entry(entry.stream.clone()).or_default();
        let (expected, before) = (end.length, end.last);
        *end = StreamEnd { length: expected.saturating_add(1), last: Some(sequence) };
        if beside.is_some_and(|beside| beside.previous != before) {
            let stream = &entry.stream;
            self.problem(format!("entry {sequence} names another entry of stream `{stream}` before it"));
        }
        if entry.stream_sequence != expected {
            let (stream, found) = (&entry.stream, entry.stream_sequence);
            self.problem(format!(
                "entry {sequence} is number {found} of stream `{stream}`, where number {expected} belongs"
            ));
        }
        let leaf = match entry_hash(entry) {
            Ok(leaf) => leaf,
            Err(error) => {
                self.problem(format!("entry {sequence} cannot be hashed: {error}"));
                Digest::from_bytes([0; 32])
            }
        };
        let computed = self.tree.append(leaf);
        if beside.is_some_and(|beside| beside.peak != computed) {
            self.problem(format!("entry {sequence} does not hash to what was stored when it was written"));
        }
        if let Some(detail) = entry.detail() {
            self.named.entry(detail).or_insert(sequence);
        }
        if entry.stream == StreamId::accounts() {
            self.replay(entry);
        } else if entry.stream == StreamId::erasures() {
            self.forget(entry);
        }
    }

    fn turn_back(&mut self, entry: &Entry) {
        let body = serde_json::from_value::<TurnedBody>(entry.body.clone());
        let from =
            body.ok().filter(|_| entry.kind == TURNED_KIND).map(|body| Timestamp::from_unix_ms(body.from));
        let Some(from) = from.filter(|from| *from >= self.last_at && entry.at < *from) else {
            self.problem(format!("entry {} does not read as time that was turned back", entry.sequence));
            return;
        };
        self.last_at = entry.at;
        if let Err(why) = turned_back(&mut self.books, &mut self.windows, from, entry.at) {
            self.problem(format!("accounts cannot be turned back by entry {}: {why}", entry.sequence));
        }
    }

    fn forget(&mut self, entry: &Entry) {
        let sequence = entry.sequence;
        match serde_json::from_value::<ErasedBody>(entry.body.clone()) {
            Ok(body) if entry.kind == ERASED_KIND => self.erased.extend(body.payloads),
            _ => self.problem(format!("entry {sequence} does not read as a list of what was erased")),
        }
    }

    fn replay(&mut self, entry: &Entry) {
        let sequence = entry.sequence;
        if entry.kind != ACCOUNTS_KIND {
            self.problem(format!("entry {sequence} of the accounts has the kind `{}`", entry.kind));
            return;
        }
        // `AccountsBody` borrows nothing, so a copy of the body is what serde wants.
        let body: AccountsBody = match serde_json::from_value(entry.body.clone()) {
            Ok(body) => body,
            Err(error) => {
                self.problem(format!("entry {sequence} does not read as account changes: {error}"));
                return;
            }
        };
        if let Err(why) = self.apply(&body.ops, entry.at) {
            self.problem(format!("entry {sequence} records account changes that its books refuse: {why}"));
        }
    }

    fn apply(&mut self, ops: &[AccountOp], at: Timestamp) -> Result<(), String> {
        loop {
            match self.try_apply(ops, at) {
                Ok(()) => return Ok(()),
                Err(Stop::Needs(Need::Window(budget))) => {
                    drop_left(&mut self.books, &mut self.windows, budget, at).map_err(|r| r.to_string())?;
                }
                Err(Stop::Needs(need)) => return Err(format!("{need:?} is missing")),
                Err(Stop::Refused(refusal)) => return Err(refusal.to_string()),
            }
        }
    }

    fn try_apply(&mut self, ops: &[AccountOp], at: Timestamp) -> Result<(), Stop> {
        self.books.expire(at)?;
        let mut draft = Draft::new(&self.books, at);
        let mut repeated = false;
        for op in ops {
            repeated |= draft.apply(op)? == OpOutcome::Repeated;
        }
        self.books.adopt(draft.into_changes());
        self.keep_windows();
        if repeated {
            self.problem(format!("account changes at {at} were recorded twice"));
        }
        Ok(())
    }

    fn keep_windows(&mut self) {
        keep_windows(&mut self.books, &mut self.windows);
    }

    /// A payload that is stored under `commitment`, which its salt and bytes give as `computed`.
    pub(crate) fn payload(&mut self, commitment: Commitment, computed: Commitment) {
        if commitment != computed {
            self.problem(format!("payload {commitment} is stored with other bytes"));
        } else if self.erased.contains(&commitment) {
            self.problem(format!("payload {commitment} is recorded as erased, and is still there"));
        } else {
            self.payloads_checked = self.payloads_checked.saturating_add(1);
        }
        self.named.remove(&commitment);
    }

    /// After the last payload: those that are missing were erased, or taken.
    pub(crate) fn payloads_end(&mut self) {
        let mut missing: Vec<(u64, Commitment)> =
            self.named.drain().map(|(commitment, sequence)| (sequence, commitment)).collect();
        missing.retain(|(_, commitment)| !self.erased.contains(commitment));
        missing.sort_unstable();
        for (sequence, commitment) in missing {
            self.problem(format!(
                "payload {commitment} of entry {sequence} is gone, and no entry says that it was erased"
            ));
        }
    }

    /// Compares the stored lengths and last entries of streams.
    pub(crate) fn streams(&mut self, stored: impl Iterator<Item = (StreamId, StreamEnd)>) {
        let mut counted = std::mem::take(&mut self.streams);
        for (stream, StreamEnd { length, last }) in stored {
            let found = counted.remove(&stream).unwrap_or_default();
            if found.length != length {
                let found = found.length;
                self.problem(format!("stream `{stream}` is stored with {length} entries and has {found}"));
            } else if last != found.last {
                self.problem(format!("stream `{stream}` is stored with another last entry than it has"));
            }
        }
        for stream in counted.into_keys() {
            self.problem(format!("stream `{stream}` has entries and is not listed"));
        }
    }

    /// Compares the stored books with the replayed ones, both brought up to the same moment.
    pub(crate) fn books(&mut self, mut stored: Books, mut stored_windows: Windows, now: Timestamp) {
        let mut replayed = std::mem::replace(&mut self.books, Books::complete());
        let mut replayed_windows = std::mem::take(&mut self.windows);
        for (books, windows) in [(&mut stored, &mut stored_windows), (&mut replayed, &mut replayed_windows)] {
            if let Err(why) = settle(books, windows, now) {
                self.problem(format!("accounts cannot be brought up to {now}: {why}"));
            }
        }
        self.compare_budgets(&stored, &replayed);
        self.compare_holds(&stored, &replayed);
        if stored_windows != replayed_windows {
            self.problem(
                "the rolling windows are stored with other amounts than the journal gives".to_owned(),
            );
        }
    }

    fn compare_budgets(&mut self, stored: &Books, replayed: &Books) {
        let (stored, mut replayed) = (stored.budgets(), replayed.budgets());
        for (id, row) in stored {
            let sums = |row: &BudgetRow| format!("spent {} and held {}", row.spent, row.held);
            match replayed.remove(&id) {
                None => self.problem(format!("budget {id} is stored and was never opened in the journal")),
                Some(by_journal) if by_journal.budget != row.budget => {
                    self.problem(format!("budget {id} is stored with other terms than the journal gives"));
                }
                Some(by_journal) if (by_journal.spent, by_journal.held) != (row.spent, row.held) => self
                    .problem(format!(
                        "budget {id} is stored with {}, the journal gives {}",
                        sums(row),
                        sums(by_journal)
                    )),
                Some(_) => {}
            }
        }
        for id in replayed.keys() {
            self.problem(format!("budget {id} was opened in the journal and is not stored"));
        }
    }

    fn compare_holds(&mut self, stored: &Books, replayed: &Books) {
        let (stored, mut replayed) = (stored.holds(), replayed.holds());
        for (id, row) in stored {
            match replayed.remove(&id) {
                None => self.problem(format!("hold {id} is stored and is not in the journal")),
                Some(by_journal) if row != by_journal => {
                    self.problem(format!("hold {id} is stored in another state than the journal gives"));
                }
                Some(_) => {}
            }
        }
        for id in replayed.keys() {
            self.problem(format!("hold {id} is in the journal and is not stored"));
        }
    }

    /// Compares the stored head and answers what was found.
    pub(crate) fn finish(mut self, stored: TreeHead) -> Verification {
        let head = self.head();
        if head.size != stored.size {
            self.problem(format!("{} entries were found, {} are stored as the head", head.size, stored.size));
        } else if head.root != stored.root {
            self.problem(format!("the entries give the root {}, stored is {}", head.root, stored.root));
        }
        if self.more > 0 {
            self.problems.push(format!("and {} more", self.more));
        }
        let payloads_erased = u64::try_from(self.erased.len()).unwrap_or(u64::MAX);
        let payloads_checked = self.payloads_checked;
        Verification { head, payloads_checked, payloads_erased, problems: self.problems }
    }

    /// How many entries were read so far.
    pub(crate) const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The tree over what was read so far.
    pub(crate) fn head(&self) -> TreeHead {
        TreeHead { size: self.tree.size(), root: self.tree.root() }
    }
}

/// Drops what has left a window, for books that keep their windows in memory.
pub(crate) fn drop_left(
    books: &mut Books,
    windows: &mut Windows,
    budget: BudgetId,
    now: Timestamp,
) -> Result<(), Refusal> {
    let Ok(Some(row)) = books.budget(budget) else {
        return Err(Refusal::UnknownBudget(budget));
    };
    let from = (budget, Timestamp::from_unix_ms(0), HoldId::from_bytes([0; 16]));
    let to = (budget, Timestamp::from_unix_ms(u64::MAX), HoldId::from_bytes([255; 16]));
    let mut left = Vec::new();
    let mut oldest = None;
    for ((_, at, hold), amount) in windows.range(from..=to) {
        if row.counts(*at, now) {
            oldest = Some(*at);
            break;
        }
        left.push((*at, *hold, *amount));
    }
    books.drop_from_window(budget, &left, oldest)?;
    keep_windows(books, windows);
    Ok(())
}

/// Moves changed window rows from the books to where they are kept.
pub(crate) fn keep_windows(books: &mut Books, windows: &mut Windows) {
    for (key, amount) in books.take_dirty().windows {
        match amount {
            Some(amount) => windows.insert(key, amount),
            None => windows.remove(&key),
        };
    }
}

/// Expires holds and empties windows up to `now`.
pub(crate) fn settle(books: &mut Books, windows: &mut Windows, now: Timestamp) -> Result<(), String> {
    match books.expire(now) {
        Ok(()) => {}
        Err(Stop::Refused(refusal)) => return Err(refusal.to_string()),
        Err(Stop::Needs(need)) => return Err(format!("{need:?} is missing")),
    }
    let stale: Vec<BudgetId> =
        books.budgets().iter().filter(|(_, row)| row.is_stale(now)).map(|(id, _)| *id).collect();
    for budget in stale {
        drop_left(books, windows, budget, now).map_err(|refusal| refusal.to_string())?;
    }
    Ok(())
}
