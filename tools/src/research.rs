//! All tools of a research agent.

use crate::{AddressError, Budget, Fetch, Finish, GetQuotes, ProposePlan, Recall, SearchMarket};
use bursar_agent_core::{DuplicateTool, ToolSet};
use bursar_memory::Library;
use bursar_types::AssetRegistry;
use thiserror::Error;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{World, assets};
    use bursar_types::Effect;

    #[tokio::test]
    async fn a_research_agent_has_all_tools_and_only_fetch_may_spend() {
        let world = World::new().await;
        let tools = research(["http://127.0.0.1:1"], &world.library, &assets()).unwrap();
        let names: Vec<_> = tools.specs().map(|spec| spec.name.as_str()).collect();
        assert_eq!(
            names,
            ["budget", "fetch", "finish", "get_quotes", "propose_plan", "recall", "search_market"]
        );
        let spends: Vec<_> =
            tools.specs().filter(|spec| spec.effect == Effect::Spend).map(|spec| &spec.name).collect();
        assert_eq!(spends, ["fetch"]);
        insta::assert_json_snapshot!(tools.specs().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn without_a_market_there_is_no_search() {
        let world = World::new().await;
        let none: [&str; 0] = [];
        assert!(research(none, &world.library, &assets()).unwrap().get("search_market").is_none());
        let bad = research(["market"], &world.library, &assets()).unwrap_err();
        assert_eq!(bad, ResearchError::Market(AddressError::NotAbsolute));
    }
}
