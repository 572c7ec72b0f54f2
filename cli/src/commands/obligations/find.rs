//! Which payment is meant.

use crate::commands::resume::begins;
use crate::exit::CliError;
use crate::screen::{Amounts, line};
use bursar::payments::Payments;
use bursar::report::{self, PaymentReport};

/// The payment whose id begins as given.
pub(super) async fn payment(desk: &Payments, given: &str) -> Result<PaymentReport, CliError> {
    let mut found = report::payments(desk.ledger()).await?;
    found.retain(|payment| begins(&payment.id.to_string(), given));
    let several = found.len();
    match (found.pop(), several) {
        (Some(only), 1) => Ok(only),
        (None, _) => Err(CliError::NoPayment {
            problem: format!("there is no payment `{}` in this data folder", line(given, 80)),
            others: Vec::new(),
        }),
        (Some(last), several) => {
            let amounts = Amounts::pinned();
            let told = |payment: &PaymentReport| format!("{}  {}", payment.id, what(payment, &amounts));
            let problem =
                format!("`{}` is the beginning of {several} payments; give more of it:", line(given, 80));
            Err(CliError::NoPayment { problem, others: found.iter().chain([&last]).map(told).collect() })
        }
    }
}

/// What was bought, as its vendor calls it.
pub(super) fn title(payment: &PaymentReport) -> String {
    let title = payment.description.as_deref().map(|title| line(title, 100));
    title.filter(|title| !title.is_empty()).unwrap_or_else(|| line(&payment.resource, 120))
}

/// `0.007 USDC to host for “title”`.
pub(super) fn what(payment: &PaymentReport, amounts: &Amounts) -> String {
    let amount = payment.amount.as_ref().map_or_else(|| "?".to_owned(), |amount| amounts.show(amount));
    format!("{amount} to {} for “{}”", line(&payment.host, 80), title(payment))
}
