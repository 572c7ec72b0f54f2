//! Governed payments.
//!
//! One path leads from an agent's wish to a signature, and reading `purse/mod.rs` from top to bottom tells it. Rules are
//! pure, limits are enforced by the ledger, and every step is durable before the next one starts.
#![deny(clippy::arithmetic_side_effects, clippy::float_arithmetic, clippy::cast_precision_loss)]

mod approval;
mod egress;
mod events;
mod freeze;
mod hosts;
mod mandate;
mod meaning;
mod obligation;
mod outflow;
mod payment;
mod plan;
mod policy;
mod purse;
mod rail;
mod reasons;
mod recovery;
mod refunds;
mod resolve;
mod saga;
mod session;
mod transport;
mod wallet;

pub use approval::{
    Answer, AnswerError, ApprovalAction, ApprovalAnswer, ApproveWith, Approver, ApproverKey, CallTerms,
    GivenBy, KeyError, KeyFileError, Outside, PaymentTerms, PinnedKey, PublicKey, Question, Signature,
    SignedAnswer, Statement,
};
pub use egress::Egress;
pub use events::{AlertError, Alerts, GateReached, MoneyEvent, NoObserver, Observer};
pub use freeze::{Freeze, FreezeScope, ParseScopeError};
pub use mandate::{
    AlertRule, BudgetRule, CategoryRule, Counted, Gates, LimitRule, Mandate, MandateError, MandateFile,
    MandateFileError, MandateSignatureError, MandateStatement, MeteredItem, OTHER, PlanApproval, Scope,
    SignedMandate, Widened, family_of,
};
pub use meaning::{Captured, ClockTurnedBack, Meaning, MeaningAudit};
pub use obligation::{
    Claim, Next, Obligation, ObligationEvent, ObligationState, Refund, Remedy, Step, StepResult,
};
pub use outflow::{
    AssetLooked, Attempt, Compared, Found, OutflowFound, OutflowLook, OutflowRules, Stand, Unread, attempts,
    networks, wallets,
};
pub use payment::{Ask, Evidence, Held, IllegalEvent, Payment, PaymentEvent, Received, Signed, Void};
pub use plan::{ItemTerms, Plan};
pub use policy::{
    Actor, ApprovedBy, CallFacts, Enforce, Example, ExampleError, Facts, GateState, PayFacts, PlanFacts,
    Policy, PolicyError, PolicyFile, QuoteFacts, RuleEffect, RuleView, Sums, Thresholds, Weighed,
};
pub use purse::{
    ApprovalError, ClaimStanding, Clearance, ClockError, ClockStanding, ClockTurned, DecisionRecord,
    DelegateError, DeskError, GivenUp, MODEL, MODEL_HELD, MODEL_SETTLED, OpenApproval, OpenError,
    OpenObligation, OutflowAccepted, OutflowError, Payments, PaymentsParts, Recovered, Runs, SessionHooks,
    SessionPurse, Signable, Stray, UnsettledTry, VoidClearance, Watch, agent_freezes, principal_links,
};
pub use rail::{
    Authorization, AuthorizeError, ChainEvent, ClaimReason, Exchange, Inflow, InflowQuery, Offer, OfferError,
    Order, Outcome, Outflow, OutflowQuery, Outgoing, PayeeStatement, PayeeStatements, Prepared, PreparedVoid,
    Rail, RefundAnswer, RefundRequest, RemedyError, Transfer, x402,
};
pub use recovery::RecoveryRules;
pub use resolve::{Resolver, SystemResolver};
pub use saga::{
    Begun, Bought, Check, CompensationId, Compensator, Compensators, IllegalSagaEvent, OnFailure,
    ParseSagaIdError, Purchase, Reconciled, Saga, SagaDriver, SagaEnd, SagaError, SagaEvent, SagaId,
    SagaNext, SagaOptions, SagaPhase, SagaReport, SagaState, SagaStep, SagaWorld, SagasRecovered,
    StepFailure, StepReport, StepRun, StepTerms, Undo, UndoAnswer, UndoOrder, UndoResult, UndoState, Undone,
    WantedClaim,
};
pub use session::{Given, IllegalSessionEvent, SessionEvent, SessionState, Waiting, phase};
pub use transport::{HttpTransport, HttpTransportError};
pub use wallet::{LocalWallet, Wallet, WalletError};
