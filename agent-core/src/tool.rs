//! Tools: typed outside, erased inside.

mod output;
mod reconcile;
mod set;

pub use output::{Executed, IntoToolOutput, ToolError, ToolOutput, Waits};
pub use reconcile::Reconciled;
pub use set::{DuplicateTool, ToolSet};

use crate::context::ToolContext;
use async_trait::async_trait;
use bursar_types::Effect;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What a model is told about a tool, and what the driver knows of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON schema of its arguments.
    pub input_schema: Value,
    /// What it does to the world.
    pub effect: Effect,
}

/// Something an agent can do.
///
/// # What implementers guarantee
/// `effect` is the strictest thing that `call` may ever do. A `Read` may be called again and beside others. A `Spend`
/// pays only through the context's purse, under a key that is the same after a crash ([`ToolContext::purchase_key`], or one made
/// of the thing bought), so that a second call joins the first payment. An error says truthfully whether the work was done.
///
/// # Cancellation
/// `call` runs on its own task. When the run is cancelled, or the call takes longer than
/// [`Limits::call_ms`](crate::Limits::call_ms), a `Read` is dropped and a `Write` is given five seconds to notice
/// [`ToolContext::cancel`]. A `Spend` is always awaited.
///
/// # Example
/// ```
/// use bursar_agent_core::{Tool, ToolContext, ToolError, ToolSet};
/// use bursar_types::Effect;
///
/// #[derive(schemars::JsonSchema, serde::Deserialize)]
/// struct Words {
///     text: String,
/// }
///
/// #[derive(Debug)]
/// struct Count;
///
/// #[async_trait::async_trait]
/// impl Tool for Count {
///     type Args = Words;
///     type Output = usize;
///
///     fn name(&self) -> &str {
///         "count_words"
///     }
///     fn description(&self) -> &str {
///         "Counts the words of a text."
///     }
///     fn effect(&self) -> Effect {
///         Effect::Read
///     }
///     async fn call(&self, _: &ToolContext, args: Words) -> Result<usize, ToolError> {
///         Ok(args.text.split_whitespace().count())
///     }
/// }
///
/// let tools = ToolSet::new().with(Count)?;
/// assert!(tools.with(Count).is_err(), "a name is taken once");
/// # Ok::<(), bursar_agent_core::DuplicateTool>(())
/// ```
#[async_trait]
pub trait Tool: Send + Sync + fmt::Debug + 'static {
    /// The arguments. Doc comments on fields become the schema's descriptions.
    type Args: JsonSchema + DeserializeOwned + Send;
    /// The result: anything that serialises, or a [`ToolOutput`] that may also end the run.
    type Output: IntoToolOutput;

    /// Its name: lower-case words joined by underscores.
    fn name(&self) -> &str;

    /// What it does, for the model.
    fn description(&self) -> &str;

    /// What it does to the world.
    fn effect(&self) -> Effect;

    /// Whether it waits for something outside, so that asking the same again and getting the same is no sign of a circle: see
    /// [`Limits::repeats`](crate::Limits::repeats).
    fn polls(&self) -> bool {
        false
    }

    /// Does it.
    ///
    /// # Errors
    /// [`ToolError`], with a message that the model can act on.
    async fn call(&self, context: &ToolContext, args: Self::Args) -> Result<Self::Output, ToolError>;

    /// Says what came of an earlier `call` of a `Write` that has no result: see [`Reconciled`].
    ///
    /// Context and arguments are those of that call. It is asked after a crash, and after a call that took too long.
    async fn reconcile(&self, context: &ToolContext, args: Self::Args) -> Reconciled {
        let _ = (context, args);
        Reconciled::Unknown
    }
}

/// A tool whose schema is known only at run time, such as one of an MCP server. Every [`Tool`] becomes one inside a [`ToolSet`].
///
/// # What implementers guarantee
/// What [`Tool`] asks, and that `check` does nothing but check.
#[async_trait]
pub trait DynTool: Send + Sync + fmt::Debug {
    /// What it is.
    fn spec(&self) -> &ToolSpec;

    /// Whether it waits for something outside: see [`Tool::polls`].
    fn polls(&self) -> bool {
        false
    }

    /// Checks arguments before the gate is asked.
    ///
    /// # Errors
    /// [`ToolError`] with [`Executed::No`] that says what is wrong with them.
    fn check(&self, arguments: &Value) -> Result<(), ToolError>;

    /// Does it.
    ///
    /// # Errors
    /// [`ToolError`].
    async fn call(&self, context: &ToolContext, arguments: Value) -> Result<ToolOutput, ToolError>;

    /// Whether a call that did not come to its end may have done a part, and the same call goes on with it: its
    /// [`Reconciled::NotDone`] then says that it may be made again, and not that nothing happened.
    fn goes_on(&self) -> bool {
        false
    }

    /// Says what came of an earlier `call` of a `Write` that has no result, as [`Tool::reconcile`] does.
    async fn reconcile(&self, context: &ToolContext, arguments: Value) -> Reconciled {
        let _ = (context, arguments);
        Reconciled::Unknown
    }
}

const _: Option<&dyn DynTool> = None;
