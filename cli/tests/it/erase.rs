//! `bursar audit erase`, as an operator runs it: whole, and killed in the middle.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

use crate::research::QUESTION;
use crate::support::Home;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::path::Path;

/// A home in which an agent bought something, its session, and words that should be gone.
fn bought() -> (Home, String, [String; 2]) {
    let home = Home::new();
    assert_eq!(home.run(["research", QUESTION]).code, 0);
    let payment = &home.payments()[0];
    let word = |name: &str| payment[name].as_str().unwrap().to_owned();
    let (session, resource) = (word("session"), word("resource"));
    let words = [QUESTION.to_owned(), resource];
    assert_eq!(held(&home, &words), words, "what is not there cannot be erased");
    (home, session, words)
}

/// Which of the words stand in any file of the data folder.
fn held(home: &Home, words: &[String; 2]) -> Vec<String> {
    words.iter().filter(|word| holds(&home.file(".bursar"), word)).cloned().collect()
}

fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|found| {
        let path = found.unwrap().path();
        match path.is_dir() {
            true => holds(&path, text),
            false => std::fs::read(&path).unwrap().windows(text.len()).any(|bytes| bytes == text.as_bytes()),
        }
    })
}

#[test]
fn a_session_is_erased_from_every_file_and_what_was_proven_before_stays_proven() {
    let (home, session, words) = bought();
    let key = home.run(["audit", "key"]).stdout.trim().to_owned();
    assert_eq!(home.run(["audit", "prove", "7", "--out", "before"]).code, 0);
    let would = home.run(["audit", "erase", "--session", &session, "--dry-run"]);
    assert_eq!(would.code, 0, "{}", would.stderr);
    assert!(would.stdout.contains("kept "), "a session that lives is kept: {}", would.stdout);
    assert_eq!(held(&home, &words), words, "a dry run changes nothing");

    let told = home.run(["audit", "erase", "--session", &session, "--end", "ada"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.starts_with("erased ") && told.stdout.contains(&session), "{}", told.stdout);
    assert_eq!(held(&home, &words), Vec::<String>::new());

    let verified = home.run(["audit", "verify"]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    assert!(verified.stdout.contains("not re-checkable"), "{}", verified.stdout);
    assert_eq!(home.run(["audit", "check", "before", "--key", &key]).code, 0);
    let payments = home.payments();
    assert!(payments[0]["amount"]["atomic"].is_string(), "{payments:?}");
    let id = payments[0]["id"].as_str().unwrap();
    let explained = home.run(["audit", "explain", id]);
    assert!(explained.stdout.contains("erased, not re-checkable"), "{}", explained.stdout);
    // What is gone cannot be disclosed.
    assert_eq!(home.run(["audit", "prove", id, "--out", "after", "--disclose"]).code, 0);
    let disclosed = |name: &str| name.ends_with(".disclosed");
    let names = std::fs::read_dir(home.file("after")).unwrap();
    assert!(!names.map(|name| name.unwrap().file_name().into_string().unwrap()).any(|name| disclosed(&name)));
}

/// How far the erasure is when it is killed.
#[derive(Debug, Clone, Copy)]
enum At {
    Start,
    /// The ledger has erased, the library may still hold it.
    Begun,
    /// Both have erased.
    Over,
}

impl At {
    fn is_there(self, ledger: &Connection) -> bool {
        let count = |sql: &str| ledger.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let begun = || count("SELECT count(*) FROM streams WHERE name = 'erasures'") > 0;
        match self {
            Self::Start => true,
            Self::Begun => begun(),
            Self::Over => begun() && count("SELECT count(*) FROM links WHERE key = 'erasing'") == 0,
        }
    }
}

#[test]
fn an_erasure_that_is_killed_is_finished_by_the_next_and_loses_nothing_else() {
    for at in [At::Start, At::Begun, At::Over] {
        let (home, session, words) = bought();
        let before = home.payments();
        let mut erasing = home.start(["audit", "erase", "--session", &session, "--end", "ada"]);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let ledger = Connection::open_with_flags(home.file(".bursar/ledger.sqlite"), flags).unwrap();
        while !at.is_there(&ledger) && erasing.child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        // It may have ended by itself: then there is nothing to finish, and the same must hold.
        let _ = erasing.child.kill();
        let _ = erasing.child.wait();
        drop(ledger);

        let verified = home.run(["audit", "verify"]);
        assert_eq!(verified.code, 0, "{at:?}: {}{}", verified.stdout, verified.stderr);
        let again = home.run(["audit", "erase", "--session", &session, "--end", "ada"]);
        assert_eq!(again.code, 0, "{at:?}: {}", again.stderr);
        assert_eq!(held(&home, &words), Vec::<String>::new(), "{at:?}");
        let amounts =
            |payments: &[Value]| payments.iter().map(|one| one["amount"].clone()).collect::<Vec<_>>();
        assert_eq!(amounts(&before), amounts(&home.payments()), "{at:?}: what was paid stays");
        let verified = home.run(["audit", "verify"]);
        assert_eq!(verified.code, 0, "{at:?}: {}{}", verified.stdout, verified.stderr);
    }
}
