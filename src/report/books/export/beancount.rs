//! The books as Beancount reads them.
//!
//! # Source
//! Beancount, "Beancount Language Syntax" and "Precision & Tolerances".

use super::names::quoted;
use super::{Booked, Books};
use std::fmt::Write as _;

pub(super) fn written(books: &Books) -> String {
    let mut text =
        "; Written by `bursar spend --export beancount`. Amounts are in whole units of each asset, exact.\n"
            .to_owned();
    text.push_str("option \"title\" \"Bursar\"\n");
    for id in &books.left_out {
        let _ = writeln!(text, "; left out, since an amount of it is not known: {id}");
    }
    let Some((first, last)) = books.days() else { return text };
    text.push('\n');
    for (id, commodity) in books.commodities.iter() {
        let _ = writeln!(text, "{first} commodity {}\n  asset: {}", commodity.name, quoted(id.as_str()));
        if commodity.decimals.is_none() {
            text.push_str("  unit: \"atomic: the decimals of the asset are not known here\"\n");
        }
    }
    text.push('\n');
    for (account, assets) in books.accounts() {
        let names: Vec<_> = assets.iter().map(|asset| books.commodities.written(asset, 0).1).collect();
        let _ = writeln!(text, "{first} open {account} {}", names.join(","));
    }
    for booked in &books.transactions {
        transaction(&mut text, books, booked);
    }
    text.push('\n');
    for ((account, asset), sum) in &books.balances {
        let (units, name) = books.commodities.written(asset, *sum);
        // A balance holds at the beginning of its day; without a tolerance, a unit too much would pass.
        let _ = writeln!(text, "{} balance {account} {units} ~ 0 {name}", last.next());
    }
    text
}

fn transaction(text: &mut String, books: &Books, booked: &Booked) {
    let day = super::Day::of(booked.at);
    let payee = if booked.payee.is_empty() { String::new() } else { quoted(&booked.payee) + " " };
    let _ = writeln!(text, "\n{day} * {payee}{}", quoted(booked.says));
    for (name, value) in &booked.links {
        let _ = writeln!(text, "  {name}: {}", quoted(value));
    }
    for (account, asset, sum) in &booked.postings {
        let (units, name) = books.commodities.written(asset, *sum);
        let _ = writeln!(text, "  {account}  {units} {name}");
    }
}
