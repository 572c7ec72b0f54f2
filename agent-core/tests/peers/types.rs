//! Requests to OpenAI against OpenAI's own types: its npm package, which is generated from its API description.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The requests that `tests/it/openai/requests.rs` saw on the wire, with their names.
fn requests() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/openai/snapshots");
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().rsplit("__").next().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, body) = text.split_once("expression: body\n---\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        found.push((name, body.to_string()));
    }
    found.sort();
    found
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/openai-types")
}

/// What the compiler says of requests of these types; empty if they fit.
fn said(requests: &[(String, String)]) -> String {
    let mut source = "import type OpenAI from \"openai\";\n".to_owned();
    for (name, body) in requests {
        let of = match name.split('_').next() {
            Some("responses") => "Responses.ResponseCreateParamsStreaming",
            _ => "Chat.ChatCompletionCreateParamsStreaming",
        };
        writeln!(source, "export const {name}: OpenAI.{of} = {body};").unwrap();
    }
    let file = format!("requests-{}.generated.ts", requests.len());
    std::fs::write(folder().join(&file), source).unwrap();
    let options =
        "--noEmit --strict --skipLibCheck --target es2022 --module nodenext --moduleResolution nodenext";
    let told = Command::new("node")
        .arg("node_modules/typescript/bin/tsc")
        .args(options.split(' '))
        .arg(&file)
        .current_dir(folder())
        .output()
        .expect("node is installed: `.ci/run` gets it where it is missing");
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(told.status.success(), said.is_empty(), "{said}");
    said
}

fn installed() {
    if folder().join("node_modules/.package-lock.json").exists() {
        return;
    }
    let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder()).status();
    assert!(npm.expect("npm is installed: `.ci/run` gets it where it is missing").success());
}

#[test]
fn every_request_fits_openai_s_own_types_and_an_unknown_field_would_not() {
    installed();
    let requests = requests();
    assert!(requests.len() >= 6, "{requests:?}");
    assert_eq!(said(&requests), "");
    for api in ["responses", "chat"] {
        let (name, body) = requests.iter().find(|(name, _)| name.starts_with(api)).unwrap().clone();
        let odd = body.replacen('{', "{\"no_such_field\":1,", 1);
        assert!(said(&[(name, odd)]).contains("no_such_field"), "{api}");
    }
}
