//! The other side of the money: a market in a process of its own, which keeps its chain in a file and its ports for ever.

use crate::support::{Home, Running};
use bursar_market::Key;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// `Transfer(address,address,uint256)`.
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
/// What a seller complains of that it only does because it was killed and has forgotten what it quoted.
const FORGOTTEN: &str = "not_what_was_quoted";

pub(super) struct Outside {
    pub(super) home: Home,
    market: Running,
    args: Vec<String>,
    /// Host and port of the chain and of each seller.
    rpc: String,
    sellers: Vec<String>,
    config: String,
    questions: Vec<String>,
    violations: BTreeSet<String>,
}

/// The wallet of a lane: its key and its address.
pub(super) fn wallet(lane: usize) -> (String, String) {
    let mut bytes = [0; 32];
    bytes[31] = u8::try_from(lane + 161).unwrap();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (format!("0x{text}"), Key::new(&bytes).unwrap().address().to_string().to_ascii_lowercase())
}

/// A name for a number, which no other number has.
fn name(number: usize) -> String {
    const SYLLABLES: [&str; 8] = ["ba", "ke", "di", "lo", "mu", "ra", "ne", "ti"];
    (0..5).map(|place| SYLLABLES[(number >> (3 * place)) % 8]).collect()
}

impl Outside {
    pub(super) fn new(questions: usize, lanes: usize) -> Self {
        let home = Home::new();
        std::fs::create_dir(home.file("sources")).unwrap();
        for number in 0..questions {
            let name = name(number);
            let text = format!(
                "# The harbour of {name}\n\nThe harbour of {name} opens at six, when the tide is high.\n"
            );
            std::fs::write(home.file(&format!("sources/{name}.md")), text).unwrap();
        }
        let wallets: Vec<String> = (0..lanes).map(|lane| wallet(lane).1).collect();
        // Below the ports that are given out to clients, so that they are free again when the market was killed.
        let first = 20_000 + std::process::id() % 1_500 * 8;
        let mut tried = 0;
        let (market, args, said) = loop {
            let mut args: Vec<String> =
                ["market", "--admin", "--state", "chain.jsonl", "--sources", "sources"]
                    .map(str::to_owned)
                    .into();
            for (port, name) in (first + tried * 4..).zip(["rpc", "facilitator", "seller", "reseller"]) {
                args.extend([format!("--port-{name}"), port.to_string()]);
            }
            for wallet in &wallets {
                args.extend(["--fund".to_owned(), wallet.clone()]);
            }
            if let Some((market, said)) = start(&home, &args) {
                break (market, args, said);
            }
            tried += 1;
            assert!(tried < 20, "no ports from {first} on");
        };
        let host =
            |line: &str| line.split_whitespace().nth(1).unwrap().trim_start_matches("http://").to_owned();
        let sellers = said.lines().filter(|line| line.starts_with("seller ")).map(host).collect();
        let rpc = host(said.lines().find(|line| line.starts_with("chain ")).unwrap());
        let config = said.split_once("data = ").unwrap().1.split_once("\nCtrl-C").unwrap().0;
        // An authorization that was lost is waited for until it runs out; nobody wants to wait for a minute here.
        let config =
            format!("data = {config}").replace("[mandate]\n", "[mandate]\nwindow_s_max = 10\n").replace(
                r#"{ scope = "session", limit = "0.50" }"#,
                r#"{ scope = "session", limit = "0.50" }, { scope = "user", limit = "500" }"#,
            );
        let questions =
            (0..questions).rev().map(|number| format!("When does the harbour of {} open?", name(number)));
        let questions = questions.collect();
        Self { home, market, args, rpc, sellers, config, questions, violations: BTreeSet::new() }
    }

    /// A question that was not asked before.
    pub(super) fn question(&mut self) -> String {
        self.questions.pop().expect("more documents than kills")
    }

    /// A configuration that buys here, with a data folder of its own.
    pub(super) fn config(&self, data: &str) -> String {
        self.config.replacen("\".bursar\"", &format!("{data:?}"), 1)
    }

    pub(super) fn kill(&mut self) {
        self.market.child.kill().unwrap();
    }

    /// Starts the market again, where it was, with the chain as its file has it.
    pub(super) fn start_again(&mut self) {
        self.market.child.wait().unwrap();
        // What was just closed may be in the way for a moment; each start is its own wait.
        let started = (0..200).find_map(|_| start(&self.home, &self.args));
        self.market = started.expect("the market does not start again").0;
    }

    /// What left a wallet, as the chain tells it: transaction, payee and amount.
    pub(super) fn left(&self, wallet: &str) -> Vec<(String, String, u128)> {
        let from = format!("0x{:0>64}", wallet.trim_start_matches("0x"));
        let filter = json!({"fromBlock": "0x0", "toBlock": "latest", "topics": [TRANSFER, from]});
        let call =
            json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [filter]}).to_string();
        let answer: Value = serde_json::from_str(&send(&self.rpc, "POST", "/", &call)).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_ascii_lowercase();
        let logs = answer["result"].as_array().unwrap_or_else(|| panic!("{answer}"));
        logs.iter()
            .map(|log| {
                let payee = text(&log["topics"][2]).replacen("0x000000000000000000000000", "0x", 1);
                let amount = u128::from_str_radix(text(&log["data"]).trim_start_matches("0x"), 16).unwrap();
                (text(&log["transactionHash"]), payee, amount)
            })
            .collect()
    }

    /// Keeps what the sellers complain of: they forget it when they are killed.
    pub(super) fn note_violations(&mut self) {
        for seller in &self.sellers {
            let log: Value = serde_json::from_str(&send(seller, "GET", "/admin/log", "")).unwrap();
            let complaints = log["violations"].as_array().unwrap();
            let real = complaints.iter().filter(|complaint| complaint["kind"] != FORGOTTEN);
            self.violations.extend(real.map(Value::to_string));
        }
    }

    pub(super) const fn violations(&self) -> &BTreeSet<String> {
        &self.violations
    }
}

/// Starts the market and gives what it says; `None` if it does not start.
fn start(home: &Home, args: &[String]) -> Option<(Running, String)> {
    let mut running = home.start(args.iter().map(String::as_str));
    let mut said = String::new();
    while let Some(line) = running.line() {
        said.push_str(&line);
        if line.starts_with("Ctrl-C") {
            return Some((running, said));
        }
    }
    None
}

/// Sends a request and gives the body of its answer.
fn send(host: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}
