//! The MCP server, over HTTP and over streams.

use crate::support::{ADA, BOB, Client, Serving, Town, codes};
use bursar_gateway::mcp;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

#[tokio::test]
async fn an_agent_finds_quotes_plans_and_buys_and_what_it_bought_is_not_paid_again() {
    let town = Town::new().await;
    let serving = Serving::mcp(&town, vec![town.ada()]).await;
    let ada = Client::new(&serving, ADA);
    let (found, _) = ada.call("search_market", json!({"query": "who pays the gas"})).await;
    assert_eq!(found["results"][0]["owned"], false, "{found}");
    let url = town.url("gas");
    let (asked, _) = ada.call("fetch", json!({"url": url})).await;
    assert_eq!((&asked["outcome"], town.paid()), (&json!("quotes"), 0), "{asked}");

    let bought = ada.buy(&url).await;
    assert_eq!(bought["outcome"], "delivered", "{bought}");
    assert!(bought["text"].as_str().unwrap().contains("pays the gas"), "{bought}");
    assert!(bought["payment"]["id"].as_str().unwrap().starts_with("pay_"), "{bought}");
    let (again, _) = ada.call("fetch", json!({"url": url})).await;
    assert_eq!((&again["outcome"], &again["payment"]["id"]), (&json!("owned"), &bought["payment"]["id"]));
    let (found, _) = ada.call("search_market", json!({"query": "who pays the gas"})).await;
    assert_eq!(found["results"][0]["owned"], true);
    assert_eq!(town.paid(), 1);
    let (budget, _) = ada.call("budget", json!({})).await;
    assert!(budget["spent_micro_usd"].as_u64().unwrap() > 0, "{budget}");
    let verified = serving.bursar.ledger().verify().await.unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    serving.end().await;
}

#[tokio::test]
async fn what_a_model_is_told_names_tools_that_are_there() {
    let town = Town::new().await;
    let serving = Serving::mcp(&town, vec![town.ada()]).await;
    let ada = Client::new(&serving, ADA);
    let begun = ada
        .ask(
            "initialize",
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
        )
        .await;
    assert_eq!(begun["result"]["serverInfo"]["name"], "bursar");
    let listed = ada.ask("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["approvals", "budget", "fetch", "propose_plan", "quote", "search_market"]);
    let told = format!("{}{}", listed["result"], begun["result"]["instructions"]);
    assert!(!told.contains("get_quotes") && !told.contains("recall"), "{told}");
    for name in names {
        assert!(begun["result"]["instructions"].as_str().unwrap().contains(&format!("`{name}`")), "{name}");
    }
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!("tools", tools); });
    serving.end().await;
}

#[tokio::test]
async fn nobody_is_let_in_without_the_token_of_a_caller_or_by_another_name_or_from_a_page_of_others() {
    let town = Town::new().await;
    let serving = Serving::mcp(&town, vec![town.ada()]).await;
    let ada = Client::new(&serving, ADA);
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    for (what, request, status, challenge) in [
        ("no token", ada.post(list.clone()).header("authorization", ""), 401, true),
        ("another token", Client::new(&serving, BOB).post(list.clone()), 401, true),
        ("another host", ada.post(list.clone()).header("host", "evil.example"), 403, false),
        ("another origin", ada.post(list.clone()).header("origin", "http://evil.example"), 403, false),
        ("a long body", ada.post(" ".repeat((1 << 20) + 1)), 413, false),
        ("its own token", ada.post(list.clone()), 200, false),
    ] {
        let response = request.send().await.unwrap();
        let said = response.headers().contains_key("www-authenticate");
        assert_eq!((response.status().as_u16(), said), (status, challenge), "{what}");
    }
    serving.end().await;
}

#[tokio::test]
async fn what_cannot_be_called_is_an_error_of_the_protocol_and_wrong_arguments_are_told_to_the_model() {
    let town = Town::new().await;
    let serving = Serving::mcp(&town, vec![town.ada().without_plans()]).await;
    let ada = Client::new(&serving, ADA);
    for tool in ["approve", "pay", "propose_plan", "recall", ""] {
        let answer = ada.ask("tools/call", json!({"name": tool, "arguments": {}})).await;
        assert_eq!(answer["error"]["code"], -32_602, "{tool}: {answer}");
    }
    for (tool, arguments, code) in [
        ("quote", json!({}), "ARGUMENTS"),
        ("quote", json!({"urls": [], "mandate": {"budget": "1000"}}), "ARGUMENTS"),
        ("fetch", json!({"url": "file:///etc/passwd"}), "URL_REFUSED"),
        ("fetch", json!({"url": "http://169.254.169.254/latest"}), "EGRESS_BLOCKED"),
        ("fetch", json!({"url": town.url("gas"), "key": "x".repeat(300)}), "REQUEST_REFUSED"),
        ("fetch", json!({"url": town.url("gas"), "body": "x"}), "REQUEST_REFUSED"),
        ("fetch", json!({"url": town.url("gas"), "method": "CONNECT"}), "REQUEST_REFUSED"),
        ("budget", json!({"caller": "bob"}), "ARGUMENTS"),
    ] {
        let (answer, failed) = ada.call(tool, arguments).await;
        assert!(failed && codes(&answer).contains(&code), "{tool}: {answer}");
    }
    assert_eq!(town.paid(), 0);
    serving.end().await;
}

#[tokio::test]
async fn over_streams_the_caller_is_who_the_operator_says_and_nothing_but_the_protocol_is_written() {
    let town = Town::new().await;
    let (teller, bursar) = town.teller(vec![town.ada()]).await;
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (input, output) = tokio::io::split(theirs);
    let served = tokio::spawn(async move { mcp::serve_stream(teller, "ada", input, output).await });
    let (reads, mut writes) = tokio::io::split(ours);
    let mut lines = BufReader::new(reads).lines();
    let mut ask = async |message: Value| -> Value {
        writes.write_all(format!("{message}\n").as_bytes()).await.unwrap();
        match message.get("id") {
            Some(_) => serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap(),
            None => Value::Null,
        }
    };
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    ask(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})).await;
    ask(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    let call = json!({"name": "quote", "arguments": {"urls": [town.url("gas")]}});
    let answer = ask(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call})).await;
    assert_eq!(answer["result"]["structuredContent"]["quotes"][0]["payable"], true, "{answer}");
    drop((lines, writes));
    served.await.unwrap().unwrap();
    bursar.close().await.unwrap();
}
