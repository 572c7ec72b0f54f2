//! Looking is free: catalogues, searches, discovery.

use crate::support::Shop;
use bursar_market::{Library, SearchIndex, SellerConfig, SourceDocument};
use serde_json::Value;

fn names(results: &Value, pointer: &str) -> Vec<String> {
    let results = results.as_array().unwrap();
    results.iter().map(|result| result.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_catalogue_is_paged_and_says_what_each_document_costs() {
    let shop = Shop::open().await;
    let page = shop.buyer.get(&format!("{}/catalog?offset=1&limit=2", shop.seller().url())).await.json();
    assert_eq!(page["total"], 4);
    assert_eq!(names(&page["items"], "/id"), ["erc-4626", "guides-gas"]);
    assert_eq!(names(&page["items"], "/price/amount"), ["6000", "6000"]);
    let preview = shop.buyer.get(&format!("{}/preview/erc-3009", shop.seller().url())).await.json();
    assert_eq!(
        preview["preview"],
        "ERC-3009: Transfer With Authorization. Transfer fungible assets via a signed authorization"
    );
    assert_eq!(shop.buyer.get(&format!("{}/preview/none", shop.seller().url())).await.status, 404);
    assert_eq!(shop.buyer.get(&shop.seller().document_url("none")).await.status, 404);
}

#[tokio::test]
async fn search_ranks_by_the_full_text_and_shows_only_snippets() {
    let shop = Shop::open().await;
    let question = "Who+can+pay+the+gas+for+a+transfer,+and+what+stops+a+replay%3F";
    let found = shop.buyer.get(&format!("{}/search?q={question}&limit=2", shop.seller().url())).await.json();
    assert_eq!(names(&found["results"], "/id")[0], "erc-3009");
    assert_eq!(found["results"].as_array().unwrap().len(), 2);
    let best = &found["results"][0];
    assert!(best["score_milli"].as_u64().unwrap() > found["results"][1]["score_milli"].as_u64().unwrap());
    let snippets = best["snippets"].as_array().unwrap();
    assert_eq!(snippets[0], "Delegate the gas payment to someone else.");
    let whole = shop.seller().documents().next().unwrap().text().len();
    let shown: usize = snippets.iter().map(|snippet| snippet.as_str().unwrap().len()).sum();
    assert!(shown < whole / 2, "{shown} of {whole} bytes are free");
}

#[test]
fn a_standard_named_in_the_query_leads_whatever_else_is_said() {
    let documents = [
        ("erc-20.md", "---\neip: 20\ntitle: Token\ncategory: ERC\n---\nA vault, a vault, a token."),
        ("erc-4626.md", "---\neip: 4626\ntitle: Vaults\ncategory: ERC\n---\nShares, based on ERC-20."),
        (
            "erc-7540.md",
            "---\neip: 7540\ntitle: Asynchronous ERC-4626 Vaults\ncategory: ERC\n---\nERC-4626 later.",
        ),
        (
            "essay.md",
            "# On inflation attacks\n\nInflation attacks on ERC-4626 vaults: inflation, attack, guard.",
        ),
    ];
    let sources = documents.map(|(path, text)| SourceDocument::new(path, text)).to_vec();
    let index = SearchIndex::new(Library::from_sources(sources).documents());
    let cases = [
        ("How do ERC-4626 vaults guard against inflation attacks?", "erc-4626"),
        ("EIP 4626", "erc-4626"),
        ("erc20", "erc-20"),
        ("what is 7540", "erc-7540"),
        ("inflation attacks on vaults", "essay"),
        ("asynchronous vaults", "erc-7540"),
    ];
    for (query, first) in cases {
        let (hits, _) = index.search(query, 10);
        let ids: Vec<_> = hits.iter().map(|hit| hit.document.id()).collect();
        assert_eq!(ids.first(), Some(&first), "{query}: {ids:?}");
    }
    assert_eq!(index.search("the of and", 10).1, 0);
    assert_eq!(index.search("zebra", 10).1, 0);
}

#[test]
fn snippets_are_short_whatever_the_text() {
    let long = format!("# T\n\n{} needle {}.", "hay ".repeat(300), "straw ".repeat(300));
    let odd = format!("# T\n\nneedle{}", "ü".repeat(5_000));
    for text in [long, odd] {
        let index =
            SearchIndex::new(Library::from_sources(vec![SourceDocument::new("a.md", text)]).documents());
        let (hits, _) = index.search("needle hay straw", 1);
        for hit in hits {
            assert!(hit.snippets.iter().all(|snippet| snippet.chars().count() <= 160), "{:?}", hit.snippets);
            assert!(hit.document.preview().chars().count() <= 300);
        }
    }
}

#[tokio::test]
async fn discovery_lists_and_searches_all_sellers_with_their_own_prices() {
    let hidden = SellerConfig::new("Hidden").listed(false);
    let shop = Shop::open_with(|market| market.add_seller(hidden)).await;
    let base = shop.market.facilitator_url().to_owned();
    let page = shop.buyer.get(&format!("{base}/discovery/resources?limit=3&offset=1")).await.json();
    assert_eq!(page["pagination"], serde_json::json!({ "limit": 3, "offset": 1, "total": 6 }));
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let url = format!("{}?query=ERC-3009&limit=2", shop.market.discovery_url());
    let found = shop.buyer.get(&url).await.json();
    let resources = &found["resources"];
    assert_eq!(names(resources, "/metadata/id"), ["erc-3009", "erc-3009"]);
    assert_eq!(names(resources, "/metadata/seller"), ["Main Library", "The Reseller"]);
    assert_eq!(names(resources, "/accepts/0/amount"), ["6000", "4800"]);
    let url = resources[1]["resource"].as_str().unwrap();
    assert_eq!(shop.buyer.buy(url, "one").await.unwrap().status, 200, "what is found can be bought");
    let payee = shop.market.seller(1).unwrap().pay_to();
    let page = shop.buyer.get(&format!("{base}/discovery/resources?payTo={payee}")).await.json();
    assert_eq!(page["pagination"]["total"], 2);
}
