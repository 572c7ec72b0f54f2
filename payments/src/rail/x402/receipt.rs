//! What the seller's answer to a payment says.
//!
//! Only a success with a receipt is taken as a claim that money moved. Nothing a seller says proves that it did not: it
//! still holds the authorization, and refusals after a settlement are common. The texts of errors are shown and never decide.

use super::network::caip2;
use super::terms::Terms;
use super::text::shown;
use super::wire::{Settlement, settlement};
use crate::rail::Outcome;
use crate::transport::causes;
use bursar_types::{HttpResponse, TransportError};
use http::{HeaderMap, StatusCode};

const REASON_CHARS_MAX: usize = 200;

/// Reads the answer.
pub(super) fn outcome(terms: &Terms, answer: Result<&HttpResponse, &TransportError>) -> Outcome {
    let claim = match answer {
        Ok(response) => claim(terms, response.status(), response.headers()),
        Err(TransportError::Body { head, problem, .. }) => {
            claim(terms, head.status, &head.headers).map_err(|why| {
                format!(
                    "{why}; the answer broke off as well: {}",
                    shown(&problem.to_string(), REASON_CHARS_MAX)
                )
            })
        }
        // Not sent this time says nothing about another time that it was presented.
        Err(error) => Err(shown(&causes(error), REASON_CHARS_MAX)),
    };
    match claim {
        Ok(reference) => Outcome::Moved { reference, observed: false },
        Err(problem) => Outcome::Unknown { problem },
    }
}

fn claim(terms: &Terms, status: StatusCode, headers: &HeaderMap) -> Result<String, String> {
    let code = status.as_u16();
    let Some(settlement) = settlement(headers)? else {
        return Err(format!("the vendor answered {code} without a receipt"));
    };
    if !status.is_success() || !settlement.success {
        return Err(format!("the vendor answered {code} and says {}", reason(&settlement)));
    }
    let network = settlement.network.as_deref();
    if network.is_some_and(|network| caip2(network).as_deref() != Some(terms.network.as_str())) {
        return Err("the vendor's receipt is for another network".to_owned());
    }
    if settlement.payer.as_deref().is_some_and(|payer| !payer.eq_ignore_ascii_case(&terms.from)) {
        return Err("the vendor's receipt is for another payer".to_owned());
    }
    let amount = settlement.amount.filter(|amount| !amount.is_null());
    if amount.is_some_and(|amount| amount.as_str() != Some(&terms.value)) {
        return Err("the vendor's receipt is for another amount".to_owned());
    }
    let reference = settlement.transaction.unwrap_or_default().to_ascii_lowercase();
    let digits = reference.strip_prefix("0x").unwrap_or_default();
    match digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(reference),
        false => Err(format!("the vendor's receipt names no transaction but `{}`", shown(&reference, 80))),
    }
}

fn reason(settlement: &Settlement) -> String {
    if settlement.success {
        return "that the payment settled".to_owned();
    }
    let texts = [&settlement.error_reason, &settlement.error_message];
    let said: Vec<_> =
        texts.into_iter().flatten().map(|text| format!("`{}`", shown(text, REASON_CHARS_MAX))).collect();
    let transaction = settlement.transaction.as_deref().filter(|text| !text.is_empty());
    let named = transaction.map(|text| format!(" and names transaction `{}`", shown(text, 80)));
    let said = if said.is_empty() { "that it failed".to_owned() } else { said.join(", ") };
    format!("{said}{}", named.unwrap_or_default())
}
