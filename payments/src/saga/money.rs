//! A saga over the purse: its journal is the ledger, and its money moves through the purse alone.

use super::compensator::{Compensator, Compensators};
use super::error::SagaError;
use super::event::{OnFailure, SagaEvent, StepTerms, Undone, WantedClaim};
use super::id::{CompensationId, SagaId};
use super::purchase::PurchaseRecord;
use super::state::{SagaPhase, SagaState, SagaStep, StepRun};
use super::world::{SagaWorld, UndoAnswer, UndoOrder};
use crate::obligation::{Obligation, ObligationState, Step};
use crate::payment::{Payment, Signed};
use crate::purse::{ClaimStanding, GivenUp, SagaParts, SessionPurse};
use crate::rail::{ClaimReason, RemedyError};
use crate::recovery::RecoveryRules;
use async_trait::async_trait;
use bursar_ledger::{CommitError, LinkWrite, Refusal, Require, SealedEvent, StreamId, Transaction};
use bursar_types::{Amount, FetchError, PaymentId, Timestamp, causes};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Where a saga is found of which something has to be done.
pub(crate) const OPEN: &str = "saga-open/";
/// Where a saga is found that is over and has something parked.
pub(crate) const PARKED: &str = "saga-parked/";

/// What is said outside of the saga about why money is asked back: the saga's own reason is for its owner alone.
const WHY: &str = "what it was bought for could not be done";

/// The longest that a compensation may take; see [`compensation_limit`].
const COMPENSATION_MAX_MS: u64 = 60_000;

/// The world of a saga whose money is a session's.
#[derive(Debug, Clone)]
pub(crate) struct PurseWorld {
    purse: Arc<SessionPurse>,
    parts: SagaParts,
}

impl PurseWorld {
    pub(crate) fn new(purse: Arc<SessionPurse>) -> Self {
        let parts = purse.saga_parts();
        Self { purse, parts }
    }

    pub(crate) const fn purse(&self) -> &Arc<SessionPurse> {
        &self.purse
    }

    pub(crate) const fn parts(&self) -> &SagaParts {
        &self.parts
    }

    const fn compensators(&self) -> &Compensators {
        &self.parts.compensators
    }

    /// Takes a purchase back, by what became of its payment.
    async fn undo_paid(
        &self,
        id: PaymentId,
        on_failure: OnFailure,
        order: UndoOrder<'_>,
    ) -> Result<UndoAnswer, FetchError> {
        match self.purse.payment(id).await? {
            // From here on nothing can be held for it, also by a task of this purchase that still runs somewhere.
            None | Some(Payment::NotPaid { .. }) => match self.purse.give_up(id, order.reason).await? {
                GivenUp::NotPaid { .. } if self.purse.payment(id).await?.is_none() => {
                    return Ok(UndoAnswer::Over(never_held(order.step)));
                }
                GivenUp::NotPaid { proof } => return Ok(not_paid(proof)),
                GivenUp::Unknown(unknown) => {
                    let what = format!("it may have been paid: {}", unknown.problem);
                    return Ok(UndoAnswer::Awaiting { what, at_risk: None });
                }
                GivenUp::Paid(_) => {}
            },
            Some(payment @ (Payment::Held(_) | Payment::Signing(_) | Payment::Unknown { .. })) => {
                let at_risk = payment.held().map(|held| held.amount().clone());
                match self.purse.give_up(id, WHY).await? {
                    GivenUp::NotPaid { proof } => return Ok(not_paid(proof)),
                    GivenUp::Unknown(unknown) => {
                        let what = format!("it may have been paid: {}", unknown.problem);
                        return Ok(UndoAnswer::Awaiting { what, at_risk });
                    }
                    GivenUp::Paid(_) => {}
                }
            }
            Some(Payment::Paid { .. }) => {}
        }
        let Some((signed, obligation)) = self.paid(id).await? else {
            return Ok(not_paid("the payee's claim was disproved".to_owned()));
        };
        let delivered = obligation.state == ObligationState::Delivered && obligation.claim.is_none();
        let wanted = match (&order.step.claim, on_failure) {
            _ if !delivered => None,
            (Some(wanted), _) => Some(wanted.clone()),
            (None, OnFailure::Keep) => None,
            (None, OnFailure::AskBack) => {
                let (reason, detail) = (ClaimReason::FailedLater, WHY.to_owned());
                Some(WantedClaim { amount: None, reason, detail })
            }
        };
        let Some(wanted) = wanted else { return Ok(standing(&signed, &obligation)) };
        match self.ask_back(id, &wanted).await? {
            ClaimStanding::NotYet(unknown) => Ok(UndoAnswer::Awaiting {
                what: format!("its money is asked back as soon as the chain shows it: {}", unknown.problem),
                at_risk: Some(signed.held.amount().clone()),
            }),
            ClaimStanding::NothingToClaim | ClaimStanding::Open(_) | ClaimStanding::Kept { .. } => {
                Ok(match self.paid(id).await? {
                    Some((signed, obligation)) => standing(&signed, &obligation),
                    None => not_paid("the payee's claim was disproved".to_owned()),
                })
            }
        }
    }

    async fn ask_back(&self, id: PaymentId, wanted: &WantedClaim) -> Result<ClaimStanding, FetchError> {
        self.purse.claim(id, wanted.amount.clone(), wanted.reason, &wanted.detail).await
    }

    async fn paid(&self, id: PaymentId) -> Result<Option<(Signed, Obligation)>, FetchError> {
        Ok(match self.purse.payment(id).await? {
            Some(Payment::Paid { signed, obligation, .. }) => Some((*signed, *obligation)),
            _ => None,
        })
    }
}

/// Where a paid step stands, as its obligation says.
fn standing(signed: &Signed, obligation: &Obligation) -> UndoAnswer {
    let price = signed.held.amount().clone();
    let at_risk = obligation.left(&price);
    match &obligation.state {
        ObligationState::Owed { problem } => UndoAnswer::Awaiting {
            what: format!(
                "{problem}; it may come until {}, and is asked back after that",
                signed.prepared.expires_at
            ),
            at_risk,
        },
        ObligationState::Claimed => UndoAnswer::Awaiting { what: asked(obligation), at_risk },
        ObligationState::Parked { problem } => UndoAnswer::Parked {
            problem: problem.clone(),
            owner: obligation.owner.clone(),
            due: obligation.due.unwrap_or(signed.prepared.expires_at),
            at_risk,
        },
        ObligationState::Delivered => {
            let problem = obligation.claim.as_ref().and_then(|claim| match &claim.refund {
                Step::GivenUp { problem } | Step::Refused { problem } | Step::Failed { problem, .. } => {
                    Some(problem.clone())
                }
                Step::Done { .. } | Step::NotTried | Step::Running { .. } => None,
            });
            UndoAnswer::Over(Undone::Kept { price, problem })
        }
        ObligationState::Refunded => {
            let amount = Amount::from_atomic(price.asset().clone(), obligation.refunded().unwrap_or(0));
            UndoAnswer::Over(Undone::Refunded { amount, price })
        }
        ObligationState::Settled { by, reason } | ObligationState::WrittenOff { by, reason } => {
            UndoAnswer::Over(Undone::ByPerson { by: by.clone(), reason: reason.clone() })
        }
    }
}

fn asked(obligation: &Obligation) -> String {
    let how = match obligation.claim.as_ref().map(|claim| &claim.refund) {
        Some(Step::Done { answer }) => format!("answered: {answer}"),
        Some(Step::Failed { problem, again_at, .. }) => {
            format!("asking failed, and is tried again at {again_at}: {problem}")
        }
        Some(Step::GivenUp { problem } | Step::Refused { problem }) => format!("asking failed: {problem}"),
        Some(Step::NotTried | Step::Running { .. }) | None => "not answered yet".to_owned(),
    };
    match obligation.due {
        Some(due) => format!("its money was asked back until {due} ({how})"),
        None => format!("its money was asked back ({how})"),
    }
}

/// How long a compensation may take: as long as is waited before another worker tries it again, so that no two are at it.
fn compensation_limit(rules: &RecoveryRules) -> Duration {
    Duration::from_millis(rules.try_again_ms.clamp(1_000, COMPENSATION_MAX_MS))
}

/// Runs a user's own code in a task of its own: one that never ends, or panics, fails like any other.
async fn compensate(
    compensator: Arc<dyn Compensator>,
    arguments: Value,
    id: CompensationId,
    limit: Duration,
) -> Result<String, RemedyError> {
    // Dropping the set ends the task.
    let mut task = JoinSet::new();
    task.spawn(async move { compensator.compensate(&arguments, id).await });
    match tokio::time::timeout(limit, task.join_next()).await {
        Ok(Some(Ok(answer))) => answer,
        Ok(Some(Err(_)) | None) => {
            Err(RemedyError::Failed("its compensator panicked; nobody knows how far it came".to_owned()))
        }
        Err(_) => Err(RemedyError::Failed(format!(
            "its compensator did not end within {} s; nobody knows how far it came",
            limit.as_secs()
        ))),
    }
}

fn not_paid(proof: String) -> UndoAnswer {
    UndoAnswer::Over(Undone::NotPaid { proof })
}

/// Nothing was held under the step's own payment: another purchase paid, or nobody did.
fn never_held(step: &SagaStep) -> Undone {
    if let StepRun::Done { result } = &step.run
        && let Ok(record) = serde_json::from_value::<PurchaseRecord>(result.clone())
    {
        return match record.payment {
            Some(payment) => Undone::NotOurs { payment },
            None => Undone::NotPaid { proof: "it was free".to_owned() },
        };
    }
    Undone::NotPaid { proof: "nothing was ever held for it".to_owned() }
}

#[async_trait]
impl SagaWorld for PurseWorld {
    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    fn rules(&self) -> &RecoveryRules {
        &self.parts.rules
    }

    async fn read(&self, saga: SagaId, from: u64) -> Result<Vec<SagaEvent>, SagaError> {
        let events = self.parts.ledger.events(&StreamId::of("saga", saga), from).await;
        events.map_err(|error| SagaError::Ledger(Box::new(error)))
    }

    async fn write(&self, length: u64, events: &[SagaEvent], after: &SagaState) -> Result<(), SagaError> {
        let lost = |error: Box<dyn std::error::Error + Send + Sync>| SagaError::Ledger(error);
        let stream = StreamId::of("saga", after.id);
        let mut transaction = Transaction {
            require: vec![Require::StreamAt { stream: stream.clone(), length }],
            ..Transaction::default()
        };
        for event in events {
            // Names and problems are the user's own words: they are in the payload, and can be erased.
            let number = event.step().and_then(|name| after.steps.iter().position(|step| step.name == name));
            let fields = number.map(|number| ("step", json!(number)));
            SealedEvent::new(stream.clone(), event.kind(), fields, event, &*self.parts.entropy)
                .map_err(|error| lost(Box::new(error)))?
                .add_to(&mut transaction);
        }
        let over = matches!(after.phase, SagaPhase::Ended { .. } | SagaPhase::Completed);
        let parked = over && after.parked().next().is_some();
        for (prefix, wanted) in [(OPEN, after.is_open()), (PARKED, parked)] {
            let key = format!("{prefix}{}", after.id);
            let value = wanted.then(|| after.id.to_string());
            let expected = self.parts.ledger.link(&key).await.map_err(|error| lost(Box::new(error)))?;
            if expected != value {
                transaction.links.push(LinkWrite { key, expected, value });
            }
        }
        match self.parts.ledger.commit(transaction).await {
            Ok(_) => Ok(()),
            Err(CommitError::Refused(Refusal::StreamMoved { .. } | Refusal::LinkMoved { .. })) => {
                Err(SagaError::Fenced)
            }
            Err(error) => Err(lost(Box::new(error))),
        }
    }

    fn knows(&self, step: &SagaStep) -> bool {
        match &step.terms {
            StepTerms::Paid { .. } => true,
            StepTerms::Free { undo } => {
                undo.compensator.as_ref().is_none_or(|name| self.compensators().get(name).is_some())
            }
        }
    }

    async fn undo(&self, order: UndoOrder<'_>) -> Result<UndoAnswer, RemedyError> {
        match &order.step.terms {
            StepTerms::Paid { payment, on_failure, .. } => {
                let undone = self.undo_paid(*payment, *on_failure, order).await;
                undone.map_err(|error| RemedyError::Failed(causes(&error)))
            }
            StepTerms::Free { undo } => {
                let compensator = undo.compensator.as_ref().and_then(|name| self.compensators().get(name));
                let Some(compensator) = compensator else {
                    return Err(RemedyError::Failed("its compensator is not here any more".to_owned()));
                };
                let limit = compensation_limit(self.rules());
                let answer = compensate(compensator, undo.arguments.clone(), order.id, limit).await?;
                Ok(UndoAnswer::Over(Undone::Compensated { answer }))
            }
        }
    }

    async fn claim(&self, step: &SagaStep, claim: &WantedClaim) -> Result<bool, RemedyError> {
        let StepTerms::Paid { payment, .. } = &step.terms else { return Ok(true) };
        match self.ask_back(*payment, claim).await {
            Ok(ClaimStanding::NotYet(_)) => Ok(false),
            Ok(ClaimStanding::NothingToClaim | ClaimStanding::Open(_) | ClaimStanding::Kept { .. }) => {
                Ok(true)
            }
            Err(error) => Err(RemedyError::Failed(causes(&error))),
        }
    }

    async fn at_risk(&self, step: &SagaStep) -> Option<Amount> {
        let StepTerms::Paid { payment, .. } = &step.terms else { return None };
        match self.purse.payment(*payment).await {
            Ok(Some(Payment::Paid { signed, obligation, .. })) => match &step.claim {
                Some(wanted) if obligation.claim.is_none() && obligation.has_goods() => {
                    Some(wanted.amount.clone().unwrap_or_else(|| signed.held.amount().clone()))
                }
                _ => obligation.left(signed.held.amount()),
            },
            Ok(Some(payment)) => payment.held().map(|held| held.amount().clone()),
            Ok(None) | Err(_) => None,
        }
    }
}
