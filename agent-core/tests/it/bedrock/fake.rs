//! A Bedrock on loopback. It reads requests as the service does, refuses what the service refuses, and writes what it is told.

use super::rules;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) raw: Vec<u8>,
    pub(crate) body: Value,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

/// What the fake says.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    /// A status, an error's name if it is one, more headers, and a body.
    Json(u16, Option<&'static str>, Vec<(&'static str, &'static str)>, Value),
    /// A stream that ends after these bytes as streams end.
    Stream(Vec<u8>),
    /// A stream that breaks after these bytes in the middle of a chunk.
    Broken(Vec<u8>),
    /// A stream that says nothing more after these bytes until the other side goes away.
    Silent(Vec<u8>),
    /// Nothing: the connection is closed.
    HangUp,
}

/// An error of the service.
pub(crate) fn error(status: u16, name: &'static str, message: &str) -> Says {
    Says::Json(status, Some(name), Vec::new(), json!({"message": message}))
}

pub(crate) fn stream(frames: &[Vec<u8>]) -> Says {
    Says::Stream(frames.concat())
}

pub(crate) struct Fake {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Told when the other side of a silent stream went away.
    pub(crate) left: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl Fake {
    /// Says these things, one for each request; the last for all that follow.
    pub(crate) async fn saying(says: Vec<Says>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, left) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let task = tokio::spawn(serve(listener, says, Arc::clone(&seen), Arc::clone(&left)));
        Self { url, seen, left, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("a request")
    }
}

async fn serve(listener: TcpListener, says: Vec<Says>, seen: Arc<Mutex<Vec<Seen>>>, left: Arc<Notify>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (says, seen, left) = (says.clone(), Arc::clone(&seen), Arc::clone(&left));
        tokio::spawn(async move { answer(stream, &says, &seen, &left).await });
    }
}

async fn answer(mut stream: TcpStream, says: &[Says], seen: &Mutex<Vec<Seen>>, left: &Notify) {
    let Some(request) = read(&mut stream).await else { return };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let says = match rules::faults(&request) {
        faults if faults.is_empty() => says.get(number).or(says.last()).cloned().expect("something to say"),
        faults => error(400, "ValidationException", &faults.join("; ")),
    };
    match says {
        Says::HangUp => {}
        Says::Json(status, name, headers, body) => {
            let body = body.to_string();
            let mut head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n");
            head += &format!(
                "x-amzn-requestid: req-{number}\r\ncontent-length: {}\r\nconnection: close\r\n",
                body.len()
            );
            for (key, value) in headers.into_iter().chain(name.map(|name| ("x-amzn-errortype", name))) {
                head += &format!("{key}: {value}\r\n");
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.ok();
        }
        Says::Stream(bytes) => stream_out(&mut stream, number, &bytes, b"0\r\n\r\n").await,
        Says::Broken(bytes) => stream_out(&mut stream, number, &bytes, b"40\r\nabc").await,
        Says::Silent(bytes) => {
            stream_out(&mut stream, number, &bytes, b"").await;
            // Nothing more is sent, so this ends when the other side goes away.
            stream.read_to_end(&mut Vec::new()).await.ok();
            left.notify_one();
        }
    }
}

async fn stream_out(stream: &mut TcpStream, number: usize, bytes: &[u8], end: &[u8]) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ntransfer-encoding: chunked\r\n";
    let mut out = format!("{head}x-amzn-requestid: req-{number}\r\n\r\n").into_bytes();
    // Chunks that have nothing to do with frames, as on the way through a proxy.
    let size = if bytes.len() > 100_000 { 64_007 } else { 97 };
    for chunk in bytes.chunks(size) {
        out.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(end);
    stream.write_all(&out).await.ok();
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).expect("headers are text");
    let mut lines = head.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let header = |line: &str| {
        line.split_once(':').map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(key, _)| key == "content-length")?.1.parse::<usize>().ok()?;
    let mut raw = bytes[end + 4..].to_vec();
    while raw.len() < length {
        if stream.read_buf(&mut raw).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&raw).expect("a body of JSON");
    Some(Seen { path, headers, raw, body })
}
