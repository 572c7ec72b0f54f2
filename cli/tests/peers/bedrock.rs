//! The main job, with a model that speaks as Amazon Bedrock does.

use crate::aimock::Aimock;
use crate::examples::example;
use crate::support::{Home, Ran, line, ran};
use std::process::Command;

const QUESTION: &str = "Who may pay the gas for a USDC transfer, and how does it stop a replay?";
const SECRET: &str = "not-a-real-secret-access-key";

/// The command with nothing of AWS's about it but what a test puts there.
fn command(home: &Home, model: &str, args: &[&str]) -> Command {
    let model = format!("bedrock:{model}");
    let all = ["research", QUESTION, "--json", "--model", &model];
    let mut command = home.command(all.into_iter().chain(args.iter().copied()));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("AWS_CONFIG_FILE", home.file("config"));
    command.env("AWS_SHARED_CREDENTIALS_FILE", home.file("credentials"));
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn research(aimock: &Aimock, home: &Home, model: &str, args: &[&str]) -> Ran {
    let mut command = command(home, model, args);
    command.env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", aimock.url()).env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", SECRET);
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
    assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET));
}

#[test]
fn research_runs_end_to_end_over_each_operation() {
    for (args, operation) in [(&[][..], "converse-stream"), (&["--no-stream"], "converse")] {
        let (mut aimock, home) = (Aimock::start(), Home::new());
        check(&home, &research(&aimock, &home, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", args));
        let asked = aimock.asked();
        assert!(asked.len() > 4, "{asked:#?}");
        let path = format!("/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/{operation}");
        for asked in asked {
            assert_eq!((asked.path.as_str(), asked.status), (path.as_str(), 200), "{asked:?}");
        }
    }
}

#[test]
fn research_comes_through_refusals_failures_cut_streams_and_bad_calls_without_paying_twice() {
    for args in [&[][..], &["--no-stream"]] {
        for model in ["busy", "failing", "cut", "clumsy"] {
            if model == "cut" && !args.is_empty() {
                // What comes in one piece is not cut.
                continue;
            }
            let (mut aimock, home) = (Aimock::start(), Home::new());
            let ran = research(&aimock, &home, model, args);
            check(&home, &ran);
            let asked = aimock.asked();
            let refused = asked.iter().filter(|asked| asked.status != 200).count();
            let expected = if matches!(model, "busy" | "failing") { asked.len() / 2 } else { 0 };
            assert_eq!(refused, expected, "{model} {args:?}: {asked:#?}");
            let again = ran.json().iter().filter(|line| line["record"]["type"] == "model_failed").count();
            assert_eq!(again > 0, model != "clumsy", "{model} {args:?}");
        }
    }
}

#[test]
fn a_profile_gives_region_endpoint_and_a_process_that_has_the_keys() {
    let (aimock, home) = (Aimock::start(), Home::new());
    let keys = format!(r#"{{"Version": 1, "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "{SECRET}"}}"#);
    std::fs::write(home.file("keys.json"), keys).unwrap();
    let keys = home.file("keys.json").display().to_string();
    let url = aimock.url();
    let config = format!(
        "[profile work]\nregion = eu-central-1\ncredential_process = cat {keys}\nendpoint_url = {url}\n"
    );
    std::fs::write(home.file("config"), config).unwrap();
    check(&home, &ran(command(&home, "amazon.nova-pro-v1:0", &["--profile", "work"])));
}

#[test]
fn an_api_key_and_a_region_are_enough() {
    let (aimock, home) = (Aimock::start(), Home::new());
    let mut command = command(&home, "amazon.nova-pro-v1:0", &["--region", "eu-central-1"]);
    command.env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", aimock.url()).env("AWS_BEARER_TOKEN_BEDROCK", SECRET);
    check(&home, &ran(command));
}

#[test]
fn a_missing_region_is_told_before_anything_begins() {
    let home = Home::new();
    let ran = ran(command(&home, "amazon.nova-pro-v1:0", &[]));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("AWS_REGION"), "{}", ran.stderr);
    assert!(home.payments().is_empty());
}

#[test]
fn missing_credentials_are_told_with_where_they_were_looked_for() {
    let (mut aimock, home) = (Aimock::start(), Home::new());
    let mut command =
        command(&home, "amazon.nova-pro-v1:0", &["--region", "eu-central-1", "--profile", "nobody"]);
    command.env("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", aimock.url());
    let ran = ran(command);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    for told in ["profile `nobody`", "AWS_BEARER_TOKEN_BEDROCK", "aws sts get-caller-identity"] {
        assert!(ran.stdout.contains(told), "{told}\n{}\n{}", ran.stdout, ran.stderr);
    }
    assert!(aimock.asked().is_empty() && home.payments().is_empty());
}

#[test]
fn the_example_for_bedrock_answers_from_what_it_bought() {
    let aimock = Aimock::start();
    let environment = [
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", aimock.url()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_BEARER_TOKEN_BEDROCK", SECRET),
    ];
    let told = example("bedrock", &environment);
    assert!(told.contains("pays the gas. [1]"), "{told}");
}
