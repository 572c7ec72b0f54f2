//! What the tests are built from.

use bursar_ledger::{
    AccountOp, Budget, CommitError, Committed, Ledger, Line, MemoryStore, NewEntry, Refusal, SqliteOptions,
    SqliteStore, StreamId, Transaction, Window,
};
use bursar_types::{Amount, AssetId, BudgetId, HoldId, ManualClock, SeededEntropy, Timestamp};
use std::sync::Arc;
use tempfile::TempDir;

/// Where every test's clock starts.
pub(crate) const START_MS: u64 = 1_795_264_200_000;

/// A ledger under test.
pub(crate) struct Fixture {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<ManualClock>,
    /// The folder of the files; `None` in memory.
    pub(crate) folder: Option<TempDir>,
}

impl Fixture {
    pub(crate) fn memory() -> Self {
        let clock = clock();
        let store = MemoryStore::new(clock.clone(), Arc::new(SeededEntropy::new(1)));
        Self { ledger: Ledger::new(Arc::new(store)), clock, folder: None }
    }

    pub(crate) fn sqlite() -> Self {
        let (clock, folder) = (clock(), tempfile::tempdir().unwrap());
        let ledger = Ledger::new(Arc::new(SqliteStore::open(options(&folder, &clock)).unwrap()));
        Self { ledger, clock, folder: Some(folder) }
    }

    /// Another handle on the same ledger: another store on the same file, or the same store in memory.
    pub(crate) fn another(&self) -> Ledger {
        match &self.folder {
            Some(folder) => Ledger::new(Arc::new(SqliteStore::open(options(folder, &self.clock)).unwrap())),
            None => self.ledger.clone(),
        }
    }

    pub(crate) async fn commit(&self, accounts: Vec<AccountOp>) -> Result<Committed, CommitError> {
        self.ledger.commit(Transaction { accounts, ..Transaction::default() }).await
    }

    /// What a transaction that must be refused was refused for.
    pub(crate) async fn refused(&self, transaction: Transaction) -> Refusal {
        match self.ledger.commit(transaction).await {
            Err(CommitError::Refused(refusal)) => refusal,
            other => panic!("was not refused: {other:?}"),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        bursar_types::Clock::now(&*self.clock)
    }

    /// Spent, held and left of a budget.
    pub(crate) async fn sums(&self, id: u8) -> (u128, u128, u128) {
        let state = self.ledger.budget(budget_id(id)).await.unwrap().unwrap();
        (state.spent.atomic(), state.held.atomic(), state.left.atomic())
    }

    pub(crate) async fn verify(&self) {
        let verification = self.ledger.verify().await.unwrap();
        assert_eq!(verification.problems, Vec::<String>::new());
        assert_eq!(verification.head, self.ledger.head().await.unwrap());
    }
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_unix_ms(START_MS)))
}

/// The mark lies in another folder than the data, as it should.
pub(crate) fn options(folder: &TempDir, clock: &Arc<ManualClock>) -> SqliteOptions {
    let (path, mark) = (folder.path().join("data/ledger.db"), folder.path().join("marks/ledger.mark"));
    SqliteOptions::new(path, mark, clock.clone(), Arc::new(SeededEntropy::new(2)))
}

pub(crate) fn budget_id(id: u8) -> BudgetId {
    BudgetId::derived(&[&[id]])
}

pub(crate) fn hold_id(id: u32) -> HoldId {
    HoldId::derived(&[&id.to_be_bytes()])
}

pub(crate) fn usd(atomic: u128) -> Amount {
    Amount::from_atomic(AssetId::micro_usd(), atomic)
}

/// A budget in micro-USD for life.
pub(crate) fn budget(id: u8, limit: u128) -> Budget {
    Budget {
        id: budget_id(id),
        name: format!("budget {id}"),
        limit: usd(limit),
        window: Window::Life,
        gross: false,
        parent: None,
    }
}

pub(crate) fn open(id: u8, limit: u128) -> AccountOp {
    AccountOp::Open(budget(id, limit))
}

pub(crate) fn lines(lines: &[(u8, u128)]) -> Vec<Line> {
    lines.iter().map(|(id, amount)| Line { budget: budget_id(*id), amount: usd(*amount) }).collect()
}

/// A hold that runs out a minute after the start.
pub(crate) fn hold(id: u32, of: &[(u8, u128)]) -> AccountOp {
    let expires_at = Timestamp::from_unix_ms(START_MS + 60_000);
    AccountOp::Hold { id: hold_id(id), lines: lines(of), expires_at }
}

pub(crate) fn pin(id: u32) -> AccountOp {
    AccountOp::Pin { id: hold_id(id) }
}

pub(crate) fn capture(id: u32, of: Option<&[(u8, u128)]>) -> AccountOp {
    AccountOp::Capture { id: hold_id(id), lines: of.map(lines), observed: false }
}

pub(crate) fn observe(id: u32, of: Option<&[(u8, u128)]>) -> AccountOp {
    AccountOp::Capture { id: hold_id(id), lines: of.map(lines), observed: true }
}

pub(crate) fn release(id: u32) -> AccountOp {
    AccountOp::Release { id: hold_id(id) }
}

pub(crate) fn refund(name: &str, id: u32, of: &[(u8, u128)]) -> AccountOp {
    AccountOp::Refund { id: name.to_owned(), hold: hold_id(id), lines: lines(of) }
}

pub(crate) fn entry(stream: &str, body: serde_json::Value) -> NewEntry {
    NewEntry { stream: StreamId::new(stream).unwrap(), kind: "test.happened".into(), body }
}

pub(crate) fn ops(accounts: Vec<AccountOp>) -> Transaction {
    Transaction { accounts, ..Transaction::default() }
}
