//! What persons decide: each is in the journal, with their name, before it is answered.

use super::find;
use crate::args::{CreditArgs, DismissArgs, ExtendArgs, SayArgs, SettleStepArgs, WordArgs};
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, line};
use bursar::payments::{ChainEvent, Payments, SagaReport};
use bursar::types::{Clock as _, Timestamp};
use bursar::{BursarError, SystemClock};

const DAY_MS: u64 = 86_400_000;

/// `settle`.
pub(super) async fn settle(desk: &Payments, args: &SayArgs) -> Result<(String, Exit), CliError> {
    let payment = find::payment(desk, &args.payment).await?;
    desk.settle_obligation(payment.id, &args.word.by, &args.word.reason).await?;
    Ok(said(&format!(
        "settled: {} counts as settled from now on, as {} says; money that still comes back for it is credited",
        find::what(&payment, &Amounts::pinned()),
        line(&args.word.by, 80)
    )))
}

/// `write-off`.
pub(super) async fn write_off(desk: &Payments, args: &SayArgs) -> Result<(String, Exit), CliError> {
    let payment = find::payment(desk, &args.payment).await?;
    desk.write_off(payment.id, &args.word.by, &args.word.reason).await?;
    Ok(said(&format!(
        "written off: {} is given up, as {} says; money that still comes back for it is credited",
        find::what(&payment, &Amounts::pinned()),
        line(&args.word.by, 80)
    )))
}

/// `extend`.
pub(super) async fn extend(desk: &Payments, args: &ExtendArgs) -> Result<(String, Exit), CliError> {
    let payment = find::payment(desk, &args.payment).await?;
    let days = |days: u32| SystemClock.now().plus_ms(u64::from(days).saturating_mul(DAY_MS));
    let due = args.until.or(args.days.map(days)).unwrap_or(Timestamp::from_unix_ms(0));
    desk.extend_obligation(payment.id, &args.word.by, &args.word.reason, due).await?;
    Ok(said(&format!(
        "extended: {} has time until {due}, as {} says",
        find::what(&payment, &Amounts::pinned()),
        line(&args.word.by, 80)
    )))
}

/// `settle-step`.
pub(super) async fn settle_step(desk: &Payments, args: &SettleStepArgs) -> Result<(String, Exit), CliError> {
    let saga = find::saga(desk, &args.saga).await?;
    if !saga.at_risk().any(|(step, ..)| step == args.step) {
        return Err(CliError::NoPayment {
            problem: format!(
                "“{}” has no step `{}` that is left to a person; these are:",
                line(&saga.name, 100),
                line(&args.step, 200)
            ),
            others: saga.at_risk().map(|(step, ..)| line(step, 200)).collect(),
        });
    }
    let WordArgs { by, reason } = &args.word;
    let after = desk.settle_saga_step(saga.saga, &args.step, by, reason).await?;
    let left = after.iter().flat_map(SagaReport::at_risk).count();
    let left = match left {
        0 => "nothing of it is left to a person".to_owned(),
        left => format!("{left} more left to a person"),
    };
    Ok(said(&format!(
        "settled: step `{}` of “{}” is over, as {} says; {left}",
        line(&args.step, 200),
        line(&saga.name, 100),
        line(by, 80)
    )))
}

/// `credit`.
pub(super) async fn credit(desk: &Payments, args: &CreditArgs) -> Result<(String, Exit), CliError> {
    let event = read_event(&args.event)?;
    let payment = find::payment(desk, &args.payment).await?;
    let amount = came_in(desk, &event).await?;
    desk.credit_stray(&event, payment.id, &args.by).await?;
    Ok(said(&format!(
        "credited: {amount} came back for {}, as {} says; the budgets have it again",
        find::what(&payment, &Amounts::pinned()),
        line(&args.by, 80)
    )))
}

/// `dismiss`.
pub(super) async fn dismiss(desk: &Payments, args: &DismissArgs) -> Result<(String, Exit), CliError> {
    let event = read_event(&args.event)?;
    let amount = came_in(desk, &event).await?;
    desk.dismiss_stray(&event, &args.word.by, &args.word.reason).await?;
    Ok(said(&format!(
        "dismissed: {amount} in {event} belongs to no payment, as {} says; it is credited to nothing",
        line(&args.word.by, 80)
    )))
}

fn read_event(text: &str) -> Result<ChainEvent, CliError> {
    ChainEvent::parse(text).ok_or_else(|| CliError::NoPayment {
        problem: format!(
            "`{}` is not money that came in; give it as `bursar obligations` prints it: network/transaction/index",
            line(text, 120)
        ),
        others: Vec::new(),
    })
}

/// How much a person is asked about.
async fn came_in(desk: &Payments, event: &ChainEvent) -> Result<String, CliError> {
    let strays = desk.strays().await.map_err(BursarError::from)?;
    let stray = strays.into_iter().find(|stray| stray.transfer.event == *event);
    Ok(stray.map_or_else(|| "it".to_owned(), |stray| Amounts::pinned().show(&stray.transfer.amount)))
}

fn said(text: &str) -> (String, Exit) {
    (format!("{text}\n"), Exit::Done)
}
