//! The address that was checked is the one that is connected to.

use crate::server::{Connection, Server};
use async_trait::async_trait;
use bursar_payments::{Egress, HttpTransport, Resolver};
use bursar_types::{HttpRequest, Limits, Transport as _, TransportError};
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A name server under an attacker's hand: another answer each time it is asked, the last one for ever.
#[derive(Debug, Default)]
struct Rebinding {
    answers: Vec<Vec<&'static str>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Resolver for Rebinding {
    async fn resolve(&self, _host: &str) -> std::io::Result<Vec<IpAddr>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        Ok(self.answers[turn].iter().map(|text| text.parse().unwrap()).collect())
    }
}

fn get(url: &str) -> HttpRequest {
    http::Request::builder().uri(url).body(Bytes::new()).unwrap()
}

/// A server that keeps no connection open, so that every request is resolved anew.
async fn server() -> Server {
    Server::start(|mut connection: Connection| async move {
        if connection.request().await.is_some() {
            connection.write("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi").await;
        }
    })
    .await
}

fn over(egress: Egress, answers: &[&[&'static str]]) -> (HttpTransport, Arc<Rebinding>) {
    let answers = answers.iter().map(|one| one.to_vec()).collect();
    let resolver = Arc::new(Rebinding { answers, ..Rebinding::default() });
    (HttpTransport::guarded_over(egress, resolver.clone()).unwrap(), resolver)
}

#[tokio::test]
async fn a_name_is_resolved_once_and_what_was_checked_is_connected_to() {
    let server = server().await;
    let port = server.url.rsplit_once(':').unwrap().1;
    let url = format!("http://vendor.test:{port}/");
    let local = Egress::internet().and_loopback();
    // It passes the check, and would stand for the metadata service if anything asked again before connecting.
    let (transport, resolver) = over(local, &[&["127.0.0.1"], &["169.254.169.254"]]);
    let answer = transport.send(get(&url), Limits::default()).await.unwrap();
    assert_eq!((answer.body().as_ref(), server.requests()), (b"hi".as_slice(), 1));
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
    // The next connection is checked anew.
    let again = transport.send(get(&url), Limits::default()).await;
    assert!(matches!(&again, Err(TransportError::Blocked { .. })), "{again:?}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_name_that_stands_for_a_forbidden_address_is_not_asked() {
    let server = server().await;
    let port = server.url.rsplit_once(':').unwrap().1;
    for answers in [
        &["127.0.0.1"][..],
        &["::1"],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["fd00:ec2::254"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["0.0.0.0"],
        // One forbidden address among good ones is enough.
        &["93.184.215.14", "127.0.0.1"],
    ] {
        let (transport, _) = over(Egress::internet(), &[answers]);
        let answer = transport.send(get(&format!("http://vendor.test:{port}/")), Limits::default()).await;
        match answer {
            Err(TransportError::Blocked { host, problem }) => {
                assert_eq!(host, format!("vendor.test:{port}"));
                assert!(problem.contains("its name stands for"), "{problem}");
            }
            other => panic!("{answers:?}: {other:?}"),
        }
    }
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn an_address_in_the_url_is_checked_though_nothing_resolves_it() {
    let server = server().await;
    let port = server.url.rsplit_once(':').unwrap().1;
    let (transport, resolver) = over(Egress::internet(), &[&["93.184.215.14"]]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "localhost",
    ] {
        let answer = transport.send(get(&format!("http://{host}:{port}/")), Limits::default()).await;
        assert!(matches!(&answer, Err(TransportError::Blocked { .. })), "{host}: {answer:?}");
    }
    assert_eq!((server.requests(), resolver.asked.load(Ordering::SeqCst)), (0, 0));
    let plain = HttpTransport::new().unwrap().send(get(&server.url), Limits::default()).await;
    assert!(plain.is_ok(), "what the operator names is not checked");
}
