//! `bursar obligations`: what is owed, and what persons decide about it.

use crate::interrupt::Outside;
use crate::research::QUESTION;
use crate::support::{Home, Ran, ran, steady};
use bursar::ledger::{LinkWrite, Transaction};
use bursar::payments::{
    ChainEvent, CompensationId, Compensator, Compensators, Mandate, RemedyError, Stray, Transfer,
};
use bursar::types::{Amount, AssetId, AssetRegistry, Timestamp};
use bursar::{Approve, Bursar, SagaOptions, Undo};
use serde_json::{Value, json};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

const NOTE: &str = "# Gas\n\nThe submitter of a token transfer pays the gas.\n";

/// A folder in which one document was paid for and did not come.
pub(crate) fn owing(change: impl FnOnce(String) -> String) -> Outside {
    let outside = Outside::selling(NOTE);
    outside.configure(change);
    outside.fault_everywhere(r#"{"fault":"settle_then_500","times":99}"#);
    let asked = ran(outside.with_config(&["research", "Who pays the gas of a token transfer?"]));
    assert_eq!(asked.code, 3, "{}\n{}", asked.stdout, asked.stderr);
    outside
}

/// The id of the one payment.
fn payment(outside: &Outside) -> String {
    let payments = outside.home.payments();
    assert_eq!(payments.len(), 1, "{payments:#?}");
    payments[0]["id"].as_str().unwrap().to_owned()
}

/// The commands and what they say.
struct Talk<'a> {
    home: &'a Home,
    said: String,
}

impl Talk<'_> {
    fn say(&mut self, code: i32, args: &[&str]) -> Ran {
        let ran = self.home.run([&["obligations"], args].concat());
        assert_eq!(ran.code, code, "{args:?}: {}{}", ran.stdout, ran.stderr);
        let told = steady(&format!("$ bursar obligations {}\n{}{}", args.join(" "), ran.stdout, ran.stderr));
        self.said.push_str(&told);
        ran
    }
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

#[test]
fn what_is_owed_is_listed_told_and_ended_by_persons_with_a_name_and_a_reason() {
    let outside = owing(|config| config);
    let id = payment(&outside);
    let mut talk = Talk { home: &outside.home, said: String::new() };
    talk.say(3, &[]);
    let listed = talk.home.run(["obligations", "--json"]).json();
    assert_eq!(listed.len(), 1, "{listed:#?}");
    assert_eq!(listed[0]["payment"]["id"], id.as_str());
    assert_eq!((&listed[0]["desk"], &listed[0]["overdue"]), (&"obligation".into(), &false.into()));
    talk.say(0, &["extend", &id, "--until", "2099-12-24", "--by", "ada", "--reason", "they promised"]);
    talk.say(2, &["extend", &id, "--until", "2020-01-01", "--by", "ada", "--reason", "once"]);
    talk.say(3, &[]);
    talk.say(2, &["show", &id, "--dispute", "dispute.json"]);
    // The beginning of its id is enough.
    let beginning: String = id.chars().take(10).collect();
    let brief = format!("settle {beginning} --by ada --reason");
    let settled: Vec<&str> = brief.split(' ').chain(["it came by mail"]).collect();
    let told = talk.home.run([vec!["obligations"], settled].concat());
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    talk.said.push_str(&steady(&told.stdout));
    talk.say(2, &["write-off", &id, "--by", "ada", "--reason", "again"]);
    talk.say(0, &[]);
    talk.say(0, &["--all"]);
    talk.say(0, &["show", &id]);
    insta::assert_snapshot!(talk.said);
    assert_eq!(outside.home.run(["audit", "verify"]).code, 0);
}

#[test]
fn what_is_late_is_marked_and_what_is_written_off_is_over() {
    let outside = owing(|config| config + "\n[recovery]\nsettle_within_ms = 1\n");
    let id = payment(&outside);
    let late = outside.home.run(["obligations"]);
    assert_eq!(late.code, 3, "{}", late.stderr);
    assert!(late.stdout.contains(", local looks after it  OVERDUE\n"), "{}", late.stdout);
    let told =
        outside.home.run(["obligations", "write-off", &id, "--by", "ada", "--reason", "they are gone"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.starts_with("written off: "), "{}", told.stdout);
    let listed = outside.home.run(["obligations", "--all"]);
    assert_eq!(listed.code, 0);
    assert!(listed.stdout.contains("over: written off by ada: they are gone"), "{}", listed.stdout);
}

#[test]
fn money_that_nobody_knows_is_listed_until_a_person_says_where_it_belongs() {
    let outside = owing(|config| config);
    let id = payment(&outside);
    let payments = outside.home.payments();
    let asset = AssetId::parse(payments[0]["amount"]["asset"].as_str().unwrap()).unwrap();
    let price = payments[0]["amount"]["atomic"].as_str().unwrap().parse::<u128>().unwrap();
    let came_in = |byte: &str, atomic: u128| Transfer {
        event: ChainEvent {
            network: "eip155:31337".to_owned(),
            transaction: format!("0x{}", byte.repeat(32)),
            index: 1,
        },
        from: format!("0x{}", "cd".repeat(20)),
        amount: Amount::from_atomic(asset.clone(), atomic),
        at: Timestamp::from_unix_ms(1_700_000_000_000),
    };
    let (back, filled) = (came_in("ab", price), came_in("ef", 1_000_000));
    let links = [&back, &filled].map(|transfer| {
        let stray = Stray { transfer: transfer.clone(), why: "nobody who was paid sent it".to_owned() };
        let value = Some(serde_json::to_string(&stray).unwrap());
        LinkWrite { key: format!("stray/{}", transfer.event), expected: None, value }
    });
    wait(async {
        let ledger = bursar::report::open_ledger(outside.home.file(".bursar")).unwrap();
        ledger.commit(Transaction { links: links.into(), ..Transaction::default() }).await.unwrap();
        ledger.close().await.unwrap();
    });
    let (event, own) = (back.event, filled.event);

    let mut talk = Talk { home: &outside.home, said: String::new() };
    talk.say(3, &[]);
    talk.say(2, &["credit", "somewhere", &id, "--by", "ada"]);
    talk.say(2, &["credit", "eip155:31337/0x00/1", &id, "--by", "ada"]);
    talk.say(0, &["credit", &event.to_string(), &id, "--by", "ada"]);
    talk.say(2, &["credit", &event.to_string(), &id, "--by", "ada"]);
    talk.say(0, &["dismiss", &own.to_string(), "--by", "ada", "--reason", "I filled the wallet"]);
    talk.say(2, &["dismiss", &own.to_string(), "--by", "ada", "--reason", "I filled the wallet"]);
    talk.say(0, &[]);
    insta::assert_snapshot!(talk.said);
    let story = outside.home.run(["obligations", "show", &id]).stdout;
    assert!(story.contains(" came back in 0xabababab…ababab, as ada says\n"), "{story}");
    let ledger = rusqlite::Connection::open(outside.home.file(".bursar/ledger.sqlite")).unwrap();
    let spent = "SELECT spent FROM budgets WHERE json_extract(terms, '$.name') = 'session'";
    let spent: String = ledger.query_row(spent, [], |row| row.get(0)).unwrap();
    assert_eq!(spent, "0", "what came back can be spent again");
    drop(ledger);
    assert_eq!(outside.home.run(["audit", "verify"]).code, 0);
}

#[test]
fn nothing_owed_is_said_and_a_beginning_that_two_payments_share_is_not_taken() {
    let home = Home::new();
    for question in [QUESTION, "What is a saga?"] {
        assert_eq!(home.run(["research", question]).code, 0);
    }
    let listed = home.run(["obligations"]);
    assert_eq!((listed.code, listed.stdout.as_str()), (0, "nothing is owed\n"));
    let payments = home.payments();
    let shared = home.run(["obligations", "settle", "pay_", "--by", "ada", "--reason", "x"]);
    assert_eq!(shared.code, 2);
    let told = format!("`pay_` is the beginning of {} payments; give more of it:", payments.len());
    assert!(shared.stderr.contains(&told), "{}", shared.stderr);
    for payment in &payments {
        let id = payment["id"].as_str().unwrap();
        assert!(shared.stderr.contains(&format!("{id}  0.0")), "{}", shared.stderr);
        let over = home.run(["obligations", "settle", id, "--by", "ada", "--reason", "x"]);
        assert_eq!(over.code, 2);
        assert!(over.stderr.contains("is over; nothing was changed"), "{}", over.stderr);
    }
}

/// Cannot call mail back.
#[derive(Debug)]
struct Recall;

#[async_trait::async_trait]
impl Compensator for Recall {
    fn name(&self) -> &str {
        "recall"
    }

    async fn compensate(&self, _: &Value, _: CompensationId) -> Result<String, RemedyError> {
        Err(RemedyError::Refused("it was read".to_owned()))
    }
}

/// Leaves a saga in the folder whose two mails cannot be called back.
async fn leave_a_saga(folder: PathBuf) {
    let registry = AssetRegistry::pinned();
    let usdc = registry.iter().find(|asset| asset.symbol() == "USDC").unwrap().id().clone();
    let limit = Amount::from_atomic(AssetId::micro_usd(), 500_000);
    let mandate = Mandate::new("mail", "ada").session_budget(limit).asset(usdc);
    let opened = Bursar::builder(folder)
        .play_wallet()
        .unwrap()
        .reach_loopback()
        .mandate(mandate)
        .watch_every(None)
        .open();
    let bursar = opened.await.unwrap();
    let session = bursar.session("mail").approve(Approve::Rule).start().await.unwrap();
    let compensators = Compensators::default().with(Arc::new(Recall));
    let options = SagaOptions { compensators, ..SagaOptions::default() };
    let mut saga = session.saga("mails", options).await.unwrap();
    for step in ["first mail", "second mail"] {
        let _: u64 = saga.step(step, Undo::by("recall", json!({})), || async { Ok(0) }).await.unwrap();
    }
    saga.unwind("nobody wants them").await.unwrap();
    bursar.close().await.unwrap();
}

#[test]
fn a_step_that_is_left_to_a_person_is_over_when_a_person_says_so() {
    let home = Home::new();
    wait(leave_a_saga(home.file(".bursar")));
    let listed = home.run(["obligations", "--json"]).json();
    let saga = listed[0]["saga"].as_str().unwrap().to_owned();
    let mut talk = Talk { home: &home, said: String::new() };
    talk.say(3, &[]);
    let word = ["--by", "ada", "--reason", "I called them"];
    let mut say = |code, step: &str| talk.say(code, &[&["settle-step", &saga, step], &word[..]].concat());
    say(0, "first mail");
    say(2, "first mail");
    say(2, "third mail");
    say(0, "second mail");
    say(2, "second mail");
    talk.say(0, &[]);
    insta::assert_snapshot!(talk.said);
    assert_eq!(home.run(["audit", "verify"]).code, 0);
}
