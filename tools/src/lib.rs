//! Tools for research agents that may pay: search, recall, quotes, plans, fetch, finish.
//!
//! One file per tool, each with its contract. [`research`] gives them all. A refusal is a result that says why and what
//! to do next, not a failed call; whatever comes from a seller, a market or a model is bounded and shown without
//! control and invisible characters. All HTTP goes through the purse, so that the rules see a request before it leaves.

mod address;
mod budget;
mod child;
mod fetch;
mod fetch_any;
mod finish;
mod get_quotes;
#[cfg(feature = "mcp")]
pub mod mcp;
#[cfg(feature = "openapi")]
pub mod openapi;
#[cfg(any(feature = "mcp", feature = "openapi"))]
mod paid_call;
mod prompts;
mod propose_plan;
mod recall;
mod research;
mod search_market;
mod show;
#[cfg(test)]
mod testkit;
#[cfg(any(feature = "mcp", feature = "openapi"))]
mod tool_name;

pub use address::AddressError;
pub use budget::{Budget, BudgetResult, NoArgs, OpenItemView};
pub use child::ChildEnvironment;
pub use fetch::{Fetch, FetchArgs, FetchResult};
pub use fetch_any::{ApprovalView, FetchAny, FetchAnyArgs, FetchAnyResult, PaymentReceipt};
pub use finish::{Brief, BriefCitation, BriefUse, CitationArgs, Evidence, Finish, FinishArgs, UseArgs};
pub use get_quotes::{GetQuotes, QuoteProblem, QuoteView, QuotesArgs, QuotesResult};
pub use prompts::{prompt, prompt_names};
pub use propose_plan::{PlanArgs, PlanItemArgs, PlanResult, ProposePlan};
pub use recall::{Recall, RecallArgs, RecallResult};
pub use research::{ResearchError, research};
pub use search_market::{IndicatedPrice, MarketHit, SearchArgs, SearchMarket, SearchResult};
pub use show::ReasonView;
