//! The stream of one turn's events.

use super::{ModelError, ModelEvent};
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The events of one turn.
pub struct ModelStream(Pin<Box<dyn Stream<Item = Result<ModelEvent, ModelError>> + Send>>);

impl ModelStream {
    /// Wraps a stream.
    #[must_use]
    pub fn new(stream: impl Stream<Item = Result<ModelEvent, ModelError>> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }

    /// A stream of events that are all here already.
    #[must_use]
    pub fn ready(events: Vec<ModelEvent>) -> Self {
        Self::new(Ready(events.into_iter()))
    }

    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<ModelEvent, ModelError>> {
        std::future::poll_fn(|cx| self.0.as_mut().poll_next(cx)).await
    }
}

impl fmt::Debug for ModelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ModelStream")
    }
}

impl Stream for ModelStream {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

struct Ready(std::vec::IntoIter<ModelEvent>);

impl Stream for Ready {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}
