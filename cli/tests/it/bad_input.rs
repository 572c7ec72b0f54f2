//! What a user may get wrong: each is told, with the next step, and costs nothing.

use crate::support::{Home, steady};
use std::os::unix::fs::PermissionsExt as _;

/// Every wrong input, with what is said to it.
#[test]
fn bad_input_is_refused_with_its_cause_and_what_to_do() {
    let home = Home::new();
    std::fs::create_dir(home.file("empty")).unwrap();
    std::fs::create_dir(home.file("pictures")).unwrap();
    std::fs::write(home.file("pictures/a.png"), "x").unwrap();
    std::fs::write(home.file("file.md"), "# A file").unwrap();
    std::fs::write(home.file("broken.toml"), "data = 1").unwrap();
    let mut said = String::new();
    for args in [
        vec!["research"],
        vec!["research", "  "],
        vec!["research", "q", "--sources", "empty"],
        vec!["research", "q", "--sources", "pictures"],
        vec!["research", "q", "--sources", "missing"],
        vec!["research", "q", "--sources", "file.md"],
        vec!["research", "q", "--budget", "0"],
        vec!["research", "q", "--budget", "-1"],
        vec!["research", "q", "--budget", "1e9"],
        vec!["research", "q", "--budget", "0.1234567"],
        vec!["research", "q", "--budget", "abc"],
        vec!["research", "q", "--budget", ""],
        vec!["research", "q", "--model", "gpt"],
        vec!["research", "q", "--approve", "maybe"],
        vec!["research", "q", "--frobnicate"],
        vec!["research", "q", "--config", "missing.toml"],
        vec!["research", "q", "--config", "broken.toml"],
        vec!["research", "q", "--config", "broken.toml", "--budget", "1"],
        vec!["market", "--fund", "0x12"],
        vec!["market", "--port-rpc", "70000"],
        vec!["market", "--sources", "missing"],
        vec!["sessions", "--data", "missing"],
        vec!["spend", "--data", "missing"],
        vec!["spend", "--json", "--csv"],
        vec!["obligations", "--data", "missing"],
        vec!["obligations", "settle", "pay_1", "--by", "ada"],
        vec!["obligations", "settle", "pay_1", "--by", " ", "--reason", "x"],
        vec!["obligations", "extend", "pay_1", "--by", "ada", "--reason", "x"],
        vec!["obligations", "extend", "pay_1", "--until", "2026-02-30", "--by", "ada", "--reason", "x"],
        vec!["obligations", "credit", "pay_1"],
        vec!["watch", "--once", "--data", "missing"],
        vec!["watch", "--once", "--every", "5"],
        vec!["watch", "--every", "0"],
        vec!["audit", "verify", "--data", "missing"],
        vec!["frobnicate"],
        vec![],
    ] {
        let ran = home.run(args.iter().copied());
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
        assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("Error {"), "{}", ran.stderr);
        said.push_str(&format!("$ bursar {}\n{}\n", args.join(" "), steady(&ran.stderr)));
    }
    insta::assert_snapshot!(said);
    assert!(!home.file(".bursar").exists(), "a refused command leaves nothing behind");
}

#[test]
fn a_folder_that_may_not_be_read_is_named() {
    let home = Home::new();
    let folder = home.file("locked");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.md"), "# A").unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o000)).unwrap();
    // Whoever may read everything is not refused: then there is nothing to see.
    let refused = std::fs::read_dir(&folder).is_err();
    let ran = home.run(["research", "q", "--sources", "locked"]);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    if refused {
        assert_eq!(ran.code, 2);
        assert!(
            ran.stderr.contains("`locked`") && ran.stderr.contains("that you may read"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_new_wallet_is_encrypted_private_and_never_written_over() {
    let home = Home::new();
    let without = home.run(["wallet", "new"]);
    assert_eq!(without.code, 2);
    assert!(without.stderr.contains("BURSAR_WALLET_PASSWORD"), "{}", without.stderr);
    assert!(!home.file("wallet.json").exists());
    let make = || {
        let mut command = home.command(["wallet", "new"]);
        command.env("BURSAR_WALLET_PASSWORD", "correct horse");
        crate::support::ran(command)
    };
    let made = make();
    assert_eq!(made.code, 0, "{}", made.stderr);
    let kept = std::fs::read_to_string(home.file("wallet.json")).unwrap();
    assert!(kept.contains("\"crypto\"") && made.stdout.contains("address 0x"), "{}", made.stdout);
    #[cfg(unix)]
    {
        let mode = std::fs::metadata(home.file("wallet.json")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    }
    let again = make();
    assert_eq!(again.code, 2, "{}", again.stdout);
    assert_eq!(std::fs::read_to_string(home.file("wallet.json")).unwrap(), kept);
}

/// Well-formed files that say what cannot be meant: each is told with file, cause and next step, by a check that opens nothing.
#[test]
fn a_configuration_that_cannot_be_meant_is_found_by_the_check() {
    let home = Home::new();
    home.run(["init"]);
    let good = std::fs::read_to_string(home.file("bursar.toml")).unwrap();
    let mut said = String::new();
    for (from, to) in [
        ("limit = \"2.00\"", "limit = \"lots\""),
        ("network = \"eip155:84532\"", "network = \"base\""),
        ("rpc = [\"https://sepolia.base.org\"]", "rpc = [\"sepolia\"]"),
        ("data = \".bursar\"", "data = \".bursar\"\ntwo_readers_above = \"x\""),
        ("keystore = \"wallet.json\"", "keystor = \"wallet.json\""),
        ("keystore = \"wallet.json\"", "keystore = \"wallet.json\"\nkey_env = \"K\""),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(home.file("bursar.toml"), good.replacen(from, to, 1)).unwrap();
        let ran = home.run(["policy", "check"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{to}");
        said.push_str(&format!("{to}\n{}\n", ran.stderr));
    }
    std::fs::write(home.file("bursar.toml"), good).unwrap();
    let deep = format!(
        "@id(\"d\")\nforbid (principal, action, resource) when {{ {}true{} }};",
        "(".repeat(5_000),
        ")".repeat(5_000)
    );
    std::fs::write(home.file("deep.cedar"), deep).unwrap();
    let ran = home.run(["policy", "check", "deep.cedar"]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    said.push_str(&ran.stderr);
    insta::assert_snapshot!("configuration_that_cannot_be_meant", said);
}
