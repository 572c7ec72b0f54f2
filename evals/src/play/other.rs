//! What sellers, the operator, the clock and bad luck do.

use super::{Memory, Tally, log};
use crate::scenario::{Step, Usd};
use crate::stage::{Stage, StageError};
use bursar::BursarError;
use bursar::payments::{ClaimReason, ClaimStanding, FreezeScope};
use bursar::types::{Amount, AssetId, FetchError};
use bursar_market::{Authorization, Signature};
use std::sync::{Arc, PoisonError};

const DAY_S: u64 = 86_400;
/// Who gets what is sent without Bursar.
const STRANGER: &str = "0x00000000000000000000000000000000000000aa";

pub(super) async fn step(
    stage: &Arc<Stage>,
    step: &Step,
    tally: &mut Tally,
    memory: &Memory,
) -> Result<(), StageError> {
    match step {
        Step::Open { session, mandate, process } => {
            stage.opened(session, process, mandate).await?;
        }
        Step::Delegate { session, from, mandate, process } => {
            stage.delegated(session, from, process, mandate).await?;
        }
        Step::Restart { process } => {
            stage.close(process).await;
            stage.bursar(process).await?;
        }
        Step::Kill { at, process } => {
            let (_, life) = stage.session_named("main", process).await?;
            life.arm(at.clone());
        }
        Step::Advance { seconds } => stage.advance_s(*seconds),
        Step::Clock { at } => stage.advance_s(until(at, stage.now_s())?),
        Step::Reprice { seller, path, price } => {
            if !stage.seller(seller)?.reprice(path, price.micro()) {
                return Err(StageError::Scenario(format!("`{seller}` sells nothing at `{path}`")));
            }
        }
        Step::Misbehave { seller, rule } => {
            let armed = stage.seller(seller)?.faults().arm(rule.clone());
            armed.map_err(|error| StageError::Scenario(error.to_string()))?;
        }
        Step::Behave { seller } => stage.seller(seller)?.faults().clear(),
        Step::Settle { seller } => settle(stage, seller)?,
        Step::Send { amount } => send(stage, *amount)?,
        Step::Rules { text } => {
            *stage.rules.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
        }
        Step::Copy { process } => stage.copy(process, false).await?,
        Step::PutBack { process } => {
            stage.copy(process, true).await?;
            stage.bursar(process).await?;
        }
        Step::Fork { process, into } => stage.fork(process, into).await?,
        Step::Publish { process } => return log::publish(stage, process, tally).await,
        Step::Show { process, to } => return log::show(stage, process, to, tally),
        Step::Refund { seller, amount } => {
            if !refund(stage, seller, *amount)? {
                tally.ended("nothing_paid");
                return Ok(());
            }
        }
        Step::Claim { key, amount, session } => {
            return claim(stage, (key, *amount), session, tally, memory).await;
        }
        Step::Recover { process } => return recover(stage, process, tally).await,
        Step::Freeze { session, scope: None } => {
            let (session, _) = stage.session_named(session, "main").await?;
            return told(session.freeze("the scenario says so").await, tally);
        }
        Step::Freeze { scope: Some(scope), .. } => {
            let (bursar, _) = stage.bursar("main").await?;
            let frozen = bursar.desk().freeze(&scope_of(stage, scope)?, "ada", "the scenario says so").await;
            frozen.map_err(BursarError::from).map_err(|error| StageError::Open(Box::new(error)))?;
        }
        Step::Thaw { scope: Some(scope), .. } => {
            let (bursar, _) = stage.bursar("main").await?;
            let thawed = bursar.desk().thaw(&scope_of(stage, scope)?, "ada", "the scenario says so").await;
            thawed.map_err(BursarError::from).map_err(|error| StageError::Open(Box::new(error)))?;
        }
        Step::Withdraw { session } => {
            let (session, _) = stage.session_named(session, "main").await?;
            return told(session.purse().withdraw_plans().await.map(drop), tally);
        }
        Step::Revoke { session } => {
            let (session, _) = stage.session_named(session, "main").await?;
            return told(session.revoke("ada").await, tally);
        }
        Step::Thaw { session, scope: None } => {
            let (session, _) = stage.session_named(session, "main").await?;
            return told(session.thaw("ada").await, tally);
        }
        Step::Pay(_)
        | Step::Quote { .. }
        | Step::Plan { .. }
        | Step::Saga { .. }
        | Step::Agent { .. }
        | Step::Repeat { .. } => {}
    }
    tally.ended("done");
    Ok(())
}

/// Moves money with the wallet's key, and tells nobody.
fn send(stage: &Stage, amount: Usd) -> Result<(), StageError> {
    let wrong = |error: &dyn std::fmt::Display| StageError::Scenario(error.to_string());
    let from: bursar_market::Address = stage.wallet_address().parse().map_err(|error| wrong(&error))?;
    let to: bursar_market::Address = STRANGER.parse().map_err(|error| wrong(&error))?;
    let sent = stage.market.chain().transfer(from, to, amount.micro());
    sent.map(drop).map_err(|error| StageError::Scenario(format!("the wallet cannot send that: {error}")))
}

/// What an operator freezes besides single sessions.
fn scope_of(stage: &Stage, text: &str) -> Result<FreezeScope, StageError> {
    if text == "wallet" {
        return Ok(FreezeScope::wallet(stage.wallet_address()));
    }
    FreezeScope::parse(text).map_err(|error| StageError::Scenario(error.to_string()))
}

fn told(result: Result<(), FetchError>, tally: &mut Tally) -> Result<(), StageError> {
    match result {
        Ok(()) => tally.ended("done"),
        Err(error) => tally.failed(&error),
    }
    Ok(())
}

async fn recover(stage: &Stage, process: &str, tally: &mut Tally) -> Result<(), StageError> {
    let (bursar, life) = stage.bursar(process).await?;
    let found = tokio::select! {
        biased;
        () = life.over() => None,
        found = bursar.recover() => Some(found),
    };
    match found {
        None => tally.ended("died"),
        Some(Ok(_)) => tally.ended("done"),
        Some(Err(error)) => tally.refused("RECOVERY_FAILED", &error.to_string()),
    }
    Ok(())
}

/// Seconds from now until a time of the day comes next.
fn until(at: &str, now_s: u64) -> Result<u64, StageError> {
    let wrong = || StageError::Scenario(format!("`{at}` is no time such as `23:59`"));
    let (hours, minutes) = at.split_once(':').ok_or_else(wrong)?;
    let (hours, minutes): (u64, u64) =
        (hours.parse().map_err(|_| wrong())?, minutes.parse().map_err(|_| wrong())?);
    if hours > 23 || minutes > 59 {
        return Err(wrong());
    }
    let (wanted, today) = (hours * 3_600 + minutes * 60, now_s % DAY_S);
    Ok(if wanted >= today { wanted - today } else { DAY_S - today + wanted })
}

/// The seller's last payment goes back; `false` if it never had one.
fn refund(stage: &Stage, name: &str, amount: Option<Usd>) -> Result<bool, StageError> {
    let seller = stage.seller(name)?;
    let transfers = stage.market.chain().transfers();
    let last = transfers.iter().rev().find(|transfer| transfer.to == seller.pay_to());
    let Some(last) = last else { return Ok(false) };
    let amount = amount.map_or(last.value, Usd::micro);
    seller.refund_now(last.nonce, amount).map_err(|error| StageError::Scenario(error.to_string()))?;
    Ok(true)
}

/// The seller takes what it was shown and never settled; what is worthless by now stays worthless.
fn settle(stage: &Stage, name: &str) -> Result<(), StageError> {
    let host = stage.sellers.iter().find(|seller| seller.name == name).map(|seller| seller.host.clone());
    let shown = stage.street.presented();
    for kept in shown.values().filter(|seen| Some(&seen.host) == host.as_ref()) {
        let read = |field: &str| kept.payload.get(field).cloned().unwrap_or_default();
        let authorization: Authorization = serde_json::from_value(read("authorization"))
            .map_err(|error| StageError::Scenario(format!("an authorization: {error}")))?;
        let signature: Signature = read("signature")
            .as_str()
            .and_then(|text| Signature::parse(text).ok())
            .ok_or_else(|| StageError::Scenario("a signature that is none".to_owned()))?;
        if let Err(revert) = stage.market.chain().transfer_with_authorization(&authorization, &signature) {
            tracing::debug!(%revert, "what was kept is worth nothing");
        }
    }
    Ok(())
}

async fn claim(
    stage: &Stage,
    (key, amount): (&str, Option<Usd>),
    session: &str,
    tally: &mut Tally,
    memory: &Memory,
) -> Result<(), StageError> {
    let (session, _) = stage.session_named(session, "main").await?;
    let Some(payment) = memory.payments.get(key) else {
        tally.ended("nothing_bought");
        return Ok(());
    };
    let asset = AssetId::erc20(crate::stage::CHAIN_ID, crate::stage::TOKEN);
    let (reason, amount) = match amount {
        Some(amount) => (ClaimReason::PartDelivered, Some(Amount::from_atomic(asset, amount.micro()))),
        None => (ClaimReason::FailedLater, None),
    };
    match session.claim(*payment, amount, reason, "the scenario's next step failed").await {
        Ok(ClaimStanding::NothingToClaim) => tally.ended("nothing_to_claim"),
        Ok(ClaimStanding::NotYet(_)) => tally.ended("claim_waits"),
        Ok(ClaimStanding::Open(_)) => tally.ended("claimed"),
        Ok(ClaimStanding::Kept { .. }) => tally.ended("kept"),
        Err(error) => tally.failed(&error),
    }
    Ok(())
}
