//! Tools for agents that may pay.

pub use bursar_tools::{AddressError, ApprovalView, FetchAny, FetchAnyArgs, FetchAnyResult, PaymentReceipt};
pub use bursar_tools::{Brief, BriefCitation, BriefUse, ChildEnvironment};
pub use bursar_tools::{Budget, Fetch, Finish, GetQuotes, ProposePlan, Recall, ResearchError, SearchMarket};
pub use bursar_tools::{
    BudgetResult, NoArgs, PlanArgs, PlanItemArgs, PlanResult, QuoteView, QuotesArgs, QuotesResult,
    ReasonView, SearchArgs, SearchResult,
};
pub use bursar_tools::{prompt, prompt_names};

use crate::session::Session;
use bursar_agent_core::ToolSet;

/// What programs that a tool starts find in their environment: of this process's own variables those that hold no secret.
#[must_use]
pub fn child_environment() -> ChildEnvironment {
    ChildEnvironment::of(std::env::vars_os())
}

/// The tools of a research agent over a session: search, quotes, plan, fetch, recall, budget, finish.
///
/// # Errors
/// [`ResearchError::Market`] if a discovery address of the configuration is none.
pub fn research(session: &Session) -> Result<ToolSet, ResearchError> {
    bursar_tools::research(session.discovery(), session.library(), session.registry())
}
