//! The tools of an agent.

use super::{DynTool, IntoToolOutput, Reconciled, Tool, ToolError, ToolOutput, ToolSpec};
use crate::context::ToolContext;
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use thiserror::Error;

/// The name is taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is already a tool `{name}`")]
pub struct DuplicateTool {
    name: String,
}

impl DuplicateTool {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The tools of an agent, by name. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ToolSet {
    tools: BTreeMap<String, Arc<dyn DynTool>>,
}

impl ToolSet {
    /// No tools.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more.
    ///
    /// # Errors
    /// [`DuplicateTool`] if the name is taken.
    pub fn with<T: Tool>(self, tool: T) -> Result<Self, DuplicateTool> {
        self.with_dyn(Arc::new(Typed::new(tool)))
    }

    /// The same with one more, whose schema is known only now.
    ///
    /// # Errors
    /// [`DuplicateTool`] if the name is taken.
    pub fn with_dyn(mut self, tool: Arc<dyn DynTool>) -> Result<Self, DuplicateTool> {
        let name = tool.spec().name.clone();
        if self.tools.contains_key(&name) {
            return Err(DuplicateTool { name });
        }
        self.tools.insert(name, tool);
        Ok(self)
    }

    /// These and those.
    ///
    /// # Errors
    /// [`DuplicateTool`] if a name is in both.
    pub fn merged(self, other: Self) -> Result<Self, DuplicateTool> {
        other.tools.into_values().try_fold(self, Self::with_dyn)
    }

    /// The tool of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn DynTool>> {
        self.tools.get(name)
    }

    /// What they are, sorted by name.
    pub fn specs(&self) -> impl Iterator<Item = &ToolSpec> {
        self.tools.values().map(|tool| tool.spec())
    }

    /// The names of those that [wait for something outside](Tool::polls).
    pub fn polling(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().filter(|(_, tool)| tool.polls()).map(|(name, _)| name.as_str())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }
}

/// A typed tool, erased.
#[derive(Debug)]
struct Typed<T> {
    tool: T,
    spec: ToolSpec,
}

impl<T: Tool> Typed<T> {
    fn new(tool: T) -> Self {
        let spec = ToolSpec {
            name: tool.name().to_owned(),
            description: tool.description().to_owned(),
            input_schema: schemars::schema_for!(T::Args).to_value(),
            effect: tool.effect(),
        };
        Self { tool, spec }
    }

    fn parse(&self, arguments: &Value) -> Result<T::Args, ToolError> {
        serde_json::from_value(arguments.clone()).map_err(|error| {
            let fields = self.spec.input_schema.get("properties").and_then(Value::as_object);
            let names: Vec<&str> = fields.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            ToolError::not_executed(format!(
                "arguments of `{}` do not fit: {error}; it takes an object with {}",
                self.spec.name,
                if names.is_empty() { "no fields".to_owned() } else { names.join(", ") }
            ))
        })
    }
}

#[async_trait]
impl<T: Tool> DynTool for Typed<T> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn polls(&self) -> bool {
        self.tool.polls()
    }

    fn check(&self, arguments: &Value) -> Result<(), ToolError> {
        self.parse(arguments).map(drop)
    }

    async fn call(&self, context: &ToolContext, arguments: Value) -> Result<ToolOutput, ToolError> {
        let args = self.parse(&arguments)?;
        self.tool.call(context, args).await?.into_tool_output()
    }

    async fn reconcile(&self, context: &ToolContext, arguments: Value) -> Reconciled {
        match self.parse(&arguments) {
            Ok(args) => self.tool.reconcile(context, args).await,
            // The call had arguments that fitted; what another version of the tool did with them is not known.
            Err(_) => Reconciled::Unknown,
        }
    }
}
