//! What travels: a length of four bytes, and JSON. Every length is bounded before anything is kept for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar_types::{
    Action, Amount, ApprovalId, ApprovalTicket, ArtifactRef, Asked, Cause, Ceiling, DataLabel, Decision,
    Delivery, FetchError, Fetched, HttpRequest, HttpResponse, ModelCharge, ModelCost, PaymentId, PaymentView,
    PlanId, PlanOutcome, PlanProposal, Principal, PurchaseKey, Quote, QuoteOutcome, Reason, Standing,
    Timestamp, TransportError, Undelivered, UnknownOutcome, causes,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The version of what travels. Another one is refused.
pub(super) const PROTOCOL: u32 = 1;
/// Longest frame of a caller: a request with its body.
pub(super) const CALL_BYTES_MAX: u32 = 2 << 20;
/// Longest frame of a purse: what was bought, in base64.
pub(super) const REPLY_BYTES_MAX: u32 = 16 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hello {
    pub(super) protocol: u32,
}

/// The purse's first word.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Welcome {
    Welcome { protocol: u32, principal: Principal },
    Refused { why: String },
}

/// What a caller may ask. There is no word for a mandate, a budget or an approval.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Call {
    Nothing,
    Fetch {
        request: WireRequest,
        key: PurchaseKey,
    },
    Quote {
        request: WireRequest,
    },
    Propose {
        proposal: PlanProposal,
    },
    Proposed {
        proposal: PlanProposal,
    },
    WithdrawPlans,
    Standing,
    Decide {
        action: Action,
    },
    /// Puts a tool call to whoever may answer. What is shown must be the arguments that the action names.
    Ask {
        action: Action,
        shown: String,
    },
    HoldModel {
        charge: ModelCharge,
    },
    SettleModel {
        charge: ModelCharge,
        cost: WireCost,
    },
}

/// What a try of a model cost, by the caller's word.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireCost {
    Known(Amount),
    Nothing,
    Unknown,
}

impl From<&ModelCost> for WireCost {
    fn from(cost: &ModelCost) -> Self {
        match cost {
            ModelCost::Known(amount) => Self::Known(amount.clone()),
            ModelCost::Nothing => Self::Nothing,
            ModelCost::Unknown => Self::Unknown,
        }
    }
}

impl From<WireCost> for ModelCost {
    fn from(cost: WireCost) -> Self {
        match cost {
            WireCost::Known(amount) => Self::Known(amount),
            WireCost::Nothing => Self::Nothing,
            WireCost::Unknown => Self::Unknown,
        }
    }
}

/// The caller knows the payment's id now, and wants it to begin.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Go {
    pub(super) payment: PaymentId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// The id that the purchase has. Nothing happened yet.
    Named {
        payment: PaymentId,
    },
    Fetched(Box<WireFetched>),
    Quotes(Vec<Quote>),
    Free(WireResponse),
    Plan(Box<PlanOutcome>),
    NoPlan,
    Withdrawn(Vec<PlanId>),
    Standing(Standing),
    Decision(Decision),
    Asked(WireAsked),
    /// Why the most that a try may cost was not set aside; it was, without one.
    ModelHeld {
        refused: Option<Decision>,
    },
    ModelSettled {
        booked: Amount,
    },
    Failed(WireError),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireAsked {
    Nobody,
    Allowed(Decision),
    Refused(Decision),
    Waits { approval: ApprovalId, until: Timestamp },
}

impl From<Asked> for WireAsked {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Nobody => Self::Nobody,
            Asked::Allowed(decision) => Self::Allowed(decision),
            Asked::Refused(decision) => Self::Refused(decision),
            Asked::Waits { approval, until } => Self::Waits { approval, until },
        }
    }
}

impl From<WireAsked> for Asked {
    fn from(asked: WireAsked) -> Self {
        match asked {
            WireAsked::Nobody => Self::Nobody,
            WireAsked::Allowed(decision) => Self::Allowed(decision),
            WireAsked::Refused(decision) => Self::Refused(decision),
            WireAsked::Waits { approval, until } => Self::Waits { approval, until },
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireFetched {
    Free(WireResponse),
    Owned(WireDelivery),
    Delivered(WireDelivery),
    Quotes { quotes: Vec<Quote>, reasons: Vec<Reason> },
    AwaitingApproval(ApprovalTicket),
    Undelivered(Undelivered),
    Unknown(UnknownOutcome),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireDelivery {
    payment: PaymentView,
    artifact: ArtifactRef,
    body: String,
}

/// A request. A caller can say that its data are the clients'; that they are not is for the purse's own process to say.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireRequest {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    client_data: bool,
    /// Which of its calls it says that it asks for. It decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    /// The most that it may cost, in micro-USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ceiling: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// A [`FetchError`]. What is wrong with the ledger stays in the purse's process: its files are none of the caller's business.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireError {
    Denied(Decision),
    Request(String),
    Terms { host: String, reason: Reason },
    NotPaid(String),
    Transport { host: String, problem: String },
    Wallet,
    Ledger,
    Closing,
    Gate,
    Meter,
}

impl From<FetchError> for WireError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Denied(decision) => Self::Denied(decision),
            FetchError::Request(problem) => Self::Request(problem),
            FetchError::Terms { host, reason } => Self::Terms { host, reason },
            FetchError::NotPaid(problem) => Self::NotPaid(problem),
            FetchError::Transport(error) => {
                let problem = causes(&error);
                Self::Transport { host: host_of(error), problem }
            }
            FetchError::Wallet(_) => Self::Wallet,
            FetchError::Ledger(_) => Self::Ledger,
            FetchError::Closing => Self::Closing,
        }
    }
}

fn host_of(error: TransportError) -> String {
    match error {
        TransportError::NotSent { host, .. }
        | TransportError::Blocked { host, .. }
        | TransportError::HeadTooLong { host, .. }
        | TransportError::NoAnswer { host, .. }
        | TransportError::Body { host, .. } => host,
    }
}

impl From<WireError> for FetchError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Denied(decision) => Self::Denied(decision),
            WireError::Request(problem) => Self::Request(problem),
            WireError::Terms { host, reason } => Self::Terms { host, reason },
            WireError::NotPaid(problem) => Self::NotPaid(problem),
            // What arrived at the vendor is the purse's to know; for the caller no money moved.
            WireError::Transport { host, problem } => {
                Self::Transport(TransportError::NoAnswer { host, source: problem.into() })
            }
            WireError::Wallet => Self::Wallet("the purse's own process knows why".to_owned()),
            WireError::Ledger | WireError::Gate | WireError::Meter => {
                Self::Ledger("the purse's own process could not read or write its ledger".into())
            }
            WireError::Closing => Self::Closing,
        }
    }
}

impl From<Delivery> for WireDelivery {
    fn from(delivery: Delivery) -> Self {
        let Delivery { payment, artifact, body } = delivery;
        Self { payment, artifact, body: STANDARD.encode(body) }
    }
}

impl WireDelivery {
    fn open(self) -> Result<Delivery, String> {
        Ok(Delivery { payment: self.payment, artifact: self.artifact, body: bytes(&self.body)? })
    }
}

impl From<Fetched> for WireFetched {
    fn from(fetched: Fetched) -> Self {
        match fetched {
            Fetched::Free(response) => Self::Free(response.into()),
            Fetched::Owned(delivery) => Self::Owned(delivery.into()),
            Fetched::Delivered(delivery) => Self::Delivered(delivery.into()),
            Fetched::Quotes { quotes, reasons } => Self::Quotes { quotes, reasons },
            Fetched::AwaitingApproval(ticket) => Self::AwaitingApproval(ticket),
            Fetched::Undelivered(undelivered) => Self::Undelivered(undelivered),
            Fetched::Unknown(unknown) => Self::Unknown(unknown),
        }
    }
}

impl WireFetched {
    pub(super) fn open(self) -> Result<Fetched, String> {
        Ok(match self {
            Self::Free(response) => Fetched::Free(response.open()?),
            Self::Owned(delivery) => Fetched::Owned(delivery.open()?),
            Self::Delivered(delivery) => Fetched::Delivered(delivery.open()?),
            Self::Quotes { quotes, reasons } => Fetched::Quotes { quotes, reasons },
            Self::AwaitingApproval(ticket) => Fetched::AwaitingApproval(ticket),
            Self::Undelivered(undelivered) => Fetched::Undelivered(undelivered),
            Self::Unknown(unknown) => Fetched::Unknown(unknown),
        })
    }
}

impl From<QuoteOutcome> for Reply {
    fn from(outcome: QuoteOutcome) -> Self {
        match outcome {
            QuoteOutcome::Quotes(quotes) => Self::Quotes(quotes),
            QuoteOutcome::Free(response) => Self::Free(response.into()),
        }
    }
}

impl From<HttpRequest> for WireRequest {
    fn from(request: HttpRequest) -> Self {
        Self {
            method: request.method().to_string(),
            url: request.uri().to_string(),
            headers: packed(request.headers()),
            body: STANDARD.encode(request.body()),
            client_data: request.extensions().get::<DataLabel>() == Some(&DataLabel::Client),
            cause: Cause::of(&request),
            // One that does not fit is above everything that can be paid.
            ceiling: Ceiling::of(&request)
                .map(|ceiling| u64::try_from(ceiling.amount().atomic()).unwrap_or(u64::MAX)),
        }
    }
}

impl WireRequest {
    pub(super) fn open(self) -> Result<HttpRequest, String> {
        let mut request = http::Request::builder()
            .method(self.method.as_str())
            .uri(self.url.as_str())
            .body(bytes(&self.body)?)
            .map_err(|error| error.to_string())?;
        *request.headers_mut() = unpacked(self.headers)?;
        let request = if self.client_data { DataLabel::Client.on(request) } else { request };
        let request = match self.ceiling {
            Some(ceiling) => Ceiling::micro_usd(ceiling).on(request),
            None => request,
        };
        Ok(match self.cause {
            Some(cause) => cause.on(request),
            None => request,
        })
    }
}

impl From<HttpResponse> for WireResponse {
    fn from(response: HttpResponse) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: packed(response.headers()),
            body: STANDARD.encode(response.body()),
        }
    }
}

impl WireResponse {
    pub(super) fn open(self) -> Result<HttpResponse, String> {
        let response = http::Response::builder().status(self.status).body(bytes(&self.body)?);
        let mut response = response.map_err(|error| error.to_string())?;
        *response.headers_mut() = unpacked(self.headers)?;
        Ok(response)
    }
}

fn bytes(text: &str) -> Result<Bytes, String> {
    STANDARD.decode(text).map(Bytes::from).map_err(|error| error.to_string())
}

fn packed(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), STANDARD.encode(value))).collect()
}

fn unpacked(headers: Vec<(String, String)>) -> Result<HeaderMap, String> {
    let mut unpacked = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().map_err(|_| "a header's name cannot be sent".to_owned())?;
        let value = HeaderValue::from_bytes(&bytes(&value)?)
            .map_err(|_| "a header's value cannot be sent".to_owned())?;
        unpacked.append(name, value);
    }
    Ok(unpacked)
}

/// Reads one frame. Memory grows with what comes, not with what is announced.
pub(super) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    bytes_max: u32,
) -> io::Result<T> {
    let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let length = from.read_u32().await?;
    if length > bytes_max {
        return Err(bad(format!("a frame of {length} bytes; at most {bytes_max} are read")));
    }
    let mut frame = Vec::new();
    let read = from.take(u64::from(length)).read_to_end(&mut frame).await?;
    if u32::try_from(read) != Ok(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&frame).map_err(|error| bad(format!("a frame that cannot be read: {error}")))
}

/// Writes one frame.
pub(super) async fn write<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    value: &T,
    bytes_max: u32,
) -> io::Result<()> {
    let frame = serde_json::to_vec(value)?;
    let length = u32::try_from(frame.len()).ok().filter(|length| *length <= bytes_max);
    let length = length.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {} bytes is too long", frame.len()))
    })?;
    to.write_u32(length).await?;
    to.write_all(&frame).await?;
    to.flush().await
}
