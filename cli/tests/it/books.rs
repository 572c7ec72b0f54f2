//! `bursar spend --export`: double-entry books of real purchases, read by a parser that is not ours.

use crate::interrupt::{Outside, WALLET};
use crate::spend::two_clients;
use crate::support::{Home, ran, steady};
use beancount_parser::{BeancountFile, DirectiveContent};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::str::FromStr;

/// An exact number with up to twelve decimals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd)]
struct Decimal(i128);

impl FromStr for Decimal {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        assert!(fraction.len() <= 12, "{text}");
        format!("{whole}{fraction:0<12}").parse().map(Self)
    }
}

impl Add for Decimal {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Decimal {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Decimal {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Mul for Decimal {
    type Output = Self;
    fn mul(self, _other: Self) -> Self {
        panic!("the books hold numbers, not sums to do")
    }
}

impl Div for Decimal {
    type Output = Self;
    fn div(self, _other: Self) -> Self {
        panic!("the books hold numbers, not sums to do")
    }
}

impl Decimal {
    const ZERO: Self = Self(0);

    fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

/// What Beancount itself checks: currencies declared, accounts opened before use and for that currency, transactions that add up to
/// nothing, balances that are met to the last digit. Gives how many transactions and balances there are.
fn check(text: &str) -> (usize, usize) {
    let file: BeancountFile<Decimal> = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut declared = BTreeSet::new();
    let mut open: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut sums: BTreeMap<(String, String), Decimal> = BTreeMap::new();
    let (mut transactions, mut balances, mut last) = (0, 0, None);
    for directive in &file.directives {
        assert!(last <= Some(directive.date), "in order");
        last = Some(directive.date);
        match &directive.content {
            DirectiveContent::Commodity(currency) => {
                assert!(declared.insert(currency.to_string()), "{currency}")
            }
            DirectiveContent::Open(account) => {
                let currencies = account.currencies.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
                assert!(!currencies.is_empty() && currencies.is_subset(&declared));
                assert!(open.insert(account.account.to_string(), currencies).is_none(), "opened twice");
            }
            DirectiveContent::Transaction(transaction) => {
                transactions += 1;
                let mut whole: BTreeMap<String, Decimal> = BTreeMap::new();
                for posting in &transaction.postings {
                    let (account, amount) = (posting.account.to_string(), posting.amount.as_ref().unwrap());
                    let currency = amount.currency.to_string();
                    assert!(open[&account].contains(&currency), "{account} {currency}");
                    let sum = whole.entry(currency.clone()).or_default();
                    *sum = *sum + amount.value;
                    let sum = sums.entry((account, currency)).or_default();
                    *sum = *sum + amount.value;
                }
                assert!(whole.values().all(Decimal::is_zero), "{transaction:?}");
            }
            DirectiveContent::Balance(balance) => {
                balances += 1;
                let key = (balance.account.to_string(), balance.amount.currency.to_string());
                assert_eq!(sums.remove(&key).unwrap_or_default(), balance.amount.value, "{key:?}");
                assert_eq!(balance.tolerance, Some(Decimal::ZERO), "to the last digit");
            }
            other => panic!("nobody writes {other:?}"),
        }
    }
    assert!(sums.values().all(Decimal::is_zero), "without a balance: {sums:?}");
    (transactions, balances)
}

/// That the wallets of the books have paid exactly what left them, in atomic units of six decimals.
pub(crate) fn check_wallet(outside: &Outside, left: u128) {
    let text = beancount(outside, &[]);
    check(&text);
    let file: BeancountFile<Decimal> = text.parse().unwrap();
    let wallets = file.directives.iter().filter_map(|directive| match &directive.content {
        DirectiveContent::Balance(balance) if balance.account.to_string().starts_with("Assets:Wallet:") => {
            Some(balance.amount.value)
        }
        _ => None,
    });
    let sum = wallets.fold(Decimal::ZERO, |sum, value| sum + value);
    assert_eq!(sum, -Decimal(i128::try_from(left).unwrap() * 1_000_000), "{text}");
    assert!(text.contains("Expenses:Adopted:"), "{text}");
}

fn beancount(outside: &Outside, more: &[&str]) -> String {
    let args = ["spend", "--export", "beancount"].into_iter().chain(more.iter().copied());
    let ran = outside.home.run(args);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    ran.stdout
}

#[test]
fn books_of_real_purchases_are_accepted_and_come_to_what_bursar_says() {
    let outside = two_clients();
    let text = beancount(&outside, &[]);
    assert_eq!(check(&text), (2, 3), "{text}");
    // A person gives the second up: its money is somewhere else then, and the wallet has what it had.
    let beta = outside.home.run(["spend", "--json", "--project", "beta"]).json();
    let id = beta[0]["id"].as_str().unwrap();
    let ended = ["obligations", "write-off", id, "--by", "ada", "--reason", "they are gone"];
    assert_eq!(outside.home.run(ended).code, 0);
    let text = beancount(&outside, &[]);
    assert_eq!(check(&text), (3, 4), "{text}");
    for account in ["Expenses:Bought:Other:127-0-0-1-Port", "Expenses:WrittenOff:Other:127-0-0-1-Port"] {
        assert!(text.lines().any(|line| line.contains(" balance ") && line.contains(account)), "{text}");
    }
    insta::assert_snapshot!("beancount", steady_days(&text));
    let hledger = outside.home.run(["spend", "--export", "hledger"]).stdout;
    assert_eq!(
        hledger.replace("hledger", "ledger"),
        outside.home.run(["spend", "--export", "ledger"]).stdout.replace("hledger", "ledger")
    );
    insta::assert_snapshot!("hledger", steady_days(&hledger));
    // One project alone, and days before and after.
    assert_eq!(check(&beancount(&outside, &["--project", "alpha"])).0, 1);
    assert_eq!(check(&beancount(&outside, &["--to", "2020-01-01"])), (0, 0));
    let opening = beancount(&outside, &["--from", "2099-01-01"]);
    assert_eq!(check(&opening).0, 1, "{opening}");
    assert!(opening.contains("2099-01-01 * \"opening balances: what happened before\""), "{opening}");
}

/// Without days and ports, which differ from run to run.
fn steady_days(text: &str) -> String {
    let word = |line: &str| {
        let day = |word: &str| word.len() == 10 && word.starts_with("20") && word.split('-').count() == 3;
        let words = line.split(' ').map(|word| if day(word) { "<day>" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let text: String = text.lines().map(|line| word(line) + "\n").collect();
    let mut parts = text.split("-Port");
    let head = parts.next().unwrap_or_default().to_owned();
    let text = parts
        .fold(head, |all, part| all + "-Port<p>" + part.trim_start_matches(|c: char| c.is_ascii_digit()));
    let entry = |line: &str| match line.split_once("entry: ") {
        Some((head, _)) => format!("{head}entry: <n>"),
        None => line.to_owned(),
    };
    steady(&text.lines().map(|line| entry(line) + "\n").collect::<String>())
}

#[test]
fn names_that_others_chose_begin_no_transaction() {
    let home = Home::new();
    std::fs::create_dir(home.file("notes")).unwrap();
    std::fs::write(home.file("notes/gas.md"), "# Gas\n\nThe submitter of a token transfer pays the gas.\n")
        .unwrap();
    let outside = Outside::start(home, WALLET, &["--sources", "notes"]);
    let evil = "x\\\"\\n2020-01-01 * \\\"gift\\\"\\n  Assets:Y  5 USD\\n\\\\; =cmd()";
    let hosts = "vendors = [\"127.0.0.1\"]";
    outside.configure(|config| format!("{config}\n[[mandate.category]]\nname = \"{evil}\"\n{hosts}\n"));
    let asked = ran(outside.with_config(&["research", "Who pays the gas of a token transfer?"]));
    assert_eq!(asked.code, 0, "{}\n{}", asked.stdout, asked.stderr);
    let text = beancount(&outside, &[]);
    assert_eq!(check(&text), (1, 2), "{text}");
    assert!(text.contains("Expenses:Bought:X--2020-01-01"), "{text}");
    let hledger = outside.home.run(["spend", "--export", "hledger"]).stdout;
    for text in [text, hledger] {
        assert!(!text.contains("gift\"") && !text.lines().any(|line| line.starts_with("2020")), "{text}");
    }
}
