//! The end of a run as text: brief, sources, uses, spend, proof.

use super::{BAD, DIM, GOOD, HEAD, line};
use crate::args::ApproveArg;
use crate::commands::research::{AwaitedAnswer, Bought, Chain, Outcome, Source, Waiting};
use crate::screen::{Amounts, short};
use bursar::memory::clean_text;
use bursar::report::PaymentState;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const ANSWER_CHARS: usize = 20_000;

pub(super) fn text(outcome: &Outcome, amounts: &Amounts) -> String {
    let mut text = String::new();
    match (&outcome.brief, &outcome.stopped) {
        (Some(brief), _) => {
            let _ =
                writeln!(text, "\n{HEAD}brief{HEAD:#}\n{}\n", clean_text(brief.answer.trim(), ANSWER_CHARS));
        }
        (None, Some(why)) => {
            let _ = writeln!(text, "\n{BAD}no answer{BAD:#} {}", line(why, 500));
        }
        (None, None) => {}
    }
    sources(&mut text, outcome, amounts);
    uses(&mut text, outcome, amounts);
    spend(&mut text, outcome, amounts);
    proof(&mut text, outcome, amounts);
    let _ = write!(text, "{}", closing(outcome, amounts));
    text.trim_end().to_owned()
}

fn sources(text: &mut String, outcome: &Outcome, amounts: &Amounts) {
    if outcome.sources.is_empty() {
        return;
    }
    let _ = writeln!(text, "{HEAD}sources{HEAD:#}");
    let mut seen = BTreeMap::new();
    for source in &outcome.sources {
        let Source { number, title, heading, quote, url, artifact, bought } = source;
        let under = if heading.is_empty() { String::new() } else { format!(", {}", line(heading, 160)) };
        let _ = writeln!(text, "[{number}] {}{under}", line(title, 160));
        let _ = writeln!(text, "    “{}”", line(quote, 600));
        // What a document cost is told where it is cited first.
        if let Some(first) = seen.get(artifact) {
            let _ = writeln!(text, "    {DIM}the same document as [{first}]{DIM:#}");
            continue;
        }
        seen.insert(artifact, *number);
        let _ = writeln!(text, "    {DIM}{} {artifact}{DIM:#}", line(url, 200));
        let _ = writeln!(text, "    {DIM}{}{DIM:#}", paid(bought.as_ref(), amounts));
    }
    text.push('\n');
}

fn paid(bought: Option<&Bought>, amounts: &Amounts) -> String {
    let Some(bought) = bought else { return "free".to_owned() };
    let amount =
        bought.amount.as_ref().map_or_else(|| "an unknown amount".to_owned(), |amount| amounts.show(amount));
    let when = if bought.now { String::new() } else { format!(" before, on {}", bought.at) };
    let receipt = bought.receipt.as_ref().map_or_else(
        || "no receipt".to_owned(),
        |receipt| {
            let seen = if receipt.observed { "observed on chain" } else { "claimed by the vendor" };
            format!("receipt {} ({seen})", short(&line(&receipt.reference, 100)))
        },
    );
    format!("paid {amount}{when}; {receipt}")
}

fn uses(text: &mut String, outcome: &Outcome, amounts: &Amounts) {
    if outcome.uses.is_empty() {
        return;
    }
    let _ = writeln!(text, "{HEAD}used{HEAD:#}");
    for used in &outcome.uses {
        let cost =
            used.amount.as_ref().map_or_else(String::new, |amount| format!("{} ", amounts.show(amount)));
        let for_what = used
            .used_for
            .as_ref()
            .map_or_else(|| "not used in the answer".to_owned(), |used| line(used, 300));
        let _ = writeln!(text, "  {cost}“{}”: {for_what}", line(&used.title, 100));
    }
    text.push('\n');
}

fn spend(text: &mut String, outcome: &Outcome, amounts: &Amounts) {
    let spent = amounts.show(&outcome.session.spent);
    let of = outcome
        .session
        .budget
        .as_ref()
        .map_or_else(String::new, |budget| format!(" of {}", amounts.show(budget)));
    let payments = count(outcome.session.paid, "payment");
    let _ = writeln!(text, "{HEAD}spent{HEAD:#}     {spent}{of} in {payments}");
    for payment in &outcome.open {
        let amount = payment.amount.as_ref().map_or_else(String::new, |amount| amounts.show(amount));
        let what = match &payment.state {
            PaymentState::Undelivered { problem } => format!("paid and owed: {problem}"),
            PaymentState::Unknown { problem } => format!("nobody can say yet whether it moved: {problem}"),
            PaymentState::Signing => "signed, and its answer is not known".to_owned(),
            PaymentState::Unreadable { problem } => format!("its record cannot be read: {problem}"),
            PaymentState::Claimed { problem } => format!("paid, and asked back: {problem}"),
            PaymentState::Parked { problem, owner, due } => match due {
                Some(due) => format!("{owner} has to look at it until {due}: {problem}"),
                None => format!("{owner} has to look at it: {problem}"),
            },
            PaymentState::Held
            | PaymentState::Delivered
            | PaymentState::Refunded
            | PaymentState::Erased { .. }
            | PaymentState::Closed { .. }
            | PaymentState::NotPaid { .. } => continue,
        };
        let _ = writeln!(
            text,
            "{BAD}open{BAD:#}      {amount} for {}: {}",
            line(&payment.resource, 120),
            line(&what, 300)
        );
    }
}

fn proof(text: &mut String, outcome: &Outcome, amounts: &Amounts) {
    let verification = &outcome.verification;
    let (size, root) = (verification.head.size, short(&verification.head.root.to_string()));
    if verification.problems.is_empty() {
        let _ = writeln!(text, "{GOOD}journal{GOOD:#}   verifies: {size} entries, root {root}");
    } else {
        let problems = verification.problems.join("; ");
        let _ =
            writeln!(text, "{BAD}journal{BAD:#}   does not verify: {size} entries, root {root}: {problems}");
    }
    match &outcome.chain {
        Some(chain @ Chain { left, .. }) if chain.agrees() => {
            let _ = writeln!(
                text,
                "{GOOD}chain{GOOD:#}     agrees: {} left the wallet in all, as the ledger says",
                amounts.show(left)
            );
        }
        Some(Chain { left, booked }) => {
            let (left, booked) = (amounts.show(left), amounts.show(booked));
            let _ = writeln!(
                text,
                "{BAD}chain{BAD:#}     differs: {left} left the wallet in all, and the ledger says {booked}"
            );
        }
        None => {}
    }
}

/// What the reader should know at the very end.
fn closing(outcome: &Outcome, amounts: &Amounts) -> String {
    if outcome.interrupted {
        let bought = count(outcome.session.paid, "purchase");
        let mut text = format!(
            "\ninterrupted: {} was paid for {bought}, and what came is kept",
            amounts.show(&outcome.session.spent)
        );
        if let Some(command) = &outcome.go_on {
            let _ = write!(text, "\nto go on: `{command}`; nothing is paid twice");
        }
        return text;
    }
    if let (Some(waiting), Some(command)) = (&outcome.waiting, &outcome.go_on) {
        return waits(waiting, command);
    }
    if let (Some(asked), Some(command)) = (&outcome.asked, &outcome.go_on) {
        return asks(asked, command);
    }
    if let Some(command) = &outcome.go_on {
        return format!("\nto go on: `{command}`; nothing is paid twice");
    }
    if outcome.approve == ApproveArg::Never && outcome.session.paid == 0 {
        return "\ndry run: nothing was bought; run it again without `--approve never` to buy what the plan lists".to_owned();
    }
    String::new()
}

/// Which question waits, and how to answer it and go on.
fn asks(asked: &AwaitedAnswer, command: &str) -> String {
    let AwaitedAnswer { approval, until, answer_with, signed } = asked;
    let then = if *signed { format!(", then `{command}`") } else { " at a terminal".to_owned() };
    format!(
        "\nwaiting   for an answer to question {approval}, until {until}; nothing is bought of it before\n          \
         answer with `{answer_with}`{then}; nothing is asked or paid twice"
    )
}

/// What a person is asked, and how to answer.
fn waits(waiting: &Waiting, command: &str) -> String {
    let Waiting { call, tool, arguments } = waiting;
    let (tool, arguments) = (line(tool, 80), line(&arguments.to_string(), 400));
    format!(
        "\nwaiting   for a person: `{tool}` was started and has no result\n          with {arguments}\n\
         look whether it happened, and say so:\n  {command} --call {call} --by NAME --happened \"WHAT CAME OF IT\"\n  \
         {command} --call {call} --by NAME --did-not-happen"
    )
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
