//! The life of a payment as a state machine: any event at any time is either refused, and changes nothing, or keeps what must
//! hold about money.

use bursar_ledger::{Commitment, Line};
use bursar_payments::{
    Ask, ChainEvent, ClaimReason, Evidence, Held, Next, ObligationEvent, ObligationState, Offer, Order,
    Outcome, Payment, PaymentEvent, Prepared, PreparedVoid, Received, Refund, Remedy, Step, StepResult,
    Transfer,
};
use bursar_types::{
    Amount, ArtifactId, ArtifactRecord, ArtifactRef, AssetId, BudgetId, Decision, Digest, HoldId, LedgerId,
    PaymentId, PaymentView, PlanItemId, PurchaseKey, Quote, QuoteId, SessionId, Timestamp, Verdict,
};
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

const PRICE: u128 = 1_000;

fn usdc(atomic: u128) -> Amount {
    let asset = AssetId::parse("eip155:31337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3").unwrap();
    Amount::from_atomic(asset, atomic)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_ms(seconds * 1_000)
}

fn held(attempt: u32) -> Held {
    let quote = Quote {
        id: QuoteId::derived(&[b"q"]),
        rail: "x402".into(),
        resource: "http://seller/a".into(),
        method: "GET".into(),
        host: "seller".into(),
        payee: "0xaa".into(),
        network: "eip155:31337".into(),
        price: usdc(PRICE),
        cost_micro_usd: Some(Amount::from_atomic(AssetId::micro_usd(), PRICE)),
        description: None,
        media_type: None,
        received_at: at(1),
        expires_at: at(600),
        blocked: None,
    };
    let none = Digest::of(b"");
    let offer = Offer {
        quote,
        terms: none,
        body: none,
        flow: "authorization".into(),
        recurring: false,
        data: bursar_types::DataLabel::Public,
        verbatim: "{}".into(),
    };
    let payment = PaymentId::derived(&[b"p"]);
    Held {
        ask: Ask {
            payment,
            session: SessionId::derived(&[b"s"]),
            agent: "a".into(),
            cause: None,
            key: PurchaseKey::new("k").unwrap(),
            request: none,
            method: "GET".into(),
            url: "http://seller/a".into(),
            body: None,
            headers: vec![],
            whole: true,
        },
        attempt,
        offer,
        item: PlanItemId::derived(&[b"i"]),
        hold: HoldId::derived(&[payment.as_bytes(), &attempt.to_be_bytes()]),
        lines: vec![Line {
            budget: BudgetId::derived(&[b"b"]),
            amount: Amount::from_atomic(AssetId::micro_usd(), PRICE),
        }],
        approval: None,
        decision: Decision { verdict: Verdict::Allow, reasons: vec![], rules: vec![], facts: none },
    }
}

fn signing(attempt: u32) -> PaymentEvent {
    let held = held(attempt);
    let order = Order {
        ledger: LedgerId::derived(&[b"l"]),
        payment: held.ask.payment,
        attempt,
        offer: held.offer,
        payer: "0xbb".into(),
        now: at(2),
        window_s_max: 60,
    };
    let prepared = Prepared {
        rail: "x402".into(),
        terms: serde_json::Value::Null,
        signing: Digest::of(&attempt.to_be_bytes()),
        expires_at: at(62),
        notes: Vec::new(),
    };
    PaymentEvent::Signing { order: Box::new(order), prepared: Box::new(prepared) }
}

fn received() -> Received {
    let payload = Commitment::from_digest(Digest::of(b"payload"));
    Received { payload, digest: Digest::of(b"goods"), size_bytes: 5, media_type: None }
}

fn delivered() -> PaymentEvent {
    let held = held(0);
    let artifact = ArtifactRef {
        id: ArtifactId::derived(&[b"a"]),
        digest: Digest::of(b"goods"),
        media_type: None,
        size_bytes: 5,
    };
    let payment: PaymentView = held.view(None);
    let (session, payload) = (held.ask.session, Digest::of(b"payload"));
    PaymentEvent::Delivered {
        record: Box::new(ArtifactRecord { artifact, payment, session, kept_at: at(3), payload }),
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        any::<bool>().prop_map(|observed| Outcome::Moved { reference: "0x01".into(), observed }),
        Just(Outcome::DidNotMove { proof: "it ran out".into() }),
        Just(Outcome::Unknown { problem: "no answer".into() }),
    ]
}

fn result() -> impl Strategy<Value = StepResult> {
    prop_oneof![
        Just(StepResult::Done { answer: "promised".into() }),
        prop::option::of(Just(at(90)))
            .prop_map(|again_at| StepResult::Failed { problem: "500".into(), again_at }),
    ]
}

fn owed() -> impl Strategy<Value = ObligationEvent> {
    let text = || "x".to_owned();
    let refund = (0_u64..4, select(vec![1_u128, 300, 700, PRICE, PRICE + 1]), any::<bool>()).prop_map(
        |(index, atomic, by_person)| Refund {
            transfer: Transfer {
                event: ChainEvent { network: "eip155:31337".into(), transaction: "0x02".into(), index },
                from: "0xaa".into(),
                amount: usdc(atomic),
                at: at(100),
            },
            by: by_person.then(|| "ada".to_owned()),
        },
    );
    let remedy = || select(vec![Remedy::Refund, Remedy::Dispute]);
    prop_oneof![
        1 => select(vec![0_u128, 300, PRICE, PRICE + 1]).prop_map(move |atomic| ObligationEvent::ClaimOpened {
            id: "c".into(),
            amount: usdc(atomic),
            reason: ClaimReason::NotDelivered,
            detail: "nothing came".into(),
            due: at(1_000),
        }),
        1 => (remedy(), 0_u32..3).prop_map(|(remedy, attempt)| ObligationEvent::StepStarted { remedy, attempt }),
        1 => (remedy(), 0_u32..3, result()).prop_map(|(remedy, attempt, result)| ObligationEvent::StepEnded {
            remedy,
            attempt,
            result,
            file: None,
        }),
        3 => refund.prop_map(|refund| ObligationEvent::RefundSeen { refund }),
        1 => Just(ObligationEvent::ClaimDropped { problem: text() }),
        1 => Just(ObligationEvent::Parked { problem: text(), owner: "ada".into(), due: at(2_000) }),
        1 => Just(ObligationEvent::Extended { by: text(), reason: text(), due: at(3_000) }),
        1 => Just(ObligationEvent::Settled { by: text(), reason: text() }),
        1 => Just(ObligationEvent::WrittenOff { by: text(), reason: text() }),
    ]
}

fn event() -> impl Strategy<Value = PaymentEvent> {
    let prepared = || Some(Box::new(PreparedVoid { rail: "x402".into(), terms: 1.into(), signing: vec![] }));
    prop_oneof![
        2 => (0_u32..3).prop_map(|attempt| PaymentEvent::Held(Box::new(held(attempt)))),
        1 => Just(PaymentEvent::LetGo { reason: "late".into() }),
        2 => (0_u32..3).prop_map(signing),
        3 => (outcome(), any::<bool>()).prop_map(|(outcome, came)| PaymentEvent::Answered {
            outcome,
            received: came.then(received),
            said: None,
        }),
        3 => outcome().prop_map(|outcome| PaymentEvent::Observed { outcome }),
        1 => Just(delivered()),
        1 => Just(PaymentEvent::DeliveryFailed { problem: "500".into(), owner: "ada".into(), due: at(500) }),
        1 => (0_u32..2).prop_map(move |attempt| PaymentEvent::VoidStarted {
            reason: "given up".into(),
            prepared: prepared(),
            attempt,
        }),
        1 => (0_u32..2, result()).prop_map(|(attempt, result)| PaymentEvent::VoidEnded { attempt, result }),
        1 => Just(PaymentEvent::Presumed { owner: "ada".into(), due: at(700) }),
        6 => owed().prop_map(PaymentEvent::Owed),
    ]
}

/// Where the money of a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Money {
    Nowhere,
    Held,
    Captured { observed: bool },
}

fn money(payment: Option<&Payment>) -> Money {
    match payment {
        None | Some(Payment::NotPaid { .. }) => Money::Nowhere,
        Some(Payment::Held(_) | Payment::Signing(_) | Payment::Unknown { .. }) => Money::Held,
        Some(Payment::Paid { evidence, .. }) => Money::Captured { observed: evidence.is_observed() },
    }
}

fn attempt(payment: Option<&Payment>) -> Option<u32> {
    payment.and_then(Payment::held).map(|held| held.attempt)
}

/// What must hold about one step that was taken.
fn check_step(before: Option<&Payment>, event: &PaymentEvent, after: &Payment) {
    let say =
        || format!("{} -> {} -> {}", before.map_or("nothing", Payment::name), event.name(), after.name());
    match (money(before), money(Some(after))) {
        (Money::Captured { observed: true }, now) => {
            assert_eq!(
                now,
                Money::Captured { observed: true },
                "what was seen to move stays moved: {}",
                say()
            );
        }
        (Money::Captured { observed: false }, Money::Held) | (Money::Nowhere, Money::Captured { .. }) => {
            panic!("money is captured out of a hold, and never goes back into one: {}", say())
        }
        (Money::Captured { .. }, Money::Nowhere) => {
            let disproved = matches!(event, PaymentEvent::Observed { outcome: Outcome::DidNotMove { .. } });
            assert!(disproved, "only the rail disproves: {}", say());
        }
        _ => {}
    }
    if let (Some(before), Some(after)) = (attempt(before), attempt(Some(after))) {
        assert_eq!(before, after, "a new attempt comes after a proof only: {}", say());
    }
    if let (Some(Payment::Unknown { void: Some(_), .. }), Payment::Unknown { void, .. }) = (before, after) {
        assert!(void.is_some(), "what is being taken back stays so: {}", say());
    }
}

/// What must hold about every state.
fn check_state(payment: &Payment) {
    let Payment::Paid { signed, evidence, obligation } = payment else {
        assert!(payment.obligation().is_none(), "nothing is owed where nothing moved");
        return;
    };
    let sum: u128 = obligation.refunds.iter().map(|refund| refund.transfer.amount.atomic()).sum();
    assert!(sum <= PRICE, "more came back than was paid");
    let mut events: Vec<_> = obligation.refunds.iter().map(|refund| &refund.transfer.event).collect();
    events.sort();
    events.dedup();
    assert_eq!(events.len(), obligation.refunds.len(), "one event was credited twice");
    if let ObligationState::Parked { .. } = obligation.state {
        assert!(!obligation.owner.is_empty() && obligation.due.is_some(), "parked with nobody");
    }
    if let Evidence::Presumed { .. } = evidence {
        assert_ne!(obligation.state, ObligationState::Claimed, "asked back without knowing that it moved");
    }
    for seconds in [3, 70, 1_500, 5_000] {
        let next = obligation.next(at(seconds), signed.prepared.expires_at, evidence.is_observed());
        assert_eq!(
            next == Next::Over,
            obligation.is_over(),
            "what is open has something to be done about it"
        );
        if let Next::AskRefund { attempt } = next {
            let step = obligation.claim.as_ref().map(|claim| &claim.refund);
            assert_ne!(
                step,
                Some(&Step::Done { answer: "promised".into() }),
                "try {attempt} after an answer"
            );
            assert!(evidence.is_observed(), "asked back on a payee's word");
        }
    }
}

#[derive(Debug)]
struct Life;

impl ReferenceStateMachine for Life {
    type State = Vec<PaymentEvent>;
    type Transition = PaymentEvent;

    fn init_state() -> BoxedStrategy<Self::State> {
        Just(Vec::new()).boxed()
    }

    fn transitions(_: &Self::State) -> BoxedStrategy<Self::Transition> {
        event().boxed()
    }

    fn apply(mut taken: Self::State, event: &Self::Transition) -> Self::State {
        let state = fold(&taken);
        if Payment::apply(state, event.clone()).is_ok() {
            taken.push(event.clone());
        }
        taken
    }
}

fn fold(events: &[PaymentEvent]) -> Option<Payment> {
    events.iter().fold(None, |state, event| Some(Payment::apply(state, event.clone()).unwrap()))
}

impl StateMachineTest for Life {
    type SystemUnderTest = Option<Payment>;
    type Reference = Self;

    fn init_test(_: &Vec<PaymentEvent>) -> Option<Payment> {
        None
    }

    fn apply(state: Option<Payment>, taken: &Vec<PaymentEvent>, event: PaymentEvent) -> Option<Payment> {
        // As the journal has it: written and read again.
        let text = serde_json::to_string(&event).unwrap();
        let read: PaymentEvent = serde_json::from_str(&text).unwrap();
        assert_eq!(read, event, "an event reads back as it was written");
        let after = match Payment::apply(state.clone(), read) {
            Ok(after) => Some(after),
            Err(_) => state.clone(),
        };
        if let Some(now) = &after
            && after != state
        {
            check_step(state.as_ref(), &event, now);
        }
        assert_eq!(after, fold(taken), "replay gives the same state");
        after
    }

    fn check_invariants(state: &Option<Payment>, _: &Vec<PaymentEvent>) {
        if let Some(payment) = state {
            check_state(payment);
        }
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_loses_or_doubles_money(sequential 1..60 => Life);
}
