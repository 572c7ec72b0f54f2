//! The parts of a payment's trace.

use super::work::{self, Concerns, Wanted};
use super::{TracePart, Unread, events};
use crate::error::BursarError;
use bursar_ledger::{Entry, Ledger, StreamId};
use bursar_memory::UseRecord;
use bursar_payments::{
    DecisionRecord, Held, ObligationEvent, Outcome, Payment, PaymentEvent, SessionEvent, StepResult,
};
use bursar_types::{ArtifactRecord, AssetRegistry, PaymentId, SessionId};

/// The journal of one payment.
struct Life {
    events: Vec<(Entry, Result<PaymentEvent, Unread>)>,
    state: Option<Payment>,
    /// What was held last, with the entry that says so.
    held: Option<(u64, Held)>,
    whole: bool,
}

impl Life {
    async fn read(ledger: &Ledger, id: PaymentId) -> Result<Self, BursarError> {
        let events = events::<PaymentEvent>(ledger, &StreamId::of("payment", id)).await?;
        let mut life = Self { events: Vec::new(), state: None, held: None, whole: true };
        for (entry, event) in &events {
            match event {
                Ok(event) => {
                    if let PaymentEvent::Held(held) = event {
                        life.held = Some((entry.sequence, Held::clone(held)));
                    }
                    life.state = Payment::apply(life.state.take(), event.clone()).ok();
                    life.whole &= life.state.is_some();
                }
                Err(_) => life.whole = false,
            }
        }
        life.events = events;
        Ok(life)
    }

    /// The session, by the leaf where the event was erased.
    fn session(&self) -> Option<SessionId> {
        let first = &self.events.first()?.0;
        SessionId::parse(first.body.get("session")?.as_str()?).ok()
    }

    fn outcome(&self) -> String {
        if !self.whole {
            return "What of it was erased or damaged is not re-checkable; the entries below are there."
                .to_owned();
        }
        match &self.state {
            None => "Nothing happened.".to_owned(),
            Some(Payment::Held(_)) => "Money is set aside; nothing was signed.".to_owned(),
            Some(Payment::Signing(_)) => "It was signed, and no answer is recorded.".to_owned(),
            Some(Payment::Unknown { problem, .. }) => {
                format!("Nobody can say yet whether money moved: {problem}.")
            }
            Some(Payment::NotPaid { proof, .. }) => format!("No money moved, and that is proven: {proof}."),
            Some(Payment::Paid { evidence, obligation, .. }) => {
                use bursar_payments::ObligationState as O;
                let moved = match evidence.is_observed() {
                    true => "Money moved, seen by the rail itself",
                    false => {
                        "Money moved as the payee says, or counts as moved; the rail has not confirmed it"
                    }
                };
                let end = match &obligation.state {
                    O::Delivered => "what was bought was delivered".to_owned(),
                    O::Refunded => "it came back".to_owned(),
                    O::Owed { problem } => format!("the goods are owed: {problem}"),
                    O::Claimed => "it was asked back".to_owned(),
                    O::Parked { problem } => format!("a person looks after it: {problem}"),
                    O::Settled { by, reason } => format!("{by} settled it: {reason}"),
                    O::WrittenOff { by, reason } => format!("{by} wrote it off: {reason}"),
                };
                format!("{moved}; {end}.")
            }
        }
    }
}

/// How it ended and all parts; none if nothing was ever held for it.
pub(super) async fn parts(
    ledger: &Ledger,
    id: PaymentId,
) -> Result<Option<(String, Vec<TracePart>)>, BursarError> {
    let life = Life::read(ledger, id).await?;
    let Some(first) = life.events.first().map(|(entry, _)| entry.sequence) else { return Ok(None) };
    let mut bought = TracePart::new("what was bought");
    let mut done = TracePart::new("in which work");
    let mut authority = TracePart::new("for whom, under which mandate and plan item");
    let mut decided = TracePart::new("which rules decided, over which facts");
    let (mut cost, mut payee) =
        (TracePart::new("what it cost"), TracePart::new("who was paid, on which network"));
    let held = life.held.as_ref().map(|(at, held)| (Some(*at), held));
    if let Some((at, held)) = held {
        wanted(&mut bought, at, held);
        costs(&mut cost, at, held);
        paid(&mut payee, at, held);
    }
    if let Some(session) = life.session() {
        done.say("session", session.to_string(), Some(first));
        done.traces(life.events.iter().map(|(entry, _)| entry));
        done.say("phase", "acquire: an item of an approved plan was open", held.and_then(|(at, _)| at));
        let (key, url) =
            (held.map(|(_, held)| held.ask.key.as_str()), held.map(|(_, held)| held.ask.url.as_str()));
        done.maybe("purchase key", key, held.and_then(|(at, _)| at));
        let cause = held.and_then(|(_, held)| held.ask.cause);
        work::work(ledger, session, &Wanted { key, cause, url, sequence: first }, &mut done).await?;
        let told = events::<SessionEvent>(ledger, &StreamId::of("session", session)).await?;
        let read = told.iter().filter_map(|(_, event)| event.as_ref().ok());
        let concerns = held.map(|(_, held)| Concerns::of(id, held.item, read));
        for (entry, event) in &told {
            match event {
                Ok(event) => work::authority(&mut authority, entry, event, concerns.as_ref()),
                Err(why) => authority.unread(entry, why),
            }
        }
        let plan = told.iter().find_map(|(_, event)| match (event, &concerns) {
            (Ok(SessionEvent::PlanApproved { plan, .. }), Some(concerns)) => {
                let its = plan.items.iter().any(|one| one.id == concerns.item);
                its.then(|| format!("plan {}", plan.id))
            }
            _ => None,
        });
        decisions(ledger, session, id, plan.as_ref(), &mut decided).await?;
    }
    let mut happened = TracePart::new("what happened, and what the rail says");
    life.events.iter().for_each(|(entry, event)| match event {
        Ok(event) => tell(&mut happened, entry, event),
        Err(why) => happened.unread(entry, why),
    });
    let (mut goods, mut used) =
        (TracePart::new("what was delivered"), TracePart::new("whether and where it was used"));
    delivered(ledger, id, &mut goods, &mut used).await?;
    let parts = vec![bought, done, authority, decided, cost, payee, happened, goods, used];
    Ok(Some((life.outcome(), parts)))
}

fn wanted(part: &mut TracePart, at: Option<u64>, held: &Held) {
    part.say("request", format!("{} {}", held.ask.method, held.ask.url), at);
    part.say("digest of principal, method, URL and body", held.ask.request.to_string(), at);
    let said = held.offer.quote.description.as_ref().map(ToString::to_string);
    part.maybe("the vendor calls it", said, at);
    part.maybe("promised media type", held.offer.quote.media_type.as_ref(), at);
    part.say("quote", held.offer.quote.id.to_string(), at);
}

fn costs(part: &mut TracePart, at: Option<u64>, held: &Held) {
    let quote = &held.offer.quote;
    let known = AssetRegistry::pinned();
    part.say("price", known.display(&quote.price), at);
    part.maybe("worst case", quote.cost_micro_usd.as_ref().map(|cost| known.display(cost)), at);
    part.say("hold", held.hold.to_string(), at);
    for line in &held.lines {
        part.say(format!("budget {}", line.budget), known.display(&line.amount), at);
    }
}

fn paid(part: &mut TracePart, at: Option<u64>, held: &Held) {
    let quote = &held.offer.quote;
    part.say("host", &quote.host, at);
    part.say("payee", &quote.payee, at);
    part.say("network", &quote.network, at);
    part.say("asset", quote.price.asset().to_string(), at);
    part.say("rail", &quote.rail, at);
}

async fn decisions(
    ledger: &Ledger,
    session: SessionId,
    id: PaymentId,
    plan: Option<&String>,
    part: &mut TracePart,
) -> Result<(), BursarError> {
    let mut all = Vec::new();
    for stream in [DecisionRecord::DECISIONS, DecisionRecord::REFUSALS] {
        let found = events::<DecisionRecord>(ledger, &StreamId::of(stream, session)).await?;
        let about = |entry: &Entry| {
            entry.body.get("payment").and_then(|named| named.as_str()) == Some(id.to_string().as_str())
        };
        let its_plan = |record: &Result<DecisionRecord, Unread>| {
            plan.is_some() && record.as_ref().ok().map(|record| &record.what) == plan
        };
        all.extend(found.into_iter().filter(|(entry, record)| about(entry) || its_plan(record)));
    }
    all.sort_by_key(|(entry, _)| entry.sequence);
    for (entry, record) in &all {
        match record {
            Ok(record) => part.decision(entry, record),
            Err(why) => part.unread(entry, why),
        }
    }
    Ok(())
}

/// One event in a line.
fn tell(part: &mut TracePart, entry: &Entry, event: &PaymentEvent) {
    let said = match event {
        PaymentEvent::Held(held) => format!("money was set aside for attempt {}", held.attempt),
        PaymentEvent::LetGo { reason } => format!("the hold was given back: {reason}"),
        PaymentEvent::Signing { order, prepared } => format!(
            "the terms of attempt {} were fixed: {} signs {}, which counts until {}",
            order.attempt, order.payer, prepared.signing, prepared.expires_at
        ),
        PaymentEvent::Answered { outcome, .. } => format!("the payee answered: {}", shown(outcome)),
        PaymentEvent::Observed { outcome } => format!("the rail was asked: {}", shown(outcome)),
        PaymentEvent::Delivered { record } => format!("goods came: {}", record.artifact.id),
        PaymentEvent::DeliveryFailed { problem, owner, due } => {
            format!("no goods came: {problem}; {owner} looks after it until {due}")
        }
        PaymentEvent::VoidStarted { reason, attempt, .. } => {
            format!("it is taken back (try {attempt}): {reason}")
        }
        PaymentEvent::VoidEnded { attempt, result } => {
            format!("try {attempt} to take it back: {}", ended(result))
        }
        PaymentEvent::Presumed { owner, due } => {
            format!("it counts as spent; {owner} looks after it until {due}")
        }
        PaymentEvent::Owed(event) => owed(event),
    };
    part.say(event.kind(), format!("{said} ({})", entry.at), Some(entry.sequence));
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Moved { reference, observed: true } => {
            format!("money moved, and that was seen: {reference}")
        }
        Outcome::Moved { reference, observed: false } => format!("money moved, as is claimed: {reference}"),
        Outcome::DidNotMove { proof } => format!("no money moved: {proof}"),
        Outcome::Unknown { problem } => format!("nobody can say: {problem}"),
    }
}

fn ended(result: &StepResult) -> String {
    match result {
        StepResult::Done { answer } => answer.clone(),
        StepResult::Refused { problem } | StepResult::Failed { problem, .. } => problem.clone(),
    }
}

fn owed(event: &ObligationEvent) -> String {
    use ObligationEvent as E;
    match event {
        E::ClaimOpened { id, amount, detail, due, .. } => {
            format!("{} atomic units were asked back as {id} until {due}: {detail}", amount.atomic())
        }
        E::StepStarted { attempt, .. } => format!("try {attempt} began"),
        E::StepEnded { attempt, result, .. } => format!("try {attempt} ended: {}", ended(result)),
        E::ClaimDropped { problem } => format!("nothing is asked back any more: {problem}"),
        E::RefundSeen { refund } => {
            let transfer = &refund.transfer;
            format!(
                "{} atomic units came back from {}: {}",
                transfer.amount.atomic(),
                transfer.from,
                transfer.event
            )
        }
        E::Parked { problem, owner, due } => format!("{owner} looks after it until {due}: {problem}"),
        E::Extended { by, reason, due } => format!("{by} gave it time until {due}: {reason}"),
        E::Settled { by, reason } => format!("{by} settled it: {reason}"),
        E::WrittenOff { by, reason } => format!("{by} wrote it off: {reason}"),
    }
}

async fn delivered(
    ledger: &Ledger,
    id: PaymentId,
    goods: &mut TracePart,
    used: &mut TracePart,
) -> Result<(), BursarError> {
    let named = |entry: &Entry, field: &str, id: &str| {
        entry.body.get(field).and_then(|text| text.as_str()) == Some(id)
    };
    let mut artifacts = Vec::new();
    let Ok(library) = StreamId::new(ArtifactRecord::STREAM) else { return Ok(()) };
    let Ok(uses) = StreamId::new(UseRecord::STREAM) else { return Ok(()) };
    for (entry, record) in events::<ArtifactRecord>(ledger, &library).await? {
        if !named(&entry, "payment", &id.to_string()) {
            continue;
        }
        artifacts.extend(entry.body.get("artifact").and_then(|text| text.as_str()).map(ToOwned::to_owned));
        let at = Some(entry.sequence);
        match record {
            Ok(record) => {
                let kept = &record.artifact;
                goods.say("artifact", kept.id.to_string(), at);
                goods.say("SHA-256", kept.digest.to_string(), at);
                goods.say("size", format!("{} bytes", kept.size_bytes), at);
                goods.maybe("media type", kept.media_type.as_ref(), at);
                goods.say("kept at", record.kept_at.to_string(), at);
            }
            Err(why) => goods.unread(&entry, &why),
        }
    }
    for (entry, record) in events::<UseRecord>(ledger, &uses).await? {
        if !artifacts.iter().any(|artifact| named(&entry, "artifact", artifact)) {
            continue;
        }
        let at = Some(entry.sequence);
        match record {
            Ok(record) => {
                used.say("used for", &record.used_for, at);
                used.say("in session", record.session.to_string(), at);
                used.maybe("in run", record.run.map(|run| run.to_string()), at);
                let kinds: Vec<_> = record.evidence.iter().map(bursar_memory::UseEvidence::kind).collect();
                used.say("shown by", kinds.join(", "), at);
            }
            Err(why) => used.unread(&entry, &why),
        }
    }
    if !artifacts.is_empty() && used.lines.is_empty() {
        used.say("used", "no use of it is recorded", None);
    }
    Ok(())
}
