//! Reports: every format says what is known, and no text of a seller's gets out of its place.

use bursar_evals::{Baseline, Change, Format, SuiteReport};
use serde_json::{Value, json};

/// What a seller, or the author of a suite that somebody else runs, may write to get out of a report.
const EVIL: &str = "]]></failure></td></script><script>alert(1)</script>\" onload='x' |\n@ada [x](javascript:1) \u{202e}\u{0}\u{1b}[2J ![](https://evil.test/p.png)";

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn report(evil: &str) -> SuiteReport {
    let case = |id: &str, verdict: &str, paid: u64, beyond: u64| {
        json!({
            "id": id, "title": format!("A case {evil}"), "mode": "FM4", "family": format!("drain{evil}"), "severity": "high",
            "kind": "attack", "file": format!("suite/a b{evil}.toml"), "seed": 1, "verdict": verdict,
            "not_run": if verdict == "not_run" { json!(format!("waits {evil}")) } else { Value::Null },
            "problems": if verdict == "fail" {
                json!([{ "what": format!("paid{evil}"), "expected": "at most 0.01", "found": format!("0.02{evil}") }])
            } else {
                json!([])
            },
            "money": {
                "paid_micro_usd": paid, "paid_atomic": paid, "refunded_micro_usd": 0, "signatures": 2, "live_micro_usd": 0,
                "delivered": 1, "unknown": 0, "vendors": {},
            },
            "score": {
                "unauthorised_micro_usd": beyond, "overpaid_micro_usd": 0, "at_risk_micro_usd": 0, "wasted_micro_usd": 0,
            },
            "journal_verifies": true,
            "steps": [{ "step": "1", "action": format!("pay {evil}"), "ended": { "delivered": 1 }, "codes": [], "said": evil }],
        })
    };
    serde_json::from_value(json!({
        "schema": SuiteReport::SCHEMA, "seed": 1, "seeds": 1, "verdict": "fail", "invalid_because": [],
        "passed": 1, "failed": 1, "not_run": 1, "false_blocks": 0, "paid_micro_usd": 30_000,
        "score": {
            "unauthorised_micro_usd": 10_000, "overpaid_micro_usd": 0, "at_risk_micro_usd": 0, "wasted_micro_usd": 0,
        },
        "cases": [case("C-1", "pass", 10_000, 0), case("C-2", "fail", 20_000, 10_000), case("C-3", "not_run", 0, 0)],
    }))
    .unwrap()
}

#[test]
fn every_format_is_written_as_it_was() {
    for format in Format::ALL {
        let text = format.write(&report(""), None);
        insta::assert_snapshot!(format!("report_{format}"), text);
    }
}

#[test]
fn json_reads_back_as_the_same_report() {
    let report = report(EVIL);
    let read: SuiteReport = serde_json::from_str(&Format::Json.write(&report, None)).unwrap();
    assert_eq!(read, report);
}

#[test]
fn junit_is_well_formed_and_counts_what_it_holds() {
    let text = Format::Junit.write(&report(EVIL), None);
    let document = roxmltree::Document::parse(&text).unwrap();
    let count = |name: &str| document.descendants().filter(|node| node.has_tag_name(name)).count();
    assert_eq!((count("testcase"), count("failure"), count("skipped"), count("script")), (3, 1, 1, 0));
    let root = document.root_element();
    assert_eq!((root.attribute("tests"), root.attribute("failures")), (Some("3"), Some("1")));
    let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    assert!(failure.attribute("message").unwrap().contains("</script><script>"), "shown, as text");
    assert!(!text.contains(['\u{202e}', '\u{1b}', '\u{0}']));
}

/// What SARIF 2.1.0 requires of a log with results, and no more.
mod required {
    use serde::Deserialize;

    #[derive(Deserialize)]
    pub(super) struct Log {
        pub(super) version: String,
        pub(super) runs: Vec<Run>,
    }
    #[derive(Deserialize)]
    pub(super) struct Run {
        pub(super) tool: Tool,
        pub(super) results: Vec<Finding>,
    }
    #[derive(Deserialize)]
    pub(super) struct Tool {
        pub(super) driver: Driver,
    }
    #[derive(Deserialize)]
    pub(super) struct Driver {
        pub(super) name: String,
        pub(super) rules: Vec<Rule>,
    }
    #[derive(Deserialize)]
    pub(super) struct Rule {
        pub(super) id: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Finding {
        pub(super) rule_id: String,
        pub(super) rule_index: usize,
        pub(super) level: Level,
        pub(super) message: Message,
        pub(super) locations: Vec<Location>,
    }
    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(rename_all = "camelCase")]
    pub(super) enum Level {
        None,
        Note,
        Warning,
        Error,
    }
    #[derive(Deserialize)]
    pub(super) struct Message {
        pub(super) text: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Location {
        pub(super) physical_location: Physical,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Physical {
        pub(super) artifact_location: Artifact,
    }
    #[derive(Deserialize)]
    pub(super) struct Artifact {
        pub(super) uri: String,
    }
}

#[test]
fn sarif_has_what_the_standard_requires() {
    let text = Format::Sarif.write(&report(EVIL), None);
    let log: required::Log = serde_json::from_str(&text).unwrap();
    assert_eq!((log.version.as_str(), log.runs.len()), ("2.1.0", 1));
    let run = &log.runs[0];
    assert_eq!((run.tool.driver.name.as_str(), run.results.len()), ("bursar eval", 1));
    let finding = &run.results[0];
    assert_eq!(run.tool.driver.rules[finding.rule_index].id, finding.rule_id);
    assert_eq!(finding.level, required::Level::Error);
    assert!(finding.message.text.starts_with("C-2 ") && !finding.message.text.contains(['\u{202e}', '\n']));
    let uri = &finding.locations[0].physical_location.artifact_location.uri;
    assert!(
        uri.starts_with("suite/a%20b%5D") && uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'<')
    );
}

#[test]
fn nothing_gets_out_of_the_page() {
    let diff = Baseline::of(&report("")).against(&report(EVIL));
    let page = Format::Html.write(&report(EVIL), Some(&diff));
    let allowed = [
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "span", "p", "table", "thead", "tbody",
        "tr", "th", "td", "details", "summary", "div", "code",
    ];
    let mut tags = 0;
    for token in html5gum::Tokenizer::new(&page) {
        let Ok(html5gum::Token::StartTag(tag)) = token else { continue };
        let name = String::from_utf8_lossy(&tag.name).into_owned();
        assert!(allowed.contains(&name.as_str()), "{name}");
        for attribute in tag.attributes.keys() {
            let attribute = String::from_utf8_lossy(attribute).into_owned();
            let known = ["class", "lang", "charset", "name", "content", "http-equiv"];
            assert!(known.contains(&attribute.as_str()), "{attribute}");
        }
        tags += 1;
    }
    assert!(tags > 40, "{tags}");
    assert!(page.contains("default-src 'none'") && !page.contains(['\u{202e}', '\u{1b}', '\u{0}']));
    assert!(!page.contains("<script"), "not even as text that a lenient reader takes for one");
}

#[test]
fn nothing_gets_out_of_a_cell() {
    let text = Format::Markdown.write(&report(EVIL), None);
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let inner = line.replace("\\|", "");
        assert!([4, 9, 2].contains(&(inner.matches('|').count() - 1)), "{line}");
        assert!(!line.contains("@ada") && !line.contains("<script") && !line.contains("](java"), "{line}");
    }
    assert!(!text.contains(['\u{202e}', '\u{1b}', '\u{0}']));
}

#[test]
fn a_baseline_tells_money_and_verdicts_apart() {
    let before = Baseline::of(&report(""));
    assert_eq!(Baseline::read(&before.written()).unwrap(), before);
    assert_eq!(before.against(&report("")).changes, []);
    let mut value = serde_json::to_value(report("")).unwrap();
    value["cases"][0]["verdict"] = json!("fail");
    value["cases"][0]["money"]["paid_micro_usd"] = json!(15_000);
    value["cases"][1]["verdict"] = json!("pass");
    value["cases"][1]["score"]["unauthorised_micro_usd"] = json!(0);
    value["cases"][2]["id"] = json!("C-4");
    value["cases"][2]["verdict"] = json!("pass");
    let now: SuiteReport = serde_json::from_value(value).unwrap();
    let diff = before.against(&now);
    let spend = Change::Spend { before_micro_usd: 10_000, now_micro_usd: 15_000 };
    let lost = Change::Lost { before_micro_usd: 10_000, now_micro_usd: 0 };
    let named = |case: &str, change| (case.to_owned(), change);
    assert_eq!(
        diff.changes,
        [
            named("C-1", Change::Broke),
            named("C-1", spend),
            named("C-2", Change::Fixed),
            named("C-2", lost),
            named("C-4", Change::New),
        ]
    );
    assert!(spend.is_worse() && !lost.is_worse());
    insta::assert_snapshot!("baseline_markdown", Format::Markdown.write(&now, Some(&diff)));
}

#[test]
fn a_file_that_is_no_baseline_is_refused() {
    for (text, says) in [
        ("{}", "missing field"),
        (r#"{"schema":"bursar-eval-baseline/2","cases":{}}"#, "write it anew"),
        (r#"{"schema":"bursar-eval-baseline/1","cases":{},"more":1}"#, "unknown field"),
    ] {
        let error = Baseline::read(text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
