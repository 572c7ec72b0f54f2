//! How long a decision takes. `cargo bench -p bursar-payments --bench decide`
//!
//! divan's table first, then the percentiles that the design names: p99 of `decide` at most 50 µs. Nothing is asserted.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot start stops")]

use bursar_payments::{
    Actor, ApprovedBy, CallFacts, Facts, GateState, PayFacts, PlanFacts, Policy, PolicyFile, QuoteFacts,
    Sums, Thresholds,
};
use bursar_types::{DataLabel, Digest, Effect, Phase};
use divan::{Bencher, black_box};

/// Decisions measured one by one for the percentiles.
const SAMPLES: usize = 50_000;

fn main() {
    divan::main();
    // Under `cargo test` the functions above are run once each; percentiles of a debug build would mislead.
    if std::env::args().any(|argument| argument == "--bench") {
        percentiles();
    }
}

/// One question, and what of it is approved.
struct Question {
    name: &'static str,
    facts: Facts,
    approved: Vec<String>,
}

fn question(name: &str) -> Question {
    questions().into_iter().find(|question| question.name == name).expect("the name is in the list")
}

const NAMES: [&str; 7] = ["quote", "plan", "pay", "call", "pay denied", "plan escalated", "plan approved"];

fn questions() -> Vec<Question> {
    let ask = plan(|facts| facts.approval = "ask".into());
    let all: [(Facts, &[&str]); 7] = [
        (quote(), &[]),
        (plan(|_| ()), &[]),
        (pay(|_| ()), &[]),
        (call(), &[]),
        (
            pay(|facts| {
                facts.covered = false;
                facts.mandate_expired = true;
            }),
            &[],
        ),
        (ask.clone(), &[]),
        (ask, &["plan.ask"]),
    ];
    NAMES
        .into_iter()
        .zip(all)
        .map(|(name, (facts, approved))| Question {
            name,
            facts,
            approved: approved.iter().map(|id| (*id).to_owned()).collect(),
        })
        .collect()
}

#[divan::bench(args = NAMES)]
fn decide(bencher: Bencher<'_, '_>, name: &str) {
    let policy = Policy::shipped().expect("the shipped rules load");
    let Question { facts, approved, .. } = question(name);
    bencher.bench_local(|| policy.decide(black_box(&facts), black_box(&approved)));
}

/// The same beside rules of the user's: each is one more to evaluate.
#[divan::bench(args = [0, 10, 100])]
fn pay_beside_user_rules(bencher: Bencher<'_, '_>, rules: usize) {
    let text: String = (0..rules)
        .map(|n| {
            format!(
                "@id(\"mine.{n}\") forbid (principal, action == Action::\"pay\", resource) \
                 when {{ resource.host == \"evil-{n}.example\" && context.micro_usd > {n} }};\n"
            )
        })
        .collect();
    let policy = Policy::load(&[PolicyFile::new("mine.cedar", text)]).expect("the rules load");
    let facts = pay(|_| ());
    bencher.bench_local(|| policy.decide(black_box(&facts), &[]));
}

#[divan::bench]
fn load_the_shipped_rules() -> Policy {
    Policy::shipped().expect("the shipped rules load")
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn percentiles() {
    let policy = Policy::shipped().expect("the shipped rules load");
    println!("\n{:<16}{:>10}{:>10}{:>10}{:>10}  of {SAMPLES}, in ns", "decide", "p50", "p99", "p99.9", "max");
    for Question { name, facts, approved } in questions() {
        let mut nanos: Vec<u128> = (0..SAMPLES)
            .map(|_| {
                let start = std::time::Instant::now();
                black_box(policy.decide(black_box(&facts), black_box(&approved)));
                start.elapsed().as_nanos()
            })
            .collect();
        nanos.sort_unstable();
        let at = |permille: usize| {
            nanos
                .get((SAMPLES.saturating_mul(permille) / 1_000).min(SAMPLES.saturating_sub(1)))
                .copied()
                .unwrap_or(0)
        };
        println!("{name:<16}{:>10}{:>10}{:>10}{:>10}", at(500), at(990), at(999), at(1_000));
    }
}

fn actor() -> Actor {
    Actor { agent: "a1".into(), user: "u1".into(), project: "default".into(), role: "research".into() }
}

const fn thresholds() -> Thresholds {
    Thresholds { payment_max_micro_usd: Some(1_000_000), review_above_micro_usd: Some(5_000_000) }
}

fn quote() -> Facts {
    Facts::Quote(QuoteFacts {
        actor: actor(),
        host: "api.example.com:443".into(),
        method: "GET".into(),
        secure: true,
        local: false,
        has_body: false,
        vendor_listed: true,
        vendor_approved: false,
        first_time_vendor: false,
        category: "other".into(),
        data: DataLabel::Public,
        gate: GateState::None,
        phase: Phase::Explore,
    })
}

fn plan(change: impl FnOnce(&mut PlanFacts)) -> Facts {
    let mut facts = PlanFacts {
        actor: actor(),
        plan: Digest::of(b"plan"),
        total_micro_usd: 40_000,
        items: 4,
        hosts: (0..4).map(|n| format!("api-{n}.example.com:443")).collect(),
        categories: vec!["other".into()],
        rails: vec!["x402".into()],
        networks: vec!["eip155:84532".into()],
        vendors_listed: true,
        vendors_approved: false,
        first_time_vendor: false,
        client_data: false,
        recurring: false,
        item_max_micro_usd: 10_000,
        sums: Sums { session_micro_usd: 50_000, vendor_day_micro_usd: 45_000, family_day_micro_usd: 40_000 },
        thresholds: thresholds(),
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

fn pay(change: impl FnOnce(&mut PayFacts)) -> Facts {
    let mut facts = PayFacts {
        actor: actor(),
        host: "api.example.com:443".into(),
        payee: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".into(),
        resource: "https://api.example.com/papers/10.1000/182?format=full".into(),
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
        vendor_approved: false,
        category: "other".into(),
        data: DataLabel::Public,
        recurring: false,
        recurring_approved: false,
        client_data_approved: false,
        approval: ApprovedBy::Rule,
        sums: Sums { session_micro_usd: 50_000, vendor_day_micro_usd: 15_000, family_day_micro_usd: 10_000 },
        thresholds: thresholds(),
        gate: GateState::Notified,
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

fn call() -> Facts {
    Facts::Call(CallFacts {
        actor: actor(),
        tool: "fetch".into(),
        effect: Effect::Spend,
        phase: Phase::Explore,
        arguments: Digest::of(b"{}"),
    })
}
