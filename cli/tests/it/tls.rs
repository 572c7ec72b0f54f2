//! A vendor behind TLS that leads to plain HTTP: before anything is paid, and with a payment in hand.

use crate::interrupt::Outside;
use crate::support::{Ran, Running, ran, started};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

const NOTE: &str = "# Gas\n\nThe submitter of a token transfer pays the gas.\n";

/// What the vendor's TLS does with a request.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// It hands all of them to the seller.
    Serves,
    /// It sends all of them to the seller's plain address.
    Leads,
    /// It sends those that pay to the seller's plain address.
    LeadsThePaid,
}

/// The seller's TLS, on an address of its own.
struct Front {
    address: SocketAddr,
    authority: tempfile::NamedTempFile,
    /// Heads of the requests that came, in lower case.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Front {
    fn of(outside: &Outside, does: Does) -> Self {
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&authority_key).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(certificate.pem().as_bytes()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let front = Self { address: listener.local_addr().unwrap(), authority: file, heads: Arc::default() };
        let (heads, seller, own) = (front.heads.clone(), outside.seller(), front.address);
        let config = Arc::new(config);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(connection) = ServerConnection::new(config.clone()) else { return };
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                // A caller that trusts nobody goes away in the handshake.
                let Some(head) = head_of(&mut stream) else { continue };
                let answer = answer(does, &head, &seller, own);
                heads.lock().unwrap().push(head);
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        front
    }

    fn paid(&self) -> usize {
        self.heads.lock().unwrap().iter().filter(|head| pays(head)).count()
    }
}

fn pays(head: &str) -> bool {
    head.lines().any(|line| line.starts_with("x-payment:") || line.starts_with("payment-signature:"))
}

fn head_of(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).unwrap())
}

fn answer(does: Does, head: &str, seller: &str, own: SocketAddr) -> String {
    let lower = head.to_ascii_lowercase();
    let path = head.split_whitespace().nth(1).unwrap();
    let leads = match does {
        Does::Serves => false,
        Does::Leads => true,
        Does::LeadsThePaid => pays(&lower),
    };
    if leads {
        return format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{seller}{path}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
    }
    let lines = head.lines().filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.is_empty() && !line.starts_with("host:") && !line.starts_with("connection:")
    });
    let asked: String = lines.map(|line| format!("{line}\r\n")).collect();
    let mut stream = TcpStream::connect(seller).unwrap();
    stream.write_all(format!("{asked}host: {seller}\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    // Behind TLS the seller goes by the address of its TLS.
    let body = body.replace(&format!("http://{seller}"), &format!("https://{own}"));
    let kept = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
    let head: String = kept.map(|line| format!("{line}\r\n")).collect();
    format!("{head}content-length: {}\r\n\r\n{body}", body.len())
}

/// A purse that trusts the vendor's authority, and an agent that asks it for the note over TLS.
fn fetched(outside: &Outside, front: &Front) -> (Ran, Running) {
    let socket = outside.home.file("purse.sock").display().to_string();
    let mut purse: Command = outside.with_config(&["purse", "--socket", &socket]);
    purse.env("SSL_CERT_FILE", front.authority.path());
    let mut purse = started(purse);
    purse.until("session ses_");
    let url = format!("https://{}/documents/note", front.address);
    let agent = outside.home.command(["fetch", &url, "--purpose", "to read it", "--purse", &socket]);
    (ran(agent), purse)
}

#[test]
fn a_vendor_behind_tls_is_paid_over_tls() {
    let outside = Outside::selling_v1(NOTE);
    let front = Front::of(&outside, Does::Serves);
    let (got, _purse) = fetched(&outside, &front);
    assert_eq!((got.code, got.stdout.contains("pays the gas")), (0, true), "{}", got.stderr);
    assert_eq!((front.paid(), outside.home.transfers("chain.jsonl").len()), (1, 1));
}

#[test]
fn a_vendor_behind_tls_that_leads_to_plain_http_is_refused_before_anything_is_asked_there() {
    let outside = Outside::selling_v1(NOTE);
    let front = Front::of(&outside, Does::Leads);
    let (got, _purse) = fetched(&outside, &front);
    assert_eq!((got.code, got.stdout.as_str()), (1, ""), "{}", got.stderr);
    assert!(got.stderr.contains("TLS_REQUIRED"), "{}", got.stderr);
    assert_eq!((front.paid(), outside.home.payments().len()), (0, 0));
    assert!(outside.home.transfers("chain.jsonl").is_empty());
}

#[test]
fn an_authorization_that_was_made_for_tls_never_goes_over_plain_http() {
    let outside = Outside::selling_v1(NOTE);
    let front = Front::of(&outside, Does::LeadsThePaid);
    let (got, _purse) = fetched(&outside, &front);
    // It was presented, so that nobody can say yet that nothing moves; and it went nowhere else.
    assert_eq!((got.code, got.stdout.as_str()), (3, ""), "{}", got.stderr);
    assert!(front.paid() >= 1);
    assert!(outside.home.transfers("chain.jsonl").is_empty(), "the plain address was given the payment");
    assert_eq!(outside.home.payments()[0]["state"], "unknown");
}

#[test]
fn a_vendor_whose_authority_nobody_trusts_is_not_asked() {
    let outside = Outside::selling_v1(NOTE);
    let (front, other) = (Front::of(&outside, Does::Serves), Front::of(&outside, Does::Serves));
    let trusting = Front { address: front.address, authority: other.authority, heads: front.heads.clone() };
    let (got, _purse) = fetched(&outside, &trusting);
    assert_eq!((got.code, got.stdout.as_str()), (1, ""), "{}", got.stderr);
    assert!(front.heads.lock().unwrap().is_empty(), "nothing was asked");
}
