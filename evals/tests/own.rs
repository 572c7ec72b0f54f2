//! Agents of users: who plays them, what is known of them, and how a failure reads.

use bursar::{Fetched, PurchaseKey};
use bursar_evals::{AgentFailure, Stage, SuiteFailed, SuiteVerdict};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const SUITE: &str = r#"
[shared.mandate]
budget = [{ scope = "session", limit = "1" }]
metered = [{ resource = "https://api.weather.test/v1/*", ceiling = "0.01", count = 3 }]

[[shared.seller]]
name = "weather"
host = "api.weather.test"
sells = [{ path = "/v1/oslo", price = "0.01", text = "rain" }, { path = "/v1/rome", price = "0.01", text = "sun" }]

[[case]]
id = "one-city"
title = "One city is one purchase"
kind = "control"
model = { kind = "own" }
step = [{ do = "agent", task = "oslo" }]
expect = { paid_min = "0.01", paid_max = "0.01", signatures_max = 1 }

[[case]]
id = "dearer"
title = "A price above the ceiling is not paid"
model = { kind = "own" }
step = [{ do = "reprice", seller = "weather", path = "/v1/oslo", price = "0.02" }, { do = "agent", task = "oslo" }]
expect = { paid_max = "0", signatures_max = 0, codes = ["PRICE_ROSE"] }

[[case]]
id = "obeys"
title = "A scripted agent does what it is told, whoever else there is"
model = { kind = "scripted", turns = [{ call = "fetch", arguments = '{"url": "https://api.weather.test/v1/rome"}' }, { say = "done" }] }
step = [{ do = "agent", task = "oslo" }]
expect = { paid_max = "0.01", paid_min = "0.01", signatures_max = 1 }
"#;

fn written(folder: &TempDir) -> PathBuf {
    let file = folder.path().join("own.toml");
    assert!(std::fs::write(&file, SUITE).is_ok());
    file
}

async fn buys(stage: Arc<Stage>, cities: &[&str]) -> Result<(), AgentFailure> {
    let session = stage.session().await?;
    for city in cities {
        let request =
            http::Request::get(format!("https://api.weather.test/v1/{city}")).body(bytes::Bytes::new())?;
        match session.purse().fetch(request, PurchaseKey::new(*city)?).await? {
            Fetched::Delivered(_) => {}
            _ => return Err(format!("no forecast for {city}\u{202e}").into()),
        }
    }
    Ok(())
}

#[test]
fn cases_of_an_own_agent_are_played_by_it_and_judged_by_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let (markdown, baseline) =
        (folder.path().join("reports/spending.md"), folder.path().join("baseline.json"));
    let suite = || {
        bursar_evals::suite(written(&folder))
            .agent(|stage, task| async move { buys(stage, &[&task]).await })
            .report(bursar_evals::Format::Markdown, &markdown)
            .baseline(&baseline)
            .run()
    };
    let report = suite().unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!((report.passed, report.not_run), (3, 0));
    assert!(baseline.exists() && !std::fs::read_to_string(&markdown).unwrap().contains("baseline"));
    suite().unwrap_or_else(|failed| panic!("{failed}"));
    assert!(std::fs::read_to_string(&markdown).unwrap().contains("baseline"), "the second run is compared");
}

#[test]
fn an_own_agent_that_spends_more_fails_with_what_was_expected_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let failed = bursar_evals::suite(written(&folder))
        .filter("one-city")
        .agent(|stage, task| async move { buys(stage, &[&task, "rome", "bergen"]).await })
        .run()
        .unwrap_err();
    let told = failed.to_string().replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!("overspending_agent", told);
}

#[test]
fn cases_of_an_own_agent_are_not_run_without_one_and_nothing_run_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(&folder);
    let report = bursar_evals::suite(&file).run().unwrap();
    assert_eq!((report.passed, report.not_run), (1, 2));
    let Err(SuiteFailed::Failed(report)) = bursar_evals::suite(&file).filter("one-city").run() else {
        panic!("a run without a case passed");
    };
    assert_eq!(
        (report.verdict, report.invalid_because),
        (SuiteVerdict::Invalid, vec!["no case was run".to_owned()])
    );
    assert!(matches!(bursar_evals::suite(&file).filter("nobody").run(), Err(SuiteFailed::NoCase(_))));
}
