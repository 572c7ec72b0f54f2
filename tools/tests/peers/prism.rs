//! Starting Prism, which checks requests against a document.

use async_trait::async_trait;
use bursar_types::{HttpRequest, HttpResponse, Limits, Transport, TransportError};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Once;

/// Sends requests to it.
#[derive(Debug, Default)]
pub(crate) struct Wire(reqwest::Client);

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
        let failed = |error: reqwest::Error| TransportError::NoAnswer {
            host: "prism".to_owned(),
            source: error.into(),
        };
        let (head, body) = request.into_parts();
        let asked = self.0.request(head.method, head.uri.to_string()).headers(head.headers).body(body);
        let answer = asked.send().await.map_err(failed)?;
        let status = answer.status();
        let mut response = HttpResponse::new(answer.bytes().await.map_err(failed)?);
        *response.status_mut() = status;
        Ok(response)
    }
}

/// A server of its own, which ends with this value.
pub(crate) struct Prism {
    child: Child,
    asks: Option<ChildStdin>,
    /// Its address.
    pub(crate) url: String,
    /// What the document has, as it reads it.
    pub(crate) operations: Vec<Value>,
}

impl Prism {
    /// Starts it with a document, named as below `node_modules`.
    pub(crate) fn start(document: &str) -> Self {
        let mut child = Command::new("node")
            .arg("serve.mjs")
            .arg(path(document))
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed: `.ci/run` gets it where it is missing");
        let asks = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("Prism said `{line}`: {error}"));
        let url = told["url"].as_str().unwrap().to_owned();
        let operations = told["operations"].as_array().unwrap().clone();
        Self { child, asks, url, operations }
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        drop(self.asks.take());
        let _ = self.child.wait();
    }
}

/// A document of a package, read.
pub(crate) fn document(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

fn path(document: &str) -> PathBuf {
    installed();
    folder().join("node_modules").join(document)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/openapi")
}

/// What the lock file names, once for all tests.
fn installed() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        if folder().join("node_modules/.package-lock.json").exists() {
            return;
        }
        let status =
            Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder()).status();
        assert!(status.expect("npm is installed: `.ci/run` gets it where it is missing").success());
    });
}
