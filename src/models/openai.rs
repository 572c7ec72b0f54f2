//! Models of OpenAI, and of servers that speak like it.

use bursar_agent_core::Model;
use bursar_agent_core::models::{ApiKey, OpenAi, OpenAiError};
use std::sync::Arc;

/// The OpenAI model with this name, over the Responses API. For other servers and settings, see [`OpenAi::builder`].
///
/// The key is handed in; nothing is read from the environment.
///
/// # Errors
/// [`OpenAiError`] if there is no key, or it cannot be sent.
///
/// # Example
/// ```
/// let model = bursar::models::openai("gpt-5-mini", "sk-not-a-real-one")?;
/// assert_eq!(model.descriptor().name, "gpt-5-mini");
/// # Ok::<(), bursar::models::OpenAiError>(())
/// ```
pub fn openai(model: impl Into<String>, key: impl Into<ApiKey>) -> Result<Arc<dyn Model>, OpenAiError> {
    Ok(Arc::new(OpenAi::new(model, key)?))
}
