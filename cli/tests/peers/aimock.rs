//! Starting aimock, which speaks as OpenAI and Amazon Bedrock do.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Once;

/// A server of its own, which ends with this value.
pub(crate) struct Aimock {
    child: Child,
    asks: Option<ChildStdin>,
    says: BufReader<ChildStdout>,
    url: String,
}

/// One request that a server saw.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// What the request says about streaming, if anything.
    pub(crate) stream: Option<bool>,
    pub(crate) status: u64,
}

impl Aimock {
    /// Starts it, with the researcher of `tests/peers/aimock/serve.mjs`.
    pub(crate) fn start() -> Self {
        installed();
        let mut child = Command::new("node")
            .arg("serve.mjs")
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed: `.ci/run` gets it where it is missing");
        let asks = child.stdin.take();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        let url = line(&mut says)["url"].as_str().unwrap().to_owned();
        Self { child, asks, says, url }
    }

    /// Its address, without a path.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked so far.
    pub(crate) fn asked(&mut self) -> Vec<Asked> {
        writeln!(self.asks.as_mut().unwrap(), "journal").unwrap();
        let asked = line(&mut self.says);
        let asked = asked.as_array().unwrap().iter().map(|asked| Asked {
            path: asked["path"].as_str().unwrap().to_owned(),
            stream: asked["stream"].as_bool(),
            status: asked["status"].as_u64().unwrap(),
        });
        asked.collect()
    }
}

impl Drop for Aimock {
    fn drop(&mut self) {
        drop(self.asks.take());
        let _ = self.child.wait();
    }
}

fn line(says: &mut BufReader<ChildStdout>) -> Value {
    let mut text = String::new();
    says.read_line(&mut text).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("aimock said `{text}`: {error}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers/aimock")
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
