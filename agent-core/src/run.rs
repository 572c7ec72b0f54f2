//! The state of a run: a fold of its records, and what is outstanding.

mod apply;
mod calls;
mod next;
mod repeat;
mod turn;

pub use apply::ApplyError;
pub(crate) use calls::ARGUMENTS;
pub use next::Command;

use crate::agent::Limits;
use crate::compact::Compaction;
use crate::context::Under;
use crate::message::{Media, Message};
use crate::model::{Arguments, ModelErrorKind, OutputSchema, Retry, StopReason, Usage};
use crate::record::CallResult;
use crate::report::RunOutcome;
use crate::stop::StopCause;
use crate::tool::Waits;
use crate::warning::Problem;
use bursar_types::{Amount, AssetId, CallId, Decision, Digest, Effect, Reason, RunId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The state of a run. The same records always give the same state.
///
/// # Example
/// ```
/// use bursar_agent_core::{Command, Limits, Record, Run};
/// use bursar_types::{Digest, RunId, SessionId, Timestamp};
/// let run = Run::begin(&Record::Started {
///     run: RunId::derived(&[b"r"]),
///     session: SessionId::derived(&[b"s"]),
///     question: "Who may pay the gas?".into(),
///     settings: Digest::of(b""),
///     prompt: None,
///     limits: Limits::default(),
///     media: Vec::new(),
///     output: None,
///     tools: Default::default(),
///     polls: Default::default(),
///     has_cheaper: false,
///     under: None,
///     at: Timestamp::from_unix_ms(0),
///     trace: None,
/// })?;
/// assert_eq!(run.next(), [Command::CallModel { turn: 0, attempt: 0, wait_ms: 0, cheaper: false }]);
/// # Ok::<(), bursar_agent_core::ApplyError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    id: RunId,
    session: SessionId,
    question: String,
    media: Vec<Media>,
    output: Option<OutputSchema>,
    settings: Digest,
    limits: Limits,
    tools: BTreeMap<String, Effect>,
    polls: BTreeSet<String>,
    has_cheaper: bool,
    under: Option<Under>,
    started_at: Timestamp,
    idle_ms: u64,
    messages: Vec<Message>,
    turns: u32,
    calls_made: u32,
    usage: UsageTotal,
    model_cost: u128,
    /// What the last turn read and wrote, if its provider said so.
    context: Option<u64>,
    /// What was done to the conversation since the last turn that the model took.
    squeezed: Option<Compaction>,
    /// How often the conversation was made shorter.
    compactions: u32,
    /// Turns in a row of which nothing could be used.
    sent_back: u32,
    seen: repeat::Seen,
    step: Step,
}

/// What the run waits for.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// The model's next turn.
    Think(Thinking),
    /// The calls of the last turn, why it ended, and how many of those with a result fitted no tool.
    Act { calls: Vec<CallView>, stop: StopReason, unfit: usize },
    /// The model has to be told that it cannot go on like this.
    Warn { problem: Problem, message: String },
    /// A text was given, and has to be checked for the form that was asked for.
    Check { text: String },
    /// An answer was given and has to be recorded; by a text, or by a tool.
    Answer { answer: crate::record::Answer, by_text: bool },
    /// It cannot go on, which has to be recorded.
    Over { cause: StopCause },
    /// To be taken up again where it stood.
    Paused { outcome: RunOutcome, before: Box<Step> },
    /// Nothing.
    Done { outcome: RunOutcome },
}

impl Step {
    /// The model has the next word.
    fn think() -> Self {
        Self::Think(Thinking::default())
    }
}

/// How far a turn of the model is.
#[derive(Debug, Clone, Default, PartialEq)]
struct Thinking {
    /// How many tries were begun.
    requested: u32,
    failures: u32,
    last: Option<Failure>,
    /// The try that is, or was, under way and may cost something.
    open: Option<OpenTry>,
    /// Whether only the cheaper model may be asked.
    cheaper: bool,
    /// Whether the conversation does not fit.
    full: bool,
    /// Whether the try under way is to sum up what was done, and how many such tries failed.
    summing_up: bool,
    summaries: u32,
    /// Why no model may be asked.
    withheld: Option<Vec<Reason>>,
}

/// A try of a turn that may cost something and is not settled.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTry {
    /// The turn.
    pub turn: u32,
    /// The try.
    pub attempt: u32,
    /// Whether it is the cheaper model's.
    pub cheaper: bool,
    /// The most it may cost, in micro-USD.
    pub most: Amount,
}

#[derive(Debug, Clone, PartialEq)]
struct Failure {
    kind: ModelErrorKind,
    message: String,
    retry: Retry,
}

/// One call of the current turn.
#[derive(Debug, Clone, PartialEq)]
pub struct CallView {
    /// Its id: derived from run, turn and position, so it is the same after a crash.
    pub id: CallId,
    /// The tool's name, as the model wrote it.
    pub tool: String,
    /// What the tool does to the world; `None` if there is no such tool.
    pub effect: Option<Effect>,
    /// The arguments.
    pub arguments: Arguments,
    /// How many times it was started.
    pub attempts: u32,
    /// How far it is.
    pub state: CallState,
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq)]
pub enum CallState {
    /// The model asked for it, or it was allowed and had not begun when the run was taken up again: a yes holds for the moment it was
    /// given in.
    Proposed,
    /// The gate decided.
    Decided(Decision),
    /// A person was asked: what holds now, and the question that it waits for if nobody answered.
    Answered(Decision, Option<Waits>),
    /// A tool is, or was, at work.
    Started,
    /// It was started before and did not happen, as its tool or a person found out; it is decided again, and may then be started again.
    Cleared,
    /// A person said what came of it, which has to be recorded as its result.
    Told(CallResult),
    /// It has its result.
    Finished(CallResult),
}

/// Tokens of a whole run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTotal {
    /// Tokens read, of the turns that reported them.
    pub input_tokens: u64,
    /// Tokens written, of the turns that reported them.
    pub output_tokens: u64,
    /// Turns that left out one or both; while this is not 0, the counts are lower bounds.
    pub unreported_turns: u32,
}

impl UsageTotal {
    fn add(&mut self, usage: Usage) {
        self.input_tokens = self.input_tokens.saturating_add(usage.input_tokens.unwrap_or_default());
        self.output_tokens = self.output_tokens.saturating_add(usage.output_tokens.unwrap_or_default());
        if usage.input_tokens.is_none() || usage.output_tokens.is_none() {
            self.unreported_turns = self.unreported_turns.saturating_add(1);
        }
    }
}

impl Run {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> RunId {
        self.id
    }

    /// The session it spends in.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Which call of which run it works for, if it is a sub-agent's.
    #[must_use]
    pub const fn under(&self) -> Option<&Under> {
        self.under.as_ref()
    }

    /// What was asked.
    #[must_use]
    pub fn question(&self) -> &str {
        &self.question
    }

    /// What there was to look at beside the question.
    #[must_use]
    pub fn media(&self) -> &[Media] {
        &self.media
    }

    /// The form that its answer must have.
    #[must_use]
    pub const fn output(&self) -> Option<&OutputSchema> {
        self.output.as_ref()
    }

    /// Whether it can take in what the user says now: while the model has the next word, or when a text would end it.
    #[must_use]
    pub fn takes_messages(&self) -> bool {
        match &self.step {
            Step::Think(thinking) => thinking.open.is_none(),
            // An answer is not given up for a turn that would not come.
            Step::Check { .. } | Step::Answer { by_text: true, .. } => self.used_up().is_none(),
            _ => false,
        }
    }

    /// Digest of the settings it was begun under.
    #[must_use]
    pub const fn settings(&self) -> Digest {
        self.settings
    }

    /// Its limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The conversation so far.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// How many turns the model had.
    #[must_use]
    pub const fn turns(&self) -> u32 {
        self.turns
    }

    /// How many times a tool was called; a call that was repeated after a crash counts once.
    #[must_use]
    pub const fn calls_made(&self) -> u32 {
        self.calls_made
    }

    /// Tokens.
    #[must_use]
    pub const fn usage(&self) -> UsageTotal {
        self.usage
    }

    /// How often the conversation was made shorter. What the session's state says is told anew each turn from then on.
    #[must_use]
    pub const fn compactions(&self) -> u32 {
        self.compactions
    }

    /// What the model cost so far, in micro-USD.
    #[must_use]
    pub fn model_cost(&self) -> Amount {
        Amount::from_atomic(AssetId::micro_usd(), self.model_cost)
    }

    /// The calls of the current turn; empty while the model thinks and at the end.
    #[must_use]
    pub fn calls(&self) -> &[CallView] {
        let step = match &self.step {
            Step::Paused { before, .. } => before,
            step => step,
        };
        match step {
            Step::Act { calls, .. } => calls,
            _ => &[],
        }
    }

    /// What a tool does to the world; `None` if there is no such tool.
    #[must_use]
    pub fn effect(&self, tool: &str) -> Option<Effect> {
        self.tools.get(tool).copied()
    }

    /// The call of that id, if it is one of the current turn.
    #[must_use]
    pub fn call(&self, id: CallId) -> Option<&CallView> {
        self.calls().iter().find(|call| call.id == id)
    }

    /// The call that was started and has no result, if it is one that may not simply run again: nobody knows whether it
    /// happened. There is one at most, because writes come alone.
    #[must_use]
    pub fn open_write(&self) -> Option<&CallView> {
        self.calls()
            .iter()
            .find(|call| call.effect == Some(Effect::Write) && matches!(call.state, CallState::Started))
    }

    /// How it ended, or why it stands still; `None` while something is outstanding.
    #[must_use]
    pub const fn outcome(&self) -> Option<&RunOutcome> {
        match &self.step {
            Step::Done { outcome } | Step::Paused { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Whether it has ended for good: resuming it only gives its report again.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.step, Step::Done { .. })
    }

    /// When its time is over. The time in which nobody worked on it does not count.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.limits.time_ms.map(|ms| self.started_at.plus_ms(ms).plus_ms(self.idle_ms))
    }
}
