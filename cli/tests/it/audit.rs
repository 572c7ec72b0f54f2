//! The published log as its users meet it: checkpoints, witnesses, proofs.

use crate::interrupt::Outside;
use crate::research::QUESTION;
use crate::support::{Home, Ran, Running, ran};
use bursar::proof::{Checkpoint, Disclosure, Inclusion, KeyKind, NoteKey, ProofFile, leaf_hash};
use std::path::Path;

const NOTE: &str = "# Gas\n\nThe submitter of a token transfer pays the gas.\n";
const ASK: &str = "Who pays the gas of a token transfer?";

fn done(home: &Home, args: &[&str]) -> String {
    let told = home.run(args.iter().copied());
    assert_eq!(told.code, 0, "{args:?}: {}{}", told.stdout, told.stderr);
    told.stdout
}

fn file(home: &Home, name: &str) -> String {
    std::fs::read_to_string(home.file(name)).unwrap()
}

/// The size in the published checkpoint.
fn published(home: &Home) -> u64 {
    file(home, ".bursar/log/checkpoint").lines().nth(1).unwrap().parse().unwrap()
}

/// A witness of this log in a process of its own, its address, and its public key.
fn witness(home: &Home, log: &str) -> (Running, String, String) {
    let args = ["witness", "--listen", "127.0.0.1:0", "--key", "witness.key", "--state", "witness"];
    let mut running = home.start(args.into_iter().chain(["--name", "witness.example", "--log", log]));
    let line = running.until("cosigns at ");
    let mut words = line.split_whitespace();
    let address = words.nth(2).unwrap().to_owned();
    (running, address, words.nth(1).unwrap().to_owned())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Replaces a folder by a copy of another.
fn put_back(copied: &Path, folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
    copy(copied, folder);
}

#[test]
fn a_run_is_published_and_an_entry_of_it_proven_with_the_public_key_alone() {
    let home = Home::new();
    assert_eq!(home.run(["research", QUESTION]).code, 0);
    assert!(published(&home) > 10, "closing publishes");
    let again = done(&home, &["audit", "checkpoint"]);
    assert!(again.starts_with("nothing happened since: "), "{again}");
    let key = done(&home, &["audit", "key"]).trim().to_owned();

    let payment = home.payments()[0]["id"].as_str().unwrap().to_owned();
    done(&home, &["audit", "prove", &payment, "--out", "proofs"]);
    done(&home, &["audit", "prove", "0", "--out", "first"]);
    let elsewhere = Home::new();
    copy(&home.file("proofs"), &elsewhere.file("proofs"));
    std::fs::copy(home.file("first"), elsewhere.file("first")).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(elsewhere.file("proofs"))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    names.sort();
    assert!(names.len() >= 4, "{names:?}");
    for name in names.iter().map(String::as_str).chain(["first"]) {
        let told = done(&elsewhere, &["audit", "check", name, "--key", &key]);
        assert!(told.contains("proven: entry "), "{told}");
    }
    let told = done(&elsewhere, &["audit", "check", &names[0], "--key", &key]);
    assert!(told.contains("payment.held") && told.contains(&payment), "{told}");

    // What an entry keeps back is shown to whom the operator chooses, and is what the entry speaks of.
    let hidden = &names[0];
    let plain = done(&elsewhere, &["audit", "check", hidden, "--key", &key]);
    done(&home, &["audit", "prove", &payment, "--out", "shown", "--disclose"]);
    copy(&home.file("shown"), &elsewhere.file("shown"));
    let shown: Vec<String> = std::fs::read_dir(elsewhere.file("shown"))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|name| name.ends_with(".disclosed"))
        .collect();
    assert_eq!(shown.len(), names.len());
    let stem = |name: &str| Path::new(name).file_stem().map(std::ffi::OsStr::to_owned);
    let (its, others): (Vec<&String>, Vec<&String>) =
        shown.iter().partition(|name| stem(name) == stem(hidden));
    let told = done(&elsewhere, &["audit", "check", hidden, "--key", &key, "--disclosed", its[0]]);
    assert!(told.contains("disclosed, and what the entry speaks of"), "{told}");
    assert!(!plain.contains("http://") && told.contains("http://"), "{plain} {told}");
    let told = elsewhere.run(["audit", "check", hidden, "--key", &key, "--disclosed", others[0]]);
    assert!(
        told.code == 1 && told.stdout.contains("no entry that was proven speaks of this"),
        "{}",
        told.stdout
    );
    let text = std::fs::read_to_string(its[0]).unwrap();
    let (head, bytes) = text.rsplit_once("\ney").unwrap();
    std::fs::write(elsewhere.file("changed"), format!("{head}\nex{bytes}")).unwrap();
    let told = elsewhere.run(["audit", "check", hidden, "--key", &key, "--disclosed", "changed"]);
    assert_eq!(told.code, 1, "{}", told.stdout);

    // The folder is taken as it was written.
    let whole = done(&elsewhere, &["audit", "check", "shown", "--key", &key, "--disclosed", "shown"]);
    assert_eq!(whole.matches("proven: entry ").count(), names.len(), "{whole}");
    assert_eq!(whole.matches("disclosed, and what the entry speaks of").count(), names.len(), "{whole}");
    let none = elsewhere.run(["audit", "check", "proofs", "--key", &key, "--disclosed", "proofs"]);
    assert!(none.code == 2 && none.stderr.contains("no `.disclosed` file in it"), "{}", none.stderr);

    // Another log's key, a witness that never saw it, and what is no proof.
    let stranger = Home::new();
    stranger.run(["research", "What is nothing?", "--approve", "never"]);
    let other = done(&stranger, &["audit", "key"]).trim().to_owned();
    let check = |args: &[&str]| {
        let told = elsewhere.run([&["audit", "check"], args].concat());
        (told.code, told.stdout + &told.stderr)
    };
    let (code, told) = check(&["first", "--key", &other]);
    assert!(code == 1 && told.contains("not proven"), "{code} {told}");
    let (code, told) = check(&["first", "--key", &key, "--witness", &key]);
    assert!(code == 1 && told.contains("not proven"), "{code} {told}");
    assert_eq!(check(&["first", "--key", "example.com+1+2"]).0, 2);
    assert_eq!(check(&["nowhere", "--key", &key]).0, 2);
    for what in ["999999", "pay_0", "x"] {
        assert_eq!(home.run(["audit", "prove", what]).code, 2, "{what}");
    }
}

#[test]
fn no_bit_of_a_proof_can_be_flipped() {
    let home = Home::new();
    assert_eq!(home.run(["research", QUESTION]).code, 0);
    let key = done(&home, &["audit", "key"]).trim().to_owned();
    let proof = done(&home, &["audit", "prove", "7"]).into_bytes();
    let mut names = Vec::new();
    for at in (0..proof.len()).step_by(13) {
        let mut flipped = proof.clone();
        flipped[at] ^= 1 << (at % 7);
        let name = format!("flipped-{at}");
        std::fs::write(home.file(&name), flipped).unwrap();
        names.push(name);
    }
    let told =
        home.run(["audit", "check", "--key", &key].into_iter().chain(names.iter().map(String::as_str)));
    assert_eq!(told.code, 1);
    let refused = told.stdout.lines().filter(|line| line.contains(": not proven: ")).count();
    assert_eq!(refused, names.len(), "{}", told.stdout);
}

/// A configuration that buys from a market elsewhere, with a witness, after one run.
fn witnessed() -> (Outside, Running, String) {
    let outside = Outside::selling(NOTE);
    outside.configure(|config| config.replacen("[mandate]", "[audit]\nevery = \"100ms\"\n\n[mandate]", 1));
    // The first run makes the data folder and buys nothing.
    ran(outside.with_config(&["research", "What is nothing?", "--approve", "never"]));
    let log = done(&outside.home, &["audit", "key", "--config", "bursar.toml"]).trim().to_owned();
    let (running, address, key) = witness(&outside.home, &log);
    outside.configure(|config| {
        let witness = format!("[[audit.witness]]\nurl = \"{address}\"\nkey = \"{key}\"\n\n[mandate]");
        config.replacen("[mandate]", &witness, 1)
    });
    (outside, running, key)
}

fn ask(outside: &Outside) -> Ran {
    ran(outside.with_config(&["research", ASK]))
}

#[test]
fn a_witness_cosigns_what_a_run_did_and_its_word_is_in_the_proof() {
    let (outside, running, witness) = witnessed();
    let home = &outside.home;
    let asked = ask(&outside);
    assert_eq!(asked.code, 0, "{}{}", asked.stdout, asked.stderr);
    let checkpoint = file(home, ".bursar/log/checkpoint");
    assert!(checkpoint.contains("\u{2014} witness.example "), "{checkpoint}");
    let log = done(home, &["audit", "key", "--config", "bursar.toml"]).trim().to_owned();
    done(home, &["audit", "prove", "3", "--config", "bursar.toml", "--out", "proof"]);
    let told = done(home, &["audit", "check", "proof", "--key", &log, "--witness", &witness]);
    assert!(told.contains("cosigned ") && told.contains("by witness.example"), "{told}");
    let verified = done(home, &["audit", "verify", "--config", "bursar.toml"]);
    for told in ["the journal verifies", "witness.example cosigned it", "witness witness.example keeps "] {
        assert!(verified.contains(told), "{told}: {verified}");
    }

    // The witness is away: nothing stands still.
    drop(running);
    let away = home.run(["audit", "checkpoint", "--config", "bursar.toml"]);
    assert_eq!(away.code, 0, "{}{}", away.stdout, away.stderr);
    assert!(done(home, &["freeze"]).starts_with("nothing is frozen"));
}

#[test]
fn a_data_folder_put_back_whole_is_told_by_the_witness_and_pays_nothing() {
    let (outside, _witness, _) = witnessed();
    let home = &outside.home;
    // Everything on this machine is as before the purchase: journal, log, history and high-water mark.
    let (data, before) = (home.file(".bursar"), home.file("before"));
    done(home, &["audit", "checkpoint", "--config", "bursar.toml"]);
    copy(&data, &before);
    let mark = std::fs::read(home.file(".bursar.mark")).unwrap();
    assert_eq!(ask(&outside).code, 0);
    assert_eq!(home.transfers("chain.jsonl").len(), 1);
    put_back(&before, &data);
    std::fs::write(home.file(".bursar.mark"), mark).unwrap();

    let asked = ask(&outside);
    assert_ne!(asked.code, 0, "{}", asked.stdout);
    assert!(asked.stderr.contains("an old copy of the data file was put back"), "{}", asked.stderr);
    assert_eq!(home.transfers("chain.jsonl").len(), 1, "nothing is paid twice");
    let frozen = done(home, &["freeze"]);
    assert!(frozen.contains("the audit") && frozen.contains("witness witness.example"), "{frozen}");
    // It holds for the next process, and a process that asks no witness.
    outside.configure(|config| {
        let (head, rest) = config.split_once("[[audit.witness]]").unwrap();
        format!("{head}[mandate]{}", rest.split_once("[mandate]").unwrap().1)
    });
    ask(&outside);
    assert_eq!(home.transfers("chain.jsonl").len(), 1);
}

#[test]
fn a_journal_that_is_not_what_was_published_stops_paying_until_a_person_looked() {
    let outside = Outside::selling(NOTE);
    ran(outside.with_config(&["research", "What is nothing?", "--approve", "never"]));
    let home = &outside.home;
    // Another journal in the place of the one that was published, with the same key: as if somebody rewrote it.
    let other = Outside::selling(NOTE);
    ran(other.with_config(&["research", "What is something?", "--approve", "never"]));
    let key = file(home, ".bursar/log.key");
    let (log, kept) = (home.file(".bursar/log"), home.file("kept"));
    copy(&log, &kept);
    let place = format!("origin = \"{}\"\n", key.split('+').nth(2).unwrap());
    for name in ["ledger.sqlite", "library.sqlite"] {
        std::fs::copy(other.home.file(".bursar").join(name), home.file(".bursar").join(name)).unwrap();
    }
    for name in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(home.file(".bursar").join(name));
    }
    std::fs::write(home.file(".bursar/log.place"), place).unwrap();
    std::fs::copy(other.home.file(".bursar.mark"), home.file(".bursar.mark")).unwrap();

    let told = home.run(["audit", "checkpoint"]);
    assert_eq!(told.code, 1, "{}{}", told.stdout, told.stderr);
    assert!(told.stdout.contains("ALARM") && told.stdout.contains("nothing was signed"), "{}", told.stdout);
    ask(&outside);
    assert!(home.transfers("chain.jsonl").is_empty());
    assert_eq!(
        file(home, ".bursar/log/checkpoint"),
        std::fs::read_to_string(kept.join("checkpoint")).unwrap()
    );
    // A person has seen it: the same alarm does not overrule them.
    done(home, &["thaw", "all", "--by", "ada", "--reason", "the other file is the right one"]);
    ask(&outside);
    assert_eq!(home.transfers("chain.jsonl").len(), 1);
}

#[test]
fn verify_compares_the_journal_with_all_that_was_published_of_it() {
    let outside = Outside::selling(NOTE);
    let home = &outside.home;
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        assert!(git.arg("-C").arg(home.file("kept")).args(args).output().unwrap().status.success());
    };
    std::fs::create_dir(home.file("kept")).unwrap();
    git(&["init", "--quiet"]);
    outside.configure(|config| {
        let audit = "[audit]\norigin = \"example.com/agents\"\nlog = \"www\"\nkey = \"keys/log.key\"\nevery = \"off\"\n\
                     anchor = [{ file = \"elsewhere/checkpoint\" }, { git = \"kept\" }]\n\n[mandate]";
        config.replacen("[mandate]", audit, 1)
    });
    assert_eq!(ask(&outside).code, 0);
    let verified = done(home, &["audit", "verify", "--config", "bursar.toml"]);
    for told in [
        "the published log verifies: its last checkpoint is of ",
        "example.com/agents+",
        "elsewhere/checkpoint keeps ",
        "git ",
    ] {
        assert!(verified.contains(told), "{told}: {verified}");
    }
    // Whoever knows the folder alone finds the same log; an auditor brings the key and what was kept.
    let key = done(home, &["audit", "key"]).trim().to_owned();
    assert!(key.starts_with("example.com/agents+"), "{key}");
    let told = done(home, &["audit", "verify", "--key", &key, "--checkpoint", "elsewhere/checkpoint"]);
    assert!(told.contains("elsewhere/checkpoint keeps "), "{told}");

    let problem = |args: &[&str], expected: &str| {
        let told = home.run([&["audit", "verify", "--config", "bursar.toml"], args].concat());
        assert!(
            told.code == 1 && told.stdout.contains(expected),
            "{expected}: {}{}",
            told.stdout,
            told.stderr
        );
    };
    let history = std::fs::read(home.file("www/history")).unwrap();
    let flip = |name: &str, at: usize, expected: &str| {
        let good = std::fs::read(home.file(name)).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 4;
        std::fs::write(home.file(name), bad).unwrap();
        problem(&[], expected);
        std::fs::write(home.file(name), good).unwrap();
    };
    flip("www/checkpoint", 30, "the published checkpoint");
    let size: usize = file(home, "www/checkpoint").lines().nth(1).unwrap().parse().unwrap();
    flip(&format!("www/tile/0/000.p/{size}"), 3, "is not what the journal has there");
    flip(&format!("www/tile/entries/000.p/{size}"), 3, "is not what the journal has there");
    flip("www/history", history.len() / 2, "of the log's history");
    flip("elsewhere/checkpoint", 40, "elsewhere/checkpoint");
    std::fs::write(home.file("www/history"), "").unwrap();
    problem(&[], "is not in the log's history");
    std::fs::write(home.file("www/history"), &history).unwrap();
    // An old checkpoint shown as the newest: it is genuine, and all that it says is so.
    let old = file(home, "www/checkpoint");
    for question in ["What is nothing?", "What is something?"] {
        ran(outside.with_config(&["research", question, "--approve", "never"]));
        done(home, &["audit", "checkpoint", "--config", "bursar.toml"]);
    }
    done(home, &["audit", "verify", "--config", "bursar.toml"]);
    std::fs::write(home.file("www/checkpoint"), old).unwrap();
    problem(&[], "is an old one, shown again");
    done(home, &["audit", "checkpoint", "--config", "bursar.toml"]);
    problem(&["--witness", "http://127.0.0.1:1"], "witness at http://127.0.0.1:1");
    done(home, &["audit", "verify"]);
}

/// A log of one entry with these bytes, signed like any other, as a proof of it.
fn log_of_one(home: &Home, name: &str, leaf: &str) -> String {
    let key = NoteKey::from_seed("example.com/liar", KeyKind::Log, &[7; 32]).unwrap();
    let checkpoint =
        Checkpoint { origin: "example.com/liar".to_owned(), size: 1, root: leaf_hash(leaf.as_bytes()) };
    let proof = ProofFile {
        extra: Some(leaf.as_bytes().to_vec()),
        inclusion: Inclusion { index: 0, hashes: Vec::new() },
        checkpoint: checkpoint.sign(&key).unwrap(),
    };
    std::fs::write(home.file(name), proof.to_string()).unwrap();
    key.verifier().to_string()
}

#[test]
fn bytes_that_two_readers_read_in_two_ways_prove_nothing() {
    let home = Home::new();
    let leaf = |body: &str| {
        format!(r#"{{"at":0,"body":{body},"kind":"k","sequence":0,"stream":"s","stream_sequence":0}}"#)
    };
    let key = log_of_one(&home, "plain", &leaf(r#"{"atomic":"1"}"#));
    let told = done(&home, &["audit", "check", "plain", "--key", &key]);
    assert!(told.contains("proven: entry 0 of 1"), "{told}");
    let spaced = leaf(r#"{"atomic":"1"}"#).replacen('{', "{ ", 1);
    for (name, text) in [
        ("twice", leaf(r#"{"atomic":"1","atomic":"9"}"#)),
        ("order", leaf(r#"{"b":1,"a":1}"#)),
        ("number", leaf(r#"{"atomic":90071992547409931}"#)),
        ("escape", leaf(r#"{"atomic":"\u0031"}"#)),
        ("spaced", spaced),
    ] {
        log_of_one(&home, name, &text);
        let told = home.run(["audit", "check", name, "--key", &key]);
        assert!(told.code == 1 && told.stdout.contains("not proven: "), "{name}: {}", told.stdout);
    }

    // What is disclosed is shown as it was committed to: a key that is there twice is shown twice.
    let bytes = br#"{"price":"1","to":"a\"b","price":"9","exact":1.00000000000000000001}"#.to_vec();
    let shown = Disclosure { salt: [3; 16], bytes };
    std::fs::write(home.file("shown"), shown.to_string()).unwrap();
    let detail = shown.commitment().0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    log_of_one(&home, "discloses", &leaf(&format!(r#"{{"detail":"{detail}"}}"#)));
    let told = done(&home, &["audit", "check", "discloses", "--key", &key, "--disclosed", "shown"]);
    for line in [r#""price": "1""#, r#""price": "9""#, r#""to": "a\"b""#, "1.00000000000000000001"] {
        assert!(told.contains(line), "{line}: {told}");
    }

    // Whoever hands a proof over has named its file too.
    let name = "x: proven: entry 7\n\u{1b}[2Kproven";
    std::fs::write(home.file(name), "nothing").unwrap();
    let told = home.run(["audit", "check", name, "--key", &key]);
    assert!(
        told.code == 1 && told.stdout.lines().count() == 1 && !told.stdout.contains('\u{1b}'),
        "{}",
        told.stdout
    );
}

#[test]
fn a_key_that_nothing_is_signed_under_verifies_nothing() {
    let home = Home::new();
    assert_eq!(home.run(["research", QUESTION]).code, 0);
    let key = done(&home, &["audit", "key"]).trim().to_owned();
    done(&home, &["audit", "verify", "--key", &key]);
    // Whoever rewrites the journal takes away what was published of it.
    std::fs::remove_dir_all(home.file(".bursar/log")).unwrap();
    let told = home.run(["audit", "verify", "--key", &key]);
    assert!(
        told.code == 1 && told.stdout.contains("there is no checkpoint under the key"),
        "{}",
        told.stdout
    );
    let told = done(&home, &["audit", "verify"]);
    assert!(told.contains("nothing was published yet") && !told.contains("log verifies"), "{told}");
}
