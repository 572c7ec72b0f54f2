//! `bursar init` and `bursar policy`, with real files and real purchases.

use crate::interrupt::Outside;
use crate::support::{Home, ran, steady};
use std::path::Path;

const NOTE: &str = "# Gas\n\nThe submitter of a token transfer pays the gas.\n";
const QUESTION: &str = "Who pays the gas of a token transfer?";

fn write(home: &Home, name: &str, text: &str) {
    let path = home.file(name);
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Runs commands and keeps what they said, without what differs from run to run.
fn talk(home: &Home, rows: &[(i32, &[&str])]) -> String {
    let mut said = String::new();
    for (code, args) in rows {
        let ran = home.run(args.iter().copied());
        assert_eq!(ran.code, *code, "{args:?}: {}{}", ran.stdout, ran.stderr);
        said.push_str(&steady(&format!("$ bursar {}\n{}{}", args.join(" "), ran.stdout, ran.stderr)));
    }
    said
}

#[test]
fn a_project_is_begun_once_and_written_over_only_by_force() {
    let home = Home::new();
    write(&home, ".gitignore", "target/\n.bursar/");
    let said = talk(
        &home,
        &[
            (0, &["init"]),
            (2, &["init"]),
            (0, &["policy", "check"]),
            (0, &["init", "--force"]),
            (0, &["init", "sub"]),
        ],
    );
    insta::assert_snapshot!(said);
    let ignored = std::fs::read_to_string(home.file(".gitignore")).unwrap();
    assert_eq!(ignored, "target/\n.bursar/\n.bursar.mark\nwallet.json\nwallet.json.ledger\n");
    assert!(home.file("sub/policies/house.cedar").exists());
}

#[test]
fn what_init_wrote_governs_a_real_purchase() {
    let outside = Outside::selling(NOTE);
    let market = std::fs::read_to_string(outside.home.file("bursar.toml")).unwrap();
    assert_eq!(outside.home.run(["init", "--force"]).code, 0);
    // The market's network, asset and wallet in place of Base Sepolia's; everything else is as init wrote it.
    let field = |name: &str| {
        let line = market.lines().find(|line| line.starts_with(name)).unwrap();
        line.split('"').nth(1).unwrap().to_owned()
    };
    outside.configure(|config| {
        let asset = market.split("[[asset]]").nth(1).unwrap().split("[mandate]").next().unwrap();
        let config = config
            .replace("https://sepolia.base.org\"]", &format!("{}\"]\nfinality = \"latest\"", field("rpc = ")))
            .replace("eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e", &field("id = "))
            .replace("eip155:84532", &field("network = "))
            .replace("keystore = \"wallet.json\"", "key_env = \"BURSAR_KEY\"")
            .replace(
                "data = \".bursar\"",
                &format!("data = \".bursar\"\ndiscovery = [\"{}\"]", field("discovery = ")),
            );
        format!("{config}\n[network_access]\nloopback = true\n[[asset]]{asset}")
    });
    let checked = outside.home.run(["policy", "check"]);
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    let asked = ran(outside.with_config(&["research", QUESTION]));
    assert_eq!(asked.code, 0, "{}\n{}", asked.stdout, asked.stderr);
    let payments = outside.home.payments();
    assert_eq!(payments.len(), 1, "{payments:#?}");
    let id = payments[0]["id"].as_str().unwrap();

    let explain = ["policy", "explain", id, "--config", "bursar.toml"];
    let told = outside.home.run(explain);
    for words in [
        "rule plan.allow (plan.cedar, line",
        "rule pay.allow (pay.cedar, line",
        "covered = true",
        "approved by rule",
    ] {
        assert!(told.stdout.contains(words), "{words}: {}{}", told.stdout, told.stderr);
    }
    let lines = outside.home.run(explain.into_iter().chain(["--json"])).json();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let own = &lines[1];
    assert_eq!(
        (&own["rules"][0]["id"], &own["rules"][0]["changed_since"]),
        (&"pay.allow".into(), &false.into())
    );
    assert_eq!(own["facts"]["action"], "pay");
    assert_eq!(outside.home.run(["policy", "explain", "pay_0000"]).code, 2);

    // Rules that were changed since: the session goes on under them when an operator says so.
    let session = payments[0]["session"].as_str().unwrap();
    write(
        &outside.home,
        "policies/house.cedar",
        "@id(\"house.none\") forbid (principal, action == Action::\"pay\", resource);",
    );
    let refused = ran(outside.with_config(&["resume", session]));
    assert!(
        refused.code == 2 && refused.stderr.contains("POLICY_CHANGED"),
        "{}{}",
        refused.stdout,
        refused.stderr
    );
    let told = outside.home.run(explain);
    assert!(!told.stdout.contains("another text"), "no rule of that file decided: {}", told.stdout);
    let accept = outside.home.run(["policy", "accept", session, "--config", "bursar.toml", "--by", "olga"]);
    assert_eq!(accept.code, 0, "{}", accept.stderr);
    let resumed = ran(outside.with_config(&["resume", session]));
    assert_eq!(resumed.code, 0, "{}{}", resumed.stdout, resumed.stderr);
}

#[test]
fn examples_that_hold_or_do_not_and_files_that_cannot_be_loaded_end_in_0_1_and_2() {
    let home = Home::new();
    write(
        &home,
        "good.cedar",
        "// Nothing dear.\n// @example deny action=pay micro_usd=1001\n// @example allow action=pay micro_usd=1000\n\
         @id(\"good.dear\") forbid (principal, action == Action::\"pay\", resource) when { context.micro_usd > 1000 };\n",
    );
    write(
        &home,
        "wrong.cedar",
        "// @example allow action=pay host=evil.example\n// @example deny action=quote\n\
         @id(\"wrong.host\") forbid (principal, action == Action::\"pay\", resource) when { context.host == \"evil.example\" };\n",
    );
    write(&home, "text.cedar", "REQUIRE APPROVAL FOR * WHEN cost ABOVE 0.50\n");
    write(
        &home,
        "field.cedar",
        "@id(\"a\")\nforbid (principal, action == Action::\"pay\", resource) when { context.cost > 1 };\n",
    );
    write(
        &home,
        "twice.cedar",
        "@id(\"good.dear\") forbid (principal, action == Action::\"pay\", resource);\n",
    );
    write(&home, "empty.cedar", "// Rules to come.\n");
    write(
        &home,
        "example.cedar",
        "// @example deny action=pay cost=1\n@id(\"b\") forbid (principal, action == Action::\"pay\", resource);\n",
    );
    let said = talk(
        &home,
        &[
            (0, &["policy", "check", "good.cedar", "bursar:review", "bursar:roles"]),
            (1, &["policy", "check", "wrong.cedar", "good.cedar"]),
            (2, &["policy", "check", "text.cedar"]),
            (2, &["policy", "check", "field.cedar"]),
            (2, &["policy", "check", "good.cedar", "twice.cedar"]),
            (2, &["policy", "check", "empty.cedar"]),
            (2, &["policy", "check", "example.cedar"]),
            (2, &["policy", "check", "none.cedar"]),
            (2, &["policy", "check", "bursar:none"]),
            (2, &["policy", "check"]),
        ],
    );
    insta::assert_snapshot!(said);
}

#[test]
fn what_a_file_would_have_decided_is_told_with_money() {
    let outside = Outside::selling(NOTE);
    let asked = ran(outside.with_config(&["research", QUESTION]));
    assert_eq!(asked.code, 0, "{}\n{}", asked.stdout, asked.stderr);
    let home = &outside.home;
    write(home, "none.cedar", "@id(\"none.pay\") forbid (principal, action == Action::\"pay\", resource);\n");
    write(
        home,
        "same.cedar",
        "@id(\"same.never\") forbid (principal, action == Action::\"pay\", resource) when { context.micro_usd > 900000 };\n",
    );
    let replay = |file: &'static str| home.run(["policy", "replay", file, "--days", "1"]);
    let told = replay("none.cedar");
    assert_eq!(told.code, 0, "{}", told.stderr);
    for words in ["1 of 2 decisions", "none.pay", "paid or planned, and would be denied"] {
        assert!(told.stdout.contains(words), "{words}: {}", told.stdout);
    }
    let told = replay("bursar:review");
    assert!(told.stdout.contains("review.first-time-vendor"), "{}{}", told.stdout, told.stderr);
    let told = replay("same.cedar");
    assert_eq!(told.stdout, "0 of 2 decisions of the last 1 days would be others under `same.cedar`\n");
    let lines = home.run(["policy", "replay", "none.cedar", "--json"]).json();
    assert_eq!((lines.len(), &lines[0]["would"]["rules"][0]), (1, &"none.pay".into()), "{lines:#?}");
}

#[test]
fn a_rule_that_is_tried_out_is_explained_and_stops_nothing() {
    let outside = Outside::selling(NOTE);
    write(
        &outside.home,
        "trial.cedar",
        "// Nothing is bought.\n@id(\"trial.none\") forbid (principal, action == Action::\"pay\", resource);\n",
    );
    outside.configure(|config| format!("{config}\n[[policy]]\nfile = \"trial.cedar\"\nshadow = true\n"));
    let asked = ran(outside.with_config(&["research", QUESTION]));
    assert_eq!(asked.code, 0, "{}\n{}", asked.stdout, asked.stderr);
    let payments = outside.home.payments();
    let id = payments[0]["id"].as_str().unwrap();
    let told = outside.home.run(["policy", "explain", id, "--config", "bursar.toml"]);
    for words in ["rules that are tried out: denied by trial.none", "Nothing is bought."] {
        assert!(told.stdout.contains(words), "{words}: {}{}", told.stdout, told.stderr);
    }
}

#[test]
fn the_rules_there_are_can_be_listed_and_read() {
    let home = Home::new();
    let said = talk(&home, &[(0, &["policy", "list"]), (2, &["policy", "show", "none"])]);
    insta::assert_snapshot!(said);
    let shown = home.run(["policy", "show", "bursar:roles"]);
    assert!(shown.stdout.contains("@id(\"roles.coding\")"), "{}", shown.stdout);
    assert!(home.run(["policy", "show", "pay.cedar"]).stdout.contains("@id(\"pay.allow\")"));
    assert!(home.run(["policy", "schema"]).stdout.contains("family_day_micro_usd: Long"));
}
