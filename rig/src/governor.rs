//! The governor: a purse and a gate around a rig agent as it is.

use crate::governed::{GovernedAgent, GovernedTool, LAYER};
use crate::paid::Payer;
use crate::ticket::Tickets;
use crate::twin::{Behind, Link, Proxy};
use bursar_agent_core::{
    Agent, AgentBuilder, BuildError, Limits, Model, ModelDescriptor, Prices, RunContext, ToolSet, ToolSpec,
};
use bursar_types::{Effect, HttpRequest};
use rig_agent::tool::{RegisteredTool, ToolSet as RigToolSet};
use rig_core::effect::FamilyDescriptor;
use rig_core::message::ToolName;
use rig_core::tool::{DynamicTool, ToolExecutionError};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::Mutex;

/// Puts a purse and the gate around a rig agent.
///
/// Every call of every tool of the agent is then decided by the session's gate before its body runs, recorded in the session's journal,
/// and bounded by [`Limits`]; a call that asks for payment is paid by the session's purse, under the rules, once. What a tool does to
/// the world is for the developer to declare: a tool of which nothing is said is taken for one that may spend, the strictest.
///
/// # Example
/// ```no_run
/// # async fn example(session: bursar::Session, agent: rig_agent::Agent) -> Result<(), Box<dyn std::error::Error>> {
/// use bursar_rig::Governor;
///
/// let agent = Governor::new(session.run_context()).reads(["search"]).govern(agent)?;
/// let answer = agent.prompt("Who may pay the gas for a USDC transfer?").max_turns(8).await?;
/// println!("{}", answer.output());
/// # Ok(())
/// # }
/// ```
#[must_use = "an agent is governed once `govern` was called"]
pub struct Governor {
    context: RunContext,
    effects: HashMap<String, Effect>,
    pays: HashMap<String, Arc<RequestOf>>,
    offered: ToolSet,
    limits: Limits,
    prices: Option<Prices>,
    proposes: bool,
}

type RequestOf = dyn Fn(&Value) -> Option<HttpRequest> + Send + Sync;

impl fmt::Debug for Governor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governor").field("effects", &self.effects).finish_non_exhaustive()
    }
}

/// Why an agent cannot be governed. Nothing was changed then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GovernError {
    /// Its tools are governed already, perhaps through another agent that shares them.
    #[error("tool `{tool}` is governed already")]
    AlreadyGoverned {
        /// The tool.
        tool: String,
    },
    /// Something was declared of a tool that the agent does not have.
    #[error("the agent has no tool `{tool}`")]
    NoSuchTool {
        /// The name that was declared.
        tool: String,
    },
    /// A tool that is offered has the name of one that the agent has.
    #[error("the agent has a tool `{tool}` already")]
    Duplicate {
        /// The name.
        tool: String,
    },
    /// A tool cannot be put into rig's form.
    #[error("tool `{tool}` cannot be governed: {problem}")]
    Tool {
        /// The tool.
        tool: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The settings contradict each other.
    #[error(transparent)]
    Settings(#[from] BuildError),
}

impl Governor {
    /// Begins with what a session gives to its runs: `session.run_context()`.
    pub fn new(context: RunContext) -> Self {
        // Time and size of a turn are rig's; what rig repeats is another turn.
        let limits =
            Limits { model_turn_ms: None, model_tries: 1, context_tokens: None, ..Limits::default() };
        Self {
            context,
            effects: HashMap::new(),
            pays: HashMap::new(),
            offered: ToolSet::new(),
            limits,
            prices: None,
            proposes: false,
        }
    }

    /// These tools only read: they may run side by side, and never pay.
    pub fn reads<T: Into<String>>(self, tools: impl IntoIterator<Item = T>) -> Self {
        self.declared(tools, Effect::Read)
    }

    /// These tools change something, and never pay.
    pub fn writes<T: Into<String>>(self, tools: impl IntoIterator<Item = T>) -> Self {
        self.declared(tools, Effect::Write)
    }

    /// These tools may spend: if one raises [`PaymentRequired`](crate::PaymentRequired), its request is paid under the rules.
    pub fn spends<T: Into<String>>(self, tools: impl IntoIterator<Item = T>) -> Self {
        self.declared(tools, Effect::Spend)
    }

    /// The same of a tool that cannot raise it: `request_of` says which request a call with these arguments makes, and `None` that it
    /// makes none. It is asked when the tool answers with status 402, or with the text of an x402 offer.
    pub fn pays(
        mut self,
        tool: impl Into<String>,
        request_of: impl Fn(&Value) -> Option<HttpRequest> + Send + Sync + 'static,
    ) -> Self {
        let tool = tool.into();
        self.effects.insert(tool.clone(), Effect::Spend);
        self.pays.insert(tool, Arc::new(request_of));
        self
    }

    /// When a call asks for payment and no approved plan covers it, proposes one with that one purchase, which the rules approve, refuse or
    /// ask a person about, as any other. Without this the agent is told the price, and that nothing was paid.
    pub const fn proposes_plans(mut self) -> Self {
        self.proposes = true;
        self
    }

    /// Tools of Bursar's, for rig's agent beside its own: decided, recorded and paid in the same way.
    pub fn offers(mut self, tools: ToolSet) -> Self {
        self.offered = tools;
        self
    }

    /// What a run may use. Tries and time of a turn, and the size of a conversation, stay with rig.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Limits { model_turn_ms: None, model_tries: 1, context_tokens: None, ..limits };
        self
    }

    /// What the agent's model costs: counted in the session's budgets, and set aside before each turn.
    pub const fn prices(mut self, prices: Prices) -> Self {
        self.prices = Some(prices);
        self
    }

    fn declared<T: Into<String>>(mut self, tools: impl IntoIterator<Item = T>, effect: Effect) -> Self {
        self.effects.extend(tools.into_iter().map(|tool| (tool.into(), effect)));
        self
    }

    /// Governs an agent: wraps its tools where they are, so that every agent that shares them has to be asked through the result.
    ///
    /// # Errors
    /// [`GovernError`]; nothing was changed.
    pub fn govern(self, agent: rig_agent::Agent) -> Result<GovernedAgent, GovernError> {
        let tickets = Arc::new(Tickets::default());
        let had = agent.tool_server_handle().toolset();
        let mut known = BTreeMap::new();
        let (mut wrapped, mut retrieved) = (RigToolSet::default(), RigToolSet::default());
        for (name, tool) in had.iter() {
            let (spec, governed) = self.wrap(name, tool, &tickets)?;
            known.insert(name.to_owned(), (spec, Behind::Rig(self.payer(name))));
            match had.always_exposed_names().any(|exposed| exposed == name) {
                true => wrapped.add_registered_tool(governed),
                false => retrieved.add_registered_tool(governed),
            };
        }
        for spec in self.offered.specs() {
            let Some(tool) = self.offered.get(&spec.name) else { continue };
            if had.contains(&spec.name) {
                return Err(GovernError::Duplicate { tool: spec.name.clone() });
            }
            wrapped.add_registered_tool(offer(spec, &tickets)?);
            known.insert(spec.name.clone(), (spec.clone(), Behind::Bursar(Arc::clone(tool))));
        }
        if let Some(tool) = self.effects.keys().find(|tool| !had.contains(tool)) {
            return Err(GovernError::NoSuchTool { tool: tool.clone() });
        }
        let model =
            agent.model_label().map(|label| label.to_string()).unwrap_or_else(|| "default".to_owned());
        let inner = Inner {
            name: agent.name().unwrap_or("agent").to_owned(),
            model: ModelDescriptor::new("rig", model),
            context: self.context,
            known,
            limits: self.limits,
            prices: self.prices,
            tickets,
        };
        inner.builder(Arc::new(bursar_agent_core::models::Scripted::new())).build()?;
        wrapped.add_retrievable_tools(retrieved);
        agent.tool_server_handle().add_tools(wrapped);
        Ok(GovernedAgent::new(agent, Arc::new(inner)))
    }

    fn payer(&self, tool: &str) -> Payer {
        Payer {
            request_of: self.pays.get(tool).cloned(),
            proposes: self.proposes,
            turn: Arc::new(Mutex::new(())),
        }
    }

    fn wrap(
        &self,
        name: &str,
        tool: &RegisteredTool,
        tickets: &Arc<Tickets>,
    ) -> Result<(ToolSpec, RegisteredTool), GovernError> {
        if tool.handler().descriptor().layers.iter().any(|layer| layer == LAYER) {
            return Err(GovernError::AlreadyGoverned { tool: name.to_owned() });
        }
        let FamilyDescriptor::Tool { description, parameters, .. } = tool.descriptor() else {
            return Err(GovernError::Tool { tool: name.to_owned(), problem: "it is no tool".to_owned() });
        };
        let effect = self.effects.get(name).copied().unwrap_or(Effect::Spend);
        let spec = ToolSpec { name: name.to_owned(), description, input_schema: parameters, effect };
        let handler = GovernedTool::new(tool.handler().clone(), Arc::clone(tickets));
        let governed = RegisteredTool::from_handler(handler)
            .map_err(|error| GovernError::Tool { tool: name.to_owned(), problem: error.message })?;
        Ok((spec, governed))
    }
}

/// A tool of Bursar's in rig's form. Its body is the twin's; what stands here is never reached.
fn offer(spec: &ToolSpec, tickets: &Arc<Tickets>) -> Result<RegisteredTool, GovernError> {
    let failed = |problem: String| GovernError::Tool { tool: spec.name.clone(), problem };
    let name = ToolName::new(&spec.name).map_err(|error| failed(error.to_string()))?;
    let tool = DynamicTool::new(name, &spec.description, spec.input_schema.clone(), |_| {
        Box::pin(async { Err(ToolExecutionError::refused("this tool runs under a governor only")) })
    });
    let handler = GovernedTool::new(tool.handler().clone(), Arc::clone(tickets));
    RegisteredTool::from_handler(handler).map_err(|error| failed(error.message))
}

/// What runs of a governed agent have in common.
#[derive(Debug)]
pub(crate) struct Inner {
    name: String,
    pub(crate) model: ModelDescriptor,
    pub(crate) context: RunContext,
    known: BTreeMap<String, (ToolSpec, Behind)>,
    limits: Limits,
    prices: Option<Prices>,
    pub(crate) tickets: Arc<Tickets>,
}

impl Inner {
    pub(crate) fn knows(&self, tool: &str) -> bool {
        self.known.contains_key(tool)
    }

    fn builder(&self, model: Arc<dyn Model>) -> AgentBuilder {
        let builder = Agent::builder(model).name(&self.name).limits(self.limits.clone());
        match self.prices {
            Some(prices) => builder.prices(prices),
            None => builder,
        }
    }

    /// The twin's agent, for one run.
    pub(crate) fn agent(&self, model: impl Model + 'static, link: &Arc<Link>) -> Result<Agent, String> {
        let mut tools = ToolSet::new();
        for (spec, behind) in self.known.values() {
            let proxy = Proxy { spec: spec.clone(), behind: behind.clone(), link: Arc::clone(link) };
            tools = tools.with_dyn(Arc::new(proxy)).map_err(|error| error.to_string())?;
        }
        self.builder(Arc::new(model)).tools(tools).build().map_err(|error| error.to_string())
    }
}
