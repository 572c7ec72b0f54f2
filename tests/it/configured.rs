//! The section `[model]` of `bursar.toml`.

use bursar::{BursarError, Config};
use std::path::PathBuf;

/// A configuration with this section, and the line that the section begins on less one.
fn file(section: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bursar.toml");
    std::fs::write(&path, format!("data = \".bursar\"\n\n{section}")).unwrap();
    (folder, path)
}

fn refused(section: &str) -> String {
    let (_folder, path) = file(section);
    let error = Config::read(&path).unwrap_err().to_string();
    error.replace(&path.display().to_string(), "bursar.toml")
}

#[test]
fn what_is_wrong_with_a_model_is_told_with_its_line_and_what_to_do() {
    let cases = [
        "[model]\nprovider = \"openai\"",
        "[model]\nprovider = \"openai\"\nname = \" \"",
        "[model]\nprovider = \"azure\"\nname = \"d\"",
        "[model]\nprovider = \"azure\"\nname = \"a/b\"\nbase_url = \"https://x.openai.azure.com\"",
        "[model]\nprovider = \"azure\"\nname = \"d\"\nbase_url = \"https://x.openai.azure.com\"\napi_version = \"1&x\"",
        "[model]\nprovider = \"bedrock\"\nname = \"m\"\napi = \"chat\"",
        "[model]\nname = \"gpt-5-mini\"",
        "[model]\nprovider = \"openai\"\nname = \"m\"\nbase_url = \"localhost:11434\"",
        "[model]\nprovider = \"openai\"\nname = \"m\"\nmax_output_tokens = 0",
        "[model]\nprovider = \"openai\"\nname = \"m\"\n[model.cheaper]\nprovider = \"openai\"\nname = \"n\"",
        "[model]\nprovider = \"openai\"\nname = \"m\"\nprices = { input = 1, output = 1, output_tokens_max = 1 }\n[model.cheaper]\n\
         provider = \"openai\"\nprices = { input = 1, output = 1, output_tokens_max = 1 }",
        "[model]\nprovider = \"openai\"\nname = \"m\"\nprices = { input = 2.5, output = 1, output_tokens_max = 1 }",
        "[model]\nprovider = \"mistral\"",
        "[model]\nprovider = \"openai\"\nname = \"m\"\nkey_env = \"sk-0123456789abcdef\"",
        "[model]\nprovider = \"openai\"\nname = \"m\"\nkey = \"sk-0123456789abcdef\"",
        "[model]\nprovider = \"openai\"\nname = \"m\"\napi_key = \"sk-0123456789abcdef\"",
        "[model]\nprovider = \"openai\"\nname = \"m\"\napikey = \"sk-0123456789abcdef\"",
        "[model]\nprovider = \"sk-0123456789abcdef\"",
        "[model]\nprovider = \"openai\"\nname = \"m\"\nmax_output_tokens = \"sk-\\u0030123456789abcdef\"",
    ];
    let said: Vec<String> = cases.iter().map(|case| format!("{case}\n--> {}\n", refused(case))).collect();
    for (case, said) in cases.iter().zip(&said) {
        let (_, answer) = said.split_once("-->").unwrap();
        assert!(!answer.contains("0123456789"), "a key is not said again: {case}: {answer}");
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_secret_that_was_put_where_it_does_not_belong_is_not_said_again() {
    let secret = "sk-0123456789abcdef";
    for line in [
        format!("prices = [\"{secret}\"]"),
        format!("streaming = \"{secret}\""),
        format!("api = {{ key = \"{secret}\" }}"),
        format!("key_env = \"{secret}"),
        format!("key_env = {secret}"),
        format!("cheaper = \"{secret}\""),
        format!("[wallet]\nkey_env = 1\nkey = \"{secret}\""),
        format!("[mandate]\nagent = \"a\"\ncap = \"{secret}\""),
    ] {
        let said = refused(&format!("[model]\nprovider = \"openai\"\nname = \"m\"\n{line}"));
        assert!(said.contains("bursar.toml") && !said.contains("0123456789"), "{line}: {said}");
    }
}

#[tokio::test]
async fn a_key_that_is_named_must_be_there() {
    let (_folder, path) =
        file("[model]\nprovider = \"openai\"\nname = \"m\"\nkey_env = \"BURSAR_NO_SUCH_KEY\"");
    let model = Config::read(&path).unwrap().model.unwrap();
    let error = model.open().await.unwrap_err();
    match error {
        #[cfg(feature = "openai")]
        BursarError::NoSecret { variable, .. } => assert_eq!(variable, "BURSAR_NO_SUCH_KEY"),
        #[cfg(not(feature = "openai"))]
        BursarError::Model { problem } => assert!(problem.contains("--features openai"), "{problem}"),
        other => panic!("{other}"),
    }
}

#[cfg(feature = "openai")]
mod asked {
    use super::file;
    use bursar::{Approve, AssetRegistry, Bursar, Config, Mandate};
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Answers one request with a whole turn; what was sent: the first line and the headers, and the body.
    async fn answer_one(listener: TcpListener) -> (String, Value) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut sent = Vec::new();
        let (head, body) = loop {
            let mut chunk = [0; 4_096];
            let read = stream.read(&mut chunk).await.unwrap();
            assert_ne!(read, 0, "it hung up");
            sent.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&sent).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(usize::MAX) {
                break (head.to_owned(), serde_json::from_str(body).unwrap());
            }
        };
        let turn = json!({"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes."}}],
            "usage": {"prompt_tokens": 1_000, "completion_tokens": 100}});
        let turn = turn.to_string();
        let reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{turn}",
            turn.len()
        );
        stream.write_all(reply.as_bytes()).await.unwrap();
        (head, body)
    }

    #[tokio::test]
    async fn a_model_is_asked_as_its_section_says_and_its_cost_is_booked() {
        // What cargo always sets here stands for a key.
        let key = env!("CARGO_MANIFEST_DIR");
        let prices = "[model.prices]\ninput = 1_000_000\noutput = 2_000_000\noutput_tokens_max = 5_000";
        let cases = [
            (
                "openai",
                "/v1",
                "",
                "POST /v1/chat/completions HTTP/1.1",
                "authorization: Bearer ",
                "max_tokens",
            ),
            (
                "azure",
                "",
                "api_version = \"2024-10-21\"",
                "POST /openai/deployments/m/chat/completions?api-version=2024-10-21 HTTP/1.1",
                "api-key: ",
                "max_completion_tokens",
            ),
            (
                "azure",
                "/",
                "",
                "POST /openai/v1/chat/completions HTTP/1.1",
                "api-key: ",
                "max_completion_tokens",
            ),
        ];
        for (provider, path, more, line, header, most) in cases {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}{path}", listener.local_addr().unwrap());
            let (folder, config) = file(&format!(
                "[model]\nprovider = \"{provider}\"\nname = \"m\"\nbase_url = \"{url}\"\nkey_env = \"CARGO_MANIFEST_DIR\"\n\
                 streaming = false\nmax_output_tokens = 700\n{more}\n{prices}\n\
                 [model.cheaper]\nprovider = \"extractive\"\nprices = {{ input = 0, output = 0, output_tokens_max = 1 }}"
            ));
            let model = Config::read(&config).unwrap().model.unwrap().open().await.unwrap();
            let data = folder.path().join("data");
            std::fs::create_dir(&data).unwrap();
            let bursar =
                Bursar::builder(&data).play_wallet().unwrap().watch_every(None).open().await.unwrap();
            let budget = bursar::Amount::parse_decimal(&bursar::Asset::micro_usd(), "1").unwrap();
            let registry = AssetRegistry::pinned();
            let usdc = registry.iter().find(|asset| asset.symbol() == "USDC" && !asset.live()).unwrap();
            let mandate = Mandate::new("test", "local").session_budget(budget).asset(usdc.id().clone());
            let session =
                bursar.session("test").mandate(mandate).approve(Approve::Never).start().await.unwrap();
            let asked = tokio::spawn(answer_one(listener));
            let report = model.agent().build().unwrap().run(session.run_context(), "Well?").await.unwrap();
            let (head, body) = asked.await.unwrap();
            assert_eq!(report.answer(), Ok("Yes."));
            assert_eq!(report.model_cost.atomic(), 1_200, "1,000 read and 100 written");
            assert_eq!(head.lines().next(), Some(line));
            assert!(head.lines().any(|line| line == format!("{header}{key}")), "{head}");
            assert_eq!((&body["model"], &body[most]), (&json!("m"), &json!(700)));
            drop(session);
            bursar.close().await.unwrap();
        }
    }
}
