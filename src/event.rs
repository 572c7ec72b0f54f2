//! One stream of everything that happens in a session.

use async_trait::async_trait;
use bursar_agent_core::RunEvent;
use bursar_payments::{AlertError, Alerts, GateReached, MoneyEvent, Observer};
use serde::Serialize;
use tokio::sync::mpsc;

/// Something that happened: to a run, or to money. One JSON object per line makes a stream of them.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "few are ever waiting, and each is matched at once")]
pub enum Event {
    /// A run's record or delta.
    Run(RunEvent),
    /// A money event.
    Money(MoneyEvent),
}

/// A session's events, money first where both wait.
#[derive(Debug)]
pub struct EventStream {
    money: mpsc::UnboundedReceiver<MoneyEvent>,
    runs: bursar_agent_core::EventStream,
}

impl EventStream {
    pub(crate) const fn new(
        money: mpsc::UnboundedReceiver<MoneyEvent>,
        runs: bursar_agent_core::EventStream,
    ) -> Self {
        Self { money, runs }
    }

    /// The next event; `None` when the session and its runs are gone. Money first, where both wait: a run's record about a
    /// tool call is made after the money it moved.
    pub async fn recv(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            Some(event) = self.money.recv() => Some(Event::Money(event)),
            Some(event) = self.runs.recv() => Some(Event::Run(event)),
            else => None,
        }
    }
}

/// Puts money events into the stream. An alert is taken while somebody holds the stream.
#[derive(Debug)]
pub(crate) struct Tap(pub(crate) mpsc::UnboundedSender<MoneyEvent>);

impl Observer for Tap {
    fn event(&self, event: &MoneyEvent) {
        // Nobody listening is no fault of the payment's.
        let _ = self.0.send(event.clone());
    }
}

#[async_trait]
impl Alerts for Tap {
    async fn deliver(&self, _gate: &GateReached) -> Result<(), AlertError> {
        match self.0.is_closed() {
            false => Ok(()),
            true => Err(AlertError("nobody holds the session's event stream".into())),
        }
    }
}
