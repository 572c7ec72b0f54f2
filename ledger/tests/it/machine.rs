//! Both stores beside the reference as one state machine: whole transactions, time, and a data file that is closed and
//! opened again, over two handles used in turn.

use crate::model::{BUDGETS, HOLDS, Reference, a_budget, an_op, compare, run};
use crate::support::*;
use bursar_ledger::{
    AccountOp, CommitError, Committed, HoldPhase, Ledger, Line, LinkWrite, MemoryStore, OpOutcome, Refusal,
    Require, SqliteStore, StreamId, Transaction,
};
use bursar_types::{Amount, AssetId, BudgetId, ManualClock, SeededEntropy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use tempfile::TempDir;

const KEYS: [&str; 3] = ["open/a", "open/b", "paid/a"];
const STREAMS: [&str; 2] = ["payment/a", "payment/b"];

/// The handles that are closed at once.
const HANDLES: [&[usize]; 3] = [&[0], &[1], &[0, 1]];

/// What the ledger should be.
#[derive(Debug, Clone)]
struct Model {
    now: u64,
    books: Reference,
    links: BTreeMap<String, String>,
    streams: BTreeMap<String, u64>,
    /// What the last transaction should have given.
    last: Result<Vec<OpOutcome>, &'static str>,
}

impl Model {
    fn length(&self, stream: &str) -> u64 {
        self.streams.get(stream).copied().unwrap_or(0)
    }

    fn check(&self, require: &Require) -> Result<(), &'static str> {
        let holds = |met: bool, refusal| if met { Ok(()) } else { Err(refusal) };
        let phase = |id| self.books.phase(id, self.now).ok_or("UnknownHold");
        use crate::model::Phase::{Pending, Pinned};
        match require {
            Require::StreamAt { stream, length } => {
                holds(self.length(stream.as_str()) == *length, "StreamMoved")
            }
            Require::ClockWithin { now, by_ms } => {
                holds(now.plus_ms(*by_ms).unix_ms() >= self.now, "ClockBehind")
            }
            Require::HoldPending(id) => holds(matches!(phase(*id)?, Pending | Pinned), "HoldNot"),
            Require::HoldPinned(id) => holds(phase(*id)? == Pinned, "HoldNot"),
            Require::UsedAtMost { budget, used_max } => {
                let budget = self.books.find(*budget).ok_or("UnknownBudget")?;
                holds(budget.limit.asset() == used_max.asset(), "WrongUnit")?;
                let (spent, held) = self.books.used(budget, self.now);
                holds(spent + held <= used_max.atomic(), "UsedMore")
            }
        }
    }

    fn commit(&mut self, transaction: &Transaction) -> Result<Vec<OpOutcome>, &'static str> {
        let mut draft = self.clone();
        transaction.require.iter().try_for_each(|require| draft.check(require))?;
        let outcomes = draft.books.decide_all(&transaction.accounts, draft.now)?;
        for write in &transaction.links {
            if draft.links.get(&write.key) != write.expected.as_ref() {
                return Err("LinkMoved");
            }
            match &write.value {
                Some(value) => draft.links.insert(write.key.clone(), value.clone()),
                None => draft.links.remove(&write.key),
            };
        }
        if outcomes.contains(&OpOutcome::Done) {
            *draft.streams.entry("accounts".to_owned()).or_default() += 1;
        }
        for entry in &transaction.entries {
            *draft.streams.entry(entry.stream.to_string()).or_default() += 1;
        }
        *self = draft;
        Ok(outcomes)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Commit {
        handle: usize,
        transaction: Transaction,
    },
    Wait(u64),
    /// These handles are closed or dropped, and then opened again.
    Reopen {
        handles: &'static [usize],
        close: bool,
    },
}

struct Machine;

impl ReferenceStateMachine for Machine {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        let (books, links, streams) = (Reference::default(), BTreeMap::new(), BTreeMap::new());
        Just(Model { now: START_MS, books, links, streams, last: Ok(Vec::new()) }).boxed()
    }

    fn transitions(model: &Model) -> BoxedStrategy<Step> {
        // Without budgets little would happen.
        let opened = (0..BUDGETS).filter(|id| model.books.find(budget_id(*id)).is_some()).count();
        let openings = if opened < 4 { 12 } else { 1 };
        let commit = |transaction: BoxedStrategy<Transaction>| {
            (0..2_usize, transaction).prop_map(|(handle, transaction)| Step::Commit { handle, transaction })
        };
        let alone = vec(a_change(model), 1..4).prop_map(ops).boxed();
        let opening = a_budget().prop_map(|budget| ops(vec![AccountOp::Open(budget)])).boxed();
        prop_oneof![
            openings => commit(opening),
            8 => commit(alone),
            8 => commit(a_transaction(model).boxed()),
            2 => prop_oneof![1..40_u64, Just(50), Just(120)].prop_map(Step::Wait),
            1 => (select(&HANDLES[..]), any::<bool>())
                .prop_map(|(handles, close)| Step::Reopen { handles, close }),
        ]
        .boxed()
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        match step {
            Step::Commit { transaction, .. } => model.last = model.commit(transaction),
            Step::Wait(ms) => model.now += ms,
            Step::Reopen { .. } => {}
        }
        model
    }
}

/// A change, half of the time one that fits a hold as it stands.
fn a_change(model: &Model) -> BoxedStrategy<AccountOp> {
    use crate::model::Phase::{Captured, Expired, Pending, Pinned, Released};
    let mut fitting = Vec::new();
    for id in (0..HOLDS).map(hold_id) {
        let Some(phase) = model.books.phase(id, model.now) else { continue };
        let lines = |of: BTreeMap<BudgetId, u128>, times: u128, by: u128| -> Vec<Line> {
            let unit = |budget: BudgetId| model.books.find(budget).unwrap().limit.asset().clone();
            let amount = |(budget, amount): (BudgetId, u128)| {
                Amount::from_atomic(unit(budget), (amount * times).div_ceil(by))
            };
            of.into_iter().map(|of| Line { budget: of.0, amount: amount(of) }).collect()
        };
        let held = model.books.debits(model.books.held(id).unwrap().1);
        let capture = |lines, observed| AccountOp::Capture { id, lines, observed };
        match phase {
            Pending | Pinned => fitting.extend([
                AccountOp::Pin { id },
                AccountOp::Release { id },
                capture(None, false),
                capture(Some(lines(held.clone(), 1, 2)), false),
                capture(Some(lines(held, 2, 1)), true),
            ]),
            Captured { debits, .. } => {
                for name in ["0", "1"] {
                    let lines = lines(debits.clone(), 1, 3);
                    // All of it, and each budget's part alone.
                    let parts = lines.iter().map(|line| Vec::from([line.clone()])).chain([lines.clone()]);
                    let refund = |lines| AccountOp::Refund { id: name.to_owned(), hold: id, lines };
                    fitting.extend(parts.map(refund));
                }
                fitting.push(capture(Some(lines(debits, 3, 2)), true));
            }
            Released | Expired => fitting.push(capture(None, true)),
        }
    }
    match fitting.is_empty() {
        true => an_op(model.now).boxed(),
        false => prop_oneof![an_op(model.now), select(fitting)].boxed(),
    }
}

/// A transaction of everything there is, most of it as it stands now.
fn a_transaction(model: &Model) -> impl Strategy<Value = Transaction> + use<> {
    let links: Vec<_> = KEYS.iter().map(|key| ((*key).to_owned(), model.links.get(*key).cloned())).collect();
    let value = || prop::option::weighted(0.7, (0..9_u8).prop_map(|value| value.to_string()));
    let link = (select(links), value(), prop::option::weighted(0.1, value()))
        .prop_map(|((key, found), value, wrong)| LinkWrite { key, expected: wrong.unwrap_or(found), value });
    let entries =
        (select(&STREAMS[..]), 0..100_u32).prop_map(|(stream, body)| entry(stream, json!({ "n": body })));
    let parts =
        (vec(a_condition(model), 0..3), vec(a_change(model), 0..3), vec(link, 0..3), vec(entries, 0..3));
    parts.prop_map(|(require, accounts, links, entries)| Transaction {
        require,
        accounts,
        links,
        entries,
        ..Transaction::default()
    })
}

fn a_condition(model: &Model) -> impl Strategy<Value = Require> + use<> {
    let streams: Vec<_> = STREAMS.iter().map(|stream| (*stream, model.length(stream))).collect();
    let at = (select(streams), 0..12_u64).prop_map(|((stream, length), odd)| Require::StreamAt {
        stream: StreamId::new(stream).unwrap(),
        length: length + u64::from(odd == 0),
    });
    let budgets: Vec<_> = (0..BUDGETS).map(budget_id).collect();
    let used: Vec<_> = budgets
        .iter()
        .map(|id| match model.books.find(*id) {
            Some(budget) => {
                let (spent, held) = model.books.used(budget, model.now);
                (*id, budget.limit.asset().clone(), spent + held)
            }
            None => (*id, AssetId::micro_usd(), 0),
        })
        .collect();
    let at_most = (select(used), -1..4_i8, 0..20_u8).prop_map(|((budget, asset, used), more, odd)| {
        let asset = if odd == 0 { AssetId::count() } else { asset };
        let used_max = used.saturating_add_signed(i128::from(more));
        Require::UsedAtMost { budget, used_max: Amount::from_atomic(asset, used_max) }
    });
    let id = || (0..HOLDS).prop_map(hold_id);
    prop_oneof![
        4 => at,
        4 => at_most,
        1 => id().prop_map(Require::HoldPending),
        1 => id().prop_map(Require::HoldPinned),
    ]
}

/// Both stores.
struct Stores {
    memory: Ledger,
    files: Vec<Ledger>,
    folder: TempDir,
    clock: Arc<ManualClock>,
}

impl Stores {
    fn open_file(&self) -> Ledger {
        Ledger::new(Arc::new(SqliteStore::open(options(&self.folder, &self.clock)).unwrap()))
    }

    async fn step(&mut self, model: &Model, step: Step) {
        match step {
            Step::Wait(ms) => self.clock.advance_ms(ms),
            Step::Reopen { handles, close } => {
                for handle in handles {
                    if close {
                        self.files[*handle].close().await.unwrap();
                    }
                    // Stands in for a handle that is not there.
                    self.files[*handle] = self.memory.clone();
                }
                for handle in handles {
                    self.files[*handle] = self.open_file();
                }
            }
            Step::Commit { handle, transaction } => {
                let found = answer(self.files[handle].commit(transaction.clone()).await);
                assert_eq!(found, answer(self.memory.commit(transaction).await), "the stores differ");
                match (found, &model.last) {
                    (Ok(committed), Ok(outcomes)) => assert_eq!(committed.outcomes, *outcomes),
                    (Err(refusal), Err(name)) => {
                        assert!(format!("{refusal:?}").starts_with(name), "{refusal:?}, not {name}");
                    }
                    (found, expected) => panic!("{found:?}, not {expected:?}"),
                }
            }
        }
    }

    async fn check(&self, model: &Model) {
        let Self { memory, files, .. } = self;
        for ledger in [memory, &files[0], &files[1]] {
            compare(ledger, &model.books, model.now, "the step").await;
            check_sums(ledger, model).await;
            let links: BTreeMap<_, _> = ledger.links("").await.unwrap().into_iter().collect();
            assert_eq!(links, model.links);
            let streams = ledger.streams("").await.unwrap();
            let streams: BTreeMap<_, _> =
                streams.into_iter().map(|(name, n)| (name.to_string(), n)).collect();
            assert_eq!(streams, model.streams);
            let head = ledger.head().await.unwrap();
            assert_eq!(head.size, model.streams.values().sum::<u64>());
            assert_eq!(head, memory.head().await.unwrap(), "the journals differ");
        }
        for ledger in [memory, &files[0]] {
            assert_eq!(ledger.verify().await.unwrap().problems, Vec::<String>::new());
        }
    }
}

/// Adds the ledger's own answers up: what is held of a budget is what its pending holds say, what is used passes the cap
/// by no more than was observed, and what is left is the rest.
async fn check_sums(ledger: &Ledger, model: &Model) {
    let mut pending = BTreeMap::new();
    for id in (0..HOLDS).map(hold_id) {
        let Some(state) = ledger.hold(id).await.unwrap() else { continue };
        if matches!(state.phase, HoldPhase::Pending { .. }) {
            for line in state.lines {
                *pending.entry(line.budget).or_insert(0) += line.amount.atomic();
            }
        }
    }
    for id in (0..BUDGETS).map(budget_id) {
        let Some(state) = ledger.budget(id).await.unwrap() else { continue };
        let (limit, spent, held) = (state.budget.limit.atomic(), state.spent.atomic(), state.held.atomic());
        assert_eq!(held, pending.get(&id).copied().unwrap_or(0), "{id} holds what nobody holds");
        assert_eq!(state.left.atomic(), limit.saturating_sub(spent + held));
        let observed: u128 = (0..HOLDS).map(hold_id).map(|hold| model.books.observed_in(hold, id)).sum();
        assert!(spent + held <= limit + observed, "{id}: {spent} and {held} of {limit}, {observed} observed");
    }
}

fn answer(committed: Result<Committed, CommitError>) -> Result<Committed, Refusal> {
    match committed {
        Ok(committed) => Ok(committed),
        Err(CommitError::Refused(refusal)) => Err(refusal),
        Err(CommitError::Store(error)) => panic!("{error:?}"),
    }
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Stores;
    type Reference = Self;

    fn init_test(_: &Model) -> Stores {
        let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
        let memory = Ledger::new(Arc::new(MemoryStore::new(clock.clone(), Arc::new(SeededEntropy::new(1)))));
        let mut stores = Stores { memory, files: Vec::new(), folder, clock };
        stores.files = Vec::from([stores.open_file(), stores.open_file()]);
        stores
    }

    fn apply(mut stores: Stores, model: &Model, step: Step) -> Stores {
        run(async {
            stores.step(model, step).await;
            stores.check(model).await;
        });
        stores
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn both_stores_do_what_the_reference_does_across_reopening_and_two_handles(sequential 20..60 => Machine);
}
