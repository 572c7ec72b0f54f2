//! Chains of purchases.

use super::{Memory, Tally};
use crate::scenario::Then;
use crate::stage::{Stage, StageError};
use bursar::payments::{Saga, SagaEnd, SagaError, SagaReport};
use bursar::{SagaOptions, Session};
use bytes::Bytes;

pub(super) async fn saga(
    stage: &Stage,
    name: &str,
    (buys, then): (&[String], Then),
    (session, process): (&str, &str),
    (tally, memory): (&mut Tally, &mut Memory),
) -> Result<(), StageError> {
    let (session, life) = stage.session_named(session, process).await?;
    let done = tokio::select! {
        biased;
        () = life.over() => None,
        done = run(&session, name, buys, then, tally, memory) => Some(done),
    };
    match done {
        None => tally.ended("died"),
        Some(Ok(report)) => tally.ended(format!("saga_{}", ended(&report.end))),
        Some(Err(error)) => failed(&error, tally),
    }
    Ok(())
}

async fn run(
    session: &Session,
    name: &str,
    buys: &[String],
    then: Then,
    tally: &mut Tally,
    memory: &mut Memory,
) -> Result<SagaReport, SagaError> {
    let mut saga: Saga = session.saga(name, SagaOptions::default()).await?;
    memory.sagas.insert(name.to_owned(), saga.id());
    for (number, url) in (1_usize..).zip(buys) {
        let request = http::Request::get(url).body(Bytes::new());
        let request = request.map_err(|error| SagaError::Purse {
            step: format!("buy {number}"),
            source: bursar::types::FetchError::Request(error.to_string()),
        })?;
        match saga.buy(&format!("buy {number}"), request).await {
            Ok(_) => tally.ended("delivered"),
            Err(error @ (SagaError::NotBought { .. } | SagaError::Purse { .. })) => {
                failed(&error, tally);
                return saga.unwind("a purchase failed").await;
            }
            Err(error) => return Err(error),
        }
    }
    match then {
        Then::Complete => saga.complete().await,
        Then::Fail => saga.unwind("the next step failed").await,
        Then::Nothing => Ok(saga.report()),
    }
}

fn failed(error: &SagaError, tally: &mut Tally) {
    match error {
        SagaError::Purse { source, .. } => tally.failed(source),
        other => {
            tally.ended("not_bought");
            tally.said(other.to_string());
        }
    }
}

/// How it stands, in one word.
pub(crate) const fn ended(end: &SagaEnd) -> &'static str {
    match end {
        SagaEnd::Running => "running",
        SagaEnd::Completed => "completed",
        SagaEnd::Unwinding => "unwinding",
        SagaEnd::Compensated => "compensated",
        SagaEnd::Parked => "parked",
    }
}
