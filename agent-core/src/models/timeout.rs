//! Giving up on a model that says nothing.

use crate::model::{Model, ModelDescriptor, ModelError, ModelErrorKind, ModelRequest, ModelStream, Retry};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// A model that has failed when it says nothing for too long.
///
/// The run limits how long a whole turn may take ([`Limits::model_turn_ms`](crate::Limits::model_turn_ms)). This tells a turn that is
/// long from one that hangs: a model that goes on saying something is left alone. Inside a [`Fallback`](super::Fallback), the next
/// model is asked in its place.
///
/// # Example
/// ```
/// use bursar_agent_core::models::{Scripted, Timeout};
/// use std::sync::Arc;
/// let model = Timeout::new(Arc::new(Scripted::new())).first_ms(20_000).silence_ms(60_000);
/// ```
#[derive(Debug, Clone)]
pub struct Timeout {
    model: Arc<dyn Model>,
    first: Option<Duration>,
    silence: Option<Duration>,
}

impl Timeout {
    /// Without limits as yet.
    #[must_use]
    pub fn new(model: Arc<dyn Model>) -> Self {
        Self { model, first: None, silence: None }
    }

    /// How long it may take until the first event, in milliseconds.
    #[must_use]
    pub const fn first_ms(mut self, ms: u64) -> Self {
        self.first = Some(Duration::from_millis(ms));
        self
    }

    /// How long it may take from one event to the next, in milliseconds.
    #[must_use]
    pub const fn silence_ms(mut self, ms: u64) -> Self {
        self.silence = Some(Duration::from_millis(ms));
        self
    }
}

#[async_trait]
impl Model for Timeout {
    fn descriptor(&self) -> &ModelDescriptor {
        self.model.descriptor()
    }

    fn attempts_max(&self) -> u32 {
        self.model.attempts_max()
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let silence = self.silence;
        let begun = async {
            let mut rest = self.model.stream(request).await?;
            let first = rest.next().await;
            Ok::<_, ModelError>((first, rest))
        };
        let (first, rest) = within(self.first, begun).await??;
        Ok(ModelStream::new(futures_util::stream::unfold(
            Some((first, Some(rest))),
            move |state| async move {
                let (next, rest) = state?;
                let mut rest = rest?;
                match next {
                    Some(event) => Some((event, Some((None, Some(rest))))),
                    None => match within(silence, rest.next()).await {
                        Ok(event) => Some((event?, Some((None, Some(rest))))),
                        Err(silent) => Some((Err(silent), None)),
                    },
                }
            },
        )))
    }
}

async fn within<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Result<T, ModelError> {
    let Some(limit) = limit else { return Ok(future.await) };
    tokio::time::timeout(limit, future).await.map_err(|_| {
        let what = format!("model said nothing for {} ms", limit.as_millis());
        ModelError::new(ModelErrorKind::TimedOut, what).retry(Retry::Backoff)
    })
}
