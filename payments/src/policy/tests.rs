//! Tests of the rules, as data.

mod any;
mod cases;
mod escalation;
mod failures;
mod loading;
mod optional;
mod properties;
mod reference;
mod shadow;
mod shipped;

use super::*;
use bursar_types::{DataLabel, Decision, Digest, Effect, Phase, Verdict};

fn actor() -> Actor {
    Actor { agent: "a1".into(), user: "u1".into(), project: "default".into(), role: "research".into() }
}

/// Nothing was spent before.
const fn sums(micro_usd: u128) -> Sums {
    Sums { session_micro_usd: micro_usd, vendor_day_micro_usd: micro_usd, family_day_micro_usd: micro_usd }
}

/// A request for a price that the shipped rules allow, changed.
fn quote(change: impl FnOnce(&mut QuoteFacts)) -> Facts {
    let mut facts = QuoteFacts {
        actor: actor(),
        host: "api.example.com:443".into(),
        method: "GET".into(),
        secure: true,
        local: false,
        has_body: false,
        vendor_listed: true,
        vendor_approved: true,
        first_time_vendor: false,
        category: "other".into(),
        data: DataLabel::Public,
        gate: GateState::None,
        phase: Phase::Explore,
    };
    change(&mut facts);
    Facts::Quote(facts)
}

/// A plan that the shipped rules allow, changed.
fn plan(change: impl FnOnce(&mut PlanFacts)) -> Facts {
    let mut facts = PlanFacts {
        actor: actor(),
        plan: Digest::of(b"plan"),
        total_micro_usd: 40_000,
        items: 2,
        hosts: vec!["api.example.com:443".into(), "data.example.com:443".into()],
        categories: vec!["other".into()],
        rails: vec!["x402".into()],
        networks: vec!["eip155:84532".into()],
        vendors_listed: true,
        vendors_approved: true,
        first_time_vendor: false,
        client_data: false,
        recurring: false,
        item_max_micro_usd: 20_000,
        sums: sums(40_000),
        thresholds: Thresholds::default(),
        gate: GateState::None,
        assets_listed: true,
        live: false,
        live_enabled: false,
        approval: "rule".into(),
        ask_above_micro_usd: Some(50_000),
        budget_basis_points: 4_000,
    };
    change(&mut facts);
    Facts::Plan(facts)
}

/// A payment that the shipped rules allow, changed.
fn pay(change: impl FnOnce(&mut PayFacts)) -> Facts {
    let mut facts = PayFacts {
        actor: actor(),
        host: "api.example.com:443".into(),
        payee: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".into(),
        resource: "https://api.example.com/papers/1".into(),
        method: "GET".into(),
        rail: "x402".into(),
        flow: "authorization".into(),
        network: "eip155:84532".into(),
        asset: "eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e".into(),
        micro_usd: 10_000,
        phase: Phase::Acquire,
        covered: true,
        secure: true,
        vendor_listed: true,
        vendor_approved: true,
        category: "other".into(),
        data: DataLabel::Public,
        recurring: false,
        recurring_approved: false,
        client_data_approved: false,
        approval: ApprovedBy::Rule,
        sums: sums(10_000),
        thresholds: Thresholds::default(),
        gate: GateState::None,
        asset_listed: true,
        first_time_vendor: true,
        vendor_unknown_open: false,
        live: false,
        live_enabled: false,
        upfront_allowed: false,
        mandate_expired: false,
        budget_basis_points: 1_000,
    };
    change(&mut facts);
    Facts::Pay(facts)
}

/// A tool call that the shipped rules allow, changed.
fn call(change: impl FnOnce(&mut CallFacts)) -> Facts {
    let mut facts = CallFacts {
        actor: actor(),
        tool: "fetch".into(),
        effect: Effect::Spend,
        phase: Phase::Explore,
        arguments: Digest::of(b"{}"),
    };
    change(&mut facts);
    Facts::Call(facts)
}

fn file(name: &str, text: &str) -> PolicyFile {
    PolicyFile::new(name, text)
}

/// The shipped rules and one file of the user's.
fn with(text: &str) -> Policy {
    Policy::load(&[file("mine.cedar", text)]).unwrap()
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn codes(decision: &Decision) -> Vec<&str> {
    decision.reasons.iter().map(|reason| reason.code.as_ref()).collect()
}

#[track_caller]
fn check(decision: &Decision, verdict: Verdict, rules: &[&str], expected_codes: &[&str]) {
    assert_eq!(
        (decision.verdict, decision.rules.as_slice(), codes(decision).as_slice()),
        (verdict, ids(rules).as_slice(), expected_codes),
        "{decision}"
    );
}
