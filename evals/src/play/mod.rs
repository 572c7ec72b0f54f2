//! Playing: steps are laid out in a line, and done one after the other.

mod buy;
mod line;
mod log;
mod other;
mod saga;
mod tally;

pub(crate) use line::laid_out;
pub(crate) use saga::ended as saga_ended;
pub(crate) use tally::Tally;

use crate::agent::AgentFn;
use crate::report::Outcome;
use crate::scenario::Step;
use crate::stage::{Stage, StageError};
use bursar::payments::SagaId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the play has to remember.
#[derive(Default)]
pub(crate) struct Memory {
    /// The payment of each purchase key.
    payments: BTreeMap<String, bursar::types::PaymentId>,
    /// Sagas by name.
    pub(crate) sagas: BTreeMap<String, SagaId>,
}

/// Plays a scenario to its end.
///
/// What cannot be opened or bought is an outcome; an error is a scenario that does not hold together, or a machine that does not.
pub(crate) async fn play(
    stage: &Arc<Stage>,
    agent: Option<&AgentFn>,
) -> Result<(Vec<Outcome>, Memory), StageError> {
    let mut outcomes = Vec::new();
    let mut memory = Memory::default();
    for (label, step) in line::laid_out(&stage.scenario().steps)? {
        let mut tally = Tally::default();
        match one(stage, &label, &step, agent, &mut tally, &mut memory).await {
            Ok(()) => {}
            Err(error) => match error.code() {
                Some(code) => tally.refused(code, &error.to_string()),
                None => return Err(error),
            },
        }
        outcomes.push(tally.outcome(label, line::action(&step), &stage.folder()));
    }
    Ok((outcomes, memory))
}

async fn one(
    stage: &Arc<Stage>,
    label: &str,
    step: &Step,
    agent: Option<&AgentFn>,
    tally: &mut Tally,
    memory: &mut Memory,
) -> Result<(), StageError> {
    match step {
        Step::Pay(pay) => buy::pay(stage, label, pay, tally, memory).await,
        Step::Quote { url, data, session } => buy::quote(stage, (url, *data), session, tally).await,
        Step::Plan { items, purpose, session, process } => {
            buy::plan(stage, items, purpose, (session, process), tally).await
        }
        Step::Saga { name, buys, then, session, process } => {
            saga::saga(stage, name, (buys, *then), (session, process), (tally, memory)).await
        }
        Step::Agent { task, session } => match agent {
            Some(agent) => agent.run(stage, task, tally).await,
            None => crate::agent::own(stage, task, session, tally).await,
        },
        step => other::step(stage, step, tally, memory).await,
    }
}
