//! A data folder with its wallet: what is run over it, how that is killed, and how it has to be in the end.

use super::Dice;
use super::outside::{Outside, wallet};
use crate::support::{Ran, ran};
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Research,
    Resume,
    Watch,
}

/// What it had told of a payment when it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Held,
    Signing,
    /// The same, and the chain has the transfer.
    Settled,
    Paid,
}

/// The moment of a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(What, Told);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.0 {
            What::Research => "in a run",
            What::Resume => "in a resumed run",
            What::Watch => return f.write_str("in `bursar watch --once`"),
        };
        let told = match self.1 {
            Told::Nothing => "before a hold",
            Told::Held => "held",
            Told::Signing => "signing or presented",
            Told::Settled => "settled, and nobody heard of it",
            Told::Paid => "paid and delivered",
        };
        write!(f, "{what}: {told}")
    }
}

pub(super) struct Lane {
    data: String,
    config: String,
    key: String,
    wallet: String,
    /// What was killed last, and can go on.
    session: Option<String>,
    begun: bool,
}

impl Lane {
    pub(super) fn new(outside: &Outside, number: usize) -> Self {
        let (data, config) = (format!("data-{number}"), format!("bursar-{number}.toml"));
        std::fs::write(outside.home.file(&config), outside.config(&data)).unwrap();
        let (key, wallet) = wallet(number);
        Self { data, config, key, wallet, session: None, begun: false }
    }

    fn command(&self, outside: &Outside, args: &[&str]) -> Command {
        let mut command = outside.home.command(args.iter().copied());
        command.args(["--json", "--config", &self.config]).env("BURSAR_KEY", &self.key);
        command
    }

    /// Runs something and kills it, with the market or without; gives the moment, unless it ended before.
    pub(super) fn live_a_little(
        &mut self,
        outside: &mut Outside,
        dice: &mut Dice,
        with_market: bool,
    ) -> Option<Moment> {
        let what = match (&self.session, dice.below(10)) {
            (Some(_), 0..=5) => What::Resume,
            (_, 6) if self.begun => What::Watch,
            _ => What::Research,
        };
        let settled = outside.left(&self.wallet).len();
        let command = match (what, &self.session) {
            (What::Resume, Some(session)) => self.command(outside, &["resume", session]),
            (What::Watch, _) => self.command(outside, &["watch", "--once"]),
            _ => {
                let question = outside.question();
                self.command(outside, &["research", &question])
            }
        };
        self.begun = true;
        let (seen, killed) = Victim::start(command).killed(what, dice, with_market.then_some(outside));
        if what != What::Watch {
            let session = seen.iter().find(|line| line.contains(r#""cli":"session""#));
            let session = session.map(|line| serde_json::from_str::<Value>(line).unwrap()["session"].clone());
            self.session = if killed { session.map(|id| id.as_str().unwrap().to_owned()) } else { None };
        }
        killed.then(|| Moment(what, self.told(outside, &seen, settled, with_market)))
    }

    fn told(&self, outside: &Outside, seen: &[String], settled: usize, with_market: bool) -> Told {
        let last =
            |name: &str| seen.iter().rposition(|line| line.starts_with(&format!(r#"{{"money":"{name}""#)));
        let (held, signing, paid) = (last("held"), last("signing"), last("paid"));
        if paid > signing {
            return Told::Paid;
        }
        let heard = seen.iter().filter(|line| line.starts_with(r#"{"money":"paid""#)).count();
        match (held, signing) {
            (_, Some(_)) if !with_market && outside.left(&self.wallet).len() > settled + heard => {
                Told::Settled
            }
            (held, Some(_)) if held < signing => Told::Signing,
            (Some(_), _) => Told::Held,
            (None, Some(_)) => Told::Signing,
            (None, None) => Told::Nothing,
        }
    }

    /// Lets everything come to its end: the last run goes on, and what is open is looked after until nothing changes any more.
    pub(super) fn come_to_rest(&mut self, outside: &Outside) {
        if let Some(session) = self.session.take() {
            let resumed = ran(self.command(outside, &["resume", &session]));
            assert!([0, 1, 3].contains(&resumed.code), "{}\n{}", resumed.stdout, resumed.stderr);
        }
        let mut last: Option<Ran> = None;
        // An authorization lives for 10 s, and a look takes some time.
        for _ in 0..2_000 {
            let looked = ran(self.command(outside, &["watch", "--once"]));
            match looked.code {
                0 => return,
                3 => last = Some(looked),
                code => panic!("{code}: {}\n{}", looked.stdout, looked.stderr),
            }
        }
        let last = last.unwrap();
        panic!("it never came to rest: {}\n{}", last.stdout, last.stderr);
    }

    /// The ledger says what the chain says, payment by payment, and its budgets and its journal hold. Gives how many there are.
    pub(super) fn agrees(&self, outside: &Outside) -> usize {
        let home = &outside.home;
        let payments = home.run(["spend", "--json", "--data", &self.data]).json();
        let text = |value: &Value| value.as_str().unwrap().to_ascii_lowercase();
        let mut booked = Vec::new();
        let (mut micro, mut names) = (0_u128, BTreeSet::new());
        for payment in payments.iter().filter(|payment| payment["state"] != "not_paid") {
            let known = ["delivered", "parked"].contains(&payment["state"].as_str().unwrap());
            assert!(known && payment["receipt"]["observed"] == true, "it did not come to rest: {payment:#}");
            assert!(names.insert(text(&payment["resource"])), "bought twice: {payment:#}");
            let amount = text(&payment["amount"]["atomic"]).parse::<u128>().unwrap();
            micro += text(&payment["micro_usd"]["atomic"]).parse::<u128>().unwrap();
            booked.push((text(&payment["receipt"]["reference"]), text(&payment["payee"]), amount));
        }
        let mut left = outside.left(&self.wallet);
        left.sort();
        booked.sort();
        assert_eq!(left, booked, "what left the wallet is not what the ledger says: {payments:#?}");
        let ledger = Connection::open(home.file(&format!("{}/ledger.sqlite", self.data))).unwrap();
        let mut budgets = ledger.prepare("SELECT terms, spent, held FROM budgets").unwrap();
        let rows = budgets.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let rows: Vec<(String, String, String)> = rows.collect::<Result<_, _>>().unwrap();
        let mut sessions = 0;
        for (terms, spent, held) in rows {
            let terms: Value = serde_json::from_str(&terms).unwrap();
            let spent: u128 = spent.parse().unwrap();
            assert_eq!(held, "0", "held for nothing: {terms}");
            assert!(spent <= text(&terms["limit"]["atomic"]).parse().unwrap(), "{terms}");
            match terms["name"].as_str().unwrap() {
                "session" => sessions += spent,
                "user" => assert_eq!(spent, micro, "{terms}"),
                _ => {}
            }
        }
        assert_eq!(sessions, micro);
        drop(budgets);
        let audit = home.run(["audit", "verify", "--data", &self.data]);
        assert_eq!(audit.code, 0, "{}", audit.stdout);
        booked.len()
    }
}

/// A process that will be killed.
struct Victim {
    child: std::process::Child,
    lines: Receiver<String>,
}

impl Victim {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (heard, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // The last line of a killed process may be half a line.
            for line in stdout.lines().map_while(Result::ok) {
                let _ = heard.send(line);
            }
        });
        Self { child, lines }
    }

    /// Kills it at a moment that the dice choose. Gives what it said, and whether it was killed before it ended.
    fn killed(mut self, what: What, dice: &mut Dice, market: Option<&mut Outside>) -> (Vec<String>, bool) {
        const EVENTS: [&str; 9] = [
            "\"cli\":\"session\"",
            "\"money\":\"quoted\"",
            "\"money\":\"plan_decided\"",
            "\"money\":\"held\"",
            "\"money\":\"held\"",
            "\"money\":\"signing\"",
            "\"money\":\"signing\"",
            "\"money\":\"paid\"",
            "\"type\":\"finished\"",
        ];
        let mut seen = Vec::new();
        if what != What::Watch && dice.below(4) > 0 {
            let event = EVENTS[dice.below(EVENTS.len())];
            for line in &self.lines {
                let there = line.contains(event);
                seen.push(line);
                if there {
                    break;
                }
            }
            let scale = [1, 300, 3_000, 30_000][dice.below(4)];
            pass(dice.below(scale));
        } else {
            pass(dice.below(if what == What::Watch { 200_000 } else { 500_000 }));
        }
        if let Some(outside) = market {
            outside.kill();
            let scale = [1, 3_000, 100_000][dice.below(3)];
            pass(dice.below(scale));
        }
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        seen.extend(self.lines);
        (seen, status.signal() == Some(9))
    }
}

/// Lets time pass: when a fault strikes, not what a test waits for.
fn pass(micros: usize) {
    let (_never, nothing) = mpsc::channel::<()>();
    let _ = nothing.recv_timeout(Duration::from_micros(u64::try_from(micros).unwrap()));
}
