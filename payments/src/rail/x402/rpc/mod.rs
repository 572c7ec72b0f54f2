//! JSON-RPC to an Ethereum node, over the transport handed in.

mod calls;
mod sending;
mod types;

pub(super) use calls::{AuthorizationCanceled, AuthorizationUsed, Transfer};
pub(super) use types::{Block, FeeBlock, Log, Quantity, TransactionReceipt, Wei, word};

use super::text::{host_of, shown};
use crate::transport::causes;
use bursar_types::{HttpResponse, Limits, Transport, TransportError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const LIMITS: Limits = Limits {
    body_bytes_max: 2 << 20,
    challenge_bytes_max: 64 << 10,
    head_bytes_max: 32 << 10,
    timeout_ms: 10_000,
};
/// How many questions travel in one request: what public endpoints allow.
const BATCH_MAX: usize = 100;
const FOREIGN_CHARS_MAX: usize = 200;

/// One endpoint. Every failure is a sentence that names its host and not its path, which may hold a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rpc<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) url: &'a str,
}

/// One question.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) params: Value,
}

/// Why a question has no answer.
#[derive(Debug, Clone)]
pub(super) enum RpcError {
    /// No answer came: the next question would have none either.
    Unreachable(String),
    /// The question may have arrived, and no answer came, or one that broke off or was too long. The next question to the
    /// same end would have none either; a smaller one may.
    NoAnswer(String),
    /// The node says that it does not do it.
    Refused {
        /// What we say.
        sentence: String,
        /// What the node says, unescaped: to be compared and never shown.
        message: String,
    },
    /// Something came that answers nothing.
    Unusable(String),
}

impl From<RpcError> for String {
    fn from(error: RpcError) -> Self {
        match error {
            RpcError::Unreachable(sentence)
            | RpcError::NoAnswer(sentence)
            | RpcError::Refused { sentence, .. }
            | RpcError::Unusable(sentence) => sentence,
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    id: Option<Value>,
    result: Option<Value>,
    error: Option<Value>,
}

impl<'a> Rpc<'a> {
    /// Asks one question.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T, RpcError> {
        let body = request_of(call, 1).to_string();
        let response = self.post(call.method, body).await?;
        let answer: Answer = serde_json::from_slice(response.body())
            .map_err(|_| self.unusable(call.method, "something else than JSON-RPC"))?;
        let result = match answer.error {
            None if answer.id != Some(json!(1)) => Err(self.unusable(call.method, "nothing")),
            _ => self.result(call.method, answer),
        }?;
        self.read(call.method, result)
    }

    /// Asks many questions, in batches where the node answers those; the answers are in the order of the questions. What a
    /// batch leaves unanswered is asked alone, and once nobody answers, nothing more is asked.
    pub(super) async fn ask_all<T: DeserializeOwned>(&self, calls: &[Call]) -> Vec<Result<T, RpcError>> {
        let mut answers = Vec::with_capacity(calls.len());
        let mut batches = calls.len() > 1;
        let mut gone = None;
        for chunk in calls.chunks(BATCH_MAX) {
            let batch = if batches && gone.is_none() { self.batch(chunk).await } else { None };
            batches &= batch.as_ref().is_some_and(|answers| answers.iter().all(Option::is_some));
            let mut batch = batch.unwrap_or_default().into_iter();
            for call in chunk {
                let answer = match (batch.next().flatten(), &gone) {
                    (Some(answer), _) => answer.and_then(|result| self.read(call.method, result)),
                    (None, Some(sentence)) => Err(RpcError::Unreachable(String::clone(sentence))),
                    (None, None) => self.ask(call).await,
                };
                if let Err(RpcError::Unreachable(sentence) | RpcError::NoAnswer(sentence)) = &answer {
                    gone = Some(sentence.clone());
                }
                answers.push(answer);
            }
        }
        answers
    }

    /// One batch: for each question its answer, or nothing where there is none that is certainly its. `None` if the node
    /// did not answer as to a batch.
    async fn batch(&self, calls: &[Call]) -> Option<Vec<Option<Result<Value, RpcError>>>> {
        let requests: Vec<_> = calls.iter().zip(1_u64..).map(|(call, id)| request_of(call, id)).collect();
        let method = calls.first()?.method;
        let response = self.post(method, Value::Array(requests).to_string()).await.ok()?;
        let answers: Vec<Answer> = serde_json::from_slice(response.body()).ok()?;
        let mut found: Vec<Vec<Answer>> = calls.iter().map(|_| Vec::new()).collect();
        for answer in answers {
            let id = answer.id.as_ref().and_then(Value::as_u64).and_then(|id| usize::try_from(id).ok());
            let slot = id.and_then(|id| id.checked_sub(1)).and_then(|place| found.get_mut(place));
            if let Some(slot) = slot {
                slot.push(answer);
            }
        }
        // A batch that is too long is often refused under the first of its ids, which says nothing about that question.
        if found.iter().any(Vec::is_empty) {
            found.iter_mut().for_each(|answers| answers.retain(|answer| answer.error.is_none()));
        }
        let only = |(mut answers, call): (Vec<Answer>, &Call)| match (answers.pop(), answers.is_empty()) {
            (Some(answer), true) => Some(self.result(call.method, answer)),
            _ => None,
        };
        Some(found.into_iter().zip(calls).map(only).collect())
    }

    async fn post(&self, method: &str, body: String) -> Result<HttpResponse, RpcError> {
        let request = http::Request::builder()
            .method(http::Method::POST)
            .uri(self.url)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .map_err(|_| RpcError::Unusable(format!("{} is no address of an endpoint", self.host())))?;
        let response = self.transport.send(request, LIMITS).await.map_err(|error| {
            let sentence = format!("{method}: {}", shown(&causes(&error), FOREIGN_CHARS_MAX));
            match error {
                TransportError::NotSent { .. } | TransportError::Blocked { .. } => {
                    RpcError::Unreachable(sentence)
                }
                TransportError::NoAnswer { .. }
                | TransportError::HeadTooLong { .. }
                | TransportError::Body { .. } => RpcError::NoAnswer(sentence),
            }
        })?;
        let status = response.status();
        let said = || format!("{method}: {}", self.said(&format!("status {}", status.as_u16())));
        match status {
            http::StatusCode::OK => Ok(response),
            // Who asks on is put off for longer.
            http::StatusCode::TOO_MANY_REQUESTS | http::StatusCode::SERVICE_UNAVAILABLE => {
                Err(RpcError::Unreachable(said()))
            }
            _ => Err(RpcError::Unusable(said())),
        }
    }

    fn result(&self, method: &str, answer: Answer) -> Result<Value, RpcError> {
        if let Some(error) = answer.error {
            let said = format!("an error: {}", shown(&error.to_string(), FOREIGN_CHARS_MAX));
            let message = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
            return Err(RpcError::Refused { sentence: format!("{method}: {}", self.said(&said)), message });
        }
        answer.result.ok_or_else(|| self.unusable(method, "nothing"))
    }

    fn read<T: DeserializeOwned>(&self, method: &str, result: Value) -> Result<T, RpcError> {
        serde_json::from_value(result)
            .map_err(|error| self.unusable(method, &format!("an unreadable result: {error}")))
    }

    fn unusable(&self, method: &str, what: &str) -> RpcError {
        RpcError::Unusable(format!("{method}: {}", self.said(what)))
    }

    pub(super) fn said(&self, what: &str) -> String {
        format!("{} answered {what}", self.host())
    }

    pub(super) fn host(&self) -> String {
        host_of(self.url)
    }

    /// Who answers here: endpoints of one host are one witness. On this machine every port is another's.
    pub(super) fn witness(&self) -> String {
        let Ok(url) = url::Url::parse(self.url) else { return self.url.to_owned() };
        let local = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        match (local, url.port()) {
            (true, Some(port)) => format!("{host}:{port}"),
            _ => host.to_owned(),
        }
    }
}

fn request_of(call: &Call, id: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": call.method, "params": call.params})
}
