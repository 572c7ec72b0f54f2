//! The settings of an agent.

use crate::context::RunContext;
use crate::driver;
use crate::form::{Form, Typed};
use crate::model::Model;
use crate::person::PersonAnswer;
use crate::prices::Prices;
use crate::prompt::{Prompt, PromptMark};
use crate::report::{RunError, RunReport};
use crate::sorted::sorted_text;
use crate::sub_agent::{Delegate, SubAgent};
use crate::task::Task;
use crate::tool::{DynTool, ToolSet};
use bursar_types::{Amount, AssetId, Digest, Effect, RunId};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

/// What a run may use. Every limit stops the run with a [`StopCause`](crate::StopCause) that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Turns of the model.
    pub turns: u32,
    /// Tool calls.
    pub calls: u32,
    /// Tokens read and written, all turns together. A model that does not report them is stopped after its first turn.
    pub tokens: Option<u64>,
    /// Milliseconds from the start of the run, without those in which nobody worked on it: after a crash, and while it stood still.
    pub time_ms: Option<u64>,
    /// Milliseconds that one try of one turn of the model may take; one that takes longer has failed, and may be tried again.
    #[serde(default)]
    pub model_turn_ms: Option<u64>,
    /// Milliseconds that one call of a tool may take. A `Read` is then dropped; a `Write` is told and given five seconds, and if it
    /// has no result then, its tool or a person has to say whether it happened. A `Spend` has the bounds of its payment instead.
    #[serde(default)]
    pub call_ms: Option<u64>,
    /// What any budget of the same asset may show as spent and held before the next turn, or the next call of a tool that may
    /// spend. The hard caps are the ledger's; this one ends the run.
    pub spend: Option<Amount>,
    /// What the model may cost, in micro-USD, all its tries together; for an agent whose model has [prices](AgentBuilder::prices). The
    /// hard caps are the ledger's; this one ends the run before its next turn.
    #[serde(default)]
    pub model_cost: Option<Amount>,
    /// Tokens that one turn may read and write before the conversation is made shorter, as the provider reports them; a quarter of the
    /// bytes where it does not. Without it, that happens once the provider says that the conversation does not fit.
    #[serde(default)]
    pub context_tokens: Option<u64>,
    /// Tries of one turn, the first included.
    pub model_tries: u32,
    /// Turns in a row of which nothing can be used: cut off, garbled, calls of tools that are not there or with arguments that do not
    /// fit, a final text without the form that was asked for. The model is told what is wrong; one more such turn ends the run.
    #[serde(default = "repairs")]
    pub repairs: u32,
    /// How often in a row the same calls may come with the same results, also as a cycle of up to four turns. Then the model is told,
    /// and if it goes on in the same way for as long again the run ends. Less than 2 counts as 2; `None` does not look. Turns that
    /// only call tools that [poll](crate::Tool::polls) do not count.
    #[serde(default)]
    pub repeats: Option<u32>,
}

const fn repairs() -> u32 {
    3
}

impl Default for Limits {
    /// 40 turns, 200 calls, 30 minutes, 10 minutes a turn, 20 minutes a call, 4 tries a turn, 3 turns in a row that are sent
    /// back, 3 repetitions; tokens and spending are left to their own budgets.
    fn default() -> Self {
        Self {
            turns: 40,
            calls: 200,
            tokens: None,
            time_ms: Some(30 * 60 * 1_000),
            model_turn_ms: Some(10 * 60 * 1_000),
            call_ms: Some(20 * 60 * 1_000),
            spend: None,
            model_cost: None,
            context_tokens: None,
            model_tries: 4,
            repairs: repairs(),
            repeats: Some(3),
        }
    }
}

/// Why an agent cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// A tool may spend, and the agent was declared to have no purse.
    #[error("tool `{tool}` may spend, and the agent has no purse")]
    SpendWithoutPurse {
        /// The tool.
        tool: String,
    },
    /// What the model costs is limited, or a cheaper one is there for when little is left, and the model has no prices.
    #[error("what the model costs is limited, and it has no prices")]
    NoPrices,
    /// What the model costs is limited in something else than micro-USD.
    #[error("the limit on what the model costs is not in micro-USD")]
    NotMicroUsd,
    /// A limit is zero, so no run could do anything.
    #[error("limit on {limit} is zero")]
    ZeroLimit {
        /// Which.
        limit: &'static str,
    },
}

/// An agent: a model, tools, instructions and limits. It holds no state of any run. Cheap to clone.
///
/// # Example
/// ```
/// use bursar_agent_core::{Agent, Limits, models::Scripted};
/// use std::sync::Arc;
///
/// let model = Arc::new(Scripted::new().text("ERC-3009."));
/// let agent = Agent::builder(model).instructions("Answer briefly.").limits(Limits::default()).build()?;
/// assert_eq!(agent.limits().turns, 40);
/// # Ok::<(), bursar_agent_core::BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Agent {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) prices: Option<Prices>,
    pub(crate) cheaper: Option<(Arc<dyn Model>, Prices)>,
    pub(crate) tools: ToolSet,
    pub(crate) instructions: String,
    pub(crate) prompt: Option<PromptMark>,
    pub(crate) limits: Limits,
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) name: String,
    pub(crate) settings: Digest,
}

impl Agent {
    /// Begins with a model.
    pub fn builder(model: Arc<dyn Model>) -> AgentBuilder {
        AgentBuilder {
            model,
            prices: None,
            cheaper: None,
            tools: ToolSet::new(),
            instructions: String::new(),
            prompt: None,
            limits: Limits::default(),
            max_output_tokens: None,
            name: "agent".to_owned(),
            no_purse: false,
        }
    }

    /// Works on a question until the run ends.
    ///
    /// # Errors
    /// [`RunError`]. A limit, a cancellation or a model that failed for good is no error: see [`RunReport::answer`].
    ///
    /// # Cancellation
    /// Dropping the future is a crash: the records stand, `resume` goes on, and a running call of a tool that may spend
    /// goes on by itself. To stop in order, use the context's [`Cancel`](crate::Cancel).
    pub async fn run(
        &self,
        context: RunContext,
        task: impl Into<Task> + Send,
    ) -> Result<RunReport, RunError> {
        let run = RunId::random(context.entropy.as_ref());
        self.run_as(context, run, task).await
    }

    /// The same under an id that the caller chose and knows before the first record.
    ///
    /// # Errors
    /// [`RunError::Fenced`] if the id is taken.
    pub async fn run_as(
        &self,
        context: RunContext,
        run: RunId,
        task: impl Into<Task> + Send,
    ) -> Result<RunReport, RunError> {
        driver::start(self, context, run, task.into(), None).await
    }

    /// Works on a question until the run ends with an answer of the type `T`: JSON that fits its schema, with no field that `T` does
    /// not know.
    ///
    /// The model is told the schema, and its final text is checked here whatever its provider promises. What does not fit goes back to
    /// it, [so many times](Limits::repairs) in a row: also what only attributes of `schemars` say, such as lengths, ranges, counts and
    /// patterns (in the syntax of the crate `regex`; another is told and not checked, and so are formats).
    ///
    /// # Errors
    /// [`RunError`].
    ///
    /// # Cancellation
    /// As [`Agent::run`]; [`Agent::resume_typed`] goes on.
    ///
    /// # Example
    /// ```
    /// # async fn example(agent: bursar_agent_core::Agent, context: bursar_agent_core::RunContext)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// #[derive(schemars::JsonSchema, serde::Deserialize)]
    /// struct Standard {
    ///     number: u32,
    ///     title: String,
    /// }
    ///
    /// let run = agent.run_typed::<Standard>(context, "Which standard lets others pay the gas?").await?;
    /// println!("ERC-{}", run.value()?.number);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_typed<T: JsonSchema + DeserializeOwned>(
        &self,
        context: RunContext,
        task: impl Into<Task> + Send,
    ) -> Result<Typed<T>, RunError> {
        let run = RunId::random(context.entropy.as_ref());
        self.run_typed_as(context, run, task).await
    }

    /// The same under an id that the caller chose and knows before the first record.
    ///
    /// # Errors
    /// [`RunError::Fenced`] if the id is taken.
    pub async fn run_typed_as<T: JsonSchema + DeserializeOwned>(
        &self,
        context: RunContext,
        run: RunId,
        task: impl Into<Task> + Send,
    ) -> Result<Typed<T>, RunError> {
        let report = driver::start(self, context, run, task.into(), Some(Form::of::<T>())).await?;
        Ok(Typed::of(report))
    }

    /// Goes on with a run that [`Agent::run_typed`] began.
    ///
    /// # Errors
    /// [`RunError::OtherSettings`] if it was begun for another type, or for none.
    ///
    /// # Idempotency
    /// As [`Agent::resume`].
    pub async fn resume_typed<T: JsonSchema + DeserializeOwned>(
        &self,
        context: RunContext,
        run: RunId,
        answers: Vec<PersonAnswer>,
    ) -> Result<Typed<T>, RunError> {
        let report = driver::resume(self, context, run, answers, Some(Form::of::<T>())).await?;
        Ok(Typed::of(report))
    }

    /// Goes on with a run after a crash, or after a stop that [can go on](crate::StopCause::can_go_on).
    ///
    /// A turn of the model or a call whose result is known is not repeated. A `Read` may run again, a `Spend` is called
    /// again and joins its payment, and of a `Write` without a result its tool is asked ([`Tool::reconcile`](crate::Tool::reconcile))
    /// or a person ([`resume_with`](Self::resume_with)).
    ///
    /// # Errors
    /// [`RunError`].
    ///
    /// # Idempotency
    /// A run that has ended gives its report again. Of two workers that resume the same run one is fenced off, and begins
    /// nothing after that.
    pub async fn resume(&self, context: RunContext, run: RunId) -> Result<RunReport, RunError> {
        driver::resume(self, context, run, Vec::new(), None).await
    }

    /// The same with what a person says of calls that nobody knows the end of.
    ///
    /// # Errors
    /// [`RunError::NotOpen`] if a call does not wait for a person; nothing was recorded then.
    ///
    /// # Example
    /// ```no_run
    /// # async fn example(agent: bursar_agent_core::Agent, context: bursar_agent_core::RunContext, run: bursar_types::RunId)
    /// # -> Result<(), bursar_agent_core::RunError> {
    /// use bursar_agent_core::{PersonAnswer, RunOutcome, StopCause};
    /// let mut report = agent.resume(context.clone(), run).await?;
    /// if let RunOutcome::Stopped { cause: StopCause::WriteUnknown { call, .. } } = report.outcome {
    ///     let answer = PersonAnswer::did_not_happen(call, "ada").note("nothing in the outbox");
    ///     report = agent.resume_with(context, run, vec![answer]).await?;
    /// }
    /// # let _ = report;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn resume_with(
        &self,
        context: RunContext,
        run: RunId,
        answers: Vec<PersonAnswer>,
    ) -> Result<RunReport, RunError> {
        driver::resume(self, context, run, answers, None).await
    }

    /// This agent as a tool of another: it works on what it is asked in a run of its own, and its answer is the result.
    ///
    /// `delegate` gives that run its session, whose mandate is cut from that of the run above. Cancellation and deadline come from above.
    /// The run's id follows from the call: after a crash, a stop or a question it goes on, and does not begin anew. Its effect is the
    /// strictest of its own tools'. Runs stand in one another [so deep](crate::DEPTH_MAX) at most.
    ///
    /// # Example
    /// ```no_run
    /// # fn example(scout: bursar_agent_core::Agent, delegate: std::sync::Arc<dyn bursar_agent_core::Delegate>)
    /// # -> Result<(), bursar_agent_core::DuplicateTool> {
    /// use bursar_agent_core::ToolSet;
    /// let scout = scout.as_tool("ask_scout", "Looks something up. Give it one question.", delegate);
    /// let tools = ToolSet::new().with_dyn(scout)?;
    /// # let _ = tools;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn as_tool(
        &self,
        name: impl Into<String>,
        description: impl Into<String>,
        delegate: Arc<dyn Delegate>,
    ) -> Arc<dyn DynTool> {
        Arc::new(SubAgent::new(self.clone(), name.into(), description.into(), delegate))
    }

    /// Its limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Its tools.
    #[must_use]
    pub const fn tools(&self) -> &ToolSet {
        &self.tools
    }

    /// Its model.
    #[must_use]
    pub fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// Digest of the models' names, instructions and tools.
    #[must_use]
    pub const fn settings(&self) -> Digest {
        self.settings
    }

    /// The model that is asked, and what it costs.
    pub(crate) fn asked(&self, cheaper: bool) -> (&Arc<dyn Model>, Option<&Prices>) {
        match &self.cheaper {
            Some((model, prices)) if cheaper => (model, Some(prices)),
            _ => (&self.model, self.prices.as_ref()),
        }
    }

    /// The first tool that may spend, by name.
    pub(crate) fn spender(&self) -> Option<&str> {
        spender(&self.tools)
    }
}

/// Makes an [`Agent`].
#[derive(Debug, Clone)]
#[must_use]
pub struct AgentBuilder {
    model: Arc<dyn Model>,
    prices: Option<Prices>,
    cheaper: Option<(Arc<dyn Model>, Prices)>,
    tools: ToolSet,
    instructions: String,
    prompt: Option<PromptMark>,
    limits: Limits,
    max_output_tokens: Option<u32>,
    name: String,
    no_purse: bool,
}

impl AgentBuilder {
    /// The tools.
    pub fn tools(mut self, tools: ToolSet) -> Self {
        self.tools = tools;
        self
    }

    /// What the model is told at the start of every turn.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = instructions.into();
        self.prompt = None;
        self
    }

    /// The same from a file with a name and a version, which the run's first record names.
    pub fn prompt(mut self, prompt: &Prompt) -> Self {
        self.instructions = prompt.text().to_owned();
        self.prompt = Some(prompt.mark().clone());
        self
    }

    /// What the model costs. Before each try the most it may cost is set aside in the budgets of the session, and what it did cost is
    /// booked after: see [`RunContext::meter`].
    pub const fn prices(mut self, prices: Prices) -> Self {
        self.prices = Some(prices);
        self
    }

    /// A cheaper model, with its prices: asked instead once a budget is past its second gate, or where the most that the model may cost
    /// does not fit into a budget any more.
    pub fn cheaper(mut self, model: Arc<dyn Model>, prices: Prices) -> Self {
        self.cheaper = Some((model, prices));
        self
    }

    /// The limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The most tokens that the model may write in one turn, those of reasoning included. A turn that needs more is cut off, and the
    /// model is told to say it shorter. Less is then set aside for each turn.
    pub const fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.max_output_tokens = Some(tokens);
        self
    }

    /// A name for traces.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Declares that runs will have no purse, so that a tool that may spend is refused here and not only when a run starts.
    pub fn without_purse(mut self) -> Self {
        self.no_purse = true;
        self
    }

    /// The agent.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<Agent, BuildError> {
        if let (true, Some(tool)) = (self.no_purse, spender(&self.tools)) {
            return Err(BuildError::SpendWithoutPurse { tool: tool.to_owned() });
        }
        let Limits {
            turns,
            calls,
            tokens,
            time_ms,
            model_turn_ms,
            call_ms,
            spend: _,
            model_cost,
            context_tokens,
            model_tries,
            repairs: _,
            repeats: _,
        } = &self.limits;
        let zeros = [
            ("turns", *turns == 0),
            ("calls", *calls == 0 && !self.tools.is_empty()),
            ("tokens", *tokens == Some(0)),
            ("time", *time_ms == Some(0)),
            ("time of a turn", *model_turn_ms == Some(0)),
            ("time of a call", *call_ms == Some(0)),
            ("model cost", model_cost.as_ref().is_some_and(Amount::is_zero)),
            ("context tokens", *context_tokens == Some(0)),
            ("model tries", *model_tries == 0),
            ("output tokens", self.max_output_tokens == Some(0)),
        ];
        if let Some((limit, _)) = zeros.into_iter().find(|(_, zero)| *zero) {
            return Err(BuildError::ZeroLimit { limit });
        }
        if self.prices.is_none() && (model_cost.is_some() || self.cheaper.is_some()) {
            return Err(BuildError::NoPrices);
        }
        if model_cost.as_ref().is_some_and(|limit| *limit.asset() != AssetId::micro_usd()) {
            return Err(BuildError::NotMicroUsd);
        }
        let models: Vec<&dyn Model> = std::iter::once(&self.model)
            .chain(self.cheaper.iter().map(|(model, _)| model))
            .map(Arc::as_ref)
            .collect();
        let settings = settings_digest(&models, &self.instructions, &self.tools);
        let Self {
            model,
            prices,
            cheaper,
            tools,
            instructions,
            prompt,
            limits,
            max_output_tokens,
            name,
            no_purse: _,
        } = self;
        Ok(Agent {
            model,
            prices,
            cheaper,
            tools,
            instructions,
            prompt,
            limits,
            max_output_tokens,
            name,
            settings,
        })
    }
}

fn spender(tools: &ToolSet) -> Option<&str> {
    tools.specs().find(|spec| spec.effect == Effect::Spend).map(|spec| spec.name.as_str())
}

/// Schemas may hold floats, which have no canonical bytes; `serde_json` writes a given value always the same way, and
/// its maps are sorted unless a dependency says otherwise, so their text is hashed key by key.
fn settings_digest(models: &[&dyn Model], instructions: &str, tools: &ToolSet) -> Digest {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for descriptor in models.iter().map(|model| model.descriptor()) {
        parts.extend([descriptor.provider.clone().into(), descriptor.name.clone().into()]);
    }
    parts.push(instructions.into());
    for spec in tools.specs() {
        parts.push(spec.name.clone().into());
        parts.push(spec.description.clone().into());
        parts.push(format!("{:?}", spec.effect).into());
        let mut schema = Vec::new();
        sorted_text(&spec.input_schema, &mut schema);
        parts.push(schema);
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Digest::of_parts("bursar/agent/settings", &parts)
}
