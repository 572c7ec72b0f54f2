//! The events of a turn as they come.

use super::error::in_stream;
use super::turn::Turn;
use crate::model::{ModelError, ModelErrorKind, ModelEvent, Retry};
use aws_sdk_bedrockruntime::error::SdkError;
use aws_sdk_bedrockruntime::primitives::event_stream::EventReceiver;
use aws_sdk_bedrockruntime::types::ConverseStreamOutput;
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use aws_smithy_types::event_stream::RawMessage;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long to wait for the counts of a turn that has ended. The turn stands without them.
const COUNTS_WITHIN: Duration = Duration::from_secs(2);

type Receiver = EventReceiver<ConverseStreamOutput, ConverseStreamOutputError>;
type Received = Result<Option<ConverseStreamOutput>, SdkError<ConverseStreamOutputError, RawMessage>>;

/// Dropping it closes the connection, and the service stops.
pub(super) struct Events {
    /// `None` once there is nothing more to come.
    waiting: Option<BoxFuture<'static, (Receiver, Received)>>,
    ready: VecDeque<ModelEvent>,
    turn: Turn,
    request_id: Option<String>,
}

impl Events {
    pub(super) fn new(receiver: Receiver, turn: Turn, request_id: Option<String>) -> Self {
        Self { waiting: Some(next(receiver, None)), ready: VecDeque::new(), turn, request_id }
    }

    fn take(&mut self, receiver: Receiver, received: Received) -> Result<(), ModelError> {
        let event = match received {
            Ok(Some(event)) => event,
            // The turn is whole and was paid for: asking again for its counts would pay twice.
            Ok(None) | Err(_) if self.turn.is_stopped() => {
                self.ready.extend(self.turn.finish());
                return Ok(());
            }
            Ok(None) => return Err(broke_off()),
            Err(error) => return Err(in_stream(error)),
        };
        self.ready.extend(self.turn.take(event)?);
        if !self.turn.is_complete() {
            self.waiting = Some(next(receiver, self.turn.is_stopped().then_some(COUNTS_WITHIN)));
        }
        Ok(())
    }
}

impl Stream for Events {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            let Some(waiting) = &mut this.waiting else { return Poll::Ready(None) };
            let (receiver, received) = ready!(waiting.as_mut().poll(context));
            this.waiting = None;
            if let Err(error) = this.take(receiver, received) {
                return Poll::Ready(Some(Err(error.request_id(this.request_id.clone()))));
            }
        }
    }
}

fn next(mut receiver: Receiver, within: Option<Duration>) -> BoxFuture<'static, (Receiver, Received)> {
    Box::pin(async move {
        let received = match within {
            None => receiver.recv().await,
            Some(within) => tokio::time::timeout(within, receiver.recv()).await.unwrap_or(Ok(None)),
        };
        (receiver, received)
    })
}

fn broke_off() -> ModelError {
    ModelError::new(ModelErrorKind::Network, "Bedrock's answer broke off before its end")
        .retry(Retry::Backoff)
}
