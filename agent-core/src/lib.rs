//! An agent loop as a pure state machine.
//!
//! Settings ([`Agent`]), run state ([`Run`]) and driver are three things. [`Run::apply`] folds records, [`Run::next`]
//! says what is outstanding, and the driver does it: it calls the model, asks the gate, calls tools, appends each
//! [`Record`] to the journal with the expected sequence number, and feeds it back. A crash loses nothing: the same
//! records give the same state, and the same state the same next step. [`Agent::resume`] goes on from the last record; what is
//! known is not asked again, and a `Write` of which nobody knows whether it happened waits for its tool or a person to say.
//!
//! What is absent: chains, rules, HTTP but for the models of providers (features of their names), and any way to make a payment
//! other than the [`Purse`](bursar_types::Purse) that a run is given.

mod agent;
mod cancel;
mod compact;
mod context;
mod driver;
mod event;
mod form;
mod message;
mod model;
pub mod models;
mod person;
mod prices;
mod prompt;
mod record;
mod report;
mod run;
mod sorted;
mod steer;
mod stop;
mod sub_agent;
mod task;
mod tool;
mod warning;

pub use agent::{Agent, AgentBuilder, BuildError, Limits};
pub use cancel::Cancel;
pub use compact::Compaction;
pub use context::{AfterRun, OnQuestion, Progress, RunContext, ToolContext, Under};
pub use event::{Delta, EventSender, EventStream, RunEvent, events};
pub use form::Typed;
pub use message::{Media, Message, Part, Role};
pub use model::{
    Arguments, FoldError, Model, ModelDescriptor, ModelError, ModelErrorKind, ModelEvent, ModelRequest,
    ModelStream, ModelTurn, OutputSchema, ProposedCall, ProviderItem, Retry, StopReason, ToolChoice,
    TurnFold, Usage, fold_turn,
};
pub use person::{PersonAnswer, PersonVerdict};
pub use prices::Prices;
pub use prompt::{Prompt, PromptError, PromptMark};
pub use record::{Answer, CallResult, Record, RecordEntry, RecordError};
pub use report::{NoAnswer, RunError, RunOutcome, RunReport, read_run};
pub use run::{ApplyError, CallState, CallView, Command, OpenTry, Run, UsageTotal};
pub use steer::{Steer, SteerError};
pub use stop::StopCause;
pub use sub_agent::{DEPTH_MAX, Delegate};
pub use task::{Task, TaskError};
pub use tool::{
    DuplicateTool, DynTool, Executed, IntoToolOutput, Reconciled, Tool, ToolError, ToolOutput, ToolSet,
    ToolSpec, Waits,
};
pub use warning::Problem;
