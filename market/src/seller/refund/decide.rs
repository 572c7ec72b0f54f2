//! Deciding claims: once for each settlement, and with the same answer for the same claim.

use super::{
    claim::Claim,
    desk::{Desk, Known, RefundClaim, RefundError, Sent, Verdict},
    rule::{PATH, RefundRule},
};
use crate::{
    chain::{Revert, Transfer},
    faults::{Fault, Place},
    primitives::{Uint, Word},
    seller::{
        Seller,
        config::address_of,
        record::{LogEntry, Violation, ViolationKind},
    },
    server::{Answer, Request},
};
use serde_json::json;

impl Seller {
    /// The claims decided so far, oldest first.
    #[must_use]
    pub fn refund_claims(&self) -> Vec<RefundClaim> {
        self.desk().decided.clone()
    }

    /// Sends back so much of what was paid under a nonce, though nobody asked.
    ///
    /// # Errors
    ///
    /// [`RefundError`]; then nothing was sent.
    pub fn refund_now(&self, nonce: Word, amount: u128) -> Result<Word, RefundError> {
        let transfers = self.chain().transfers();
        let paid = transfers.iter().find(|transfer| transfer.nonce == nonce && self.was_paid_by(transfer));
        let Transfer { from, to, .. } = paid.ok_or(RefundError::NeverPaid { nonce })?;
        Ok(self.chain().transfer(*to, *from, amount)?)
    }

    /// `POST /refunds`.
    pub(in crate::seller) fn refund(&self, request: &Request, entry: &mut LogEntry) -> Answer {
        let claim = match Claim::read(&request.body) {
            Ok(claim) => claim,
            Err(detail) => {
                self.wronged(ViolationKind::UnreadableClaim, detail, None);
                return Verdict::refused(400, "malformed").answer();
            }
        };
        (entry.nonce, entry.payer) = (Some(claim.nonce), Some(claim.payer));
        let mut desk = self.desk();
        let first = || Known { claim: claim.clone(), verdict: None };
        let known = desk.known.entry(claim.id.clone()).or_insert_with(first);
        if known.claim != claim {
            let detail = format!("the claim {} said something else before", claim.id);
            self.wronged(ViolationKind::RefundIdReused, detail, Some(&claim));
            return Verdict::refused(409, "id_reused").answer();
        }
        if let Some(verdict) = &known.verdict {
            entry.cached = true;
            return self.told(verdict, entry);
        }
        let verdict = match self.settlement_of(&claim) {
            Ok(settlement) => self.decide(&mut desk, &claim, &settlement, entry),
            Err((status, reason)) => {
                desk.note(&claim, Err(reason.to_owned()));
                Some(Verdict::refused(status, reason))
            }
        };
        // A claim that failed is as good as never made, but for its words.
        let Some(verdict) = verdict else { return Answer::json(500, &json!({ "error": "internal error" })) };
        let answer = self.told(&verdict, entry);
        if let Some(known) = desk.known.get_mut(&claim.id) {
            known.verdict = Some(verdict);
        }
        answer
    }

    /// The settlement that a claim is for; else the status and reason of the refusal. Whether there was one is for the
    /// chain to say: the facilitator's answer may have been lost.
    fn settlement_of(&self, claim: &Claim) -> Result<Transfer, (u16, &'static str)> {
        let token = self.chain().token();
        if claim.network != token.network() || claim.asset != token.address {
            return Err((422, "wrong_asset"));
        }
        let transfers = self.chain().transfers();
        let settlement = transfers.into_iter().find(|transfer| {
            (transfer.nonce, transfer.from, transfer.to) == (claim.nonce, claim.payer, claim.payee)
                && Uint::from(transfer.value) == claim.paid
                && self.was_paid_by(transfer)
        });
        let Some(settlement) = settlement else { return Err((404, "not_settled_here")) };
        if !claim.transaction.is_empty() && claim.transaction.parse() != Ok(settlement.transaction) {
            return Err((422, "other_transaction"));
        }
        let bound = self.record().bound(claim.payer, claim.nonce);
        let target = claim.resource.strip_prefix(self.url());
        if target.is_none_or(|target| bound.is_some_and(|bound| bound != target)) {
            return Err((422, "other_resource"));
        }
        if claim.amount > claim.paid {
            return Err((422, "more_than_paid"));
        }
        let (within_s, partial) = self.config().refund_terms;
        if claim.amount != claim.paid && !partial {
            return Err((422, "only_in_full"));
        }
        if self.chain().clock().now_s() > settlement.timestamp_s.saturating_add(within_s) {
            return Err((410, "too_late"));
        }
        Ok(settlement)
    }

    /// What the rule says of a claim that is right; `None` if nothing was done.
    fn decide(
        &self,
        desk: &mut Desk,
        claim: &Claim,
        settlement: &Transfer,
        entry: &mut LogEntry,
    ) -> Option<Verdict> {
        let first = desk.claimed.entry((claim.payer, claim.nonce)).or_insert_with(|| claim.id.clone());
        if *first != claim.id {
            let detail = format!("the settlement was claimed as {first} before");
            self.wronged(ViolationKind::RefundClaimedTwice, detail, Some(claim));
            desk.note(claim, Err("already_claimed".to_owned()));
            return Some(Verdict::refused(409, "already_claimed"));
        }
        let fails = |fault: &Fault| matches!(fault, Fault::Refund500Before);
        if self.strike(Place::Refund, entry, fails).is_some() {
            return None;
        }
        let rule = &self.config().refunds;
        if let RefundRule::Refuses { reason } = rule {
            desk.note(claim, Err(reason.clone()));
            return Some(Verdict::refused(200, reason));
        }
        if let RefundRule::Fails { times } = rule
            && desk.failures < *times
        {
            desk.failures += 1;
            return None;
        }
        match self.send(rule, claim.amount.to_u128()?, settlement) {
            Ok(sent) => {
                let verdict = Verdict::Accepted { id: claim.id.clone(), amount: sent.accepted };
                desk.note(claim, Ok(sent));
                Some(verdict)
            }
            Err(revert) => {
                tracing::warn!(seller = self.name(), %revert, "a refund cannot be sent");
                None
            }
        }
    }

    /// Sends what the rule says.
    fn send(&self, rule: &RefundRule, asked: u128, settlement: &Transfer) -> Result<Sent, Revert> {
        let Transfer { from: payer, to: payee, .. } = *settlement;
        let chain = self.chain();
        let mut sent = Sent { accepted: asked, transactions: Vec::new() };
        match rule {
            RefundRule::None | RefundRule::Refuses { .. } | RefundRule::NeverSends => {}
            RefundRule::Exact | RefundRule::Fails { .. } => {
                sent.transactions.push(chain.transfer(payee, payer, asked)?);
            }
            RefundRule::Partial { percent } => {
                sent.accepted = asked.saturating_mul(u128::from(*percent)) / 100;
                sent.transactions.push(chain.transfer(payee, payer, sent.accepted)?);
            }
            RefundRule::Late { after_s } => {
                chain.schedule(chain.clock().now_s().saturating_add(*after_s), payee, payer, asked);
            }
            RefundRule::Twice => {
                let lacking = asked.saturating_mul(2).saturating_sub(chain.balance_of(payee));
                if lacking > 0 {
                    chain.mint(payee, lacking)?;
                }
                for _ in 0..2 {
                    sent.transactions.push(chain.transfer(payee, payer, asked)?);
                }
            }
            RefundRule::Foreign { from } => {
                let from = from.unwrap_or_else(|| address_of(&format!("{} refunds", self.name())));
                let lacking = asked.saturating_sub(chain.balance_of(from));
                if lacking > 0 {
                    chain.transfer(payee, from, lacking)?;
                }
                sent.transactions.push(chain.transfer(from, payer, asked)?);
            }
        }
        Ok(sent)
    }

    /// The answer as it leaves: right, unless a fault strikes one that accepts.
    fn told(&self, verdict: &Verdict, entry: &mut LogEntry) -> Answer {
        let lost = |fault: &Fault| matches!(fault, Fault::RefundAnswerLost);
        if matches!(verdict, Verdict::Accepted { .. }) && self.strike(Place::Refund, entry, lost).is_some() {
            return Answer::dropped();
        }
        verdict.answer()
    }

    /// Whether a transfer was a payment to this seller, under an address it has or had.
    fn was_paid_by(&self, transfer: &Transfer) -> bool {
        let config = self.config();
        let own = config.accepts.iter().map(|terms| terms.pay_to.unwrap_or(config.pay_to));
        own.chain([config.pay_to]).any(|payee| payee == transfer.to)
            || self.record().bound(transfer.from, transfer.nonce).is_some()
    }

    fn wronged(&self, kind: ViolationKind, detail: String, claim: Option<&Claim>) {
        let violation = Violation {
            kind,
            detail,
            target: PATH.to_owned(),
            nonce: claim.map(|claim| claim.nonce),
            payer: claim.map(|claim| claim.payer),
        };
        tracing::debug!(seller = self.name(), ?violation, "violation");
        self.record().violations.push(violation);
    }
}
