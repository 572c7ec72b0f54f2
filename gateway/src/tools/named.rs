//! A tool of Bursar's own agents, under the name that callers know it by.

use async_trait::async_trait;
use bursar::agent::{DynTool, ToolContext, ToolError, ToolOutput, ToolSet, ToolSpec};
use serde_json::Value;

/// What `get_quotes` is called for callers.
const RENAMED: (&str, &str) = ("get_quotes", "quote");

/// The tools of a set that has one, with another name and the names of others in its texts.
#[derive(Debug)]
pub(super) struct Named {
    inner: ToolSet,
    own: String,
    spec: ToolSpec,
}

impl Named {
    pub(super) fn new(name: &str, description: &str, inner: ToolSet) -> Self {
        let known = inner.specs().next().cloned();
        let mut spec = known.unwrap_or_else(|| ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            input_schema: Value::Null,
            effect: bursar::types::Effect::Spend,
        });
        let own = std::mem::replace(&mut spec.name, name.to_owned());
        if !description.is_empty() {
            description.clone_into(&mut spec.description);
        }
        // These texts are ours: nothing of a seller's is in a description.
        spec.description = spec.description.replace(RENAMED.0, RENAMED.1);
        rename(&mut spec.input_schema);
        Self { inner, own, spec }
    }

    fn inner(&self) -> Result<&dyn DynTool, ToolError> {
        let inner = self.inner.get(&self.own).map(AsRef::as_ref);
        inner.ok_or_else(|| ToolError::not_executed("the tool is not there"))
    }
}

/// In every description of a schema.
fn rename(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match (name.as_str(), value) {
                    ("description", Value::String(text)) => *text = text.replace(RENAMED.0, RENAMED.1),
                    (_, value) => rename(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rename),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[async_trait]
impl DynTool for Named {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn check(&self, arguments: &Value) -> Result<(), ToolError> {
        self.inner()?.check(arguments)
    }

    async fn call(&self, context: &ToolContext, arguments: Value) -> Result<ToolOutput, ToolError> {
        self.inner()?.call(context, arguments).await
    }
}
