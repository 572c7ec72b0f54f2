//! The side of the agent.

use super::RemoteError;
use super::wire::{CALL_BYTES_MAX, Call, Go, Hello, PROTOCOL, REPLY_BYTES_MAX, Reply, Welcome, read, write};
use async_trait::async_trait;
use bursar_types::{
    Action, Amount, Asked, Buyer, Decision, FetchError, Fetched, Gate, GateError, HttpRequest, MeterError,
    ModelCharge, ModelCost, ModelHold, ModelMeter, PaymentId, PlanId, PlanOutcome, PlanProposal, Principal,
    PurchaseKey, Purse, QuoteOutcome, SessionId, Standing, TransportError, UnknownOutcome,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixStream;

/// A session whose purse is in another process. Cheap to clone; it holds the socket's path and nothing else.
///
/// # Example
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use bursar::{PurchaseKey, RemoteSession};
/// let session = RemoteSession::connect("/run/bursar/purse.sock").await?;
/// let request = http::Request::get("https://api.example/prices").body(bytes::Bytes::new())?;
/// let fetched = session.purse().fetch(request, PurchaseKey::new("prices/2026-11-21")?).await?;
/// # let _ = fetched;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RemoteSession {
    path: Arc<PathBuf>,
    principal: Principal,
}

impl RemoteSession {
    /// Asks a purse whether it lets this process in.
    ///
    /// # Errors
    /// [`RemoteError`]: nobody listens there, or this process is turned away.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, RemoteError> {
        let path = Arc::new(path.as_ref().to_owned());
        let (mut line, principal) = call(&path).await?;
        // The purse waits for a call; this one asks for nothing.
        let done = line.ask(&Call::Nothing).await;
        done.map_err(|problem| RemoteError::Unreadable(problem.to_string()))?;
        Ok(Self { path, principal })
    }

    /// The session, as its purse knows it.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.principal.session
    }

    /// Who acts: the session, its agent, the mandate's user and role.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The agent's handle on money: the same as a purse of this process.
    ///
    /// Where the line to the purse breaks after a purchase has begun, the answer is [`Fetched::Unknown`] with the payment's id: fetch
    /// again under the same key.
    #[must_use]
    pub fn purse(&self) -> Purse {
        Purse::new(Arc::new(self.clone()))
    }

    /// The purse's rules, for the agent's tool calls.
    #[must_use]
    pub fn gate(&self) -> Arc<dyn Gate> {
        Arc::new(self.clone())
    }

    /// Counts what the agent's model costs on the session's budgets.
    ///
    /// What a try cost is this process's word, taken for at most what was set aside for it. The runs of this process are journaled
    /// here, so the purse cannot tell which of them are over: a try that this process leaves open stays set aside until a run goes
    /// on with it, or a person says that none will ([`Payments::count_tries`](bursar_payments::Payments::count_tries)).
    #[must_use]
    pub fn meter(&self) -> Arc<dyn ModelMeter> {
        Arc::new(self.clone())
    }

    async fn line(&self) -> Result<Line, FetchError> {
        let connected = call(&self.path).await;
        // Nothing was asked yet, so nothing happened.
        let (line, _) = connected.map_err(|error| match error {
            RemoteError::Refused(why) => FetchError::Wallet(format!("the purse refused: {why}")),
            error => not_reached(error),
        })?;
        Ok(line)
    }

    /// One question that moves no money, and its answer.
    async fn question(&self, question: &Call) -> Result<Reply, FetchError> {
        let mut line = self.line().await?;
        match line.ask(question).await {
            Ok(Reply::Failed(error)) => Err(error.into()),
            Ok(reply) => Ok(reply),
            Err(error) => Err(not_reached(error)),
        }
    }
}

struct Line(UnixStream);

impl Line {
    async fn ask(&mut self, question: &Call) -> std::io::Result<Reply> {
        write(&mut self.0, question, CALL_BYTES_MAX).await?;
        read(&mut self.0, REPLY_BYTES_MAX).await
    }

    async fn go(&mut self, payment: PaymentId) -> std::io::Result<Reply> {
        write(&mut self.0, &Go { payment }, CALL_BYTES_MAX).await?;
        read(&mut self.0, REPLY_BYTES_MAX).await
    }
}

/// Connects, and lets the two sides agree on what they speak.
async fn call(path: &Path) -> Result<(Line, Principal), RemoteError> {
    let socket = |source| RemoteError::Socket { path: path.to_owned(), source };
    let mut stream = UnixStream::connect(path).await.map_err(socket)?;
    // A purse that turns this process away may have hung up already; what it said is there to be read.
    let greeted = write(&mut stream, &Hello { protocol: PROTOCOL }, CALL_BYTES_MAX).await;
    match read(&mut stream, REPLY_BYTES_MAX).await {
        Ok(Welcome::Welcome { protocol: PROTOCOL, principal }) => Ok((Line(stream), principal)),
        Ok(Welcome::Welcome { protocol, .. }) => {
            Err(RemoteError::Refused(format!("it speaks version {protocol}, and not {PROTOCOL}")))
        }
        Ok(Welcome::Refused { why }) => Err(RemoteError::Refused(why)),
        Err(error) => Err(socket(greeted.err().unwrap_or(error))),
    }
}

fn not_reached(error: impl std::error::Error + Send + Sync + 'static) -> FetchError {
    FetchError::Transport(TransportError::NoAnswer { host: "the purse".to_owned(), source: Box::new(error) })
}

fn unexpected() -> FetchError {
    FetchError::Ledger("the purse gave the answer of another question".into())
}

#[async_trait]
impl Buyer for RemoteSession {
    async fn fetch(&self, request: HttpRequest, key: PurchaseKey) -> Result<Fetched, FetchError> {
        let mut line = self.line().await?;
        let payment = match line.ask(&Call::Fetch { request: request.into(), key }).await {
            Ok(Reply::Named { payment }) => payment,
            Ok(Reply::Failed(error)) => return Err(error.into()),
            Ok(_) => return Err(unexpected()),
            // The purse begins nothing before it is told to.
            Err(error) => return Err(not_reached(error)),
        };
        let unknown = |problem: String| {
            Ok(Fetched::Unknown(UnknownOutcome { id: payment, payment: None, problem, decidable_from: None }))
        };
        match line.go(payment).await {
            Ok(Reply::Fetched(fetched)) => match fetched.open() {
                Ok(fetched) => Ok(fetched),
                Err(problem) => unknown(format!("the purse's answer cannot be read: {problem}")),
            },
            Ok(Reply::Failed(error)) => Err(error.into()),
            Ok(_) => unknown("the purse gave the answer of another question".to_owned()),
            Err(error) => unknown(format!("the line to the purse broke: {error}")),
        }
    }

    async fn quote(&self, request: HttpRequest) -> Result<QuoteOutcome, FetchError> {
        match self.question(&Call::Quote { request: request.into() }).await? {
            Reply::Quotes(quotes) => Ok(QuoteOutcome::Quotes(quotes)),
            Reply::Free(response) => match response.open() {
                Ok(response) => Ok(QuoteOutcome::Free(response)),
                Err(_) => Err(unexpected()),
            },
            _ => Err(unexpected()),
        }
    }

    async fn propose(&self, proposal: PlanProposal) -> Result<PlanOutcome, FetchError> {
        match self.question(&Call::Propose { proposal }).await? {
            Reply::Plan(plan) => Ok(*plan),
            _ => Err(unexpected()),
        }
    }

    async fn proposed(&self, proposal: PlanProposal) -> Result<Option<PlanOutcome>, FetchError> {
        match self.question(&Call::Proposed { proposal }).await? {
            Reply::Plan(plan) => Ok(Some(*plan)),
            Reply::NoPlan => Ok(None),
            _ => Err(unexpected()),
        }
    }

    async fn withdraw_plans(&self) -> Result<Vec<PlanId>, FetchError> {
        match self.question(&Call::WithdrawPlans).await? {
            Reply::Withdrawn(plans) => Ok(plans),
            _ => Err(unexpected()),
        }
    }

    async fn standing(&self) -> Result<Standing, FetchError> {
        match self.question(&Call::Standing).await? {
            Reply::Standing(standing) => Ok(standing),
            _ => Err(unexpected()),
        }
    }
}

#[async_trait]
impl Gate for RemoteSession {
    async fn decide(&self, action: &Action) -> Result<Decision, GateError> {
        match self.question(&Call::Decide { action: action.clone() }).await {
            Ok(Reply::Decision(decision)) => Ok(decision),
            Ok(_) => Err(GateError(Box::new(unexpected()))),
            Err(error) => Err(GateError(Box::new(error))),
        }
    }

    async fn ask(&self, action: &Action, shown: &str) -> Result<Asked, GateError> {
        let question = Call::Ask { action: action.clone(), shown: shown.to_owned() };
        match self.question(&question).await {
            Ok(Reply::Asked(asked)) => Ok(asked.into()),
            Ok(_) => Err(GateError(Box::new(unexpected()))),
            Err(error) => Err(GateError(Box::new(error))),
        }
    }
}

#[async_trait]
impl ModelMeter for RemoteSession {
    async fn hold(&self, charge: &ModelCharge) -> Result<ModelHold, MeterError> {
        match self.question(&Call::HoldModel { charge: charge.clone() }).await {
            Ok(Reply::ModelHeld { refused: None }) => Ok(ModelHold::Held),
            Ok(Reply::ModelHeld { refused: Some(decision) }) => Ok(ModelHold::Refused(decision)),
            Ok(_) => Err(MeterError(Box::new(unexpected()))),
            Err(error) => Err(MeterError(Box::new(error))),
        }
    }

    async fn settle(&self, charge: &ModelCharge, cost: &ModelCost) -> Result<Amount, MeterError> {
        let question = Call::SettleModel { charge: charge.clone(), cost: cost.into() };
        match self.question(&question).await {
            Ok(Reply::ModelSettled { booked }) => Ok(booked),
            Ok(_) => Err(MeterError(Box::new(unexpected()))),
            Err(error) => Err(MeterError(Box::new(error))),
        }
    }
}
