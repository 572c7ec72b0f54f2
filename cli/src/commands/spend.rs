//! `bursar spend`: every payment, as the ledger tells it.

use crate::args::SpendArgs;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, line, short, vendor};
use bursar::BursarError;
use bursar::report::{self, PaymentReport, PaymentState};
use bursar::types::{Amount, AssetId, SessionId};
use std::fmt::Write as _;
use std::io::Write as _;

/// Runs the command.
pub(crate) async fn run(args: SpendArgs) -> Result<Exit, CliError> {
    let ledger = data::ledger(&args.data.folder)?;
    let mut payments = report::payments(&ledger).await?;
    if let Some(session) = &args.session {
        let id = SessionId::parse(session).map_err(|_| CliError::NoSession(line(session, 80)))?;
        let known = report::sessions(&ledger).await?.iter().any(|known| known.id == id);
        if !known {
            return Err(CliError::NoSession(id.to_string()));
        }
        payments.retain(|payment| payment.session == Some(id));
    }
    ledger.close().await.map_err(BursarError::from)?;
    let text = match (args.json, args.csv) {
        (true, _) => json(&payments),
        (false, true) => csv(&payments),
        (false, false) => people(&payments),
    };
    let _ = write!(anstream::stdout().lock(), "{text}");
    let open = payments.iter().any(|payment| payment.state.is_open());
    Ok(if open { Exit::Open } else { Exit::Done })
}

fn people(payments: &[PaymentReport]) -> String {
    if payments.is_empty() {
        return "no payments yet\n".to_owned();
    }
    let amounts = Amounts::pinned();
    let mut text = String::new();
    for payment in payments {
        let title = payment.description.as_deref().map(|title| line(title, 100));
        let title = title.filter(|title| !title.is_empty()).unwrap_or_else(|| line(&payment.resource, 120));
        let amount = payment.amount.as_ref().map_or_else(|| "?".to_owned(), |amount| amounts.show(amount));
        let receipt = payment.receipt.as_ref().map_or_else(
            || "no receipt".to_owned(),
            |receipt| format!("receipt {}", short(&line(&receipt.reference, 100))),
        );
        let _ = writeln!(text, "{}  {amount}  {}", payment.at, state(payment));
        let _ = writeln!(text, "    for   “{title}”  {}", line(&payment.resource, 120));
        let _ = writeln!(text, "    to    {}, {receipt}", vendor(&payment.host, &payment.payee));
        let _ = writeln!(text, "    under {}", line(&payment.rules.join(", "), 200));
        for used in &payment.uses {
            let _ = writeln!(text, "    used  {}", line(used, 200));
        }
    }
    let paid = payments.iter().filter(|payment| payment.state.is_paid());
    let total = paid.clone().filter_map(|payment| payment.micro_usd.as_ref());
    let total = total.fold(0_u128, |sum, amount| sum.saturating_add(amount.atomic()));
    let total = amounts.show(&Amount::from_atomic(AssetId::micro_usd(), total));
    let _ = writeln!(text, "{total} paid in {} of {} payments", paid.count(), payments.len());
    text
}

/// A payment's state in words.
fn state(payment: &PaymentReport) -> String {
    let seen = match payment.receipt.as_ref().map(|receipt| receipt.observed) {
        Some(true) => "observed",
        Some(false) | None => "claimed",
    };
    match &payment.state {
        PaymentState::Held => "held, nothing signed".to_owned(),
        PaymentState::Signing => "unknown: signed, no answer".to_owned(),
        PaymentState::Unknown { problem } => format!("unknown: {}", line(problem, 80)),
        PaymentState::Delivered => format!("paid ({seen})"),
        PaymentState::Undelivered { problem } => format!("undelivered, paid ({seen}): {}", line(problem, 80)),
        PaymentState::Claimed { problem } => format!("asked back, paid ({seen}): {}", line(problem, 80)),
        PaymentState::Parked { problem, owner, .. } => {
            format!("parked with {}, paid ({seen}): {}", line(owner, 40), line(problem, 80))
        }
        PaymentState::Refunded => format!("refunded, paid ({seen})"),
        PaymentState::Closed { by, reason, written_off } => {
            let how = if *written_off { "written off" } else { "settled" };
            format!("{how} by {}, paid ({seen}): {}", line(by, 40), line(reason, 80))
        }
        PaymentState::NotPaid { proof } => format!("not paid: {}", line(proof, 80)),
        PaymentState::Erased { paid: true } => "erased, paid".to_owned(),
        PaymentState::Erased { paid: false } => "erased, not paid".to_owned(),
        PaymentState::Unreadable { problem } => format!("unreadable: {}", line(problem, 80)),
    }
}

fn json(payments: &[PaymentReport]) -> String {
    let lines = payments.iter().filter_map(|payment| serde_json::to_string(payment).ok());
    lines.map(|line| line + "\n").collect()
}

fn csv(payments: &[PaymentReport]) -> String {
    let mut text =
        "time,payment,session,amount_atomic,asset,micro_usd,host,payee,method,resource,state,receipt,observed,artifact,rules,uses\r\n"
            .to_owned();
    let atomic =
        |amount: Option<&Amount>| amount.map_or_else(String::new, |amount| amount.atomic().to_string());
    for payment in payments {
        let receipt = payment.receipt.as_ref();
        let fields = [
            payment.at.to_string(),
            payment.id.to_string(),
            payment.session.map_or_else(String::new, |session| session.to_string()),
            atomic(payment.amount.as_ref()),
            payment.amount.as_ref().map_or_else(String::new, |amount| amount.asset().to_string()),
            atomic(payment.micro_usd.as_ref()),
            payment.host.clone(),
            payment.payee.clone(),
            payment.method.clone(),
            payment.resource.clone(),
            state(payment),
            receipt.map_or_else(String::new, |receipt| receipt.reference.clone()),
            receipt.map_or_else(String::new, |receipt| receipt.observed.to_string()),
            payment.artifact.as_ref().map_or_else(String::new, |artifact| artifact.id.to_string()),
            payment.rules.join(" "),
            payment.uses.join("; "),
        ];
        let fields: Vec<String> = fields.iter().map(|field| csv_field(field)).collect();
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A field as RFC 4180 writes it. Text that a spreadsheet would run as a formula is kept text.
fn csv_field(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if formula { format!("'{field}") } else { field.to_owned() };
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_and_never_a_formula() {
        assert_eq!(csv_field("plain"), "plain");
        assert_eq!(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(csv_field("=HYPERLINK(1)"), "'=HYPERLINK(1)");
    }
}
