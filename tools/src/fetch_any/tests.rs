use super::*;
use crate::testkit::{DOC, Ends, GAS, Reply, World, assets, call};
use serde_json::{Value, json};

async fn fetch(world: &World, args: Value) -> Value {
    call(FetchAny::new(assets()), world, args).await.unwrap()
}

#[tokio::test]
async fn every_end_of_a_fetch_is_told() {
    let body = Bytes::from_static(GAS.as_bytes());
    for (ends, outcome, paid, code) in [
        (Ends::Delivers { media_type: "text/markdown", body }, "delivered", true, None),
        (Ends::WasOwned, "owned", false, None),
        (Ends::Quotes, "quotes", false, Some("NOT_IN_PLAN")),
        (Ends::Asks, "awaiting_approval", false, Some("AWAITING_APPROVAL")),
        (Ends::Undelivered, "undelivered", true, Some("UNDELIVERED")),
        (Ends::Unknown, "unknown", false, Some("OUTCOME_UNKNOWN")),
        (Ends::Refused("BUDGET_EXCEEDED"), "refused", false, Some("BUDGET_EXCEEDED")),
    ] {
        let world = World::new().await;
        world.buyer.ends(DOC, ends);
        let told = fetch(&world, json!({"url": DOC})).await;
        assert_eq!((&told["outcome"], told.get("paid").is_some()), (&json!(outcome), paid), "{told}");
        let last = told["reasons"].as_array().and_then(|reasons| reasons.last());
        assert_eq!(last.and_then(|reason| reason["code"].as_str()), code, "{told}");
    }
}

#[tokio::test]
async fn what_the_library_has_from_others_is_not_given() {
    let world = World::with_gas_document().await;
    world.buyer.ends(DOC, Ends::Quotes);
    assert_eq!(fetch(&world, json!({"url": DOC})).await["outcome"], "quotes");
    assert_eq!(world.buyer.fetched(), 1, "the purse was asked");
}

#[tokio::test]
async fn a_text_is_given_in_parts_without_hidden_characters() {
    let world = World::new().await;
    let text = format!("é{}\u{202e}\u{1b}[2Jend", "x".repeat(TEXT_CHARS_MAX));
    world.buyer.reply("https://free.example/", Reply::page("text/plain", &text));
    let first = fetch(&world, json!({"url": "https://free.example/"})).await;
    assert_eq!(first["more_from"], TEXT_CHARS_MAX);
    let second =
        fetch(&world, json!({"url": "https://free.example/", "text_from": first["more_from"]})).await;
    assert_eq!((&second["text"], second.get("more_from")), (&json!("x[2Jend"), None));
    let beyond = fetch(&world, json!({"url": "https://free.example/", "text_from": u64::MAX})).await;
    assert_eq!(beyond["text"], "");
}

fn purchase(args: Value) -> Result<(HttpRequest, PurchaseKey), ReasonView> {
    serde_json::from_value::<FetchAnyArgs>(args).unwrap().purchase()
}

#[test]
fn a_purchase_is_named_by_its_caller_or_by_what_is_asked() {
    let name = |args| purchase(args).unwrap().1.as_str().to_owned();
    assert_eq!(name(json!({"url": DOC, "key": "order-1"})), "named/order-1");
    assert!(name(json!({"url": DOC})).starts_with("document/"));
    let sent = |body: &str| name(json!({"url": DOC, "method": "POST", "body": body}));
    assert_eq!(sent("a"), sent("a"));
    assert_ne!(sent("a"), sent("b"));
    let (request, _) =
        purchase(json!({"url": DOC, "method": "POST", "body": "{}", "max_micro_usd": 5})).unwrap();
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(Ceiling::of(&request), Some(&Ceiling::micro_usd(5)));
}

#[test]
fn what_is_no_request_is_refused_with_a_reason() {
    for (args, code) in [
        (json!({"url": "file:///etc/passwd"}), "URL_REFUSED"),
        (json!({"url": DOC, "method": "CONNECT"}), "REQUEST_REFUSED"),
        (json!({"url": DOC, "method": "get"}), "REQUEST_REFUSED"),
        (json!({"url": DOC, "body": "x"}), "REQUEST_REFUSED"),
        (json!({"url": DOC, "method": "POST", "body": "x".repeat(BODY_BYTES_MAX + 1)}), "REQUEST_REFUSED"),
        (
            json!({"url": DOC, "method": "POST", "body": "x", "content_type": "a\r\nhost: b"}),
            "REQUEST_REFUSED",
        ),
        (json!({"url": DOC, "key": "é"}), "REQUEST_REFUSED"),
        (json!({"url": DOC, "key": "x".repeat(KEY_BYTES_MAX + 1)}), "REQUEST_REFUSED"),
    ] {
        assert_eq!(purchase(args.clone()).unwrap_err().code, code, "{args}");
    }
}
