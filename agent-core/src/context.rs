//! What a run and a tool call are given.

use crate::cancel::Cancel;
use crate::event::{Delta, EventSender, RunEvent};
use crate::report::RunOutcome;
use crate::steer::Steer;
use crate::tool::ToolError;
use async_trait::async_trait;
use bursar_types::telemetry::Traces;
use bursar_types::{
    CallId, Cause, Clock, Entropy, Gate, Journal, ModelMeter, Principal, PurchaseKey, Purse, RunId,
    SessionId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Hears of the end of runs.
///
/// For what has to follow from an end whatever it was, such as letting go of what the run had set aside. The driver calls
/// it once for each end or stop that it records, after the record. A crash between the two loses the call, so what
/// must not be lost is also looked for when a process starts.
///
/// # Example
/// ```
/// use bursar_agent_core::{AfterRun, RunOutcome};
/// use bursar_types::RunId;
/// use std::sync::Mutex;
///
/// /// Runs that have no answer, for whoever looks after them.
/// #[derive(Debug, Default)]
/// struct Unanswered(Mutex<Vec<RunId>>);
///
/// #[async_trait::async_trait]
/// impl AfterRun for Unanswered {
///     async fn ended(&self, run: RunId, outcome: &RunOutcome) {
///         if let (RunOutcome::Stopped { cause }, Ok(mut runs)) = (outcome, self.0.lock())
///             && !cause.can_go_on()
///         {
///             runs.push(run);
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait AfterRun: Send + Sync + fmt::Debug {
    /// A run ended, or stands still: see [`StopCause::can_go_on`](crate::StopCause::can_go_on). The report is given after this.
    async fn ended(&self, run: RunId, outcome: &RunOutcome);
}

const _: Option<&dyn AfterRun> = None;

/// What follows when a call waits for an answer: see [`ToolOutput::waiting`](crate::ToolOutput::waiting).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnQuestion {
    /// The model is told, and goes on as it can.
    #[default]
    Tell,
    /// The run stands still with [`StopCause::AwaitingApproval`](crate::StopCause::AwaitingApproval). Resumed, by whatever process,
    /// it makes the call again. The time until then is not the run's.
    Pause,
}

/// What a sub-agent's run stands under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Under {
    /// The run and the call that it works for.
    pub cause: Cause,
    /// How many runs stand above it, 1 at least.
    pub depth: u32,
    /// When the time of the run above is over; its own may end before.
    pub deadline: Option<Timestamp>,
}

/// What a run works with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RunContext {
    /// Where its records are kept.
    pub journal: Arc<dyn Journal>,
    /// Who decides on its tool calls.
    pub gate: Arc<dyn Gate>,
    /// Its handle on money; without one, a tool that may spend is refused before the run starts.
    pub purse: Option<Purse>,
    /// Where what the model costs is counted, for an agent whose model has [prices](crate::AgentBuilder::prices); without one, it is
    /// counted in the run only.
    pub meter: Option<Arc<dyn ModelMeter>>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Its randomness: the run's id, nothing secret.
    pub entropy: Arc<dyn Entropy>,
    /// On whose behalf it acts.
    pub principal: Principal,
    /// Who hears of it.
    pub events: EventSender,
    /// Stops new work.
    pub cancel: Cancel,
    /// Which call of which run it works for, if it is a sub-agent's: see [`Agent::as_tool`](crate::Agent::as_tool).
    pub under: Option<Under>,
    /// What the user says in the middle of it.
    pub steer: Steer,
    /// Who works on it, such as `process 4711`: told to a worker that is fenced off.
    pub worker: String,
    /// Who hears of its end.
    pub after: Option<Arc<dyn AfterRun>>,
    /// What follows when a call waits for an answer.
    pub on_question: OnQuestion,
    /// Who knows which trace a task is in, and whether texts may be recorded: [`Untraced`](bursar_types::telemetry::Untraced)
    /// knows none and records none.
    pub traces: Arc<dyn Traces>,
}

/// What one tool call may use: a struct of real abilities.
///
/// What else a tool needs (a library, an HTTP client) it is built with.
///
/// # Example
/// ```
/// use bursar_agent_core::{Cancel, ToolContext};
/// use bursar_types::{CallId, ManualClock, RunId, SessionId, Timestamp};
/// use std::sync::Arc;
///
/// let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(0)));
/// let (session, run) = (SessionId::derived(&[b"s"]), RunId::derived(&[b"r"]));
/// let context = ToolContext::new(session, run, CallId::derived(&[b"c"]), clock);
/// assert!(context.purse().is_err(), "no purse was handed in");
/// ```
#[derive(Debug, Clone)]
pub struct ToolContext {
    session: SessionId,
    run: RunId,
    call: CallId,
    clock: Arc<dyn Clock>,
    purse: Option<Purse>,
    cancel: Cancel,
    deadline: Option<Timestamp>,
    depth: u32,
    on_question: OnQuestion,
    progress: Progress,
}

impl ToolContext {
    /// A call with nothing but its ids: no purse, no deadline, nobody listening.
    #[must_use]
    pub fn new(session: SessionId, run: RunId, call: CallId, clock: Arc<dyn Clock>) -> Self {
        Self {
            session,
            run,
            call,
            clock,
            purse: None,
            cancel: Cancel::new(),
            deadline: None,
            depth: 0,
            on_question: OnQuestion::Tell,
            progress: Progress { run, call, events: EventSender::nobody() },
        }
    }

    /// The same with a purse, whose purchases are journaled as asked for by this call.
    #[must_use]
    pub fn with_purse(mut self, purse: &Purse) -> Self {
        self.purse = Some(purse.caused_by(Cause { run: self.run, call: self.call }));
        self
    }

    /// The same with a cancellation from outside.
    #[must_use]
    pub fn with_cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// The same with a deadline.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Timestamp) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same in a run that stands still, or does not, while a call waits for an answer.
    #[must_use]
    pub const fn with_on_question(mut self, on_question: OnQuestion) -> Self {
        self.on_question = on_question;
        self
    }

    /// The same in a run that so many runs stand above.
    #[must_use]
    pub const fn with_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// The same with someone listening.
    #[must_use]
    pub fn with_events(mut self, events: EventSender) -> Self {
        self.progress.events = events;
        self
    }

    /// The purse.
    ///
    /// # Errors
    /// [`ToolError`] that says that there is none; pass it on with `?`.
    pub fn purse(&self) -> Result<&Purse, ToolError> {
        self.purse.as_ref().ok_or_else(|| {
            ToolError::not_executed(
                "this run has no purse, so nothing can be bought; use what is free or owned",
            )
        })
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// The run.
    #[must_use]
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// The call: the same after a crash, and of no other call.
    #[must_use]
    pub const fn call(&self) -> CallId {
        self.call
    }

    /// A key for the one purchase of this call; the same after a crash.
    ///
    /// A tool that buys several things in one call names each: `context.purchase_key("2")`. Characters that a key
    /// cannot hold become `_`; keep names under 100 characters.
    ///
    /// # Errors
    /// [`ToolError`] if the name is too long.
    pub fn purchase_key(&self, name: &str) -> Result<PurchaseKey, ToolError> {
        let name: String = name.chars().map(|c| if matches!(c, ' '..='~') { c } else { '_' }).collect();
        PurchaseKey::new(format!("{}/{name}", self.call))
            .map_err(|error| ToolError::not_executed(format!("cannot name the purchase: {error}")))
    }

    /// Says that nobody waits any more, or that the call has had its time. A call that has begun to pay goes on regardless.
    #[must_use]
    pub const fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// When the run's time is over. A call may have less: see [`Limits::call_ms`](crate::Limits::call_ms).
    #[must_use]
    pub const fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// What follows in the run when this call waits for an answer.
    #[must_use]
    pub const fn on_question(&self) -> OnQuestion {
        self.on_question
    }

    /// How many runs stand above the run: 0 for one that is no sub-agent's.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Tells whoever listens how far the call is.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// Tells whoever listens how far a call is. Shown, never stored, and not part of the result.
#[derive(Debug, Clone)]
pub struct Progress {
    run: RunId,
    call: CallId,
    events: EventSender,
}

impl Progress {
    /// Says one line.
    pub fn say(&self, message: impl Into<String>) {
        let delta = Delta::Progress { call: self.call, message: message.into() };
        self.events.send(RunEvent::Delta { run: self.run, delta });
    }
}
