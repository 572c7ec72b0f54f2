//! Running the binary, and taking out of its output what differs from run to run.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A folder of its own, in which the binary runs.
pub(crate) struct Home {
    folder: TempDir,
}

/// What a run of the binary gave.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
        command.args(args).current_dir(self.path()).env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    pub(crate) fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ran {
        ran(self.command(args))
    }

    /// Starts the binary and reads its stdout line by line.
    pub(crate) fn start<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Running {
        started(self.command(args))
    }

    /// The transfers of a market's chain, as its file has them: payee, amount and nonce.
    pub(crate) fn transfers(&self, chain: &str) -> Vec<(String, u128, String)> {
        let text = std::fs::read_to_string(self.file(chain)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter_map(|line| {
                let sent = line.pointer("/change/transfer/authorization")?.clone();
                let text = |field: &str| sent[field].as_str().unwrap().to_owned();
                Some((text("to"), text("value").parse().unwrap(), text("nonce")))
            })
            .collect()
    }

    /// Every payment, as `bursar spend --json` tells it.
    pub(crate) fn payments(&self) -> Vec<Value> {
        self.run(["spend", "--json"]).json()
    }
}

pub(crate) fn ran(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn started(mut command: Command) -> Running {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    Running { child, lines }
}

impl Ran {
    /// Every line of stdout as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{}", self.stderr))
            })
            .collect()
    }

    /// Exit code, stdout and stderr, without what differs from run to run.
    pub(crate) fn shown(&self) -> String {
        format!(
            "exit {}\n--- stdout\n{}--- stderr\n{}",
            self.code,
            steady(&self.stdout),
            steady(&self.stderr)
        )
    }
}

/// The line of `bursar research --json` with this key and value.
pub(crate) fn line<'a>(lines: &'a [Value], key: &str, value: &str) -> &'a Value {
    lines.iter().find(|line| line[key] == value).unwrap_or_else(|| panic!("no {key} {value} in {lines:#?}"))
}

/// The sum of what was paid, in atomic units.
pub(crate) fn paid(payments: &[Value]) -> u128 {
    let paid = payments
        .iter()
        .filter(|payment| payment["state"] == "delivered" || payment["state"] == "undelivered");
    paid.map(|payment| payment["amount"]["atomic"].as_str().unwrap().parse::<u128>().unwrap()).sum()
}

/// A running binary. Killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Running {
    /// Reads lines until one holds `text`.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                let stderr = self.child.stderr.take().map(|mut stderr| {
                    let mut text = String::new();
                    std::io::Read::read_to_string(&mut stderr, &mut text).map(|_| text)
                });
                let tail: Vec<char> = seen.chars().rev().take(2_000).collect();
                panic!("`{text}` never came:\n{}\n{stderr:?}", tail.iter().rev().collect::<String>());
            }
            if line.contains(text) {
                return line;
            }
            seen.push_str(&line);
        }
    }

    /// The next line; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.lines.read_line(&mut line).unwrap() > 0).then_some(line)
    }

    /// Reads what it says beside its output until that holds `text`.
    pub(crate) fn until_stderr(&mut self, text: &str) {
        let mut seen = Vec::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut byte = [0];
            assert_eq!(std::io::Read::read(stderr, &mut byte).unwrap(), 1, "`{text}` never came");
            seen.push(byte[0]);
        }
    }

    /// Sends a signal, such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end: exit code (-1 after a signal), the rest of stdout, and stderr.
    pub(crate) fn end(mut self) -> Ran {
        let mut stdout = String::new();
        std::io::Read::read_to_string(&mut self.lines, &mut stdout).unwrap();
        let mut stderr = String::new();
        std::io::Read::read_to_string(self.child.stderr.as_mut().unwrap(), &mut stderr).unwrap();
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Ran { code, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Text without ids, hashes, ports, times and counts of entries. Confirmations come when the chain is asked, so their
/// lines move about: they are taken out.
pub(crate) fn steady(text: &str) -> String {
    let mut ports = BTreeMap::new();
    let lines = text.lines().filter(|line| !line.starts_with("observed  "));
    lines.map(|line| steady_line(line, &mut ports).trim_end().to_owned() + "\n").collect()
}

fn steady_line(line: &str, ports: &mut BTreeMap<String, usize>) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '…' | ':' | '-');
    let mut out = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        out.push_str(&steady_word(token, &out, ports));
        let next = after.find(word).unwrap_or(after.len());
        let (between, after) = after.split_at(next);
        out.push_str(between);
        rest = after;
    }
    for counted in [" entries", " payloads checked"] {
        if let Some((head, tail)) = out.split_once(counted) {
            let head = head.trim_end_matches(|c: char| c.is_ascii_digit());
            out = format!("{head}<n>{counted}{tail}");
        }
    }
    out
}

fn steady_word(token: &str, before: &str, ports: &mut BTreeMap<String, usize>) -> String {
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(token) = token.strip_suffix(':') {
        return steady_word(token, before, ports) + ":";
    }
    if let Some((prefix, digits)) = token.split_once('_')
        && digits.len() == 32
        && hex(digits)
    {
        return format!("{prefix}_<id>");
    }
    if let Some(port) = token.strip_prefix("1:")
        && before.ends_with("127.0.0.")
    {
        let known = ports.len() + 1;
        return format!("1:<p{}>", ports.entry(port.to_owned()).or_insert(known));
    }
    let digits = token.strip_prefix("0x").unwrap_or(token);
    if let Some((head, tail)) = digits.split_once('…')
        && hex(head)
        && hex(tail)
    {
        return "<hash>".to_owned();
    }
    if digits.len() >= 40 && hex(digits) {
        return "<hash>".to_owned();
    }
    if token.len() == 20 && token.starts_with("20") && token.ends_with('Z') && token.contains('T') {
        return "<time>".to_owned();
    }
    token.to_owned()
}
