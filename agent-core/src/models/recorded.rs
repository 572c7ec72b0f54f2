//! What a model said once, said again.

mod drift;
mod ids;
mod scrub;

use crate::model::{
    Model, ModelDescriptor, ModelError, ModelErrorKind, ModelEvent, ModelRequest, ModelStream, Retry,
};
use async_trait::async_trait;
use ids::Ids;
use scrub::Scrub;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// The form that is written.
const FORM: u32 = 1;

/// Turns of a model, with what was asked in each: a file that lies beside a test.
///
/// No secret stands in it as far as secrets can be told: what was named with [`Recorded::hiding`], and whatever looks like a key.
/// Ids that a run makes anew each time stand in it as numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cassette {
    form: u32,
    model: ModelDescriptor,
    turns: Vec<Taped>,
}

/// One try of one turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taped {
    turn: u32,
    request: Value,
    events: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<Failed>,
}

/// How a try failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    kind: ModelErrorKind,
    retry: Retry,
    message: String,
    status: Option<u16>,
}

/// A text is no cassette.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CassetteError {
    /// It is not JSON of this form.
    #[error("text is no cassette: {0}")]
    Text(#[from] serde_json::Error),
    /// It was written by a later version.
    #[error("cassette has form {found}, and {FORM} is the latest known here: record it anew, or update")]
    Form {
        /// The form it has.
        found: u32,
    },
}

impl Cassette {
    /// Reads one.
    ///
    /// # Errors
    /// [`CassetteError`].
    pub fn parse(text: &str) -> Result<Self, CassetteError> {
        let cassette: Self = serde_json::from_str(text)?;
        if cassette.form > FORM {
            return Err(CassetteError::Form { found: cassette.form });
        }
        Ok(cassette)
    }

    /// The text of a file, which reads well in a diff.
    ///
    /// # Errors
    /// [`CassetteError::Text`] if what was recorded cannot be written.
    pub fn to_text(&self) -> Result<String, CassetteError> {
        // Through a value, so that fields stand in one order whatever other crates switch on.
        Ok(serde_json::to_string_pretty(&sorted(&serde_json::to_value(self)?))? + "\n")
    }

    /// How many tries it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.turns.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}

/// A model that is recorded, or one that says again what was recorded: record once with a key, and replay without one.
///
/// A turn is replayed only for the request it was recorded for, once, and in any order: so runs side by side replay as well as one. A
/// request that was not recorded fails with [`Protocol`](ModelErrorKind::Protocol), and its message shows how it differs from the
/// nearest that is left: the recorded texts stand in it, so do not record what must not be seen. A stream that broke off breaks off again
/// at the same place; one that was dropped ends there with [`TimedOut`](ModelErrorKind::TimedOut). What differs from run to run without meaning anything does not count: ids, the run, the seed. Where the model named an
/// id of its conversation, such as that of a quote, the one of the present conversation is put in its place.
///
/// # Example
/// ```
/// use bursar_agent_core::models::{Cassette, Recorded, Scripted};
/// use bursar_agent_core::{Model, fold_turn};
/// # use bursar_agent_core::{Message, ModelRequest, Role, ToolChoice};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let asks = |run: &[u8]| ModelRequest {
/// #     system: String::new(), messages: vec![Message::text(Role::User, "hi")], tools: vec![], turn: 0, seed: 0,
/// #     run: bursar_types::RunId::derived(&[run]), tool_choice: ToolChoice::Auto, output: None, max_output_tokens: None,
/// # };
/// let live = Recorded::recording(Arc::new(Scripted::new().text("Hello."))).hiding("my password");
/// fold_turn(live.stream(asks(b"one run")).await?).await?;
/// let text = live.cassette().to_text()?;
///
/// let replayed = Recorded::replaying(Cassette::parse(&text)?);
/// assert_eq!(fold_turn(replayed.stream(asks(b"another run")).await?).await?.text, "Hello.");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Recorded {
    descriptor: ModelDescriptor,
    live: Option<Arc<dyn Model>>,
    tape: Arc<Mutex<Tape>>,
    scrub: Scrub,
}

#[derive(Debug)]
struct Tape {
    turns: Vec<Taped>,
    /// Which were replayed.
    played: Vec<bool>,
}

impl Recorded {
    /// Asks the model, and keeps what it says.
    #[must_use]
    pub fn recording(model: Arc<dyn Model>) -> Self {
        let descriptor = model.descriptor().clone();
        Self::with(descriptor, Some(model), Vec::new())
    }

    /// Says what the cassette holds, and asks nobody.
    #[must_use]
    pub fn replaying(cassette: Cassette) -> Self {
        Self::with(cassette.model, None, cassette.turns)
    }

    fn with(descriptor: ModelDescriptor, live: Option<Arc<dyn Model>>, turns: Vec<Taped>) -> Self {
        let tape = Tape { played: vec![false; turns.len()], turns };
        Self { descriptor, live, tape: Arc::new(Mutex::new(tape)), scrub: Scrub::default() }
    }

    /// The same with a text that is not to be written down. Name the same ones when replaying.
    #[must_use]
    pub fn hiding(mut self, secret: impl Into<String>) -> Self {
        self.scrub.hide(secret.into());
        self
    }

    /// What was recorded so far. A try is in it once its stream came to an end, or was dropped.
    #[must_use]
    pub fn cassette(&self) -> Cassette {
        let turns = self.tape.lock().unwrap_or_else(PoisonError::into_inner).turns.clone();
        Cassette { form: FORM, model: self.descriptor.clone(), turns }
    }

    /// What of a request counts, with the numbers that its ids have.
    fn asked(&self, request: &ModelRequest) -> Result<(Value, Ids), ModelError> {
        let mut value = serde_json::to_value(request).map_err(|error| {
            ModelError::new(ModelErrorKind::Protocol, "request cannot be written down").with_source(error)
        })?;
        if let Some(fields) = value.as_object_mut() {
            // They follow from the run, which is another each time.
            fields.retain(|name, _| !matches!(name.as_str(), "run" | "seed" | "turn"));
        }
        let mut ids = Ids::default();
        let mut value = sorted(&value);
        self.scrub.scrub(&mut value);
        ids.number(&mut value);
        Ok((value, ids))
    }

    fn replay(&self, request: &ModelRequest) -> Result<ModelStream, ModelError> {
        let (asked, ids) = self.asked(request)?;
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        let Tape { turns, played } = &mut *tape;
        let mut left = turns.iter().zip(played.iter_mut()).filter(|(_, played)| !**played);
        let Some((taped, played)) = left.find(|(taped, _)| taped.request == asked) else {
            let left = turns.iter().zip(played.iter()).filter(|(_, played)| !**played);
            return Err(missed(request.turn, &asked, left.map(|(taped, _)| taped)));
        };
        *played = true;
        let events = taped.events.iter().cloned().map(|mut event| {
            ids.restore(&mut event);
            serde_json::from_value(event).map_err(|error| {
                ModelError::new(ModelErrorKind::Protocol, "cassette holds an event that cannot be read")
                    .with_source(error)
            })
        });
        let failed = taped.failed.clone().map(|Failed { kind, retry, message, status }| {
            let error = ModelError::new(kind, message).retry(retry);
            Err(status.into_iter().fold(error, ModelError::status))
        });
        let events: Vec<Result<ModelEvent, ModelError>> = events.chain(failed).collect();
        Ok(ModelStream::new(futures_util::stream::iter(events)))
    }
}

/// Nothing that is left was recorded for this request: where the nearest differs.
fn missed<'a>(turn: u32, asked: &Value, left: impl Iterator<Item = &'a Taped>) -> ModelError {
    let nearest = left
        .map(|taped| (drift::between(&taped.request, asked), taped))
        .min_by_key(|(differences, taped)| (differences.len(), taped.turn != turn));
    let Some((differences, taped)) = nearest else {
        let what = format!("cassette holds no try that was not replayed, and turn {turn} asks for one");
        return ModelError::new(ModelErrorKind::Exhausted, what);
    };
    let what = format!(
        "request of turn {turn} is none that was recorded and not replayed; record it anew if that is meant. From the nearest, of turn \
         {}, it differs:\n{}",
        taped.turn,
        drift::told(differences).join("\n")
    );
    ModelError::new(ModelErrorKind::Protocol, what)
}

#[async_trait]
impl Model for Recorded {
    fn descriptor(&self) -> &ModelDescriptor {
        &self.descriptor
    }

    /// Of a replayed one too: a cassette does not say how many models answered it.
    fn attempts_max(&self) -> u32 {
        self.live.as_ref().map_or(1, |live| live.attempts_max())
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let Some(live) = &self.live else { return self.replay(&request) };
        let (asked, ids) = self.asked(&request)?;
        let mut taping = Taping {
            tape: Arc::clone(&self.tape),
            scrub: self.scrub.clone(),
            ids,
            taped: Some(Taped { turn: request.turn, request: asked, events: Vec::new(), failed: None }),
            heard: Vec::new(),
        };
        match live.stream(request).await {
            Ok(stream) => Ok(taping.stream(stream)),
            Err(error) => {
                taping.end(Some(&error));
                Err(error)
            }
        }
    }
}

/// A try that is being recorded. One that is dropped before its end is recorded as far as it came.
struct Taping {
    tape: Arc<Mutex<Tape>>,
    scrub: Scrub,
    ids: Ids,
    /// Until it is on the tape.
    taped: Option<Taped>,
    heard: Vec<ModelEvent>,
}

impl Taping {
    fn stream(self, stream: ModelStream) -> ModelStream {
        ModelStream::new(futures_util::stream::unfold(Some((self, stream)), |state| async move {
            let (mut taping, mut stream) = state?;
            match stream.next().await {
                Some(Ok(event)) => {
                    taping.hear(&event);
                    Some((Ok(event), Some((taping, stream))))
                }
                Some(Err(error)) => {
                    taping.end(Some(&error));
                    Some((Err(error), None))
                }
                None => {
                    taping.end(None);
                    None
                }
            }
        }))
    }

    /// Pieces of one text are joined: where a network cut them says nothing, and an id must not be cut in two.
    fn hear(&mut self, event: &ModelEvent) {
        match (self.heard.last_mut(), event) {
            (Some(ModelEvent::TextDelta { text }), ModelEvent::TextDelta { text: more })
            | (Some(ModelEvent::ReasoningDelta { text }), ModelEvent::ReasoningDelta { text: more }) => {
                text.push_str(more);
            }
            (
                Some(ModelEvent::ToolArgumentsDelta { index, fragment }),
                ModelEvent::ToolArgumentsDelta { index: of, fragment: more },
            ) if index == of => fragment.push_str(more),
            _ => self.heard.push(event.clone()),
        }
    }

    fn end(&mut self, error: Option<&ModelError>) {
        let Some(mut taped) = self.taped.take() else { return };
        for event in &self.heard {
            let Ok(value) = serde_json::to_value(event) else { continue };
            let mut value = sorted(&value);
            self.scrub.scrub(&mut value);
            self.ids.number_known(&mut value);
            taped.events.push(value);
        }
        taped.failed = error.map(|error| Failed {
            kind: error.kind,
            retry: error.retry,
            message: self.scrub.text(&error.message),
            status: error.status,
        });
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        tape.turns.push(taped);
        tape.played.push(true);
    }
}

impl Drop for Taping {
    /// Whoever listened left. When it is replayed, somebody may listen on: nothing comes any more, and that is told as what it is for
    /// them, rather than by a stream that never ends.
    fn drop(&mut self) {
        let whole = self.heard.iter().any(|event| matches!(event, ModelEvent::Finished { .. }));
        let left = ModelError::new(ModelErrorKind::TimedOut, "recording ends here: whoever listened left")
            .retry(Retry::Backoff);
        self.end((!whole).then_some(&left));
    }
}

/// The same value with the fields of each object in one order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut all: Vec<_> = fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            all.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(all.into_iter().collect())
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
