//! A plan and its decision as text.

use super::{BAD, DIM, GOOD, HEAD, line};
use crate::screen::{Amounts, vendor};
use bursar::types::{Decision, PlanOutcome, PlanView, QuoteId};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What became of a proposal.
pub(super) fn decided(
    outcome: &PlanOutcome,
    titles: &BTreeMap<QuoteId, String>,
    amounts: &Amounts,
) -> String {
    match outcome {
        PlanOutcome::Approved { plan, approved_by, decision } => {
            let mut text = listed(plan, titles, amounts);
            let _ = write!(text, "{GOOD}approved{GOOD:#}  by {}{}", line(approved_by, 80), rules(decision));
            text
        }
        PlanOutcome::AwaitingApproval { plan, .. } => {
            let mut text = listed(plan, titles, amounts);
            let _ = write!(text, "{BAD}waiting{BAD:#}   for an approver; nothing is bought of it");
            text
        }
        PlanOutcome::Refused { plan, decision } => {
            let mut text = plan.as_ref().map_or_else(String::new, |plan| listed(plan, titles, amounts));
            let _ = write!(text, "{BAD}refused{BAD:#}   the plan{}", rules(decision));
            for reason in &decision.reasons {
                let _ = write!(text, "\n          {}", line(&reason.to_string(), 400));
            }
            text
        }
    }
}

fn listed(plan: &PlanView, titles: &BTreeMap<QuoteId, String>, amounts: &Amounts) -> String {
    let items =
        if plan.items.len() == 1 { "1 item".to_owned() } else { format!("{} items", plan.items.len()) };
    let mut text = format!(
        "{HEAD}plan{HEAD:#}      {items} for at most {} {DIM}({}){DIM:#}\n",
        amounts.show(&plan.total),
        plan.id
    );
    for item in &plan.items {
        let title = titles.get(&item.quote).cloned().unwrap_or_else(|| line(&item.resource, 100));
        let times = if item.count == 1 { String::new() } else { format!("{} × ", item.count) };
        let _ = writeln!(
            text,
            "          {times}{} to {} for “{title}”",
            amounts.show(&item.ceiling),
            vendor(&item.host, &item.payee)
        );
    }
    text
}

fn rules(decision: &Decision) -> String {
    if decision.rules.is_empty() {
        String::new()
    } else {
        format!(" under {}", line(&decision.rules.join(", "), 300))
    }
}
