//! The main job, with a model that speaks as OpenAI does.

use crate::aimock::Aimock;
use crate::support::{Home, Ran, line, ran};

const QUESTION: &str = "Who may pay the gas for a USDC transfer, and how does it stop a replay?";

fn research(aimock: &Aimock, home: &Home, model: &str, args: &[&str]) -> Ran {
    let url = format!("{}/v1", aimock.url());
    let model = format!("openai:{model}");
    let all = ["research", QUESTION, "--json", "--model", &model, "--base-url", &url];
    let mut command = home.command(all.into_iter().chain(args.iter().copied()));
    command.env("OPENAI_API_KEY", "sk-not-a-real-one");
    ran(command)
}

/// It answered from a source that it bought; it bought two, each once; and the chain agrees.
fn check(home: &Home, ran: &Ran) {
    assert_eq!(ran.code, 0, "{}\n{}", ran.stderr, ran.stdout);
    let lines = ran.json();
    let brief = line(&lines, "cli", "brief");
    assert_eq!(brief["answered"], true, "{brief}");
    assert!(brief["sources"][0]["bought"]["receipt"]["observed"] == true, "{brief}");
    let verification = line(&lines, "cli", "verification");
    assert_eq!((&verification["verifies"], &verification["chain"]["agrees"]), (&true.into(), &true.into()));
    assert_eq!(lines.iter().filter(|line| line["money"] == "observed").count(), 2, "two purchases");
    assert_eq!(home.payments().len(), 2, "and no other");
    assert!(!ran.stdout.contains("sk-not-a-real-one") && !ran.stderr.contains("sk-not-a-real-one"));
}

#[test]
fn research_runs_end_to_end_over_each_api_streaming_and_not() {
    for (api, path) in [("responses", "/v1/responses"), ("chat", "/v1/chat/completions")] {
        for streams in [true, false] {
            let (mut aimock, home) = (Aimock::start(), Home::new());
            let mut args = vec!["--model-api", api];
            if !streams {
                args.push("--no-stream");
            }
            check(&home, &research(&aimock, &home, "gpt-5-mini", &args));
            let asked = aimock.asked();
            assert!(asked.len() > 4, "{asked:#?}");
            for asked in asked {
                assert_eq!((asked.path.as_str(), asked.status), (path, 200), "{asked:?}");
                assert_eq!(asked.stream.unwrap_or(false), streams, "{asked:?}");
            }
        }
    }
}

#[test]
fn research_comes_through_refusals_failures_cut_streams_and_bad_calls_without_paying_twice() {
    for api in ["responses", "chat"] {
        for model in ["busy", "failing", "cut", "clumsy"] {
            let (mut aimock, home) = (Aimock::start(), Home::new());
            let ran = research(&aimock, &home, model, &["--model-api", api]);
            check(&home, &ran);
            let asked = aimock.asked();
            let refused = asked.iter().filter(|asked| asked.status != 200).count();
            let expected = if matches!(model, "busy" | "failing") { asked.len() / 2 } else { 0 };
            assert_eq!(refused, expected, "{model} {api}: {asked:#?}");
            let again = ran.json().iter().filter(|line| line["record"]["type"] == "model_failed").count();
            assert_eq!(again > 0, model != "clumsy", "{model} {api}");
        }
    }
}

#[test]
fn a_missing_key_is_told_before_anything_begins() {
    let home = Home::new();
    let mut command = home.command(["research", QUESTION, "--model", "openai:gpt-5-mini"]);
    command.env_remove("OPENAI_API_KEY").env_remove("OPENAI_BASE_URL");
    let ran = ran(command);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("OPENAI_API_KEY"), "{}", ran.stderr);
    assert!(home.payments().is_empty());
}

#[test]
fn a_key_that_is_refused_stops_the_run_which_goes_on_with_the_same_model() {
    let (aimock, home) = (Aimock::start(), Home::new());
    let stopped = research(&aimock, &home, "locked", &["--model-api", "chat"]);
    assert_eq!(stopped.code, 1, "{}", stopped.stderr);
    let flags = format!("--model openai:locked --base-url {}/v1 --model-api chat", aimock.url());
    let told = format!("{}{}", stopped.stdout, stopped.stderr).replace('\'', "");
    assert!(told.contains("bursar resume ") && told.contains(&flags), "{told}");
    assert!(home.payments().is_empty());
}
