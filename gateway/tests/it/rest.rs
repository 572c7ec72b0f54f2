//! The REST gateway. Each answer of each test is held against the OpenAPI document.

use crate::contract;
use crate::support::{ADA, BOB, Serving, Town, codes};
use bursar_gateway::rest;
use bursar_market::Fault;
use serde_json::{Value, json};

pub(crate) fn document() -> Value {
    rest::openapi()
}

/// A caller's client. What it is answered must be as the document says.
pub(crate) struct Rest {
    http: reqwest::Client,
    base: String,
    token: &'static str,
}

impl Rest {
    pub(crate) fn new(serving: &Serving, token: &'static str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, base: format!("http://{}", serving.address), token }
    }

    fn request(&self, method: &str, url: &str) -> reqwest::RequestBuilder {
        let method = method.to_uppercase().parse().unwrap();
        self.http.request(method, format!("{}{url}", self.base)).bearer_auth(self.token)
    }

    /// `path` is the document's; `url` is what is asked.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        url: &str,
        key: Option<&str>,
        body: Option<Value>,
    ) -> (u16, Value) {
        let mut request = self.request(method, url);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let body: Value = response.json().await.unwrap();
        contract::fits(path, method, status, &media_type, &body);
        (status, body)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send("get", path.split('?').next().unwrap(), path, None, None).await
    }

    pub(crate) async fn pay(&self, key: &str, url: &str, most: u64) -> (u16, Value) {
        let body = json!({"url": url, "max_micro_usd": most, "purpose": "to answer a question"});
        self.send("post", "/v1/payments", "/v1/payments", Some(key), Some(body)).await
    }

    async fn payment(&self, id: &str) -> (u16, Value) {
        self.send("get", "/v1/payments/{id}", &format!("/v1/payments/{id}"), None, None).await
    }

    async fn fetch(&self, key: &str, body: Value) -> (u16, Value) {
        self.send("post", "/v1/fetches", "/v1/fetches", Some(key), Some(body)).await
    }
}

#[tokio::test]
async fn a_payment_is_made_once_under_its_key_and_told_the_same_again() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada(), town.bob()]).await;
    let ada = Rest::new(&serving, ADA);
    let (status, paid) = ada.pay("order-1", &town.url("gas"), 100_000).await;
    assert_eq!((status, &paid["outcome"]), (200, &json!("delivered")), "{paid}");
    assert!(paid["text"].as_str().unwrap().contains("pays the gas"));
    let (status, again) = ada.pay("order-1", &town.url("gas"), 100_000).await;
    let steady = |mut told: Value| {
        // The chain may have been asked meanwhile.
        told["payment"]["observed"].take();
        told
    };
    assert_eq!((status, steady(again)), (200, steady(paid.clone())));
    assert_eq!(town.paid(), 1);
    let id = paid["payment"]["id"].as_str().unwrap();
    let (status, told) = ada.payment(id).await;
    assert_eq!((status, &told["state"], &told["open"]), (200, &json!("delivered"), &json!(false)));
    // It is nobody else's.
    let bob = Rest::new(&serving, BOB);
    assert_eq!(bob.payment(id).await.0, 404);
    assert_eq!(bob.get("/v1/budget").await.1["spent_micro_usd"], 0);
    // Another key is another purchase.
    let (_, other) = ada.pay("order-2", &town.url("gas"), 100_000).await;
    assert_eq!((&other["outcome"], town.paid()), (&json!("delivered"), 2), "{other}");
    assert_ne!(other["payment"]["id"], paid["payment"]["id"]);
    serving.end().await;
}

#[tokio::test]
async fn nothing_above_the_ceiling_is_bought_whatever_was_approved_before() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let ada = Rest::new(&serving, ADA);
    let url = town.url("gas");
    let (status, refused) = ada.pay("cheap", &url, 1).await;
    assert_eq!((status, &refused["code"]), (409, &json!("PRICE_ABOVE_CEILING")), "{refused}");
    assert_eq!(ada.pay("free", &url, 0).await.0, 409);

    // With a plan that allows it, too.
    let asked = json!({"urls": [url]});
    let (_, quoted) = ada.send("post", "/v1/quotes", "/v1/quotes", None, Some(asked)).await;
    let item = json!({"quote_id": quoted["quotes"][0]["quote_id"]});
    let plan = json!({"purpose": "read it", "items": [item]});
    let (status, plan) = ada.send("post", "/v1/plans", "/v1/plans", None, Some(plan)).await;
    assert_eq!((status, &plan["outcome"]), (200, &json!("approved")));
    let (status, told) = ada.fetch("below", json!({"url": url, "max_micro_usd": 1})).await;
    assert_eq!((status, &told["outcome"]), (200, &json!("quotes")), "{told}");
    assert_eq!((codes(&told), town.paid()), (vec!["PRICE_ABOVE_CEILING"], 0));
    let (_, told) = ada.fetch("above", json!({"url": url, "max_micro_usd": 500_000})).await;
    assert_eq!((&told["outcome"], town.paid()), (&json!("delivered"), 1));
    serving.end().await;
}

#[tokio::test]
async fn a_seller_that_asks_for_more_than_it_did_gets_nothing_above_the_ceiling() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let ada = Rest::new(&serving, ADA);
    let seller = &town.market.sellers()[0];
    let price = u64::try_from(seller.price("gas").unwrap()).unwrap();
    seller.faults().arm(Fault::QuotedAmount { amount: (price + 1).to_string() }).unwrap();
    let (status, refused) = ada.pay("k", &town.url("gas"), price).await;
    assert_eq!((status, &refused["code"], town.paid()), (409, &json!("PRICE_ABOVE_CEILING"), 0), "{refused}");
    seller.faults().clear();
    assert_eq!(ada.pay("k", &town.url("gas"), price).await.0, 200, "a refusal uses no key up");
    serving.end().await;
}

#[tokio::test]
async fn a_key_stands_for_one_request_for_ever() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada(), town.bob()]).await;
    let ada = Rest::new(&serving, ADA);
    assert_eq!(ada.pay("k", &town.url("gas"), 100_000).await.0, 200);
    let (status, reused) = ada.pay("k", &town.url("notes"), 100_000).await;
    assert_eq!((status, &reused["code"]), (422, &json!("IDEMPOTENCY_KEY_REUSED")));
    assert_eq!(
        ada.pay("k", &town.url("gas"), 200_000).await.0,
        422,
        "the ceiling is a part of what was asked"
    );
    assert_eq!(ada.fetch("k", json!({"url": town.url("gas")})).await.0, 422, "and so is the route");
    assert_eq!(
        Rest::new(&serving, BOB).pay("k", &town.url("gas"), 100_000).await.0,
        200,
        "keys are a caller's own"
    );
    let body = json!({"url": town.url("gas"), "max_micro_usd": 9, "purpose": "p"});
    for (key, code) in [
        (None, "IDEMPOTENCY_KEY_MISSING"),
        (Some(""), "IDEMPOTENCY_KEY_MALFORMED"),
        (Some("a b"), "IDEMPOTENCY_KEY_MALFORMED"),
        (Some(&*"x".repeat(121)), "IDEMPOTENCY_KEY_MALFORMED"),
    ] {
        let (status, told) = ada.send("post", "/v1/payments", "/v1/payments", key, Some(body.clone())).await;
        assert_eq!((status, &told["code"]), (400, &json!(code)));
    }
    serving.end().await;
}

#[tokio::test]
async fn the_same_payment_sent_many_times_at_once_is_made_once() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let ada = Rest::new(&serving, ADA);
    let url = town.url("gas");
    let (a, b, c, d) = tokio::join!(
        ada.pay("one", &url, 100_000),
        ada.pay("one", &url, 100_000),
        ada.pay("one", &url, 100_000),
        ada.pay("one", &url, 100_000)
    );
    for (status, told) in [a, b, c, d] {
        assert_eq!((status, &told["outcome"]), (200, &json!("delivered")), "{told}");
    }
    assert_eq!(town.paid(), 1);
    serving.end().await;
}

#[tokio::test]
async fn a_person_is_asked_with_202_and_asking_again_asks_nobody_twice() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.asked()]).await;
    let ada = Rest::new(&serving, ADA);
    let (status, asked) = ada.pay("k", &town.url("gas"), 100_000).await;
    assert_eq!((status, &asked["outcome"], town.paid()), (202, &json!("awaiting_approval"), 0), "{asked}");
    let (status, again) = ada.pay("k", &town.url("gas"), 100_000).await;
    assert_eq!((status, &again["approval"]["id"]), (202, &asked["approval"]["id"]));
    let (_, open) = ada.get("/v1/approvals").await;
    assert_eq!(open["approvals"].as_array().unwrap().len(), 1);
    assert_eq!(open["approvals"][0]["id"], asked["approval"]["id"]);
    serving.end().await;
}

#[tokio::test]
async fn what_was_paid_and_did_not_come_is_no_error_and_is_not_paid_again() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let ada = Rest::new(&serving, ADA);
    town.market.sellers()[0].faults().arm(Fault::EmptyBody).unwrap();
    let (status, owed) = ada.pay("k", &town.url("gas"), 100_000).await;
    assert_eq!((status, &owed["outcome"], town.paid()), (200, &json!("undelivered"), 1), "{owed}");
    let id = owed["payment"]["id"].as_str().unwrap().to_owned();
    assert_eq!(ada.payment(&id).await.1["open"], true);
    town.market.sellers()[0].faults().clear();
    let (status, later) = ada.pay("k", &town.url("gas"), 100_000).await;
    assert_eq!((status, &later["payment"]["id"], town.paid()), (200, &json!(id), 1), "{later}");
    serving.end().await;
}

#[tokio::test]
async fn what_may_have_been_paid_is_no_error_and_another_key_buys_nothing_meanwhile() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let ada = Rest::new(&serving, ADA);
    town.market.sellers()[0].faults().arm(Fault::DropBeforeSettle).unwrap();
    let (status, open) = ada.pay("k", &town.url("gas"), 100_000).await;
    assert_eq!((status, &open["outcome"]), (200, &json!("unknown")), "{open}");
    assert!(codes(&open).contains(&"OUTCOME_UNKNOWN"));
    let id = open["payment"]["id"].as_str().unwrap().to_owned();
    let (_, other) = ada.pay("k2", &town.url("gas"), 100_000).await;
    assert_eq!(other["payment"]["id"], json!(id), "the open payment is joined: {other}");
    town.market.sellers()[0].faults().clear();
    let (_, later) = ada.pay("k", &town.url("gas"), 100_000).await;
    assert_eq!((&later["outcome"], &later["payment"]["id"]), (&json!("delivered"), &json!(id)), "{later}");
    assert_eq!(town.paid(), 1);
    serving.end().await;
}

#[tokio::test]
async fn a_refusal_is_a_problem_with_a_code_a_sentence_and_a_next_step() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada().without_plans()]).await;
    let ada = Rest::new(&serving, ADA);
    let (status, told) = ada.pay("k", &town.url("gas"), 100_000).await;
    assert_eq!((status, &told["code"], town.paid()), (403, &json!("PLANS_NOT_ALLOWED"), 0), "{told}");
    assert_eq!(told["type"], "urn:bursar:reason:PLANS_NOT_ALLOWED");
    assert!(!told["next_step"].as_str().unwrap().is_empty());
    let plan = json!({"purpose": "p", "items": [{"quote_id": "quo_00000000000000000000000000000000"}]});
    let (status, told) = ada.send("post", "/v1/plans", "/v1/plans", None, Some(plan)).await;
    assert_eq!((status, &told["code"]), (403, &json!("NOT_OFFERED")));
    for (url, code, wanted) in [
        ("file:///etc/passwd", "URL_REFUSED", 422),
        ("http://169.254.169.254/latest/meta-data", "EGRESS_BLOCKED", 403),
    ] {
        let (status, told) = ada.pay(code, url, 100_000).await;
        assert_eq!((status, &told["code"]), (wanted, &json!(code)), "{told}");
    }
    serving.teller.session("ada").unwrap().freeze("looks odd").await.unwrap();
    let (status, told) = ada.fetch("f", json!({"url": town.url("gas")})).await;
    assert_eq!((status, &told["code"]), (403, &json!("FROZEN")), "{told}");
    serving.end().await;
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_told_why() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let ada = Rest::new(&serving, ADA);
    let json = |request: reqwest::RequestBuilder| request.header("content-type", "application/json");
    for (what, request, status, code) in [
        (
            "a long body",
            json(ada.request("post", "/v1/quotes")).body(" ".repeat((512 << 10) + 1)),
            413,
            "BODY_TOO_LONG",
        ),
        ("no JSON", json(ada.request("post", "/v1/quotes")).body("{"), 400, "BODY_NOT_JSON"),
        ("a form", ada.request("post", "/v1/quotes").body("urls=x"), 415, "BODY_NOT_JSON"),
        ("another path", ada.request("get", "/v1/mandate"), 404, "NO_SUCH_PATH"),
        ("another method", ada.request("delete", "/v1/budget"), 405, "METHOD_NOT_ALLOWED"),
        (
            "another host",
            ada.request("get", "/v1/budget").header("host", "evil.example"),
            421,
            "HOST_NOT_SERVED",
        ),
        (
            "a page of others",
            ada.request("get", "/v1/budget").header("origin", "http://e.example"),
            421,
            "HOST_NOT_SERVED",
        ),
        ("an odd search", ada.request("get", "/v1/search?q=x"), 422, "ARGUMENTS"),
    ] {
        let response = request.send().await.unwrap();
        let (found, kind) = (response.status().as_u16(), response.headers()["content-type"].clone());
        let told: Value = response.json().await.unwrap();
        assert_eq!((found, kind.to_str().unwrap()), (status, "application/problem+json"), "{what}: {told}");
        assert_eq!(told["code"], code, "{what}: {told}");
    }
    // A number that JSON readers disagree about names no request.
    let body = json!({"url": town.url("gas"), "max_micro_usd": 9_007_199_254_740_992_u64, "purpose": "p"});
    let (status, told) = ada.send("post", "/v1/payments", "/v1/payments", Some("k"), Some(body)).await;
    assert_eq!((status, &told["code"]), (422, &json!("ARGUMENTS")), "{told}");
    let nobody = Rest::new(&serving, "");
    let response = nobody.request("get", "/v1/budget").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], r#"Bearer realm="bursar""#);
    serving.end().await;
}

#[tokio::test]
async fn a_payment_survives_a_restart_and_its_key_still_names_it() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let (_, paid) = Rest::new(&serving, ADA).pay("k", &town.url("gas"), 100_000).await;
    serving.end().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let ada = Rest::new(&serving, ADA);
    let (_, again) = ada.pay("k", &town.url("gas"), 100_000).await;
    assert_eq!((&again["payment"]["id"], town.paid()), (&paid["payment"]["id"], 1));
    assert_eq!(ada.pay("k", &town.url("notes"), 100_000).await.0, 422);
    serving.end().await;
}

#[tokio::test]
async fn a_long_text_is_given_in_parts_and_paid_for_once() {
    let town = Town::new().await;
    let serving = Serving::rest(&town, vec![town.ada()]).await;
    let ada = Rest::new(&serving, ADA);
    let ask = |from: u64| {
        let body =
            json!({"url": town.url("long"), "max_micro_usd": 500_000, "purpose": "p", "text_from": from});
        ada.send("post", "/v1/payments", "/v1/payments", Some("k"), Some(body))
    };
    let (_, first) = ask(0).await;
    let more = first["more_from"].as_u64().unwrap_or_else(|| panic!("{first}"));
    let (_, second) = ask(more).await;
    let text = format!("{}{}", first["text"].as_str().unwrap(), second["text"].as_str().unwrap());
    assert!(text.contains("the first word") && text.contains("the last word"), "{}", text.len());
    assert_eq!((town.paid(), second.get("more_from")), (1, None));
    serving.end().await;
}
