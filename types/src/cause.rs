//! Which call of which run asked for something.

use crate::id::{CallId, RunId};
use crate::transport::HttpRequest;
use serde::{Deserialize, Serialize};

/// The tool call that a request was made for: the purse journals it with a payment, so that a purchase leads to the model's turn.
///
/// It is set by code in the request's extensions, as a [`DataLabel`](crate::DataLabel) is: no model can write one, and it never
/// leaves the machine. It decides nothing.
///
/// # Example
/// ```
/// use bursar_types::{CallId, Cause, RunId};
/// let cause = Cause { run: RunId::derived(&[b"run"]), call: CallId::derived(&[b"call"]) };
/// let request = http::Request::get("https://api.example/a").body(bytes::Bytes::new())?;
/// assert_eq!(Cause::of(&request), None);
/// assert_eq!(Cause::of(&cause.on(request)), Some(cause));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The run.
    pub run: RunId,
    /// The call. The run's records say which turn of the model asked for it, with which arguments.
    pub call: CallId,
}

impl Cause {
    /// Says it of a request; what was said before is replaced.
    #[must_use]
    pub fn on(self, mut request: HttpRequest) -> HttpRequest {
        request.extensions_mut().insert(self);
        request
    }

    /// What was said of a request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().copied()
    }
}
