//! The books as hledger and ledger both read them.
//!
//! # Source
//! hledger, "hledger manual", section "Journal"; ledger, "Ledger 3", chapter "Journal Format".

use super::names::bare;
use super::{Booked, Books};
use std::fmt::Write as _;

pub(super) fn written(books: &Books) -> String {
    let mut text =
        "; Written by `bursar spend --export hledger`. Amounts are in whole units of each asset, exact.\n"
            .to_owned();
    for id in &books.left_out {
        let _ = writeln!(text, "; left out, since an amount of it is not known: {id}");
    }
    let Some((_, last)) = books.days() else { return text };
    text.push('\n');
    for (id, commodity) in books.commodities.iter() {
        let zero = books.commodities.written(id, 0).0;
        let _ = writeln!(text, "; {}: {}", commodity.name, bare(id.as_str()));
        let _ = writeln!(text, "commodity \"{}\"\n    format {} \"{0}\"", commodity.name, format_of(&zero));
    }
    text.push('\n');
    for tag in ["payment", "entry", "at", "session", "tx", "used"] {
        let _ = writeln!(text, "tag {tag}");
    }
    text.push('\n');
    for account in books.accounts().keys() {
        let _ = writeln!(text, "account {account}");
    }
    for booked in &books.transactions {
        transaction(&mut text, books, booked);
    }
    let _ = writeln!(text, "\n{last} * balances as Bursar has them");
    for ((account, asset), sum) in &books.balances {
        let (zero, name) = books.commodities.written(asset, 0);
        let (units, _) = books.commodities.written(asset, *sum);
        let _ = writeln!(text, "    {account}  {zero} \"{name}\" = {units} \"{name}\"");
    }
    text
}

/// How amounts of a commodity are shown: with all decimals, and a mark for them also where there are none.
fn format_of(zero: &str) -> String {
    if zero.contains('.') { format!("100{zero}") } else { format!("1000{}.", zero.trim_start_matches('0')) }
}

fn transaction(text: &mut String, books: &Books, booked: &Booked) {
    let day = super::Day::of(booked.at);
    let payee = if booked.payee.is_empty() { String::new() } else { bare(&booked.payee) + " | " };
    let _ = writeln!(text, "\n{day} * {payee}{}", booked.says);
    for (name, value) in &booked.links {
        let _ = writeln!(text, "    ; {name}: {}", bare(value));
    }
    for (account, asset, sum) in &booked.postings {
        let (units, name) = books.commodities.written(asset, *sum);
        let _ = writeln!(text, "    {account}  {units} \"{name}\"");
    }
}
