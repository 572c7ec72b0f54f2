//! Which payment is meant.

use crate::commands::resume::begins;
use crate::exit::CliError;
use crate::screen::{Amounts, line};
use bursar::payments::{Payments, SagaReport};
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

/// The saga whose id begins as given, among those that are not over and those with a step left to a person.
pub(super) async fn saga(desk: &Payments, given: &str) -> Result<SagaReport, CliError> {
    let mut found = desk.sagas().await?;
    found.retain(|saga| begins(&saga.saga.to_string(), given));
    let told = |saga: &SagaReport| format!("{}  “{}”", saga.saga, line(&saga.name, 100));
    let others: Vec<_> = found.iter().map(told).collect();
    match (found.pop(), others.len()) {
        (Some(only), 1) => Ok(only),
        (None, _) => Err(CliError::NoPayment {
            problem: format!("no saga `{}` is open or has a step left to a person", line(given, 80)),
            others,
        }),
        (Some(_), several) => Err(CliError::NoPayment {
            problem: format!("`{}` is the beginning of {several} sagas; give more of it:", line(given, 80)),
            others,
        }),
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
