//! What to do about an obligation now: a pure function, so that nothing is lost or repeated by a crash.

use super::{Claim, Obligation, ObligationState, Step};
use crate::rail::ClaimReason;
use bursar_types::Timestamp;

/// What to do about an obligation now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is over.
    Over,
    /// Only look whether money came back. Earlier than that moment nothing else is due; `None` if only a person can go on.
    Watch {
        /// When something is due.
        until: Option<Timestamp>,
    },
    /// Ask for the money: nothing usable came.
    OpenClaim,
    /// Ask the payee or the rail.
    AskRefund {
        /// Which try.
        attempt: u32,
    },
    /// Write the evidence down.
    WriteDispute {
        /// Which try.
        attempt: u32,
    },
    /// Keep the goods and ask nothing back any more.
    DropClaim {
        /// Why.
        problem: String,
    },
    /// Hand it to a person.
    Park {
        /// Why.
        problem: String,
    },
}

impl Obligation {
    /// What to do now. `presentable_until` is when the authorization ran, or runs, out: until then the goods can be asked
    /// for again, and nothing is claimed. `observed` says whether the rail itself was seen to have moved the money; nothing
    /// is asked back on a payee's word alone.
    #[must_use]
    pub fn next(&self, now: Timestamp, presentable_until: Timestamp, observed: bool) -> Next {
        let late = self.due.is_some_and(|due| due <= now);
        match &self.state {
            _ if self.is_over() => Next::Over,
            // Nobody could see for as long as the payee has: then a person looks.
            ObligationState::Owed { problem } if !observed && late => {
                Next::Park { problem: format!("nobody saw the money move, and {problem}") }
            }
            ObligationState::Owed { .. } if !observed => Next::Watch { until: self.due },
            ObligationState::Owed { .. } if now < presentable_until => {
                Next::Watch { until: Some(presentable_until) }
            }
            ObligationState::Owed { .. } => Next::OpenClaim,
            ObligationState::Parked { .. } => Next::Watch { until: None },
            ObligationState::Claimed => match &self.claim {
                Some(claim) => self.next_of(claim, now),
                None => Next::Park { problem: "it is claimed, and there is no claim".to_owned() },
            },
            _ => Next::Over,
        }
    }

    fn next_of(&self, claim: &Claim, now: Timestamp) -> Next {
        let late = self.due.is_some_and(|due| due <= now);
        if !late {
            if let Some(attempt) = claim.refund.due(now) {
                return Next::AskRefund { attempt };
            }
            match &claim.refund {
                Step::Done { .. } => return Next::Watch { until: self.due },
                Step::Failed { again_at, .. } => return Next::Watch { until: Some(*again_at) },
                Step::NotTried | Step::Running { .. } | Step::GivenUp { .. } | Step::Refused { .. } => {}
            }
        }
        // Whoever delivered what was asked for owes nothing, and was only asked.
        let only_asked = claim.reason == ClaimReason::FailedLater && self.has_goods();
        match &claim.refund {
            Step::Refused { problem } if only_asked => return Next::DropClaim { problem: problem.clone() },
            // A try may have arrived: the money may come until the time is over.
            Step::GivenUp { .. } if only_asked && !late => return Next::Watch { until: self.due },
            Step::GivenUp { problem } if only_asked => return Next::DropClaim { problem: problem.clone() },
            _ => {}
        }
        if let Some(attempt) = claim.dispute.due(now) {
            return Next::WriteDispute { attempt };
        }
        let came = match self.refunded() {
            Some(0) | None => String::new(),
            Some(part) => format!("{part} of {} atomic units came back; ", claim.amount.atomic()),
        };
        let asked = match &claim.refund {
            Step::Done { answer } if came.is_empty() => {
                format!("a refund was asked for ({answer}) and was not seen to come")
            }
            Step::Done { answer } => {
                format!("{came}the rest was asked for ({answer}) and was not seen to come")
            }
            Step::GivenUp { problem } => format!("{came}no answer to the refund request came: {problem}"),
            Step::Refused { problem } => format!("{came}no refund is given: {problem}"),
            Step::Failed { problem, .. } => format!("the refund request kept failing: {problem}"),
            Step::NotTried | Step::Running { .. } => "no refund was asked for in time".to_owned(),
        };
        match &claim.dispute {
            Step::Done { .. } => Next::Park { problem: asked },
            Step::GivenUp { problem } | Step::Refused { problem } => {
                Next::Park { problem: format!("{asked}; the dispute file could not be written: {problem}") }
            }
            Step::Failed { again_at, .. } => Next::Watch { until: Some(*again_at) },
            Step::NotTried | Step::Running { .. } => Next::Watch { until: None },
        }
    }
}
