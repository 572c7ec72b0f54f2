//! `bursar eval`, as somebody meets it who has a project of their own.

use crate::support::Home;

#[test]
fn a_first_suite_is_written_and_passes_and_says_the_same_twice() {
    let home = Home::new();
    let wrote = home.run(["eval", "init", "project"]);
    assert_eq!((wrote.code, wrote.stderr.as_str()), (0, ""));
    let args = ["eval", "project/evals", "--json"];
    let (first, second) = (home.run(args), home.run(args));
    assert_eq!(first.code, 0, "{}", first.stdout);
    assert_eq!(first.stdout, second.stdout);
    let shown = home.run(["eval", "project/evals"]);
    insta::assert_snapshot!("first_suite", shown.stdout);
    let again = home.run(["eval", "init", "project"]);
    assert_eq!(again.code, 2, "nothing is written over: {}", again.stdout);
}

#[test]
fn a_failing_case_is_shown_with_what_was_expected_and_found() {
    let home = Home::new();
    home.run(["eval", "init", "project"]);
    let file = home.file("project/evals/first.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("price = \"0.01\", text", "price = \"0.02\", text")).unwrap();
    let ran = home.run(["eval", "project/evals"]);
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!("failing_suite", ran.stdout);
}

#[test]
fn a_suite_that_cannot_be_read_is_told_with_file_line_and_field() {
    let home = Home::new();
    std::fs::create_dir(home.file("none")).unwrap();
    let case = "[[case]]\nid = \"a\"\ntitle = \"b\"\n[[case.step]]\ndo = \"advance\"\n";
    for (name, text) in [
        ("field.toml", format!("{case}[case.expect]\npaid_max = \"0\"\nsignatures_most = 1\n")),
        ("amount.toml", format!("{case}[case.expect]\npaid_max = \"1e3\"\nsignatures_max = 1\n")),
        ("missing.toml", format!("{case}[case.expect]\npaid_max = \"1\"\n")),
        (
            "steps.toml",
            "[[case]]\nid = \"a\"\ntitle = \"b\"\nexpect = { paid_max = \"0\", signatures_max = 0 }\n".into(),
        ),
        (
            "step.toml",
            case.replace("advance", "dance") + "[case.expect]\npaid_max = \"1\"\nsignatures_max = 1\n",
        ),
        (
            "rounds.toml",
            case.replace("\"advance\"", "\"pay\"\nurl = \"https://a.test/\"\ntimes = 4000000000")
                + "[case.expect]\npaid_max = \"1\"\nsignatures_max = 1\n",
        ),
        (
            "hosts.toml",
            format!("{case}seconds = 1\n[[case.seller]]\nname = \"a\"\nhost = \"a.test\"\nsells = []\n")
                + "[[case.seller]]\nname = \"b\"\nhost = \"a.test\"\nsells = []\n"
                + "[case.expect]\npaid_max = \"1\"\nsignatures_max = 1\n",
        ),
    ] {
        std::fs::write(home.file(name), text).unwrap();
    }
    let mut said = String::new();
    for args in [
        vec!["eval"],
        vec!["eval", "none"],
        vec!["eval", "field.toml"],
        vec!["eval", "amount.toml"],
        vec!["eval", "missing.toml"],
        vec!["eval", "steps.toml"],
        vec!["eval", "step.toml"],
        vec!["eval", "rounds.toml"],
        vec!["eval", "hosts.toml"],
        vec!["eval", "--seeds", "0"],
    ] {
        let ran = home.run(args.iter().copied());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
        said.push_str(&format!("$ bursar {}\n{}\n", args.join(" "), ran.stderr));
    }
    insta::assert_snapshot!("unreadable_suites", said);
}

/// A small suite of somebody's own: one purchase that is meant, one that is not, and a rule of their own.
const OWN: &str = r#"
[shared.mandate]
budget = [{ scope = "session", limit = "0.015" }]
metered = [{ resource = "https://api.weather.test/*", ceiling = "0.01", count = 5 }]

[[shared.seller]]
name = "weather"
host = "api.weather.test"
sells = [{ path = "*", price = "0.01" }]

[[case]]
id = "meant"
title = "One read"
kind = "control"
step = [{ do = "pay", url = "https://api.weather.test/a" }]
expect = { paid_max = "0.01", paid_min = "0.01", signatures_max = 1 }

[[case]]
id = "too-much"
title = "Two reads pass the budget"
step = [{ do = "pay", url = "https://api.weather.test/a?{n}", times = 2 }]
expect = { paid_max = "0.01", signatures_max = 1, codes = ["BUDGET_EXCEEDED"] }
"#;

fn own(home: &Home) {
    std::fs::write(home.file("own.toml"), OWN).unwrap();
}

#[test]
fn reports_are_written_in_every_format_that_was_asked_for() {
    let home = Home::new();
    own(&home);
    let files = ["json=a.json", "junit=a.xml", "sarif=a.sarif", "markdown=a.md", "html=a.html"];
    let mut args = vec!["eval", "own.toml"];
    args.extend(files.iter().flat_map(|file| ["--report", file]));
    let ran = home.run(args);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    for (file, begins) in [
        ("a.json", "{\n  \"schema\": \"bursar-eval"),
        ("a.xml", "<?xml version=\"1.0\""),
        ("a.sarif", "{\n  \"$schema\""),
        ("a.md", "#"),
        ("a.html", "<!doctype html>"),
    ] {
        let text = std::fs::read_to_string(home.file(file)).unwrap();
        assert!(
            text.to_lowercase().starts_with(begins),
            "{file}: {}",
            text.chars().take(60).collect::<String>()
        );
        assert!(text.contains("own.toml") || file != "a.json", "{file}");
    }
    let again = home.run(["eval", "own.toml", "--json"]);
    assert_eq!(again.stdout, std::fs::read_to_string(home.file("a.json")).unwrap());
}

#[test]
fn a_report_that_cannot_be_written_or_is_of_no_known_format_is_told() {
    let home = Home::new();
    own(&home);
    for (report, says) in [
        ("junit=none/a.xml", "cannot write `none/a.xml`"),
        ("xml=a.xml", "junit"),
        ("junit", "write it as FORMAT=FILE"),
        ("junit=", "write it as FORMAT=FILE"),
    ] {
        let ran = home.run(["eval", "own.toml", "--report", report]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{report}");
        assert!(ran.stderr.contains(says), "{report}: {}", ran.stderr);
    }
}

#[test]
fn a_baseline_tells_what_broke_and_what_costs_more() {
    let home = Home::new();
    own(&home);
    let kept = home.run(["eval", "own.toml", "--write-baseline", "base.json"]);
    assert_eq!((kept.code, kept.stderr.as_str()), (0, ""));
    let same = home.run(["eval", "own.toml", "--baseline", "base.json"]);
    assert_eq!(same.code, 0);
    assert!(same.stdout.ends_with("against the baseline: nothing changed\n"), "{}", same.stdout);
    std::fs::write(home.file("own.toml"), OWN.replace("limit = \"0.015\"", "limit = \"1\"")).unwrap();
    let worse = home.run(["eval", "own.toml", "--baseline", "base.json", "--report", "markdown=a.md"]);
    assert_eq!(worse.code, 1);
    let told = worse.stdout.split_once("against the baseline:\n").unwrap().1;
    assert!(told.contains("! too-much broke:") && told.contains("$0.01 -> $0.02"), "{told}");
    assert!(std::fs::read_to_string(home.file("a.md")).unwrap().contains("too-much"));
    for (file, text) in [("none.json", None), ("bad.json", Some("{}"))] {
        if let Some(text) = text {
            std::fs::write(home.file(file), text).unwrap();
        }
        let ran = home.run(["eval", "own.toml", "--baseline", file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{file}");
        assert!(ran.stderr.contains(file), "{}", ran.stderr);
    }
}

#[test]
fn mutated_cases_are_played_from_a_seed_and_say_the_same_twice() {
    let home = Home::new();
    own(&home);
    let args = ["eval", "own.toml", "--mutate", "12", "--seed", "5", "--json"];
    let (first, second) = (home.run(args), home.run(args));
    assert_eq!((first.code, first.stderr.as_str()), (0, ""), "{}", first.stdout);
    assert_eq!(first.stdout, second.stdout);
    let report: serde_json::Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!((report["cases"].as_u64(), report["unauthorised_micro_usd"].as_u64()), (Some(12), Some(0)));
    let shown = home.run(["eval", "own.toml", "--mutate", "2"]);
    assert_eq!(shown.code, 0);
    assert!(shown.stdout.starts_with("2 mutated cases:"), "{}", shown.stdout);
    let nothing = home.run(["eval", "own.toml", "--mutate", "0"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (2, ""));
    let both = home.run(["eval", "own.toml", "--mutate", "1", "--mutate-policy"]);
    assert_eq!((both.code, both.stdout.as_str()), (2, ""));
}

#[test]
fn checks_that_nobody_misses_are_named_and_too_few_missed_fail_the_run() {
    let home = Home::new();
    own(&home);
    let noticed = home.run(["eval", "own.toml", "--mutate-policy", "--check", "budget of scope session"]);
    assert_eq!(noticed.code, 0, "{}", noticed.stdout);
    assert!(noticed.stderr.contains("too-much"), "{}", noticed.stderr);
    assert_eq!(noticed.stdout, "1 checks taken out, one at a time; 1 noticed by 2 cases: 100.00 %\n");
    let args = ["eval", "own.toml", "--mutate-policy", "--check", "pay.not-covered"];
    let survived = home.run(args);
    assert_eq!(survived.code, 1);
    assert!(
        survived.stdout.starts_with("survived: pay.not-covered (pay.cedar)\n  a second line: "),
        "{}",
        survived.stdout
    );
    assert!(survived.stdout.contains(": 0.00 %\n"), "what no scenario can reach is not counted as noticed");
    let content = home.run(args.into_iter().chain(["--kill-rate", "0"]));
    assert_eq!(content.code, 0);
    for args in [&["--check", "no such check"][..], &["--kill-rate", "101"]] {
        let ran = home.run(["eval", "own.toml", "--mutate-policy"].into_iter().chain(args.iter().copied()));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
    }
    let alone = home.run(["eval", "own.toml", "--check", "pay"]);
    assert_eq!(alone.code, 2, "it says nothing without --mutate-policy");
}

#[test]
fn a_copy_is_put_back_only_where_one_was_kept() {
    let home = Home::new();
    let steps = "step = [{ do = \"put_back\" }]";
    let before = OWN.split_once("step = [").unwrap();
    let rest = before.1.split_once('\n').unwrap().1;
    std::fs::write(home.file("own.toml"), format!("{}{steps}\n{rest}", before.0)).unwrap();
    let ran = home.run(["eval", "own.toml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("case `meant`: `put_back` needs a `copy` before it"), "{}", ran.stderr);
}
