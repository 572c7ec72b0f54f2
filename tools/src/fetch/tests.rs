use super::*;
use crate::testkit::{DOC, Ends, GAS, Reply, World, assets, call};
use bursar_types::{
    Buyer, CallId, FetchError, HttpRequest, PlanId, PlanOutcome, PlanProposal, Purse, QuoteOutcome, RunId,
    SessionId, Standing,
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

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

/// A buyer that keeps what it was asked to buy, and under which key.
#[derive(Debug, Default)]
struct Keys(Mutex<Vec<String>>);

#[async_trait]
impl Buyer for Keys {
    async fn fetch(&self, request: HttpRequest, key: PurchaseKey) -> Result<Fetched, FetchError> {
        let (method, uri) = (request.method(), request.uri());
        let asked = format!("{} {method} {uri} {:?} {:?}", key.as_str(), request.headers(), request.body());
        self.0.lock().unwrap().push(asked);
        Err(FetchError::Closing)
    }
    async fn quote(&self, _: HttpRequest) -> Result<QuoteOutcome, FetchError> {
        Err(FetchError::Closing)
    }
    async fn propose(&self, _: PlanProposal) -> Result<PlanOutcome, FetchError> {
        Err(FetchError::Closing)
    }
    async fn proposed(&self, _: PlanProposal) -> Result<Option<PlanOutcome>, FetchError> {
        Err(FetchError::Closing)
    }
    async fn withdraw_plans(&self) -> Result<Vec<PlanId>, FetchError> {
        Err(FetchError::Closing)
    }
    async fn standing(&self) -> Result<Standing, FetchError> {
        Err(FetchError::Closing)
    }
}

/// The purse knows a purchase by session, key and request: all three must be the same after a crash, whatever else changed.
#[tokio::test]
async fn every_tool_that_may_spend_names_its_purchase_the_same_after_a_crash() {
    let keys = Arc::new(Keys::default());
    let session = SessionId::derived(&[b"session"]);
    for (life, at) in [(b"one", 0), (b"two", 86_400_000)] {
        // Another process: an empty library, another clock, another run and call.
        let world = World::new().await;
        world.clock.advance_ms(at);
        let tools = crate::research(["https://market.example"], &world.library, &assets()).unwrap();
        let spending: Vec<_> = tools.specs().filter(|spec| spec.effect == Effect::Spend).collect();
        let names: Vec<_> = spending.iter().map(|spec| spec.name.as_str()).collect();
        assert_eq!(names, ["fetch"], "a tool that is new here needs its arguments below");
        let (run, call) = (RunId::derived(&[life]), CallId::derived(&[life]));
        let context = ToolContext::new(session, run, call, world.clock.clone())
            .with_purse(&Purse::new(Arc::clone(&keys) as Arc<dyn Buyer>));
        let fetch = tools.get("fetch").unwrap();
        fetch.call(&context, json!({"url": DOC})).await.unwrap();
    }
    let asked = keys.0.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], asked[1]);
}
