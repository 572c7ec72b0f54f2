//! One request on the wire per call, and the truth about what became of it.

use crate::server::{Connection, Server};
use bursar_payments::HttpTransport;
use bursar_types::{HttpRequest, HttpResponse, Limits, Transport as _, TransportError};
use bytes::Bytes;

const SMALL: Limits =
    Limits { body_bytes_max: 100, challenge_bytes_max: 100, head_bytes_max: 400, timeout_ms: 400 };

fn get(url: &str) -> HttpRequest {
    http::Request::builder().uri(url).body(Bytes::new()).unwrap()
}

/// Sends one request to a server that answers with these bytes and then closes, or waits if they end in an ellipsis.
async fn answer(bytes: &'static str) -> (Result<HttpResponse, TransportError>, usize) {
    let server = Server::start(move |mut connection: Connection| async move {
        if connection.request().await.is_none() {
            return;
        }
        match bytes.strip_suffix('…') {
            Some(start) => {
                connection.write(start).await;
                std::future::pending::<()>().await;
            }
            None => connection.write(bytes).await,
        }
    })
    .await;
    let answer = HttpTransport::new().unwrap().send(get(&server.url), SMALL).await;
    (answer, server.requests())
}

fn kind(answer: &Result<HttpResponse, TransportError>) -> String {
    match answer {
        Ok(response) => {
            format!("{} {}", response.status().as_u16(), String::from_utf8_lossy(response.body()))
        }
        Err(TransportError::NotSent { .. }) => "not sent".to_owned(),
        Err(TransportError::NoAnswer { .. }) => "no answer".to_owned(),
        Err(TransportError::Blocked { .. }) => "blocked".to_owned(),
        Err(TransportError::HeadTooLong { .. }) => "head too long".to_owned(),
        Err(TransportError::Body { head, .. }) => {
            let receipt = head.headers.get("payment-response").and_then(|value| value.to_str().ok());
            format!("broken {} {}", head.status.as_u16(), receipt.unwrap_or("-"))
        }
    }
}

#[tokio::test]
async fn an_answer_is_told_apart_by_what_came_of_it() {
    let long_head = Box::leak(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(500)).into_boxed_str());
    let long_body = Box::leak(
        format!("HTTP/1.1 200 OK\r\nPAYMENT-RESPONSE: r\r\n\r\n{}", "a".repeat(101)).into_boxed_str(),
    );
    let full_body = Box::leak(format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(100)).into_boxed_str());
    for (bytes, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "200 hi"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", "200 hi"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "204 "),
        ("HTTP/1.1 307 Temporary Redirect\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", "307 "),
        // No length and no chunks: the close is the end, so nothing is missing.
        (&*full_body, &format!("200 {}", "a".repeat(100))),
        ("HTTP/1.1 200 OK\r\nPAYMENT-RESPONSE: r\r\ncontent-length: 9\r\n\r\nhi", "broken 200 r"),
        (
            "HTTP/1.1 200 OK\r\nPAYMENT-RESPONSE: r\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhi",
            "broken 200 r",
        ),
        ("HTTP/1.1 200 OK\r\nPAYMENT-RESPONSE: r\r\ncontent-length: 101\r\n\r\n…", "broken 200 r"),
        (&*long_body, "broken 200 r"),
        ("HTTP/1.1 200 OK\r\nPAYMENT-RESPONSE: r\r\ncontent-length: 9\r\n\r\nhi…", "broken 200 r"),
        (&*long_head, "head too long"),
        ("HTTP/1.1 200 OK\r\nPAYMENT-RESPONSE: r\r\n…", "no answer"),
        ("HTTP/1.1 200 OK\r\nPAYMENT-RESP", "no answer"),
        ("nonsense\r\n\r\n", "no answer"),
        ("", "no answer"),
        ("…", "no answer"),
    ] {
        let (answer, requests) = answer(bytes).await;
        assert_eq!(kind(&answer), expected, "{bytes:.80}: {answer:?}");
        assert_eq!(requests, 1, "{bytes:.80}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_leave_is_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for url in [closed.as_str(), "http://does-not-exist.invalid/", "ftp://127.0.0.1/", "/relative"] {
        let answer = HttpTransport::new().unwrap().send(get(url), Limits::default()).await;
        assert_eq!(kind(&answer), "not sent", "{url}: {answer:?}");
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let server = Server::start(|mut connection: Connection| async move {
        let mut served = 0;
        while connection.request().await.is_some() {
            served += 1;
            connection.answer("200 OK", &served.to_string()).await;
        }
    })
    .await;
    let transport = HttpTransport::new().unwrap();
    for expected in ["200 1", "200 2", "200 3"] {
        assert_eq!(kind(&transport.send(get(&server.url), SMALL).await), expected);
    }
}

#[tokio::test]
async fn a_kept_connection_that_closes_on_the_next_request_is_no_answer_and_not_asked_again() {
    let server = Server::start(|mut connection: Connection| async move {
        connection.request().await;
        connection.answer("200 OK", "first").await;
        // Read and dropped without a word, as `/paid/drop` of a bad seller does.
        connection.request().await;
    })
    .await;
    let transport = HttpTransport::new().unwrap();
    assert_eq!(kind(&transport.send(get(&server.url), SMALL).await), "200 first");
    assert_eq!(kind(&transport.send(get(&server.url), SMALL).await), "no answer");
    // A repeat by the client would have come before it gave up.
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_closed_meanwhile_costs_no_second_request() {
    let server = Server::start(|mut connection: Connection| async move {
        connection.request().await;
        connection.answer("200 OK", "once").await;
    })
    .await;
    let transport = HttpTransport::new().unwrap();
    for round in 1..=40 {
        let answer = transport.send(get(&server.url), SMALL).await;
        // The close may cross the next request: then nobody knows, and it must not be called unsent.
        assert!(matches!(kind(&answer).as_str(), "200 once" | "no answer"), "{answer:?}");
        assert!(server.requests() <= round, "{} requests for {round} calls", server.requests());
    }
}

#[tokio::test]
async fn nothing_is_added_to_a_request_but_what_http_needs() {
    let server = Server::start(|mut connection: Connection| async move {
        let (head, body) = connection.request().await.unwrap();
        connection.answer("200 OK", &format!("{}|{body}", head.replace("\r\n", "|"))).await;
    })
    .await;
    let request = http::Request::builder()
        .method("POST")
        .uri(format!("{}/a?b=c", server.url))
        .header("payment-signature", "s")
        .body(Bytes::from("{}"))
        .unwrap();
    let limits = Limits { body_bytes_max: 1_000, ..SMALL };
    let response = HttpTransport::new().unwrap().send(request, limits).await.unwrap();
    let host = server.url.strip_prefix("http://").unwrap();
    assert_eq!(
        String::from_utf8_lossy(response.body()),
        format!("POST /a?b=c HTTP/1.1|payment-signature: s|accept: */*|host: {host}|content-length: 2|{{}}")
    );
}

#[tokio::test]
async fn a_cookie_is_not_kept() {
    let server = Server::start(|mut connection: Connection| async move {
        while let Some((head, _)) = connection.request().await {
            let kept = if head.to_ascii_lowercase().contains("cookie") { "kept" } else { "none" };
            connection
                .write(&format!("HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 4\r\n\r\n{kept}"))
                .await;
        }
    })
    .await;
    let transport = HttpTransport::new().unwrap();
    for _ in 0..2 {
        assert_eq!(kind(&transport.send(get(&server.url), SMALL).await), "200 none");
    }
}

#[tokio::test]
async fn a_body_in_many_pieces_comes_whole() {
    let body: String = ('a'..='z').cycle().take(60_000).collect();
    let sent = body.clone();
    let server = Server::start(move |mut connection: Connection| {
        let body = sent.clone();
        async move {
            connection.request().await;
            connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            for piece in body.as_bytes().chunks(7_919) {
                let piece = String::from_utf8_lossy(piece);
                connection.write(&format!("{:x}\r\n{piece}\r\n", piece.len())).await;
            }
            connection.write("0\r\n\r\n").await;
        }
    })
    .await;
    let response = HttpTransport::new().unwrap().send(get(&server.url), Limits::default()).await.unwrap();
    assert_eq!(response.body(), body.as_bytes());
}

#[tokio::test]
async fn a_transport_without_tls_speaks_plain_http_only() {
    let server = Server::start(|mut connection: Connection| async move {
        while connection.request().await.is_some() {
            connection.answer("200 OK", "plain").await;
        }
    })
    .await;
    let transport = HttpTransport::without_tls().unwrap();
    let plain = transport.send(get(&server.url), Limits::default()).await.unwrap();
    assert_eq!(plain.body().as_ref(), b"plain");
    let secure = transport.send(get(&server.url.replace("http:", "https:")), Limits::default()).await;
    assert_eq!(kind(&secure), "not sent", "{secure:?}");
}
