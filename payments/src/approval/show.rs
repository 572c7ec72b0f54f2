//! What an approver sees: the numbers that their signature binds, and beside them, escaped and marked, what others say.

use super::question::{ApprovalAction, Question};
use crate::plan::ItemTerms;
use bursar_types::{AssetRegistry, Effect, Provenance, Untrusted, visible};
use std::fmt::Write as _;

/// Hosts, URLs and addresses are shown to this length.
const FIELD_CHARS_MAX: usize = 300;
/// What sellers and models say is shown to this length.
const SAID_CHARS_MAX: usize = 200;
/// A call's arguments are shown whole. Those that are longer than this, as they are shown, are put to nobody.
pub(crate) const CALL_CHARS_MAX: usize = 2_000;
/// How many things that were said are shown.
const SAID_MAX: usize = 16;

impl Question {
    /// The question for a person. What is bound by the signature comes first; what a seller or a model says comes after, and
    /// is no part of it. Characters that cannot be seen are shown as `\u{…}`.
    #[must_use]
    pub fn shown(&self, registry: &AssetRegistry, said: &[Untrusted<String>]) -> String {
        let field = |text: &str| visible(text, FIELD_CHARS_MAX);
        let mut text = match &self.action {
            ApprovalAction::Plan(plan) => {
                let items =
                    if plan.items.len() == 1 { "1 item" } else { &format!("{} items", plan.items.len()) };
                let mut text = format!("Buy {items} for at most {}:", registry.display(&plan.total));
                for item in &plan.items {
                    let times = if item.count > 1 { format!("{} times ", item.count) } else { String::new() };
                    let ItemTerms {
                        payee,
                        host,
                        resource,
                        method,
                        ceiling,
                        recurring,
                        client_data,
                        asset,
                        ..
                    } = item;
                    let renews = if *recurring { ", renews itself" } else { "" };
                    let data = if *client_data { ", with what may be a client's data" } else { "" };
                    let price = registry.display(ceiling);
                    let (payee, host, resource) = (field(payee), field(host), field(resource));
                    // Writing to a string cannot fail.
                    let _ = write!(
                        text,
                        "\n  {times}{price} to {payee} at {host} for {} {resource}{renews}{data}, on {}",
                        field(method),
                        field(asset.network())
                    );
                }
                let _ = write!(text, "\n  until {}", plan.expires_at);
                text
            }
            ApprovalAction::Payment(terms) => format!(
                "Pay at most {}, once{}:\n  to {} at {} for {} {}\n  on {}{}",
                registry.display(&terms.price),
                if terms.recurring { ", for what renews itself" } else { "" },
                field(&terms.payee),
                field(&terms.host),
                field(&terms.method),
                field(&terms.resource),
                field(&terms.network),
                if terms.data.may_be_client() { "\n  the request may carry a client's data" } else { "" },
            ),
            ApprovalAction::Call(terms) => format!(
                "Call the tool {}, once, which {}:\n  {}",
                field(&terms.tool),
                match terms.effect {
                    Effect::Read => "reads",
                    Effect::Write => "changes something",
                    Effect::Spend => "may spend",
                },
                hidden_escaped(&terms.shown)
            ),
        };
        for said in said.iter().take(SAID_MAX) {
            let who = match said.provenance() {
                Provenance::Model => "the agent's words".to_owned(),
                Provenance::Host { host } => format!("{}'s words", field(host)),
                Provenance::Tool { tool } => format!("words of tool {}", field(tool)),
            };
            let _ =
                write!(text, "\n  {who}, not checked: \"{}\"", visible(said.as_received(), SAID_CHARS_MAX));
        }
        text
    }
}

/// What was escaped when the question was put, as it is: escaped again, it would be longer and other than what was counted. In a
/// question that came from elsewhere, what cannot be seen is escaped here.
fn hidden_escaped(text: &str) -> String {
    let parts: Vec<String> = text.split('\\').map(|part| visible(part, usize::MAX)).collect();
    parts.join("\\")
}
