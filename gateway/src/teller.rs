//! Serving callers: each has a session, each call goes through the gate and into the journal.

use crate::answer::{Answer, Entrance};
use crate::record::{self, Decided};
use crate::tools;
use bursar::agent::{DuplicateTool, RunContext, ToolContext, ToolSet, ToolSpec};
use bursar::ledger::Ledger;
use bursar::tools::{AddressError, ReasonView};
use bursar::types::{Action, Asked, CallId, Decision, Digest, RunId, Verdict, canonical_digest, causes};
use bursar::{Bursar, BursarError, Caller, Session};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How many calls of one caller are at work at once; more are refused.
const CALLS_MAX: usize = 16;

/// Why nobody is served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TellerError {
    /// The configuration names no such caller.
    #[error("there is no caller `{0}`; name it in the configuration with [[caller]]")]
    NoCaller(String),
    /// The configuration names nobody who could be served.
    #[error("the configuration names no caller; add a [[caller]] with a name and a token")]
    Nobody,
    /// A caller's session cannot be opened.
    #[error(transparent)]
    Bursar(#[from] BursarError),
    /// A discovery address of the configuration is none.
    #[error("market address refused: {0}")]
    Market(#[from] AddressError),
    /// Two tools have one name.
    #[error(transparent)]
    Duplicate(#[from] DuplicateTool),
}

/// Serves callers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Teller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bursar: Bursar,
    served: BTreeMap<String, Served>,
    /// Calls at work: they go on when whoever asked is gone.
    calls: TaskTracker,
}

/// A caller with its open session.
#[derive(Debug)]
struct Served {
    caller: Caller,
    session: Arc<Session>,
    context: RunContext,
    /// What calls are journaled under: a caller's session is one run without an end.
    run: RunId,
    tools: ToolSet,
    places: Arc<Semaphore>,
}

impl Teller {
    /// Opens the sessions of all callers.
    ///
    /// # Errors
    /// [`TellerError`], naming the caller.
    pub async fn open(bursar: Bursar) -> Result<Self, TellerError> {
        let callers = bursar.callers().to_vec();
        Self::open_with(bursar, callers).await
    }

    /// Opens the session of one caller, and serves nobody else.
    ///
    /// # Errors
    /// [`TellerError::NoCaller`], or as [`Teller::open`].
    pub async fn open_for(bursar: Bursar, name: &str) -> Result<Self, TellerError> {
        let caller = bursar.callers().iter().find(|caller| caller.name() == name).cloned();
        let caller = caller.ok_or_else(|| TellerError::NoCaller(name.to_owned()))?;
        Self::open_with(bursar, vec![caller]).await
    }

    /// Opens the sessions of these callers, in code.
    ///
    /// # Errors
    /// As [`Teller::open`].
    pub async fn open_with(bursar: Bursar, callers: Vec<Caller>) -> Result<Self, TellerError> {
        if callers.is_empty() {
            return Err(TellerError::Nobody);
        }
        let mut served = BTreeMap::new();
        for caller in callers {
            let session = Arc::new(bursar.session_of(&caller).await?);
            // Nobody listens here: what happens is in the journal. A budget that asks for an alert needs `BursarBuilder::alerts`.
            drop(session.events());
            let tools = tools::of(&bursar, &session, &caller)?;
            let run = RunId::derived(&[b"caller", session.id().as_bytes()]);
            let context = session.run_context();
            let places = Arc::new(Semaphore::new(CALLS_MAX));
            served.insert(caller.name().to_owned(), Served { caller, session, context, run, tools, places });
        }
        Ok(Self(Arc::new(Inner { bursar, served, calls: TaskTracker::new() })))
    }

    /// The caller whose token this is.
    #[must_use]
    pub fn known_by(&self, token: &str) -> Option<&str> {
        // All are looked at, so that time says nothing.
        let served = self.0.served.values().map(|served| &served.caller);
        served.fold(None, |found, caller| match caller.knows(token) {
            true => Some(caller.name()),
            false => found,
        })
    }

    /// The callers that it serves.
    pub fn callers(&self) -> impl Iterator<Item = &Caller> {
        self.0.served.values().map(|served| &served.caller)
    }

    /// The session of a caller.
    #[must_use]
    pub fn session(&self, caller: &str) -> Option<&Session> {
        self.0.served.get(caller).map(|served| &*served.session)
    }

    /// What a caller may call through MCP, sorted by name.
    pub fn offered(&self, caller: &str) -> impl Iterator<Item = &ToolSpec> {
        let tools = self.0.served.get(caller).map(|served| &served.tools);
        tools.into_iter().flat_map(ToolSet::specs).filter(|spec| tools::is_offered(&spec.name))
    }

    pub(crate) fn bursar(&self) -> &Bursar {
        &self.0.bursar
    }

    /// Does what a caller asks: decided by the rules under the caller's mandate, journaled, and done on a task of its own, so that
    /// whoever goes away stops nothing half way.
    ///
    /// `None` if there is no such caller or no such tool.
    ///
    /// # Idempotency
    /// That of the tool. A `fetch` of the same thing is paid for once.
    ///
    /// # Cancellation
    /// Dropping the future leaves the call at work; [`Teller::close`] waits for it.
    pub async fn call(
        &self,
        caller: &str,
        entrance: Entrance,
        tool: &str,
        arguments: Value,
    ) -> Option<Answer> {
        let served = self.0.served.get(caller)?;
        served.tools.get(tool)?;
        let call = CallId::random(&*served.context.entropy);
        let Ok(place) = served.places.clone().try_acquire_owned() else {
            let message = format!("{CALLS_MAX} calls of this caller are at work; nothing was done");
            let busy =
                ReasonView::new("TOO_MANY_CALLS", message, "wait for one of them to end, then call again");
            return Some(Answer::refused(call, &[busy]));
        };
        let (inner, caller, tool) = (self.0.clone(), caller.to_owned(), tool.to_owned());
        let work = self.0.calls.spawn(async move {
            let answer = inner.answer(&caller, entrance, call, &tool, arguments).await;
            drop(place);
            answer
        });
        Some(work.await.ok().flatten().unwrap_or_else(|| {
            let message = "the call broke off; it is not known how far it came";
            let next_step = "make the same call again: what it bought is not paid again";
            Answer::refused(call, &[ReasonView::new("CALL_BROKE_OFF", message, next_step)])
        }))
    }

    /// Waits for the calls at work. Close [`Bursar`] after it.
    pub async fn close(&self) {
        self.0.calls.close();
        self.0.calls.wait().await;
    }
}

impl Inner {
    async fn answer(
        &self,
        caller: &str,
        entrance: Entrance,
        call: CallId,
        name: &str,
        arguments: Value,
    ) -> Option<Answer> {
        let served = self.served.get(caller)?;
        let tool = served.tools.get(name)?;
        if let Err(error) = tool.check(&arguments) {
            let reason =
                ReasonView::new("ARGUMENTS", error.message(), "correct the arguments and call again");
            return Some(Answer::refused(call, &[reason]));
        }
        let spec = tool.spec();
        let digest =
            canonical_digest(&arguments).unwrap_or_else(|_| Digest::of(arguments.to_string().as_bytes()));
        let action =
            Action { run: served.run, call, tool: spec.name.clone(), effect: spec.effect, arguments: digest };
        let (decision, stopped) = served.decide(&action, &arguments).await;
        let decided =
            Decided { caller, entrance, action: &action, arguments: &arguments, decision: &decision };
        let (ledger, session, entropy) = (self.ledger(), served.session.id(), &*served.context.entropy);
        if let Err(error) = decided.record(ledger, session, entropy).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a call could not be journaled, and was not made"
            );
            return Some(Answer::refused(call, &[unavailable()]));
        }
        let answer = match stopped {
            Some(answer) => answer,
            None => {
                let context = ToolContext::new(session, served.run, call, served.context.clock.clone());
                let context = match &served.context.purse {
                    Some(purse) => context.with_purse(purse),
                    None => context,
                };
                Answer::of(call, tool.call(&context, arguments).await)
            }
        };
        if let Err(error) = record::answered(ledger, session, &answer, entropy).await {
            // What it did is in the journal by itself: payments, quotes and plans have entries of their own.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "how a call ended could not be journaled"
            );
        }
        Some(answer)
    }

    fn ledger(&self) -> &Ledger {
        self.bursar.ledger()
    }
}

impl Served {
    /// What the rules, and a person where they ask one, say; and the answer if the call is not made.
    async fn decide(&self, action: &Action, arguments: &Value) -> (Decision, Option<Answer>) {
        let call = action.call;
        let refused = |decision: Decision| {
            let reasons = ReasonView::of_decision(&decision);
            (decision, Some(Answer::refused(call, &reasons)))
        };
        let failed = |error: bursar::types::GateError| {
            tracing::warn!(error = %causes(&error), "the gate could not decide; denied");
            let decision = Decision {
                verdict: Verdict::Deny,
                reasons: Vec::new(),
                rules: Vec::new(),
                facts: Digest::of(b"GATE_UNAVAILABLE"),
            };
            (decision, Some(Answer::refused(call, &[gate_unavailable()])))
        };
        let decision = match self.context.gate.decide(action).await {
            Ok(decision) => decision,
            Err(error) => return failed(error),
        };
        match decision.verdict {
            Verdict::Allow => return (decision, None),
            Verdict::Deny => return refused(decision),
            Verdict::Escalate => {}
        }
        match self.context.gate.ask(action, &arguments.to_string()).await {
            Ok(Asked::Allowed(decision)) => (decision, None),
            Ok(Asked::Refused(decision)) => refused(decision),
            Ok(Asked::Nobody) => refused(decision),
            Ok(Asked::Waits { approval, until }) => {
                let reasons = ReasonView::of_decision(&decision);
                (decision, Some(Answer::waiting(call, reasons, approval, until)))
            }
            Err(error) => failed(error),
        }
    }
}

fn unavailable() -> ReasonView {
    let message = "the journal cannot be written, so nothing was done";
    ReasonView::new("LEDGER_UNAVAILABLE", message, "call again later; an operator has to look")
}

fn gate_unavailable() -> ReasonView {
    ReasonView::new("GATE_UNAVAILABLE", "the rules could not decide, which counts as no", "call again later")
}
