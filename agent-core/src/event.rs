//! One stream of events for command line, console, tests and traces.

use crate::record::Record;
use bursar_types::{CallId, RunId, Timestamp};
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// While this many events wait, further deltas are dropped.
const WAITING_MAX: usize = 4_096;

/// Something that happened in a run. One JSON object per line makes a stream of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// A record, already in the journal.
    Record {
        /// The run.
        run: RunId,
        /// Its position in the run, from 0.
        sequence: u64,
        /// When it was made.
        at: Timestamp,
        /// The record.
        record: Box<Record>,
    },
    /// Something to show at once: streamed, never stored.
    Delta {
        /// The run.
        run: RunId,
        /// What to show.
        delta: Delta,
    },
}

/// Something to show at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delta {
    /// The model writes.
    Text {
        /// The model's turn, from 0.
        turn: u32,
        /// The next piece.
        text: String,
    },
    /// The model thinks aloud.
    Reasoning {
        /// The model's turn, from 0.
        turn: u32,
        /// The next piece.
        text: String,
    },
    /// The model began to write a tool call.
    ToolCall {
        /// The model's turn, from 0.
        turn: u32,
        /// The call's position in the turn, from 0.
        index: u32,
        /// The tool's name, as the model wrote it.
        tool: String,
    },
    /// A turn of the model failed, and is tried again after a pause.
    Waiting {
        /// The model's turn, from 0.
        turn: u32,
        /// The try that comes, from 0.
        attempt: u32,
        /// Milliseconds of the pause.
        wait_ms: u64,
    },
    /// A tool says how far it is.
    Progress {
        /// The call.
        call: CallId,
        /// One line.
        message: String,
    },
}

/// Makes the two ends of an event stream.
///
/// # Drop policy
/// Records are never dropped and never wait: the queue grows with them, and a run has a bounded number. Deltas are dropped while
/// 4,096 events wait, so a reader that sleeps costs bounded memory. When the reader is gone, everything is dropped.
///
/// # Example
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use bursar_agent_core::{Delta, RunEvent, events};
/// use bursar_types::RunId;
/// let (sender, mut stream) = events();
/// let delta = Delta::Text { turn: 0, text: "Gas".into() };
/// sender.send(RunEvent::Delta { run: RunId::derived(&[b"r"]), delta });
/// drop(sender);
/// assert!(stream.recv().await.is_some());
/// assert!(stream.recv().await.is_none());
/// # });
/// ```
#[must_use]
pub fn events() -> (EventSender, EventStream) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (EventSender { to: Some((sender, Arc::clone(&waiting))) }, EventStream { receiver, waiting })
}

/// The end that runs write to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventSender {
    to: Option<(mpsc::UnboundedSender<RunEvent>, Arc<AtomicUsize>)>,
}

impl EventSender {
    /// One that nobody listens to.
    #[must_use]
    pub const fn nobody() -> Self {
        Self { to: None }
    }

    /// Sends an event; see [`events`] for what is dropped when.
    pub fn send(&self, event: RunEvent) {
        let Some((sender, waiting)) = &self.to else { return };
        let full = waiting.load(Ordering::Relaxed) >= WAITING_MAX;
        if full && matches!(event, RunEvent::Delta { .. }) {
            return;
        }
        waiting.fetch_add(1, Ordering::Relaxed);
        if sender.send(event).is_err() {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The end that readers hold: a [`Stream`] that ends when every sender is gone.
#[derive(Debug)]
pub struct EventStream {
    receiver: mpsc::UnboundedReceiver<RunEvent>,
    waiting: Arc<AtomicUsize>,
}

impl EventStream {
    /// The next event; `None` when every sender is gone.
    pub async fn recv(&mut self) -> Option<RunEvent> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next event, if one waits.
    pub fn try_recv(&mut self) -> Option<RunEvent> {
        let event = self.receiver.try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(event)
    }
}

impl Stream for EventStream {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        let polled = self.receiver.poll_recv(cx);
        if let Poll::Ready(Some(_)) = &polled {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        polled
    }
}
