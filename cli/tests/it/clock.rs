//! `bursar clock`: a clock that had once been far ahead, and the way back.

use crate::interrupt::Outside;
use crate::research::QUESTION;
use crate::support::ran;
use bursar::ledger::{Ledger, NewEntry, SqliteOptions, SqliteStore, StreamId, Transaction};
use bursar::types::{ManualClock, SeededEntropy, Timestamp};
use std::sync::Arc;

const OTHER_QUESTION: &str = "What is a saga?";
/// The year 2100.
const AHEAD_MS: u64 = 4_102_444_800_000;

/// Writes an entry by a clock that is far ahead.
fn written_ahead(outside: &Outside) {
    let mark = outside.home.file(".bursar.mark");
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(AHEAD_MS)));
    let data = outside.home.file(".bursar/ledger.sqlite");
    let options = SqliteOptions::new(data, mark, clock, Arc::new(SeededEntropy::new(1)));
    let ledger = Ledger::new(Arc::new(SqliteStore::open(options).unwrap()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = StreamId::new("notes").unwrap();
        let entry = NewEntry { stream, kind: "note.made".into(), body: "the clock was wrong".into() };
        ledger.commit(Transaction { entries: vec![entry], ..Transaction::default() }).await.unwrap();
        ledger.close().await.unwrap();
    });
}

#[test]
fn a_clock_that_had_once_been_ahead_stops_spending_until_an_operator_says_which_is_right() {
    let outside = Outside::new();
    let research = |question: &str| ran(outside.with_config(&["research", question, "--json"]));
    assert_eq!(research(QUESTION).code, 0);
    let bursar = |args: &[&str]| {
        let told = outside.home.run(args.iter().copied());
        (told.code, told.stdout + &told.stderr)
    };
    let (code, told) = bursar(&["clock"]);
    assert!(code == 0 && told.contains("the journal was written last at 20"), "{code} {told}");
    let word = ["--accept", "--by", "ada", "--reason", "the battery was empty"];
    let (code, told) = bursar(&[&["clock"], &word[..]].concat());
    assert!(code != 0 && told.contains("nothing to turn back"), "{code} {told}");

    written_ahead(&outside);
    let paid = outside.home.transfers("chain.jsonl").len();
    let refused = research(OTHER_QUESTION);
    assert!(refused.stdout.contains("CLOCK_BEHIND"), "{}{}", refused.stdout, refused.stderr);
    assert_eq!(outside.home.transfers("chain.jsonl").len(), paid, "nothing was paid");
    let (code, told) = bursar(&["clock"]);
    assert!(code == 1 && told.contains("2100-01-01") && told.contains("--accept"), "{code} {told}");
    assert_eq!(bursar(&["clock", "--accept"]).0, 2);

    let (code, told) = bursar(&[&["clock"], &word[..]].concat());
    assert!(code == 0 && told.contains("turned back from 2100-01-01"), "{code} {told}");
    let (code, told) = bursar(&["audit", "verify"]);
    assert!(
        code == 0 && told.contains("the journal's time was turned back from 2100-01-01"),
        "{code} {told}"
    );
    let goes_on = research(OTHER_QUESTION);
    assert_eq!(goes_on.code, 0, "{}{}", goes_on.stdout, goes_on.stderr);
    assert!(!goes_on.stdout.contains("CLOCK_BEHIND"), "{}", goes_on.stdout);
    assert!(outside.home.transfers("chain.jsonl").len() > paid, "spending goes on");
    assert_eq!(bursar(&["audit", "verify"]).0, 0);
}
