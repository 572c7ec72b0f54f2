//! Remedies: what is done about money that was signed for or paid when the goods do not come. Each try is durable before it
//! is made and after, so that a crash repeats the same try and never makes another one.

use super::book::Booked;
use super::decide::TRIES;
use super::join::Loaded;
use super::spans::stage;
use super::{SessionPurse, VoidClearance, unavailable};
use crate::obligation::{
    Claim, Next, Obligation, ObligationEvent, ObligationState, Remedy, Step, StepResult, failed_step,
};
use crate::payment::{Evidence, Held, Payment, PaymentEvent, Signed, Void};
use crate::rail::{ClaimReason, RefundAnswer, RefundRequest, RemedyError};
use bursar_ledger::{CommitError, LinkWrite, Payload, Refusal, Transaction};
use bursar_types::{Amount, Digest, FetchError, PaymentId, UnknownOutcome};
use tracing::Instrument as _;

/// Where a claim stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum ClaimStanding {
    /// Nothing is asked back: no money moved, or it came back already.
    NothingToClaim,
    /// Whether money moved is not known, or only the payee says so. What is owed is claimed once it is seen to have moved.
    NotYet(Box<UnknownOutcome>),
    /// It is asked for, and this is owed and by whom it is looked after.
    Open(Box<Obligation>),
    /// The goods are here and nobody gives money back for them: they are kept.
    Kept {
        /// Why nothing is given back.
        problem: String,
    },
}

/// What became of giving a payment up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum GivenUp {
    /// No money moved, and none can any more.
    NotPaid {
        /// What proves it.
        proof: String,
    },
    /// It is being taken back, or runs out by itself; until then nobody can say.
    Unknown(Box<UnknownOutcome>),
    /// It was too late: money moved.
    Paid(Box<Obligation>),
}

impl SessionPurse {
    /// A payment as folded from its journal; `None` if nothing was ever held under this id.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, FetchError> {
        Ok(Loaded::read(&self.shared.ledger, id).await?.payment)
    }

    /// Asks money back: the whole price, or `amount` of it. The first claim of a payment stands; asking again tells where it
    /// is.
    ///
    /// # Errors
    /// [`FetchError::Request`] if more is asked than was paid; [`FetchError::Ledger`] if it could not be recorded: ask again.
    ///
    /// # Idempotency
    /// One claim for each payment.
    ///
    /// # Cancellation
    /// Dropping the future leaves the claim as recorded; recovery goes on with it.
    pub async fn claim(
        &self,
        payment: PaymentId,
        amount: Option<Amount>,
        reason: ClaimReason,
        detail: &str,
    ) -> Result<ClaimStanding, FetchError> {
        let mut asked = false;
        for _ in 0..=TRIES {
            let loaded = Loaded::read(&self.shared.ledger, payment).await?;
            let (signed, evidence, obligation) = match &loaded.payment {
                None | Some(Payment::Held(_) | Payment::NotPaid { .. }) => {
                    return Ok(ClaimStanding::NothingToClaim);
                }
                Some(Payment::Signing(signed) | Payment::Unknown { signed, .. }) => {
                    let unknown = super::pay::unknown(signed, "it is not known yet whether money moved");
                    return Ok(ClaimStanding::NotYet(Box::new(unknown)));
                }
                Some(Payment::Paid { signed, evidence, obligation }) => (signed, evidence, obligation),
            };
            if obligation.claim.is_some() {
                return Ok(standing(self.pursue(&loaded, signed).await?));
            }
            let claimable = matches!(
                obligation.state,
                ObligationState::Owed { .. } | ObligationState::Delivered | ObligationState::Parked { .. }
            );
            if !claimable || obligation.left_of(signed.held.amount()).is_none() {
                return Ok(ClaimStanding::NothingToClaim);
            }
            if !evidence.is_observed() {
                if !asked {
                    // Nothing is asked back on a payee's word alone.
                    asked = true;
                    self.ask_rail(signed).await?;
                    continue;
                }
                let unknown = super::pay::unknown(signed, "only the payee says so far that money moved");
                return Ok(ClaimStanding::NotYet(Box::new(unknown)));
            }
            let opened = self.claim_opened(signed, obligation, amount.clone(), reason, detail)?;
            match self
                .book(&loaded, &signed.held, &[PaymentEvent::Owed(opened)], Transaction::default())
                .await?
            {
                Booked::Done(_) => {
                    let loaded = Loaded::read(&self.shared.ledger, payment).await?;
                    return Ok(standing(self.pursue(&loaded, signed).await?));
                }
                Booked::Overtaken => {}
            }
        }
        Err(FetchError::Ledger("another worker kept booking the same payment".into()))
    }

    fn claim_opened(
        &self,
        signed: &Signed,
        obligation: &Obligation,
        amount: Option<Amount>,
        reason: ClaimReason,
        detail: &str,
    ) -> Result<ObligationEvent, FetchError> {
        let price = signed.held.amount();
        // What came back already is not asked for again.
        let left = obligation.left_of(price).unwrap_or_else(|| Amount::from_atomic(price.asset().clone(), 0));
        let amount = amount.unwrap_or_else(|| left.clone());
        if amount.is_zero() || !matches!(amount.at_most(&left), Ok(true)) {
            let registry = &self.shared.registry;
            return Err(FetchError::Request(format!(
                "{} cannot be asked back: of {} paid, {} are left",
                registry.display(&amount),
                registry.display(price),
                registry.display(&left)
            )));
        }
        Ok(ObligationEvent::ClaimOpened {
            id: claim_name(&signed.held),
            amount,
            reason,
            detail: detail.to_owned(),
            due: self.shared.clock.now().plus_ms(self.shared.recovery.settle_within_ms),
        })
    }

    /// Does what is due about an obligation now, step by step, and gives it as it is then.
    pub(super) async fn pursue(&self, loaded: &Loaded, signed: &Signed) -> Result<Payment, FetchError> {
        let id = signed.held.ask.payment;
        let mut loaded = loaded.clone();
        // Each pass books one event or ends; a claim has a bounded number of them.
        for _ in 0..MOVES_MAX {
            let now = self.shared.clock.now();
            let Some(payment @ Payment::Paid { signed, evidence, obligation }) = &loaded.payment else {
                break;
            };
            let event = match obligation.next(now, signed.prepared.expires_at, evidence.is_observed()) {
                Next::Over | Next::Watch { .. } => return Ok(payment.clone()),
                Next::OpenClaim => {
                    let problem = match &obligation.state {
                        ObligationState::Owed { problem } => problem.clone(),
                        _ => "it did not come".to_owned(),
                    };
                    self.claim_opened(signed, obligation, None, ClaimReason::NotDelivered, &problem)?
                }
                Next::AskRefund { attempt } => {
                    let started = started(Remedy::Refund, obligation.claim.as_ref(), attempt);
                    match started {
                        Some(started) => started,
                        None => {
                            let asking = self.ask_refund(signed, evidence, obligation, attempt);
                            asking.instrument(stage!(REMEDY, id)).await
                        }
                    }
                }
                Next::WriteDispute { attempt } => {
                    match started(Remedy::Dispute, obligation.claim.as_ref(), attempt) {
                        Some(started) => started,
                        None => {
                            let (event, file) =
                                self.write_dispute(&loaded, signed, obligation, attempt).await?;
                            let extra = Transaction { payloads: vec![file], ..Transaction::default() };
                            self.book(&loaded, &signed.held, &[PaymentEvent::Owed(event)], extra).await?;
                            loaded = Loaded::read(&self.shared.ledger, id).await?;
                            continue;
                        }
                    }
                }
                Next::DropClaim { problem } => ObligationEvent::ClaimDropped { problem },
                Next::Park { problem } => ObligationEvent::Parked {
                    problem,
                    owner: self.owner(),
                    due: now.plus_ms(self.shared.recovery.park_for_ms),
                },
            };
            // Overtaken or not, what stands now is what counts.
            self.book(&loaded, &signed.held, &[PaymentEvent::Owed(event)], Transaction::default()).await?;
            loaded = Loaded::read(&self.shared.ledger, id).await?;
        }
        loaded.payment.ok_or_else(|| FetchError::NotPaid("there is no such payment".to_owned()))
    }

    async fn ask_refund(
        &self,
        signed: &Signed,
        evidence: &Evidence,
        obligation: &Obligation,
        attempt: u32,
    ) -> ObligationEvent {
        let asked = async {
            let claim = obligation.claim.as_ref().ok_or("nothing is asked back");
            let claim = claim.map_err(|problem| RemedyError::Unsupported(problem.to_owned()))?;
            let rail = self.rail(&signed.held).map_err(|error| RemedyError::Failed(error.to_string()))?;
            let request = RefundRequest {
                id: claim.id.clone(),
                offer: signed.held.offer.clone(),
                prepared: signed.prepared.clone(),
                reference: evidence.reference().unwrap_or_default().to_owned(),
                amount: claim.amount.clone(),
                reason: claim.reason,
                detail: claim.detail.clone(),
            };
            rail.request_refund(&request).await
        };
        let result = match asked.await {
            Ok(RefundAnswer::Accepted { amount }) => StepResult::Done {
                answer: match amount {
                    Some(amount) => format!("{} promised", self.shared.registry.display(&amount)),
                    None => "promised".to_owned(),
                },
            },
            Err(error) => self.failed(attempt, &error),
        };
        ObligationEvent::StepEnded { remedy: Remedy::Refund, attempt, result, file: None }
    }

    fn failed(&self, attempt: u32, error: &RemedyError) -> StepResult {
        let (rules, now) = (&self.shared.recovery, self.shared.clock.now());
        failed_step(rules, now, attempt, error.to_string(), error.may_be_repeated())
    }

    /// Gives a payment up: lets go what is unsigned, and takes back what was signed and is not known to have moved. Nothing
    /// is presented for it any more.
    ///
    /// # Errors
    /// [`FetchError::Ledger`]; give it up again.
    ///
    /// # Idempotency
    /// A second call goes on where the first stopped.
    pub async fn give_up(&self, payment: PaymentId, reason: &str) -> Result<GivenUp, FetchError> {
        self.mark_given_up(payment).await?;
        for _ in 0..TRIES {
            let loaded = Loaded::read(&self.shared.ledger, payment).await?;
            let signed = match loaded.payment {
                None => return Ok(GivenUp::NotPaid { proof: "nothing was ever held".to_owned() }),
                Some(Payment::NotPaid { proof, .. }) => return Ok(GivenUp::NotPaid { proof }),
                Some(Payment::Paid { obligation, .. }) => return Ok(GivenUp::Paid(obligation)),
                Some(Payment::Held(held)) => {
                    self.let_go(&held, reason).await?;
                    continue;
                }
                Some(Payment::Signing(signed) | Payment::Unknown { signed, .. }) => *signed,
            };
            let mut state = self.ask_rail(&signed).await?;
            if matches!(state, Payment::Unknown { .. }) {
                self.take_back(&signed, reason).await?;
                state = self.ask_rail(&signed).await?;
            }
            return Ok(match state {
                Payment::NotPaid { proof, .. } => GivenUp::NotPaid { proof },
                Payment::Paid { obligation, .. } => GivenUp::Paid(obligation),
                Payment::Held(_) | Payment::Signing(_) | Payment::Unknown { .. } => {
                    let problem = "it is being taken back; until then it may still be used";
                    GivenUp::Unknown(Box::new(super::pay::unknown(&signed, problem)))
                }
            });
        }
        Err(FetchError::Ledger("another worker kept booking the same payment".into()))
    }

    /// From here on nothing is held, signed or presented for the payment, in any process.
    async fn mark_given_up(&self, payment: PaymentId) -> Result<(), FetchError> {
        let write = LinkWrite { key: given_up_link(payment), expected: None, value: Some("yes".to_owned()) };
        match self.shared.ledger.commit(Transaction { links: vec![write], ..Transaction::default() }).await {
            Ok(_) | Err(CommitError::Refused(Refusal::LinkMoved { .. })) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Takes an authorization back that nobody is known to have used, if a try is due. Whether it was taken back is for the
    /// rail to say.
    pub(super) async fn take_back(&self, signed: &Signed, reason: &str) -> Result<(), FetchError> {
        let held = &signed.held;
        // One at a time, from fixing the terms to submitting them: two would be given the same number in the payer's account.
        // Between processes the loser's tries fail, and its authorization runs out by itself.
        let _turn = self.shared.voids.lock().await;
        let loaded = Loaded::read(&self.shared.ledger, held.ask.payment).await?;
        let Some(Payment::Unknown { void, .. }) = &loaded.payment else { return Ok(()) };
        let now = self.shared.clock.now();
        let known = void.as_deref();
        let Some(attempt) = known.map_or(Some(0), |void| void.step.due(now)) else { return Ok(()) };
        let rail = self.rail(held)?;
        // The same terms every time, so that the same bytes are submitted again and no others.
        let prepared = match known.and_then(|void| void.prepared.clone()) {
            Some(prepared) => Ok(prepared),
            None => rail.prepare_void(&signed.prepared).await,
        };
        let reason = known.map_or(reason, |void: &Void| &void.reason).to_owned();
        let terms = prepared.as_ref().ok().cloned().map(Box::new);
        let running = known.is_some_and(|void| {
            void.step == Step::Running { attempt } && void.prepared == terms.as_deref().cloned()
        });
        if !running {
            let started = PaymentEvent::VoidStarted { reason, prepared: terms, attempt };
            if let Booked::Overtaken = self.book(&loaded, held, &[started], Transaction::default()).await? {
                return Ok(());
            }
        }
        let result = match prepared {
            Ok(prepared) => {
                // INVARIANT: `prepared` is what the `void_started` event made durable, here or before a crash.
                let clearance = VoidClearance::after_record(signed.order.payer.clone(), prepared);
                match rail.void(clearance, &*self.shared.wallet).await {
                    Ok(()) => StepResult::Done { answer: "submitted".to_owned() },
                    Err(error) => self.failed(attempt, &error),
                }
            }
            Err(error) => self.failed(attempt, &error),
        };
        let loaded = Loaded::read(&self.shared.ledger, held.ask.payment).await?;
        let still = matches!(&loaded.payment, Some(Payment::Unknown { void: Some(void), .. })
            if void.step == (Step::Running { attempt }));
        if still {
            let ended = PaymentEvent::VoidEnded { attempt, result };
            self.book(&loaded, held, &[ended], Transaction::default()).await?;
        }
        Ok(())
    }

    /// Writes down everything that is known about a payment: for whoever decides about it outside of here.
    async fn write_dispute(
        &self,
        loaded: &Loaded,
        signed: &Signed,
        obligation: &Obligation,
        attempt: u32,
    ) -> Result<(ObligationEvent, Payload), FetchError> {
        let bytes = super::dispute::file(&self.shared.ledger, loaded, signed, obligation).await?;
        let payload = Payload::seal(bytes, &*self.shared.entropy);
        let file = Some(payload.commitment());
        let result = StepResult::Done { answer: "written".to_owned() };
        Ok((ObligationEvent::StepEnded { remedy: Remedy::Dispute, attempt, result, file }, payload))
    }
}

/// Set once a payment is given up.
pub(super) fn given_up_link(payment: PaymentId) -> String {
    format!("given-up/{payment}")
}

/// The condition that a payment was not given up.
pub(super) fn not_given_up(payment: PaymentId) -> LinkWrite {
    LinkWrite { key: given_up_link(payment), expected: None, value: None }
}

/// The claim's name for the payee: of the attempt that was paid, so that a repetition is the same claim.
fn claim_name(held: &Held) -> String {
    let parts: [&[u8]; 2] = [held.ask.payment.as_bytes(), &held.attempt.to_be_bytes()];
    Digest::of_parts("bursar/claim/v1", &parts).to_string()
}

/// More events than a claim can have in one go.
const MOVES_MAX: usize = 12;

/// The record that comes before a try, unless it stands there already.
fn started(remedy: Remedy, claim: Option<&Claim>, attempt: u32) -> Option<ObligationEvent> {
    let claim = claim?;
    let step = match remedy {
        Remedy::Refund => &claim.refund,
        Remedy::Dispute => &claim.dispute,
    };
    let begun = *step == Step::Running { attempt };
    (!begun).then_some(ObligationEvent::StepStarted { remedy, attempt })
}

fn standing(payment: Payment) -> ClaimStanding {
    let Payment::Paid { obligation, .. } = payment else { return ClaimStanding::NothingToClaim };
    match (&obligation.claim, obligation.has_goods(), obligation.is_over()) {
        (Some(claim), true, true) => match &claim.refund {
            Step::GivenUp { problem } | Step::Refused { problem } => {
                ClaimStanding::Kept { problem: problem.clone() }
            }
            _ => ClaimStanding::NothingToClaim,
        },
        (_, _, true) => ClaimStanding::NothingToClaim,
        _ => ClaimStanding::Open(obligation),
    }
}
