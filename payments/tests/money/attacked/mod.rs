//! Attempts to lose sight of money that comes back, to pay for what was given up, and to stop recovery for ever.

mod giving_up;
mod governance;
mod held;
mod money_back;
mod odd_ledger;
mod outside;
mod unseen;

use crate::traps::{Step, Traps};
use crate::world::{Setup, World, get, key, plan, propose, quotes};
use async_trait::async_trait;
use bursar_ledger::{
    BudgetState, CommitError, Commitment, Committed, Entry, HoldState, Ledger, Payload, Store, StoreError,
    StreamId, Transaction, TreeHead, Verification,
};
use bursar_market::{Address, Fault, FaultRule, Pricing, RefundRule, SellerConfig};
use bursar_payments::x402::{Finality, NetworkReader, Safeguards, X402, X402Options};
use bursar_payments::{
    ClaimReason, GivenUp, ObligationState, OpenObligation, Payment, Payments, SagaEnd, SagaOptions,
    SessionPurse,
};
use bursar_types::{
    BudgetId, Entropy, Fetched, HoldId, HttpRequest, HttpResponse, LedgerId, Limits, PaymentId, PlanOutcome,
    Purse, Transport, TransportError,
};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

const DAY_S: u64 = 86_400;

fn refunding(rule: RefundRule) -> Setup {
    let seller = SellerConfig::new("Docs").pricing(Pricing::flat(1_000)).refunds(rule);
    Setup { seller: seller.refund_terms(30 * DAY_S, true), ..Setup::default() }
}

/// Buys a document that is paid for and never comes, however often it is asked for.
async fn undelivered(world: &World, purse: &Purse, document: &str) -> PaymentId {
    plan(world, purse, document).await;
    let faults = world.market.seller(0).unwrap().faults();
    faults.arm(Fault::SettleThenDrop).unwrap();
    let fetched = purse.fetch(get(&world.url(document)), key(document)).await.unwrap();
    let Fetched::Undelivered(undelivered) = fetched else { panic!("{fetched:?}") };
    undelivered.payment.id
}

async fn owed(rule: RefundRule) -> (World, Purse, PaymentId) {
    let world = World::with(refunding(rule)).await;
    let purse = world.session().await.handle();
    let id = undelivered(&world, &purse, "alpha").await;
    (world, purse, id)
}

async fn delivered(world: &World, purse: &Purse, document: &str) -> PaymentId {
    plan(world, purse, document).await;
    let fetched = purse.fetch(get(&world.url(document)), key(document)).await.unwrap();
    let Fetched::Delivered(delivery) = fetched else { panic!("{fetched:?}") };
    delivery.payment.id
}

fn run_out(world: &World) {
    world.advance_s(1_800);
    world.market.chain().mine();
}

async fn standing(world: &World, id: PaymentId) -> OpenObligation {
    world.payments.obligation(id).await.unwrap().unwrap()
}

fn wallet(world: &World) -> Address {
    world.parts(99).wallet.address().parse().unwrap()
}

/// The seller sends money back that nobody asked for.
fn send_back(world: &World, amount: u128) {
    let seller = world.market.seller(0).unwrap();
    let nonce = *seller.log().nonces.iter().next().unwrap();
    seller.refund_now(nonce, amount).unwrap();
    world.market.chain().mine();
}

async fn open_payment(world: &World) -> PaymentId {
    let links = world.ledger.links("open/").await.unwrap();
    PaymentId::parse(&links[0].1).unwrap()
}

fn process(world: &World, seed: u64) -> (Payments, Traps) {
    let (parts, traps) = Traps::around(world.parts(seed));
    (Payments::new(parts), traps)
}

async fn resumed(payments: &Payments, session: &SessionPurse) -> Arc<SessionPurse> {
    payments.resume_session(session.session(), Default::default()).await.unwrap()
}
