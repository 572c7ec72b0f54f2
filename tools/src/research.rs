//! All tools of a research agent.

use crate::{AddressError, Budget, Fetch, Finish, GetQuotes, ProposePlan, Recall, SearchMarket};
use bursar_agent_core::{DuplicateTool, ToolSet};
use bursar_memory::Library;
use bursar_types::AssetRegistry;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// Why there are no tools.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResearchError {
    /// A market's address is not asked.
    #[error("market address refused: {0}")]
    Market(#[from] AddressError),
    /// Two tools have one name.
    #[error(transparent)]
    Duplicate(#[from] DuplicateTool),
}

/// The tools of a research agent that may pay: `search_market`, `recall`, `get_quotes`, `propose_plan`, `fetch`,
/// `budget` and `finish`. Without a market there is no `search_market`.
///
/// # Errors
/// [`ResearchError::Market`] if a market's address is none.
///
/// # Example
/// ```
/// # use bursar_ledger::{Ledger, MemoryStore};
/// # use bursar_types::{ManualClock, SeededEntropy, Timestamp};
/// # use std::sync::Arc;
/// use bursar_memory::Library;
/// use bursar_types::AssetRegistry;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(0)));
/// # let ledger = Ledger::new(Arc::new(MemoryStore::new(clock, Arc::new(SeededEntropy::new(1)))));
/// # let folder = tempfile::tempdir().unwrap();
/// let library = Library::open(folder.path().join("library.sqlite"), ledger).await.unwrap();
/// let tools = bursar_tools::research(["https://market.example"], &library, &AssetRegistry::pinned())?;
/// assert!(tools.get("fetch").is_some());
/// # Ok::<(), bursar_tools::ResearchError>(())
/// # }).unwrap();
/// ```
pub fn research<I>(markets: I, library: &Library, assets: &AssetRegistry) -> Result<ToolSet, ResearchError>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut markets = markets.into_iter().peekable();
    let mut tools = ToolSet::new()
        .with(Recall::new(library.clone()))?
        .with(GetQuotes::new(assets.clone()))?
        .with(ProposePlan::new(assets.clone()))?
        .with(Fetch::new(library.clone(), assets.clone()))?
        .with(Budget::new(assets.clone()))?
        .with(Finish::new(library.clone()))?;
    if markets.peek().is_some() {
        tools = tools.with(SearchMarket::new(markets, library.clone(), assets.clone())?)?;
    }
    Ok(tools)
}
