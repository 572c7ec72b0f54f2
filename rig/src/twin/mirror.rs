//! The twin's model: it says what rig's model said.

use super::link::Link;
use async_trait::async_trait;
use bursar_agent_core::{Model, ModelDescriptor, ModelError, ModelErrorKind, ModelRequest, ModelStream};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Mirror {
    descriptor: ModelDescriptor,
    link: Arc<Link>,
}

impl Mirror {
    pub(super) const fn new(descriptor: ModelDescriptor, link: Arc<Link>) -> Self {
        Self { descriptor, link }
    }
}

#[async_trait]
impl Model for Mirror {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        match self.link.next_turn(request.turn, request.system).await {
            Some(events) => Ok(ModelStream::ready(events)),
            // Whether rig had asked its model, nobody here knows.
            None => {
                Err(ModelError::new(ModelErrorKind::Provider, "rig's run ended without an answer")
                    .after_work())
            }
        }
    }
}
