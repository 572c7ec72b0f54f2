use super::*;
use crate::testkit::{DOC, Ends, GAS, Reply, World, assets, call};
use bytes::Bytes;
use serde_json::{Value, json};

async fn fetch(world: &World, url: &str) -> Value {
    call(Fetch::new(world.library.clone(), assets()), world, json!({"url": url})).await.unwrap()
}

fn delivers() -> Ends {
    Ends::Delivers { media_type: "text/markdown", body: Bytes::from_static(GAS.as_bytes()) }
}

#[tokio::test]
async fn every_end_of_a_fetch_is_told() {
    for (name, ends) in [
        ("delivered", delivers()),
        ("delivered_unrecorded", Ends::DeliversUnrecorded),
        ("was_owned", Ends::WasOwned),
        ("quotes", Ends::Quotes),
        ("awaiting_approval", Ends::Asks),
        ("undelivered", Ends::Undelivered),
        ("unknown", Ends::Unknown),
        ("refused", Ends::Refused("BUDGET_EXCEEDED")),
    ] {
        let world = World::new().await;
        world.buyer.ends(DOC, ends);
        let result = fetch(&world, DOC).await;
        insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(name, result) });
    }
}

#[tokio::test]
async fn what_is_owned_is_never_asked_for_again() {
    let world = World::with_gas_document().await;
    let result = fetch(&world, &format!("{DOC}#nonces")).await;
    assert_eq!((&result["outcome"], &result["url"]), (&json!("owned"), &json!(DOC)));
    assert!(result.get("paid").is_none());
    assert_eq!(world.buyer.fetched() + world.buyer.asked(), 0);
}

#[tokio::test]
async fn what_is_delivered_is_recalled_and_owned_from_then_on() {
    let world = World::new().await;
    world.buyer.ends(DOC, delivers());
    assert_eq!(fetch(&world, DOC).await["outcome"], json!("delivered"));
    assert_eq!(world.library.recall("who pays the gas", 1).await.unwrap().len(), 1);
    assert_eq!(fetch(&world, DOC).await["outcome"], json!("owned"));
    assert_eq!(world.buyer.fetched(), 1);
}

#[tokio::test]
async fn a_purchase_that_is_unknown_is_joined_by_the_next_try() {
    let world = World::new().await;
    world.buyer.ends(DOC, Ends::Unknown);
    assert_eq!(fetch(&world, DOC).await["outcome"], json!("unknown"));
    // The buyer insists on the same key for the same document.
    world.buyer.ends(DOC, delivers());
    assert_eq!(fetch(&world, &format!("{DOC}#again")).await["outcome"], json!("delivered"));
    assert_eq!(world.buyer.fetched(), 2);
}

#[tokio::test]
async fn a_free_page_is_kept_and_can_be_cited() {
    let world = World::new().await;
    world.buyer.reply(
        "https://free.example/",
        Reply::page("text/html", "<title>Free\u{202e}</title><p>Elephants are big."),
    );
    let result = fetch(&world, "https://free.example/").await;
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(result); });
    let found = world.library.recall("elephants", 1).await.unwrap();
    assert_eq!(found[0].artifact.to_string(), result["artifact"].as_str().unwrap());
}

#[tokio::test]
async fn a_page_that_is_gone_or_an_address_that_is_bad_is_refused_with_a_reason() {
    let world = World::new().await;
    world.buyer.reply("https://gone.example/", Reply::status(404));
    world.buyer.reply("https://away.example/", Reply::unreachable());
    for (url, code) in [
        ("https://gone.example/", "HTTP_404"),
        ("https://away.example/", "NETWORK"),
        ("file:///etc/passwd", "URL_REFUSED"),
        ("https://a:b@x.example/", "URL_REFUSED"),
        ("\u{1b}[2J", "URL_REFUSED"),
    ] {
        let result = fetch(&world, url).await;
        assert_eq!(result["outcome"], json!("refused"), "{url:?}");
        assert_eq!(result["reasons"][0]["code"], json!(code), "{url:?}");
        assert!(!result.to_string().contains('\u{1b}'));
    }
}

#[tokio::test]
async fn a_hostile_document_is_bounded_and_shown_without_hidden_characters() {
    let world = World::new().await;
    let body = format!(
        "<title>{}</title><p>a\u{202e}b\u{7}c{}",
        "T\u{200b}".repeat(1 << 19),
        "<div>".repeat(100_000)
    );
    world.buyer.ends(DOC, Ends::Delivers { media_type: "text/html", body: Bytes::from(body) });
    let result = fetch(&world, DOC).await;
    assert!(result["title"].as_str().unwrap().chars().count() <= TITLE_CHARS_MAX + 1);
    assert_eq!(result["text_preview"], json!("ab c"));
    let world = World::new().await;
    world.buyer.ends(DOC, Ends::Delivers { media_type: "image/png", body: Bytes::from_static(b"\0\x89PNG") });
    assert_eq!(fetch(&world, DOC).await["reasons"][0]["code"], json!("NOT_READABLE"));
}
