//! One payment after the other, each event with the money move that must have come with it.

use super::holds::Account;
use super::{Captured, MeaningAudit};
use crate::obligation::ObligationEvent;
use crate::payment::{Ask, Held, Payment, PaymentEvent, Signed};
use crate::purse::{awaits_money, bought_link, credit, open_link};
use crate::rail::Transfer;
use bursar_ledger::{AccountOp, Commitment, Entry, Line};
use bursar_types::{HoldId, PaymentId, Verdict};

/// What is known of one payment.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) state: Option<Payment>,
    /// Whether an event of it was erased or cannot follow: nothing after that can be told.
    pub(super) unreadable: bool,
    /// The entries that delivered goods: one for each attempt that was paid.
    pub(super) delivered: Vec<u64>,
    /// The entry that said that money moved.
    paid: Option<u64>,
    /// Its last attempt, also after no money moved.
    last: Option<(HoldId, Account)>,
}

impl Case {
    /// How the payment says that a hold of it stands; `None` if that cannot be told.
    pub(super) fn account_of(&self, hold: HoldId) -> Option<Account> {
        if self.unreadable {
            return None;
        }
        self.last.and_then(|(last, account)| (last == hold).then_some(account))
    }

    /// What of its money is gone.
    pub(super) fn captured_now(&self, id: PaymentId) -> Option<Captured> {
        let Some(Payment::Paid { signed, evidence, .. }) = &self.state else { return None };
        let held = &signed.held;
        Some(Captured {
            payment: id,
            session: held.ask.session,
            entry: self.paid?,
            payee: held.offer.quote.payee.clone(),
            amount: held.amount().clone(),
            reference: evidence.reference().map(ToOwned::to_owned),
            observed: evidence.is_observed(),
        })
    }

    /// The links under which recovery and whoever buys again must find it: otherwise what is open is an orphan that nobody looks after,
    /// and what was bought is bought again. `user` is the session's, if that can be read.
    pub(super) fn awaited(&self, id: PaymentId, user: Option<&str>) -> Vec<String> {
        let Some(state) = self.state.as_ref().filter(|_| !self.unreadable) else { return Vec::new() };
        let open = || open_link(state.ask().request);
        let Payment::Paid { signed, evidence, obligation } = state else {
            return if matches!(state, Payment::NotPaid { .. }) { Vec::new() } else { vec![open()] };
        };
        let ended = obligation.is_over() || obligation.has_goods();
        let bought = user.filter(|_| ended).map(|user| bought_link(user, state.ask()));
        let lists = [
            (!evidence.is_observed()).then(|| format!("claimed/{id}")),
            (!obligation.is_over()).then(|| format!("owed/{id}")),
            awaits_money(&signed.held, state).then(|| format!("refund/{id}")),
            (!ended).then(open),
            bought,
        ];
        lists.into_iter().flatten().collect()
    }
}

impl MeaningAudit {
    pub(super) fn payment(&mut self, entry: &Entry, id: PaymentId, payload: Option<&[u8]>) {
        let event = self.read::<PaymentEvent>(entry, payload);
        let mut case = self.cases.remove(&id).unwrap_or_default();
        self.own_hold(entry, id);
        match event {
            Some(event) if !case.unreadable => self.follow(entry, id, &mut case, event),
            _ => case.unreadable = true,
        }
        self.cases.insert(id, case);
    }

    /// The leaf names the attempt, so a hold has its payment also when the event was erased.
    fn own_hold(&mut self, entry: &Entry, id: PaymentId) {
        let attempt = entry.body.get("attempt").and_then(serde_json::Value::as_u64);
        if let Some(Ok(attempt)) = attempt.map(u32::try_from) {
            self.holds.claim(HoldId::derived(&[id.as_bytes(), &attempt.to_be_bytes()]), id);
        }
    }

    fn follow(&mut self, entry: &Entry, id: PaymentId, case: &mut Case, event: PaymentEvent) {
        let sequence = entry.sequence;
        let says = |problem: String| format!("entry {sequence} of payment {id}: {problem}");
        if entry.kind != event.kind() {
            self.problem(says(format!("it is named `{}` and is `{}`", entry.kind, event.kind())));
        }
        let before = case.state.take();
        let after = match Payment::apply(before.clone(), event.clone()) {
            Ok(after) => after,
            Err(error) => {
                self.problem(says(error.to_string()));
                case.unreadable = true;
                return;
            }
        };
        if let Some(kept) = kept_beside(&event) {
            self.beside.entry(kept).or_insert(sequence);
        }
        let mut problems = self.shown_otherwise(entry, &after);
        problems.extend(match &event {
            PaymentEvent::Held(held) => self.held(entry, id, held),
            PaymentEvent::Signing { .. } => match &after {
                Payment::Signing(signed) => self.signing(entry, signed),
                _ => Vec::new(),
            },
            PaymentEvent::Owed(ObligationEvent::RefundSeen { refund }) => {
                self.refunded(entry, before.as_ref(), id, &refund.transfer)
            }
            PaymentEvent::Delivered { record } => {
                case.delivered.push(sequence);
                let receipt = record.payment.receipt.as_ref().map(|receipt| &receipt.reference);
                let view = after.view().and_then(|view| view.receipt);
                let kept = receipt.is_none() || receipt == view.as_ref().map(|view| &view.reference);
                let own = record.payment.id == id;
                (!(kept && own))
                    .then(|| "what came names another payment or receipt".to_owned())
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        });
        problems.extend(self.moved(entry, before.as_ref(), &after));
        problems.into_iter().for_each(|problem| self.problem(says(problem)));
        self.note(case, entry, before.as_ref(), &after);
        case.state = Some(after);
    }

    /// The leaf outlives its event, so it must say the same.
    fn shown_otherwise(&self, entry: &Entry, payment: &Payment) -> Vec<String> {
        let Some(held) = payment.held() else { return Vec::new() };
        let text =
            |name: &str| entry.body.get(name).and_then(serde_json::Value::as_str).map(ToOwned::to_owned);
        let quote = &held.offer.quote;
        let fields = [
            ("atomic", quote.price.atomic().to_string()),
            ("asset", quote.price.asset().as_str().to_owned()),
            ("payee", quote.payee.clone()),
            ("session", held.ask.session.to_string()),
        ];
        let differs = fields.into_iter().filter(|(name, value)| text(name).as_ref() != Some(value));
        differs.map(|(name, _)| format!("its entry shows another {name} than its event")).collect()
    }

    /// Money was set aside: for this payment, as much as the rules were told, after they allowed it.
    fn held(&mut self, entry: &Entry, id: PaymentId, held: &Held) -> Vec<String> {
        let mut problems = Vec::new();
        if held.ask.payment != id {
            problems.push(format!("it was asked for as {}", held.ask.payment));
        }
        if held.hold != HoldId::derived(&[id.as_bytes(), &held.attempt.to_be_bytes()]) {
            problems.push(format!("hold {} is not of this attempt", held.hold));
        }
        if held.decision.verdict != Verdict::Allow {
            problems.push("its decision does not allow it".to_owned());
        }
        if let Some(session) = self.sessions.get(held.ask.session) {
            let parts: [&[u8]; 4] = [
                session.salt.as_bytes(),
                held.ask.session.as_bytes(),
                held.ask.key.as_str().as_bytes(),
                held.ask.request.as_bytes(),
            ];
            if PaymentId::derived(&parts) != id {
                problems.push("its name is not that of its session, key and request".to_owned());
            }
        }
        match self.holds.get(held.hold) {
            None => problems.push(format!("no money was set aside for it (hold {})", held.hold)),
            Some(hold) if hold.lines != held.lines => {
                problems.push(format!("entry {} sets other money aside than it says", hold.entry));
            }
            Some(hold) if hold.account != Account::Pending || hold.entry > entry.sequence => {
                problems.push(format!("hold {} was not pending", held.hold));
            }
            Some(_) => {}
        }
        problems.extend(self.not_counted(held));
        problems
    }

    /// A signature may exist from here on: after an allowed decision of this very purchase, over a hold that is kept for it.
    fn signing(&mut self, entry: &Entry, signed: &Signed) -> Vec<String> {
        self.signatures = self.signatures.saturating_add(1);
        let (held, order) = (&signed.held, &signed.order);
        let mut problems = Vec::new();
        let allowed = self.allowed.get(&held.ask.payment);
        let erased = self.allowed_erased.contains(&held.ask.payment);
        let decided = allowed.and_then(|all| all.iter().find(|record| record.decision == held.decision));
        match decided {
            Some(record) => {
                problems.extend(self.decided_otherwise(record, held));
                problems.extend(self.lifted_otherwise(&record.approved, held.approval));
            }
            None if erased => {}
            None => problems.push("no decision that allows it was journaled before".to_owned()),
        }
        if !self.holds.get(held.hold).is_some_and(|hold| hold.account == Account::Pinned) {
            problems.push(format!("hold {} was not pending and kept for it", held.hold));
        }
        let same =
            order.payment == held.ask.payment && order.attempt == held.attempt && order.offer == held.offer;
        if !same {
            problems.push("what is signed is not what was decided".to_owned());
        }
        let other = self.under_way.insert(held.ask.request, held.ask.payment);
        if let Some(other) = other.filter(|other| *other != held.ask.payment) {
            problems.push(format!("payment {other} was open for the same request"));
        }
        problems.extend(self.sessions.signed(entry, signed));
        problems.extend(self.freezes.stopped(&order.payer, &self.sessions.agents(held.ask.session)));
        problems
    }

    /// Money came back: one event of the chain, once, with its credit.
    fn refunded(
        &mut self,
        entry: &Entry,
        before: Option<&Payment>,
        id: PaymentId,
        transfer: &Transfer,
    ) -> Vec<String> {
        let mut problems: Vec<String> = super::dated_before(entry, transfer.at).into_iter().collect();
        let event = transfer.event.to_string();
        if let Some(other) = self.credited.insert(event.clone(), id) {
            problems.push(format!("the transfer {event} was credited to {other} before"));
        }
        let Some(held) = before.and_then(Payment::held) else { return problems };
        let due = match credit(held, transfer) {
            Some(AccountOp::Refund { lines, .. }) => Some(lines),
            _ => None,
        };
        let found = self.holds.told_of(held.hold, &format!("refund {event}"));
        match (found, due.as_deref()) {
            (found, due) if found == due => {}
            (None, _) => problems.push(format!("the transfer {event} was not credited to its budgets")),
            (Some(_), _) => {
                problems
                    .push(format!("the transfer {event} was credited with another amount than came back"));
            }
        }
        problems
    }

    /// Whether the money stands where the payment says that it does.
    fn moved(&mut self, entry: &Entry, before: Option<&Payment>, after: &Payment) -> Vec<String> {
        let Some(held) = after.held().or_else(|| before.and_then(Payment::held)) else { return Vec::new() };
        let Some(hold) = self.holds.get(held.hold) else { return Vec::new() };
        let (account, ran_out) = (hold.account, hold.expires_at <= entry.at);
        let problem = match (before, after) {
            (Some(Payment::Paid { .. }), Payment::NotPaid { .. }) => {
                let credited: Option<&[Line]> = self.holds.told_of(held.hold, "disproved");
                (credited != Some(held.lines.as_slice()))
                    .then_some("it moved no money after all, and its budgets were not credited")
            }
            (_, Payment::Paid { .. }) => {
                (account != Account::Captured).then_some("money moved, and no hold was captured")
            }
            // A hold that ran out before it was signed was given back by the ledger itself.
            (Some(Payment::Held(_)), Payment::NotPaid { .. }) => {
                let back = account == Account::Released || (account == Account::Pending && ran_out);
                (!back).then_some("it was let go, and its hold was not given back")
            }
            (_, Payment::NotPaid { .. }) => {
                (account != Account::Released).then_some("no money moved, and its hold was not given back")
            }
            (_, Payment::Signing(_) | Payment::Unknown { .. }) => {
                (account != Account::Pinned).then_some("its hold is not kept while its outcome is open")
            }
            (_, Payment::Held(_)) => None,
        };
        problem.map(ToOwned::to_owned).into_iter().collect()
    }

    /// What later entries are compared with.
    fn note(&mut self, case: &mut Case, entry: &Entry, before: Option<&Payment>, after: &Payment) {
        let paid_before = matches!(before, Some(Payment::Paid { .. }));
        match after {
            Payment::Held(held) => case.last = Some((held.hold, Account::Pending)),
            Payment::Signing(signed) | Payment::Unknown { signed, .. } => {
                case.last = Some((signed.held.hold, Account::Pinned));
            }
            Payment::Paid { signed, .. } => {
                case.last = Some((signed.held.hold, Account::Captured));
                let quote = &signed.held.offer.quote;
                self.paid.insert((quote.host.clone(), quote.payee.clone()));
                if !paid_before {
                    case.paid = Some(entry.sequence);
                }
                self.over(after.ask());
            }
            Payment::NotPaid { .. } => {
                if let Some(held) = before.and_then(Payment::held) {
                    // What was captured and disproved stays captured, with its credit; a hold may have run out by itself.
                    case.last = None;
                    self.sessions.did_not_move(held);
                }
                case.paid = None;
                self.over(after.ask());
            }
        }
    }

    /// The request may be paid for again, by another payment.
    fn over(&mut self, ask: &Ask) {
        if self.under_way.get(&ask.request) == Some(&ask.payment) {
            self.under_way.remove(&ask.request);
        }
    }
}

/// What an event keeps in payloads of their own.
fn kept_beside(event: &PaymentEvent) -> Option<Commitment> {
    match event {
        PaymentEvent::Held(held) => held.ask.body,
        PaymentEvent::Answered { received, .. } => received.as_ref().map(|received| received.payload),
        PaymentEvent::Delivered { record } => Some(Commitment::from_digest(record.payload)),
        PaymentEvent::Owed(ObligationEvent::StepEnded { file, .. }) => *file,
        _ => None,
    }
}
