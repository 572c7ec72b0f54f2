//! What goes wrong on the wire.

use super::server::{End, Play, Server, event};
use super::{KEY, at, chat, question, responses, turn};
use bursar_agent_core::models::OpenAiApi::{self, Chat, Responses};
use bursar_agent_core::{Model as _, ModelErrorKind, Retry, StopReason};
use serde_json::json;
use std::time::Duration;

const BOTH: [OpenAiApi; 2] = [Responses, Chat];

/// A turn with text and calls, in the pieces of a stream, and how many of them make it complete.
fn pieces(api: OpenAiApi) -> (Vec<String>, usize) {
    match api {
        Responses => {
            let output = [
                responses::reasoning(),
                responses::message("I look."),
                responses::call(1, r#"{"query":"gas"}"#),
            ];
            let pieces: Vec<String> = responses::events(&output).iter().map(event).collect();
            let whole = pieces.len();
            (pieces, whole)
        }
        Chat => {
            let mut pieces: Vec<String> = chat::chunks().iter().map(event).collect();
            let whole = pieces.len() - 1;
            pieces.push("data: [DONE]\n\n".into());
            (pieces, whole)
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_before_its_end_is_announced_is_no_turn() {
    for api in BOTH {
        let (all, whole) = pieces(api);
        for ends in [End::Clean, End::Cut] {
            for count in 0..=all.len() {
                let kept = all.iter().take(count).cloned().collect();
                let server = Server::playing(vec![Play::Stream(kept, ends)]).await;
                let heard = turn(at(&server, api), question()).await;
                let what = format!("{api:?} {ends:?} after {count} of {}", all.len());
                if count < whole {
                    let error = heard.expect_err(&what);
                    assert_eq!(
                        (error.kind, error.retry),
                        (ModelErrorKind::Network, Retry::Backoff),
                        "{what}"
                    );
                } else {
                    assert_eq!(heard.expect(&what).stop, StopReason::ToolCalls, "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_in_the_middle_of_a_line_is_no_turn() {
    for api in BOTH {
        let (mut all, whole) = pieces(api);
        all.truncate(whole);
        let last = all.pop().unwrap();
        for length in (1..last.trim_end().len()).step_by(7) {
            let mut kept = all.clone();
            kept.push(last.chars().take(length).collect());
            let server = Server::playing(vec![Play::Stream(kept, End::Clean)]).await;
            let error = turn(at(&server, api), question()).await.unwrap_err();
            assert_eq!((error.kind, error.retry), (ModelErrorKind::Network, Retry::Backoff), "{length}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_request() {
    for api in BOTH {
        let (mut all, _) = pieces(api);
        all.truncate(6);
        // In the middle of a stream.
        let server = Server::playing(vec![Play::Stream(all, End::Silent)]).await;
        let mut stream = at(&server, api).build().unwrap().stream(question()).await.unwrap();
        assert!(stream.next().await.unwrap().is_ok());
        drop(stream);
        server.client_left().await;
        // Before the first event.
        let server = Server::playing(vec![Play::Stream(Vec::new(), End::Silent)]).await;
        let model = at(&server, api).build().unwrap();
        let mut stream = model.stream(question()).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
        assert!(waited.is_err(), "a silent stream says nothing");
        drop(stream);
        server.client_left().await;
    }
}

#[tokio::test]
async fn a_server_that_is_silent_for_too_long_has_failed() {
    for api in BOTH {
        let server = Server::playing(vec![Play::Stream(Vec::new(), End::Silent)]).await;
        let error = turn(at(&server, api).silence_ms_max(50), question()).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (ModelErrorKind::TimedOut, Retry::Backoff));
        server.client_left().await;
    }
}

#[tokio::test]
async fn each_status_says_whether_and_when_to_try_again() {
    let code = |code: &str| {
        json!({"error": {"message": format!("quotes {KEY} and `Who may pay the gas?`"), "type": "t", "code": code}}).to_string()
    };
    let after = |value: &str| vec![("retry-after", value.to_owned())];
    let dated = vec![
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
        ("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT".to_owned()),
    ];
    let moved = vec![("location", "http://127.0.0.1:1/v1/responses".to_owned())];
    use ModelErrorKind::{Authentication, Provider, RateLimited, Refused, TooLong};
    let cases = [
        (429, vec![], code("rate_limit_exceeded"), RateLimited, Retry::Backoff),
        (429, after("2"), code("rate_limit_exceeded"), RateLimited, Retry::After { ms: 2_000 }),
        (429, dated, code("rate_limit_exceeded"), RateLimited, Retry::After { ms: 3_000 }),
        (429, after("86400"), String::new(), RateLimited, Retry::After { ms: 300_000 }),
        (429, after("2"), code("insufficient_quota"), RateLimited, Retry::Never),
        (500, vec![], "<html>oops</html>".to_owned(), Provider, Retry::Backoff),
        (503, after("1"), code("overloaded"), Provider, Retry::After { ms: 1_000 }),
        (401, vec![], code("invalid_api_key"), Authentication, Retry::Never),
        (400, vec![], code("context_length_exceeded"), TooLong, Retry::Never),
        (404, vec![], code("model_not_found"), Refused, Retry::Never),
        (307, moved, String::new(), Provider, Retry::Never),
    ];
    for api in BOTH {
        for (status, headers, body, kind, retry) in &cases {
            let server = Server::playing(vec![Play::Answer(*status, headers.clone(), body.clone())]).await;
            let error = turn(at(&server, api), question()).await.unwrap_err();
            assert_eq!((error.kind, error.retry, error.status), (*kind, *retry, Some(*status)), "{error}");
            assert_eq!(error.request_id.as_deref(), Some("req_1"));
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(KEY) && !shown.contains("gas"), "{shown}");
            assert_eq!(server.seen().len(), 1, "retries are the driver's");
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_or_is_not_there_may_be_tried_again() {
    let server = Server::playing(vec![Play::HangUp]).await;
    let gone = {
        let server = Server::playing(Vec::new()).await;
        at(&server, Chat)
    };
    for model in [at(&server, Responses), gone] {
        let error = turn(model, question()).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (ModelErrorKind::Network, Retry::Backoff));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("/v1") && !shown.contains(KEY), "{shown}");
    }
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let text = "x".repeat(2_000);
    for api in BOTH {
        let small = match api {
            Responses => responses::message(&"x ".repeat(10)),
            Chat => chat::chunk(json!({"content": "x"})),
        };
        let pieces = |large: bool| match (api, large) {
            (Responses, true) => responses::events(&[responses::message(&text)]),
            (Responses, false) => vec![responses::events(std::slice::from_ref(&small)); 30].concat(),
            (Chat, true) => vec![chat::chunk(json!({"content": text})), chat::end("stop")],
            (Chat, false) => vec![small.clone(); 300],
        };
        for large in [true, false] {
            let mut events = pieces(large);
            events.retain(|event| large || event["type"] != "response.completed");
            let server = Server::playing(vec![Play::events(&events)]).await;
            let error = turn(at(&server, api).answer_bytes_max(2_500), question()).await.unwrap_err();
            assert_eq!(
                (error.kind, error.retry),
                (ModelErrorKind::Protocol, Retry::Never),
                "{api:?} {large}"
            );
        }
        let server = Server::playing(vec![Play::json(200, &json!({"output": text, "choices": []}))]).await;
        let whole = at(&server, api).streaming(false).answer_bytes_max(1_000);
        assert_eq!(turn(whole, question()).await.unwrap_err().kind, ModelErrorKind::Protocol);
        // An error answer of any length is one error.
        let server = Server::playing(vec![Play::Answer(400, Vec::new(), "x".repeat(1_000_000))]).await;
        assert_eq!(turn(at(&server, api), question()).await.unwrap_err().kind, ModelErrorKind::Refused);
    }
}

#[tokio::test]
async fn a_hundred_parallel_calls_are_heard_and_too_many_are_refused() {
    let many = |count: u32| {
        let calls: Vec<_> =
            (0..count).map(|number| responses::call(number, &format!("{{\"n\":{number}}}"))).collect();
        Play::events(&responses::events(&calls))
    };
    let server = Server::playing(vec![many(100), many(129)]).await;
    let heard = turn(at(&server, Responses), question()).await.unwrap();
    assert_eq!(heard.calls.len(), 100);
    let error = turn(at(&server, Responses), question()).await.unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Protocol);
}

#[tokio::test]
async fn what_is_no_json_is_an_error() {
    for api in BOTH {
        let broken = vec!["data: {\"type\": \n\n".to_owned()];
        for play in [
            Play::Stream(broken, End::Clean),
            Play::Answer(200, vec![("content-type", "application/json".into())], "<html>".into()),
        ] {
            let server = Server::playing(vec![play]).await;
            assert_eq!(turn(at(&server, api), question()).await.unwrap_err().kind, ModelErrorKind::Protocol);
        }
    }
}
