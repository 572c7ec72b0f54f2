//! Four processes on one data file: no cap is passed, whoever comes first.
//!
//! A child is this test binary again, running the same test, told by its environment to be the child. It reads from its
//! standard input which market, data and session it works with, and what it shall do; it answers how it went on its standard output.

use crate::world::{Place, Setup, World, get, key, usd};
use bursar_ledger::{
    AccountOp, Budget, CommitError, Ledger, Line, Refusal, SqliteOptions, SqliteStore, Transaction, Window,
};
use bursar_payments::{LimitRule, Mandate, Payments, Scope, SessionHooks};
use bursar_types::{
    Amount, AssetId, BudgetId, FetchError, Fetched, HoldId, ManualClock, SeededEntropy, SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// Set for a child.
const CHILD: &str = "BURSAR_TEST_CHILD";
const PROCESSES: u32 = 4;
/// In front of a child's answer, since the test harness prints too.
const ANSWER: &str = "answer: ";

/// What a child shall do.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    place: Place,
    seed: u32,
    url: String,
    sessions: Vec<SessionId>,
    count: u32,
}

/// How many went through, and why the others did not.
type Answer = BTreeMap<String, u32>;

#[expect(clippy::disallowed_methods, reason = "a child learns from its environment that it is one")]
fn told<T: for<'de> Deserialize<'de>>() -> Option<T> {
    std::env::var_os(CHILD)?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

fn answer(answer: &Answer) {
    let text = serde_json::to_string(answer).unwrap();
    writeln!(std::io::stdout().lock(), "\n{ANSWER}{text}").unwrap();
}

fn start(test: &str, told: &impl Serialize) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&serde_json::to_vec(told).unwrap()).unwrap();
    child
}

/// What all children answered together.
async fn answers(children: Vec<Child>) -> Answer {
    let all = tokio::task::spawn_blocking(move || {
        children.into_iter().map(|child| child.wait_with_output().unwrap()).collect::<Vec<_>>()
    });
    let mut sum = Answer::new();
    for output in all.await.unwrap() {
        assert!(output.status.success(), "a child failed");
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(ANSWER)).unwrap();
        for (how, count) in serde_json::from_str::<Answer>(line).unwrap() {
            *sum.entry(how).or_default() += count;
        }
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purses_in_four_processes_pass_no_cap() {
    if let Some(told) = told::<Told>() {
        return pay(told).await;
    }
    let world = World::with(Setup { funds: 10_000_000, ..Setup::default() }).await;
    let day = Window::Rolling { length_ms: 86_400_000 };
    let mut item = world.metered("/documents/*");
    item.count = 1_000;
    let mandate = Mandate { budgets: vec![], ..world.mandate() }
        .session_budget(usd("0.035"))
        .budget(Scope::User, usd("0.060"), day)
        .budget(Scope::Vendor, usd("0.055"), day)
        .limit(LimitRule::payments(Scope::Agent, 50, day))
        .metered(item);
    let mut sessions = Vec::new();
    for _ in 0..2 {
        sessions.push(world.payments.open_session(mandate.clone(), SessionHooks::default()).await.unwrap());
    }
    let ids: Vec<_> = sessions.iter().map(|session| session.session()).collect();
    let children = (1..=PROCESSES)
        .map(|seed| {
            let told = Told {
                place: world.place(),
                seed,
                url: world.url("alpha"),
                sessions: ids.clone(),
                count: 25,
            };
            start("processes::purses_in_four_processes_pass_no_cap", &told)
        })
        .collect();
    let made = answers(children).await;
    // The limit of 50 payments is the first to be reached; each session has 35.
    assert_eq!(made.get("paid"), Some(&50), "{made:?}");
    assert_eq!(made.values().sum::<u32>(), 100);
    let known = ["paid", "BUDGET_EXCEEDED", "VELOCITY_EXCEEDED"];
    assert!(made.keys().all(|how| known.contains(&how.as_str())), "{made:?}");
    assert_eq!(world.outflow(), 50_000);
    let mut spent = 0;
    for session in &sessions {
        let (captured, held) = world.books(&session.handle()).await;
        assert!(captured <= 35_000 && held == 0, "{captured} {held}");
        spent += captured;
    }
    assert_eq!(spent, 50_000);
    world.verify().await;
}

/// Makes its payments all at once, half of them in each session.
async fn pay(told: Told) {
    let payments = Payments::new(told.place.parts(u64::from(told.seed) + 100));
    let mut purses = Vec::new();
    for session in &told.sessions {
        purses.push(payments.resume_session(*session, SessionHooks::default()).await.unwrap());
    }
    let calls: Vec<_> = (0..told.count)
        .map(|n| {
            let name = format!("{}-{n}", told.seed);
            let request = get(&format!("{}?{name}", told.url));
            let purse = purses[n as usize % purses.len()].handle();
            tokio::spawn(async move { purse.fetch(request, key(&name)).await })
        })
        .collect();
    let mut made = Answer::new();
    for call in calls {
        let how = match call.await.unwrap() {
            Ok(Fetched::Delivered(_)) => "paid".to_owned(),
            Err(FetchError::Denied(decision)) => decision.reasons[0].code.to_string(),
            other => format!("{other:?}"),
        };
        *made.entry(how).or_default() += 1;
    }
    payments.close().await;
    answer(&made);
}

/// What a child of the ledger's test shall do.
#[derive(Debug, Serialize, Deserialize)]
struct Holds {
    folder: std::path::PathBuf,
    seed: u32,
    count: u32,
}

const TOTAL: u128 = 700_000;
const AT_A_VENDOR: u128 = 260_000;

fn budgets() -> Vec<Budget> {
    let one = |name: &str, asset, limit, window, parent| Budget {
        id: BudgetId::derived(&[name.as_bytes()]),
        name: name.to_owned(),
        limit: Amount::from_atomic(asset, limit),
        window,
        gross: false,
        parent,
    };
    let day = Window::Rolling { length_ms: 86_400_000 };
    let usd = AssetId::micro_usd;
    let all = one("all", usd(), TOTAL, Window::Life, None);
    let vendors: Vec<_> = ["vendor 0", "vendor 1", "vendor 2"]
        .map(|name| one(name, usd(), AT_A_VENDOR, day, Some(all.id)))
        .into();
    let open = one("under way", AssetId::count(), 40, Window::Open, None);
    [vec![all], vendors, vec![open]].concat()
}

fn open_ledger(folder: &std::path::Path, seed: u64) -> Ledger {
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(1_795_000_000_000)));
    let options = SqliteOptions::new(
        folder.join("ledger.sqlite"),
        folder.join("mark"),
        clock,
        Arc::new(SeededEntropy::new(seed)),
    );
    Ledger::new(Arc::new(SqliteStore::open(options).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_concurrent_payments_of_four_processes_pass_no_cap() {
    if let Some(told) = told::<Holds>() {
        return hold_pin_capture(told).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let ledger = open_ledger(folder.path(), 1);
    let accounts = budgets().into_iter().map(AccountOp::Open).collect();
    ledger.commit(Transaction { accounts, ..Transaction::default() }).await.unwrap();
    let children = (1..=PROCESSES)
        .map(|seed| {
            let told = Holds { folder: folder.path().to_owned(), seed, count: 1_000 / PROCESSES };
            start("processes::a_thousand_concurrent_payments_of_four_processes_pass_no_cap", &told)
        })
        .collect();
    let made = answers(children).await;
    assert_eq!(made.values().sum::<u32>(), 1_000, "{made:?}");
    assert!(
        made.keys().all(|how| how == "captured" || how == "all" || how.starts_with("vendor")),
        "{made:?}"
    );
    // Each takes 1000: the total lets 700 through, and no more than 260 at a vendor.
    assert_eq!(made.get("captured"), Some(&700), "{made:?}");
    for budget in budgets() {
        let state = ledger.budget(budget.id).await.unwrap().unwrap();
        assert!(state.spent.atomic() <= budget.limit.atomic(), "{state:?}");
        assert_eq!(state.held.atomic(), 0, "{state:?}");
    }
    assert_eq!(ledger.budget(budgets()[0].id).await.unwrap().unwrap().spent.atomic(), TOTAL);
    assert_eq!(ledger.verify().await.unwrap().problems, Vec::<String>::new());
}

/// Makes its payments all at once, round the vendors: hold, pin, capture.
async fn hold_pin_capture(told: Holds) {
    let ledger = open_ledger(&told.folder, u64::from(told.seed) + 1);
    let calls: Vec<_> = (0..told.count)
        .map(|n| {
            let ledger = ledger.clone();
            tokio::spawn(async move { one(&ledger, told.seed, n).await })
        })
        .collect();
    let mut made = Answer::new();
    for call in calls {
        *made.entry(call.await.unwrap()).or_default() += 1;
    }
    ledger.close().await.unwrap();
    answer(&made);
}

async fn one(ledger: &Ledger, seed: u32, n: u32) -> String {
    let id = HoldId::derived(&[&seed.to_be_bytes(), &n.to_be_bytes()]);
    let budgets = budgets();
    let (vendor, open) = (&budgets[1 + n as usize % 3], &budgets[4]);
    let lines = vec![
        Line { budget: vendor.id, amount: Amount::from_atomic(AssetId::micro_usd(), 1_000) },
        Line { budget: open.id, amount: Amount::from_atomic(AssetId::count(), 1) },
    ];
    let expires_at = Timestamp::from_unix_ms(1_795_000_120_000);
    let hold =
        Transaction { accounts: vec![AccountOp::Hold { id, lines, expires_at }], ..Transaction::default() };
    loop {
        match ledger.commit(hold.clone()).await {
            Ok(_) => break,
            // Too much is under way: others end first.
            Err(CommitError::Refused(Refusal::OverLimit { name, .. })) if name == open.name => {
                tokio::task::yield_now().await;
            }
            Err(CommitError::Refused(Refusal::OverLimit { name, .. })) => return name,
            Err(error) => panic!("{error:?}"),
        }
    }
    for op in [AccountOp::Pin { id }, AccountOp::Capture { id, lines: None, observed: false }] {
        ledger.commit(Transaction { accounts: vec![op], ..Transaction::default() }).await.unwrap();
    }
    "captured".to_owned()
}
