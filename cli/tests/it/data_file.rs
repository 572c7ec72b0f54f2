//! Data files that are locked, damaged, from the future, or in use.

use crate::research::QUESTION;
use crate::support::{Home, steady};
use rusqlite::Connection;

/// A folder in which something was asked once.
fn used() -> Home {
    let home = Home::new();
    let ran = home.run(["research", QUESTION]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    home
}

fn said(home: &Home, args: &[&str]) -> String {
    let ran = home.run(args.iter().copied());
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let folder = home.path().canonicalize().unwrap();
    let stderr = ran.stderr.replace(&folder.display().to_string(), "<home>");
    steady(&stderr.replace(&home.path().display().to_string(), "<home>"))
}

#[test]
fn a_locked_data_file_is_told_and_nothing_is_lost() {
    let home = used();
    let before = home.payments();
    let other = Connection::open(home.file(".bursar/ledger.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    insta::assert_snapshot!(said(&home, &["research", "What is a mandate?"]));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(home.payments(), before);
    assert_eq!(home.run(["audit", "verify"]).code, 0);
}

#[test]
fn a_corrupt_data_file_is_told_and_left_as_it_is() {
    let home = used();
    let file = home.file(".bursar/ledger.sqlite");
    for extra in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(home.file(".bursar").join(extra));
    }
    std::fs::write(&file, "this is no database, and it is long enough to be looked at").unwrap();
    let mut text = String::new();
    for args in [vec!["research", QUESTION], vec!["sessions"], vec!["spend"]] {
        text.push_str(&said(&home, &args));
    }
    let audit = home.run(["audit", "verify"]);
    assert_eq!(audit.code, 1);
    assert!(audit.stdout.starts_with("the journal does not verify\n"), "{}", audit.stdout);
    insta::assert_snapshot!(text);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("this is no database"));
}

#[test]
fn a_data_file_of_a_newer_bursar_is_told() {
    let home = used();
    let other = Connection::open(home.file(".bursar/ledger.sqlite")).unwrap();
    other.pragma_update(None, "user_version", 999).unwrap();
    drop(other);
    insta::assert_snapshot!(said(&home, &["research", QUESTION]));
}

#[test]
fn a_chain_that_was_changed_is_told() {
    let home = used();
    let file = home.file(".bursar/chain.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\"value\":\"", "\"value\":\"9", 2)).unwrap();
    let text = said(&home, &["research", QUESTION]);
    assert!(text.contains("chain.jsonl`: line") && text.contains("damaged"), "{text}");
}

#[test]
fn a_restored_old_data_file_does_not_forget_spending() {
    let home = used();
    let file = home.file(".bursar/ledger.sqlite");
    let flush = Connection::open(&file).unwrap();
    flush.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(flush);
    let old = std::fs::read(&file).unwrap();
    assert_eq!(home.run(["research", "What is a saga?"]).code, 0);
    for extra in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(home.file(".bursar").join(extra));
    }
    std::fs::write(&file, old).unwrap();
    let text = said(&home, &["research", QUESTION]);
    assert!(text.contains("was rolled back") && text.contains("next: put the newer file back"), "{text}");
}

#[test]
fn two_runs_at_once_in_one_folder_do_not_share_a_chain() {
    let home = used();
    let file = std::fs::File::options().append(true).open(home.file(".bursar/chain.jsonl")).unwrap();
    file.lock().unwrap();
    let text = said(&home, &["research", QUESTION]);
    assert!(text.contains("another market has it open"), "{text}");
}

#[test]
fn a_chain_that_was_forgotten_does_not_agree_with_the_ledger() {
    let home = used();
    std::fs::remove_file(home.file(".bursar/chain.jsonl")).unwrap();
    let ran = home.run(["research", QUESTION]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("chain     differs: 0 USDC left the wallet in all, and the ledger says"),
        "{}",
        ran.stdout
    );
}
