//! The chain and the market: what settled, and what sellers complain of.

use super::Watch;
use super::payments::nonce_of;
use bursar_market::{Market, Violation as Complaint, ViolationKind};
use bursar_payments::Payment;
use std::collections::BTreeSet;

impl Watch {
    /// Whether a nonce was used.
    pub(super) fn has_settled(&self, nonce: &str) -> bool {
        self.market.chain().transfers().iter().any(|moved| nonce_of(moved) == nonce)
    }

    /// Looks at what the market did with a request.
    pub(crate) fn market(&self, market: &Market) {
        self.settlements(market);
        for (index, seller) in market.sellers().iter().enumerate() {
            let complaints = seller.violations();
            let known = self.seen().complaints.insert(index, complaints.len()).unwrap_or(0);
            for complaint in complaints.iter().skip(known) {
                self.complaint(complaint);
            }
        }
    }

    /// Every settlement has a payment that expects it, and no payment has two.
    fn settlements(&self, market: &Market) {
        let transfers = market.chain().transfers();
        let mut seen = self.seen();
        let seen = &mut *seen;
        if transfers.len() == seen.settled {
            return;
        }
        let known = std::mem::replace(&mut seen.settled, transfers.len());
        for moved in transfers.iter().skip(known).filter(|moved| moved.from == self.payer) {
            self.stage.count("settled");
            self.stage.note(format_args!("settled: {} to {}", moved.value, moved.to));
            let Some((id, number)) = seen.by_nonce.get(&nonce_of(moved)).copied() else {
                seen.violated("settled-as-recorded", "money moved under a nonce of no record".to_owned());
                continue;
            };
            let Some(payment) = seen.payments.get(&id).map(|known| known.payment.clone()) else { continue };
            let expected =
                matches!(payment, Payment::Signing(_) | Payment::Unknown { .. } | Payment::Paid { .. });
            let current = payment.held().filter(|held| held.attempt == number && expected);
            match current {
                None => seen.violated(
                    "settled-as-recorded",
                    format!("attempt {number} of {id} settled while the payment is {}", payment.name()),
                ),
                Some(held) if held.amount().atomic() != moved.value => {
                    seen.violated("settled-as-recorded", format!("{id} settled for another amount"));
                }
                Some(_) => {}
            }
            let nonces: BTreeSet<_> = transfers.iter().map(nonce_of).collect();
            let settled = seen.payments.get(&id).map_or(0, |known| {
                known.attempts.values().filter(|attempt| nonces.contains(&attempt.nonce)).count()
            });
            if settled > 1 {
                seen.violated("one-settlement-per-payment", format!("{id} settled {settled} times"));
            }
        }
    }

    /// A seller complains. Of a purchase under another key, after the first was over, it may.
    fn complaint(&self, complaint: &Complaint) {
        let mut seen = self.seen();
        let earlier = complaint.detail.split(' ').find(|word| word.starts_with("0x"));
        let over = earlier
            .and_then(|nonce| seen.by_nonce.get(nonce))
            .and_then(|(id, _)| seen.payments.get(id))
            .is_some_and(|known| known.is_over() && matches!(known.payment, Payment::Paid { .. }));
        // What the network kept for so long that nobody can settle it any more was not sent now.
        let now_s = self.now_s();
        let dead = complaint.nonce.map(|nonce| nonce.to_string()).is_some_and(|nonce| {
            let attempt = seen
                .by_nonce
                .get(&nonce)
                .and_then(|(id, number)| seen.payments.get(id).and_then(|known| known.attempts.get(number)));
            attempt.is_some_and(|attempt| now_s >= attempt.valid_before_s)
        });
        if complaint.kind == ViolationKind::PaidTwice && dead {
            self.stage.count("an authorization arrives dead");
            return;
        }
        if complaint.kind == ViolationKind::PaidTwice && over {
            self.stage.count("bought again under another key");
            return;
        }
        seen.violated("no-seller-complains", format!("{:?}: {}", complaint.kind, complaint.detail));
    }
}
