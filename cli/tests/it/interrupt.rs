//! Ctrl-C and crashes in the middle of a purchase, then the same command again.

use crate::research::QUESTION;
use crate::support::{Home, Running, line, paid, ran, started};
use std::io::{Read as _, Write as _};
use std::process::Command;

/// A key that nobody should fund anywhere else.
pub(crate) const KEY: &str = "0x00000000000000000000000000000000000000000000000000000000000000a1";
/// Its address.
pub(crate) const WALLET: &str = "0xd2431ca38735c2fd438e2caa23f094191d89675b";

/// A market in a process of its own, with faults to be had, and a configuration that buys from it.
pub(crate) struct Outside {
    pub(crate) home: Home,
    _market: Running,
    admin: String,
    reseller: String,
}

impl Outside {
    pub(crate) fn new() -> Self {
        Self::funding(WALLET)
    }

    fn funding(address: &str) -> Self {
        Self::start(Home::new(), address, &[])
    }

    /// A market of one document, so that what a model prefers does not show.
    pub(crate) fn selling(text: &str) -> Self {
        Self::selling_with(text, &[])
    }

    fn selling_with(text: &str, more: &[&str]) -> Self {
        let home = Home::new();
        std::fs::create_dir(home.file("notes")).unwrap();
        std::fs::write(home.file("notes/note.md"), text).unwrap();
        Self::start(home, WALLET, &[&["--sources", "notes"], more].concat())
    }

    /// The same with prices in the body, as version 1 of x402 has them.
    pub(crate) fn selling_v1(text: &str) -> Self {
        Self::selling_with(text, &["--wire", "v1"])
    }

    /// The main seller, without TLS.
    pub(crate) fn seller(&self) -> String {
        self.admin.clone()
    }

    pub(crate) fn start(home: Home, address: &str, more: &[&str]) -> Self {
        let args = ["market", "--admin", "--state", "chain.jsonl", "--fund", address];
        let mut market = home.start(args.iter().chain(more).copied());
        let host =
            |line: &str| line.split_whitespace().nth(1).unwrap().trim_start_matches("http://").to_owned();
        let admin = host(&market.until("seller "));
        let reseller = host(&market.until("seller "));
        let mut config = market.until("data = ");
        loop {
            let next = market.until("");
            if next.starts_with("Ctrl-C") {
                break;
            }
            config.push_str(&next);
        }
        std::fs::write(home.file("bursar.toml"), config).unwrap();
        Self { home, _market: market, admin, reseller }
    }

    /// The address of a document at the main seller.
    pub(crate) fn document(&self, name: &str) -> String {
        format!("http://{}/documents/{name}", self.admin)
    }

    pub(crate) fn command(&self) -> Command {
        self.with_config(&["research", QUESTION, "--json"])
    }

    /// A command that uses the configuration, and so the wallet.
    pub(crate) fn with_config(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args.iter().copied().chain(["--config", "bursar.toml"]));
        command.env("BURSAR_KEY", KEY);
        command
    }

    /// Changes the configuration.
    pub(crate) fn configure(&self, change: impl FnOnce(String) -> String) {
        let file = self.home.file("bursar.toml");
        std::fs::write(&file, change(std::fs::read_to_string(&file).unwrap())).unwrap();
    }

    /// Arms a fault at the main seller.
    pub(crate) fn fault(&self, rule: &str) {
        Self::arm(&self.admin, rule);
    }

    /// Arms a fault at every seller.
    pub(crate) fn fault_everywhere(&self, rule: &str) {
        Self::arm(&self.admin, rule);
        Self::arm(&self.reseller, rule);
    }

    fn arm(admin: &str, rule: &str) {
        let mut stream = std::net::TcpStream::connect(admin).unwrap();
        let head = format!(
            "POST /admin/faults HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{rule}",
            admin,
            rule.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Waits until the seller has settled a payment, of which the buyer knows nothing yet.
    pub(crate) fn until_settled(&self) {
        // As text: the last line may be half written.
        let chain = self.home.file("chain.jsonl");
        let settled = || std::fs::read_to_string(&chain).unwrap_or_default().contains("\"authorization\"");
        for _ in 0..3_000_000 {
            if settled() {
                return;
            }
            std::thread::yield_now();
        }
        panic!("the seller never settled a payment");
    }

    /// What left the wallet on the chain is what the ledger says was paid, and no document was paid twice.
    pub(crate) fn agrees(&self) {
        let sent = self.home.transfers("chain.jsonl");
        let payments = self.home.payments();
        assert_eq!(sent.iter().map(|(_, value, _)| value).sum::<u128>(), paid(&payments), "{payments:#?}");
        let mut resources: Vec<_> =
            payments.iter().map(|payment| payment["resource"].as_str().unwrap()).collect();
        let all = resources.len();
        resources.sort_unstable();
        resources.dedup();
        assert_eq!(resources.len(), all, "a document was paid twice: {payments:#?}");
        assert_eq!(sent.len(), all);
    }
}

#[test]
fn ctrl_c_in_the_middle_of_a_purchase_waits_for_it_and_the_same_command_goes_on() {
    let outside = Outside::new();
    outside.fault(r#"{"fault":"slow_body","ms":1500,"times":1}"#);
    let mut running = started(outside.command());
    running.until(r#""money":"signing""#);
    running.signal("INT");
    let first = running.end();
    assert_eq!(first.code, 130, "{}\n{}", first.stdout, first.stderr);
    assert!(first.stderr.contains("payments in flight go on to their end"), "{}", first.stderr);
    let lines = first.json();
    line(&lines, "money", "paid");
    line(&lines, "money", "delivered");
    assert_eq!(line(&lines, "cli", "end")["interrupted"], true);
    outside.agrees();
    let again = ran(outside.command());
    assert_eq!(again.code, 0, "{}\n{}", again.stdout, again.stderr);
    outside.agrees();
}

#[test]
fn a_second_ctrl_c_leaves_at_once_and_nothing_is_paid_twice() {
    let outside = Outside::new();
    outside.fault(r#"{"fault":"slow_body","ms":4000,"times":1}"#);
    let mut running = started(outside.command());
    running.until(r#""money":"signing""#);
    outside.until_settled();
    running.signal("INT");
    running.until_stderr("payments in flight go on to their end");
    running.signal("INT");
    assert_eq!(running.end().code, 130);
    let again = ran(outside.command());
    assert!([0, 3].contains(&again.code), "{}\n{}", again.stdout, again.stderr);
    outside.agrees();
}

#[test]
fn a_run_that_is_killed_in_the_middle_of_a_purchase_is_settled_by_the_chain_and_not_paid_again() {
    let outside = Outside::new();
    outside.fault(r#"{"fault":"slow_body","ms":4000,"times":1}"#);
    let mut running = started(outside.command());
    running.until(r#""money":"signing""#);
    outside.until_settled();
    running.signal("KILL");
    assert_eq!(running.end().code, -1);
    assert_eq!(outside.home.transfers("chain.jsonl").len(), 1, "it was paid, and nobody heard of it");
    let again = ran(outside.command());
    // What came with the lost answer is had from the seller again, or is owed; then the exit code says so.
    let open = line(&again.json(), "cli", "spend")["open"].as_array().unwrap().clone();
    assert_eq!(again.code, if open.is_empty() { 0 } else { 3 }, "{}\n{}", again.stdout, again.stderr);
    assert!(open.iter().all(|payment| payment["receipt"]["observed"] == true), "{open:#?}");
    outside.agrees();
}

#[test]
fn a_run_that_is_killed_after_paying_goes_on_without_paying_again() {
    let home = Home::new();
    let mut running = home.start(["research", QUESTION, "--json"]);
    running.until(r#""money":"paid""#);
    running.signal("KILL");
    assert_eq!(running.end().code, -1);
    let again = home.run(["research", QUESTION, "--json"]);
    assert_eq!(again.code, 0, "{}\n{}", again.stdout, again.stderr);
    let chain = line(&again.json(), "cli", "verification")["chain"].clone();
    assert_eq!(chain["agrees"], true, "{chain}");
    let sent = home.transfers(".bursar/chain.jsonl");
    assert_eq!(sent.iter().map(|(_, value, _)| value).sum::<u128>(), paid(&home.payments()));
}

#[test]
fn ctrl_c_in_the_box_tells_what_was_paid_and_how_to_go_on() {
    let home = Home::new();
    let mut running = home.start(["research", QUESTION]);
    running.until("paid  ");
    running.signal("INT");
    let first = running.end();
    assert_eq!(first.code, 130, "{}\n{}", first.stdout, first.stderr);
    let told = first.stdout.lines().find(|line| line.starts_with("to go on: `bursar resume ses_"));
    assert!(told.is_some_and(|told| told.ends_with("`; nothing is paid twice")), "{}", first.stdout);
    let again = home.run(["research", QUESTION]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stdout.contains("chain     agrees"), "{}", again.stdout);
}

#[test]
fn an_empty_wallet_is_told_and_pays_nothing() {
    let outside = Outside::funding("0x00000000000000000000000000000000000000aa");
    let ran = ran(outside.command());
    assert!(ran.stdout.contains("has 0 USDC, and this costs"), "{}", ran.stdout);
    assert!(outside.home.payments().is_empty());
    outside.agrees();
}
