//! Agents that spend money: governed, durable, provable.
//!
//! Bursar lets an agent buy what it needs (documents, data, APIs) while its owner keeps the say: nothing is paid while the
//! agent still looks around, purchases are bound to an approved plan, budgets hold under concurrency and crashes, a
//! payment happens at most once, and a journal proves what was bought, why, under which rule, and whether it was used.
//!
//! This crate is the composition root: it reads the environment, the clock and randomness, and hands them down. The parts
//! can be used alone: [`payments`] without an agent, [`agent`] without payments.
//!
//! # Example
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use bursar::{Agent, Approve, Bursar, models, tools};
//!
//! let bursar = Bursar::open("bursar.toml").await?;
//! let session = bursar.session("research EIP-3009").approve(Approve::Rule).start().await?;
//! let agent = Agent::builder(models::extractive()).tools(tools::research(&session)?).build()?;
//! let report = agent.run(session.run_context(), "Who may pay the gas for a USDC transfer?").await?;
//! println!("{}", report.answer()?);
//! bursar.close().await?;
//! # Ok(())
//! # }
//! ```

mod after;
pub mod audit;
mod builder;
mod callers;
mod config;
pub mod erase;
mod error;
mod event;
mod handle;
mod helpers;
mod malformed;
mod mandate_file;
mod mark;
#[cfg(feature = "mcp")]
pub mod mcp;
mod model_config;
pub mod models;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod reconcile;
#[cfg(unix)]
pub mod remote;
pub mod report;
mod runs;
mod session;
mod system;
pub mod telemetry;
pub mod tools;
mod wallet_file;

pub use builder::BursarBuilder;
pub use callers::{Caller, CallerConfig};
pub use config::{
    ApiConfig, AssetConfig, Config, FinalityConfig, McpServerConfig, NetworkAccess, NetworkConfig,
    OutflowConfig, PolicyConfig, RetentionConfig, UnreadConfig, WalletConfig,
};
pub use error::BursarError;
pub use event::{Event, EventStream};
pub use handle::{Bursar, SessionBuilder};
pub use mandate_file::mandate_signature_file;
pub use model_config::{ConfiguredModel, ModelApi, ModelConfig, ModelProvider};
#[cfg(unix)]
pub use remote::{PurseServer, PurseSocket, RemoteError, RemoteSession};
pub use session::{Approve, Session};
pub use system::{SystemClock, SystemEntropy};

pub use bursar_agent_core as agent;
pub use bursar_agent_core::{Agent, Cancel, RunReport};
pub use bursar_ledger as ledger;
pub use bursar_memory as memory;
pub use bursar_payments as payments;
pub use bursar_payments::{ApprovalAnswer, Approver, Mandate, MoneyEvent, Saga, SagaOptions, Undo};
pub use bursar_proof as proof;
pub use bursar_types as types;
pub use bursar_types::{Amount, Asset, AssetId, AssetRegistry, Fetched, PurchaseKey, Purse};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
