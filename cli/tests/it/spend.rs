//! `bursar spend --by`: sums over real purchases.

use crate::interrupt::{Outside, WALLET};
use crate::support::{Home, Ran, ran, steady};
use bursar::agent::models::Scripted;
use bursar::agent::{Prices, Usage};
use bursar::types::SessionId;
use bursar::{Agent, Amount, Approve, Asset, AssetRegistry, Bursar, Mandate};
use serde_json::Value;
use std::sync::Arc;

/// Two customers' research: what the first bought was used; what the second paid for never came.
pub(crate) fn two_clients() -> Outside {
    let home = Home::new();
    std::fs::create_dir(home.file("notes")).unwrap();
    let notes = [
        ("gas", "# Gas\n\nThe submitter of a token transfer pays the gas.\n"),
        ("sagas", "# Sagas\n\nA saga is a chain of steps, and each has a compensation.\n"),
    ];
    for (name, text) in notes {
        std::fs::write(home.file(&format!("notes/{name}.md")), text).unwrap();
    }
    let outside = Outside::start(home, WALLET, &["--sources", "notes"]);
    let plain = std::fs::read_to_string(outside.home.file("bursar.toml")).unwrap();
    let for_client = |project: &str, client: &str| {
        let (head, mandate) = plain.split_once("[mandate]\n").unwrap();
        let whose = format!("project = \"{project}\"\nclient = \"{client}\"");
        outside.configure(|_| format!("{head}[mandate]\n{whose}\n{mandate}"));
    };
    for_client("alpha", "acme");
    let asked = ran(outside.with_config(&["research", "Who pays the gas of a token transfer?"]));
    assert_eq!(asked.code, 0, "{}\n{}", asked.stdout, asked.stderr);
    for_client("beta", "=cmd(),\\\"x\\\"");
    outside.fault_everywhere(r#"{"fault":"settle_then_500","times":99}"#);
    let asked = ran(outside.with_config(&["research", "What is a saga, and what has each of its steps?"]));
    assert_eq!(asked.code, 3, "{}\n{}", asked.stdout, asked.stderr);
    outside
}

fn sums(outside: &Outside, args: &[&str]) -> Vec<Value> {
    outside.home.run(["spend", "--json"].into_iter().chain(args.iter().copied())).json()
}

fn atomic(row: &Value, column: &str) -> u128 {
    row[column].as_str().unwrap_or_else(|| panic!("{column}: {row}")).parse().unwrap()
}

#[test]
fn spending_is_summed_up_by_what_finance_asks_for_used_against_wasted() {
    let outside = two_clients();
    let by_client = sums(&outside, &["--by", "project,client"]);
    assert_eq!(by_client.len(), 2, "{by_client:#?}");
    let (alpha, beta) = (&by_client[0], &by_client[1]);
    assert_eq!(alpha["by"], serde_json::json!({"project": "alpha", "client": "acme"}));
    assert_eq!(beta["by"]["client"], "=cmd(),\"x\"");
    assert!(atomic(alpha, "paid") > 0 && atomic(alpha, "paid") == atomic(alpha, "used"), "{alpha}");
    assert_eq!(
        (atomic(beta, "paid"), atomic(beta, "owed")),
        (atomic(beta, "undelivered"), atomic(beta, "paid"))
    );
    assert_eq!((&alpha["obligations"], &beta["obligations"]), (&0.into(), &1.into()));
    // What the payments themselves say is what the sums say, whatever they are grouped by.
    let payments = outside.home.payments();
    let paid = payments.iter().map(|one| one["amount"]["atomic"].as_str().unwrap().parse::<u128>().unwrap());
    let whole: u128 = paid.sum();
    for key in
        ["session", "agent", "user", "project", "client", "vendor", "category", "rail", "network", "day"]
    {
        let rows = sums(&outside, &["--by", key]);
        assert_eq!(rows.iter().map(|row| atomic(row, "paid")).sum::<u128>(), whole, "{key}: {rows:#?}");
        for row in &rows {
            let parts = ["used", "unused", "undelivered", "refunded"].map(|part| atomic(row, part));
            assert_eq!(parts.iter().sum::<u128>(), atomic(row, "paid"), "{row}");
        }
    }
    // A person gives the second up, and it is wasted for good.
    let beta = sums(&outside, &["--project", "beta"]);
    let id = beta[0]["id"].as_str().unwrap();
    let ended = ["obligations", "write-off", id, "--by", "ada", "--reason", "they are gone"];
    assert_eq!(outside.home.run(ended).code, 0);
    let shown = ["--by", "project"].map(str::to_owned);
    let rows = sums(&outside, &shown.each_ref().map(String::as_str));
    assert_eq!((atomic(&rows[1], "owed"), atomic(&rows[1], "written_off")), (0, atomic(&rows[1], "paid")));
    let told = outside.home.run(["spend", "--by", "project,client,category,rail,network"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(steady(&told.stdout));
}

#[test]
fn days_and_names_say_which_payments_are_meant() {
    let outside = two_clients();
    let all = sums(&outside, &[]);
    let day = all[0]["paid_at"].as_u64().map(|ms| ms / 86_400_000).unwrap();
    let named = |days: u64| bursar::types::Timestamp::from_unix_ms(days * 86_400_000).to_string();
    let named = |days: u64| named(days).chars().take(10).collect::<String>();
    let (yesterday, today, tomorrow) = (named(day - 1), named(day), named(day + 2));
    let session = all[0]["session"].as_str().unwrap();
    let host = all[1]["host"].as_str().unwrap();
    let cases: [(&[&str], usize); 10] = [
        (&["--from", &today, "--to", &tomorrow], 2),
        (&["--to", &yesterday], 0),
        (&["--from", &tomorrow], 0),
        (&["--project", "alpha"], 1),
        (&["--project", "gamma"], 0),
        (&["--client", "acme", "--project", "beta"], 0),
        (&["--rail", "x402", "--network", "eip155:31337", "--category", "other"], 2),
        (&["--vendor", host, "--project", "beta"], 1),
        (&["--user", "nobody"], 0),
        (&[session], 1),
    ];
    for (args, wanted) in cases {
        assert_eq!(sums(&outside, args).len(), wanted, "{args:?}");
    }
    for wrong in [["--by", "mood"], ["--from", "tomorrow"], ["--to", "2026-02-30"]] {
        let ran: Ran = outside.home.run(["spend"].into_iter().chain(wrong));
        assert_eq!(ran.code, 2, "{wrong:?}: {}", ran.stdout);
    }
}

#[test]
fn a_name_that_a_spreadsheet_would_run_stays_text() {
    let outside = two_clients();
    let csv = outside.home.run(["spend", "--by", "client", "--csv"]);
    assert_eq!(csv.code, 3);
    assert!(csv.stdout.contains("\r\n\"'=cmd(),\"\"x\"\"\","), "{}", csv.stdout);
    let list = outside.home.run(["spend", "--csv"]);
    assert!(list.stdout.contains(",\"'=cmd(),\"\"x\"\"\","), "{}", list.stdout);
    let columns = list.stdout.split("\r\n").next().unwrap().split(',').count();
    assert_eq!(columns, 31);
}

/// A run whose model cost 0.0006 dollars, in a data folder; answers its session.
async fn a_models_bill(data: &std::path::Path) -> SessionId {
    let bursar = Bursar::builder(data).play_wallet().unwrap().watch_every(None).open().await.unwrap();
    let asset = AssetRegistry::pinned()
        .iter()
        .find(|one| one.symbol() == "USDC" && !one.live())
        .unwrap()
        .id()
        .clone();
    let cap = Amount::parse_decimal(&Asset::micro_usd(), "0.50").unwrap();
    let mandate = Mandate::new("research", "ada").session_budget(cap).asset(asset);
    let session = bursar.session("find out").mandate(mandate).approve(Approve::Rule).start().await.unwrap();
    let usage = Usage { input_tokens: Some(500), output_tokens: Some(10), ..Usage::default() };
    let model = Arc::new(Scripted::new().usage(usage).text("the submitter"));
    let agent = Agent::builder(model).prices(Prices::new(1_000_000, 10_000_000, 1_000)).build().unwrap();
    agent.run(session.run_context(), "who pays the gas?").await.unwrap();
    let id = session.id();
    drop(session);
    bursar.close().await.unwrap();
    id
}

#[tokio::test]
async fn what_models_cost_is_told_in_every_form() {
    let home = Home::new();
    let session = a_models_bill(&home.file("bill")).await.to_string();
    let told = |args: &[&str]| {
        let ran = home.run(["spend", "--data", "bill"].into_iter().chain(args.iter().copied()));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}");
        ran
    };
    assert!(told(&[]).stdout.ends_with("model: 0.0006 USD in 1 calls\n"), "{}", told(&[]).stdout);
    for by in [&[][..], &["--by", "day"]] {
        let lines = told(&[by, &["--json"]].concat()).json();
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let bill = &line["model"];
        assert_eq!((&bill["session"], &bill["tries"]), (&session.as_str().into(), &1.into()));
        assert_eq!((&bill["spent"]["atomic"], &bill["held"]["atomic"]), (&"600".into(), &"0".into()));
    }
    let cell = |csv: &str, row: usize, column: &str| {
        let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(rows.len(), 2, "{csv}");
        let at = rows[0].iter().position(|name| name.trim_matches('"') == column).unwrap();
        rows[row][at].trim_matches('"').to_owned()
    };
    let list = told(&["--csv"]).stdout;
    let cells = ["session", "micro_usd", "state", "payment"].map(|column| cell(&list, 1, column));
    assert_eq!(cells, [session.as_str(), "600", "model", ""]);
    let by = told(&["--by", "session,project", "--csv"]).stdout;
    let cells =
        ["session", "project", "unit", "payments", "paid", "model"].map(|column| cell(&by, 1, column));
    assert_eq!(cells, [session.as_str(), "(model)", "USD", "0", "0", "0.0006"]);
}
