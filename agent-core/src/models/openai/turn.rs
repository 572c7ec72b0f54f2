//! From the bytes of an answer to the events of a turn.

use super::chat_reader::ChatReader;
use super::errors;
use super::responses_reader::ResponsesReader;
use super::sse::Events;
use super::wire::{Answer, Body, too_much};
use crate::model::{ModelError, ModelEvent, ModelStream};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;

/// How long token counts are waited for once the turn is complete.
const LINGER: Duration = Duration::from_secs(5);
/// Data that ends a stream, with some servers.
const DONE: &[u8] = b"[DONE]";

/// Who understands the answer.
#[derive(Debug)]
pub(super) enum Reader {
    Responses(ResponsesReader),
    Chat(ChatReader),
}

impl Reader {
    fn event(&mut self, event: &Value, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        match self {
            Self::Responses(reader) => reader.take(event, out),
            Self::Chat(reader) => reader.take(event, out),
        }
    }

    fn whole(&mut self, answer: &Value, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        match self {
            Self::Responses(reader) => reader.whole(answer, out),
            Self::Chat(reader) => reader.take(answer, out),
        }
    }

    /// Whether nothing more has to come.
    fn is_finished(&self) -> bool {
        match self {
            Self::Responses(reader) => reader.is_finished(),
            Self::Chat(_) => false,
        }
    }

    /// Whether the turn is complete, though something may still be told of it.
    fn has_ended(&self) -> bool {
        match self {
            Self::Responses(reader) => reader.is_finished(),
            Self::Chat(reader) => reader.has_ended(),
        }
    }

    /// Ends the turn if it is complete; half a turn is none.
    fn end(&mut self, out: &mut VecDeque<ModelEvent>) -> Result<(), ModelError> {
        let complete = match self {
            Self::Responses(reader) => reader.is_finished(),
            Self::Chat(reader) => reader.finish(out),
        };
        if complete { Ok(()) } else { Err(errors::broke_off()) }
    }
}

#[derive(Debug)]
struct Turn {
    body: Body,
    events: Events,
    reader: Reader,
    request_id: Option<String>,
    data: VecDeque<Vec<u8>>,
    out: VecDeque<ModelEvent>,
    ended: bool,
}

/// The turn that an answer holds. Dropping it closes the connection.
pub(super) fn stream(answer: Answer, reader: Reader, event_bytes_max: usize) -> ModelStream {
    let turn = Turn {
        body: answer.body,
        events: Events::new(event_bytes_max),
        reader,
        request_id: answer.request_id,
        data: VecDeque::new(),
        out: VecDeque::new(),
        ended: false,
    };
    let is_stream = answer.is_stream;
    ModelStream::new(futures_util::stream::unfold(Some(turn), move |turn| async move {
        let mut turn = turn?;
        match turn.next(is_stream).await {
            Ok(Some(event)) => Some((Ok(event), Some(turn))),
            Ok(None) => None,
            Err(error) => Some((Err(error.request_id(turn.request_id.take())), None)),
        }
    }))
}

impl Turn {
    async fn next(&mut self, is_stream: bool) -> Result<Option<ModelEvent>, ModelError> {
        loop {
            if let Some(event) = self.out.pop_front() {
                return Ok(Some(event));
            }
            if self.ended {
                return Ok(None);
            }
            match (is_stream, self.data.pop_front()) {
                (true, Some(data)) => {
                    self.take(&data, || errors::protocol("provider sent an event that is not JSON"))?;
                }
                (true, None) => self.read().await?,
                (false, _) => self.read_whole().await?,
            }
        }
    }

    /// Reads on. The end of the bytes ends the turn only if it is complete.
    async fn read(&mut self) -> Result<(), ModelError> {
        let chunk = if self.reader.has_ended() {
            // What is missing now is no part of what was said: a connection that breaks here takes nothing with it.
            tokio::time::timeout(LINGER, self.body.chunk()).await.ok().and_then(Result::ok).flatten()
        } else {
            self.body.chunk().await?
        };
        if let Some(chunk) = chunk {
            return self.events.push(chunk.as_ref(), &mut self.data).map_err(|_| too_much());
        }
        match self.events.rest() {
            // Some servers leave out the empty line after the last event; with others the line broke off in the middle.
            Some(data) => self.take(&data, errors::broke_off),
            None => self.end(),
        }
    }

    async fn read_whole(&mut self) -> Result<(), ModelError> {
        let bytes = self.body.rest().await?;
        let answer: Value =
            serde_json::from_slice(&bytes).map_err(|_| errors::protocol("provider's answer is not JSON"))?;
        if answer.get("error").is_some_and(|error| !error.is_null()) {
            return Err(errors::in_turn(&answer));
        }
        self.reader.whole(&answer, &mut self.out)?;
        self.end()
    }

    fn take(&mut self, data: &[u8], not_json: fn() -> ModelError) -> Result<(), ModelError> {
        match data.trim_ascii() {
            [] => Ok(()),
            DONE => self.end(),
            data => {
                let event: Value = serde_json::from_slice(data).map_err(|_| not_json())?;
                self.reader.event(&event, &mut self.out)?;
                if self.reader.is_finished() { self.end() } else { Ok(()) }
            }
        }
    }

    fn end(&mut self) -> Result<(), ModelError> {
        self.ended = true;
        self.reader.end(&mut self.out)
    }
}
