//! What buyers asked for, what they were told, and whether it was true.

use super::{Seen, Watch};
use crate::stage::Life;
use bursar_payments::Payment;
use bursar_types::{Delivery, Digest, FetchError, Fetched, PaymentId};
use std::collections::{BTreeMap, BTreeSet};

/// Names one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId(u64);

/// Calls that were begun.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    count: u64,
    running: BTreeMap<CallId, Call>,
    /// What was bought under a key, and whether it was another key's purchase that was joined.
    bought: BTreeMap<(String, String), (PaymentId, bool)>,
    /// Every body that a seller may have sent, right or wrong.
    bodies: BTreeSet<Digest>,
}

#[derive(Debug)]
struct Call {
    life: Life,
    url: String,
    key: String,
    /// How many commits there were when it began.
    since: u64,
    /// Whether nobody else asked for the same while it ran, and nothing was open for it before.
    alone: bool,
}

impl Watch {
    /// A body that a seller may send.
    pub(crate) fn may_send(&self, body: &[u8]) {
        self.seen().calls.bodies.insert(Digest::of(body));
    }

    /// A buyer asks.
    pub(crate) fn asks(&self, life: Life, url: &str, key: &str) -> CallId {
        let mut seen = self.seen();
        let seen = &mut *seen;
        let open = seen.payments.values().any(|known| known.payment.ask().url == url && !known.is_over());
        let calls = &mut seen.calls;
        calls.count = calls.count.saturating_add(1);
        let mut alone = !open;
        for other in calls.running.values_mut().filter(|other| other.url == url) {
            (other.alone, alone) = (false, false);
        }
        let id = CallId(calls.count);
        let (url, key, since) = (url.to_owned(), key.to_owned(), seen.commits);
        calls.running.insert(id, Call { life, url, key, since, alone });
        id
    }

    /// A life ended, and its calls with it. What they were at may still be open.
    pub(crate) fn died(&self, life: Life) {
        self.seen().calls.running.retain(|_, call| call.life != life);
    }

    /// A buyer was told.
    pub(crate) fn told(&self, id: CallId, told: &Result<Fetched, FetchError>) {
        let mut seen = self.seen();
        let seen = &mut *seen;
        let Some(call) = seen.calls.running.remove(&id) else { return };
        let name = match told {
            Ok(fetched) => name(fetched),
            Err(error) => error_name(error),
        };
        self.stage.count(format!("told {name}"));
        self.stage.note(format_args!("{} is told {name} of {} under {}", call.life, call.url, call.key));
        match told {
            Err(error) => self.told_error(seen, &call, error),
            Ok(Fetched::Delivered(delivery) | Fetched::Owned(delivery)) => {
                self.told_delivered(seen, &call, delivery);
            }
            Ok(Fetched::Undelivered(undelivered)) => {
                // The claim that it moved may have been disproved since it was read.
                let known = seen.payments.get(&undelivered.payment.id);
                if known.is_none_or(|known| known.captures == 0) {
                    seen.violated("undelivered-is-paid", format!("{} is not", undelivered.payment.id));
                }
            }
            Ok(Fetched::Unknown(unknown)) => {
                if !seen.payments.contains_key(&unknown.id) {
                    seen.violated("unknown-is-known-of", format!("{} was never held", unknown.id));
                }
            }
            Ok(Fetched::Free(_) | Fetched::Quotes { .. } | Fetched::AwaitingApproval(_)) => {}
        }
    }

    /// An error says that this call moved no money, and that this is proven.
    fn told_error(&self, seen: &mut Seen, call: &Call, error: &FetchError) {
        if !call.alone {
            return;
        }
        let moved: Vec<String> = seen
            .payments
            .iter()
            .filter(|(_, known)| {
                let since = |attempt: &super::payments::Attempt| attempt.commit > call.since;
                let signed = |attempt: &super::payments::Attempt| seen.signed.contains(&attempt.signing);
                known.payment.ask().url == call.url
                    && !matches!(known.payment, Payment::NotPaid { .. })
                    && known.attempts.values().any(|attempt| since(attempt) && signed(attempt))
            })
            .map(|(id, known)| format!("{id} is {}", known.payment.name()))
            .collect();
        if !moved.is_empty() {
            let (life, moved) = (call.life, moved.join(", "));
            seen.violated("an-error-moves-nothing", format!("{life} was told `{error}`, and {moved}"));
        }
    }

    fn told_delivered(&self, seen: &mut Seen, call: &Call, delivery: &Delivery) {
        let id = delivery.payment.id;
        let digest = Digest::of(&delivery.body);
        if digest != delivery.artifact.digest || !seen.calls.bodies.contains(&digest) {
            seen.violated("delivered-as-sent", format!("{id} was delivered with bytes that nobody sent"));
        }
        let known = seen.payments.get(&id).cloned();
        // What a seller only claimed may turn out not to have moved after it was delivered.
        let paid = known.as_ref().is_some_and(|known| known.captures > 0);
        if !paid {
            seen.violated("delivered-is-paid", format!("{id} was delivered and never captured"));
        }
        let own = known.as_ref().is_some_and(|known| known.payment.ask().key.as_str() == call.key);
        let disproved = |id: &PaymentId| seen.payments.get(id).is_some_and(|known| known.disproved > 0);
        let first = seen.calls.bought.get(&(call.url.clone(), call.key.clone())).copied();
        let first = first.filter(|(first, _)| *first != id && !disproved(first));
        if let Some((first, joined)) = first {
            let what = format!("{} was bought under {} as {first}, and again as {id}", call.url, call.key);
            // A payment of another key that was open then is joined; the journal does not keep who joined it.
            match joined || !own {
                false => seen.violated("one-purchase-under-one-key", what),
                true => self.stage.count("bought under a key that had joined another"),
            }
        }
        if own || first.is_none() {
            seen.calls.bought.insert((call.url.clone(), call.key.clone()), (id, !own));
        }
    }
}

const fn name(fetched: &Fetched) -> &'static str {
    match fetched {
        Fetched::Free(_) => "free",
        Fetched::Owned(_) => "owned",
        Fetched::Delivered(_) => "delivered",
        Fetched::Quotes { .. } => "quotes",
        Fetched::AwaitingApproval(_) => "awaiting approval",
        Fetched::Undelivered(_) => "undelivered",
        Fetched::Unknown(_) => "unknown",
    }
}

const fn error_name(error: &FetchError) -> &'static str {
    match error {
        FetchError::Denied(_) => "denied",
        FetchError::Request(_) => "bad request",
        FetchError::Terms { .. } => "bad terms",
        FetchError::NotPaid(_) => "not paid",
        FetchError::Transport(_) => "transport failed",
        FetchError::Wallet(_) => "wallet failed",
        FetchError::Ledger(_) => "ledger failed",
        FetchError::Closing => "closing",
    }
}
