//! A server on this machine that is stricter than the real ones.

use super::{KEY, OTHER_KEY};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// One request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// What the server does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Play {
    /// Answers with this status, these headers and this body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Streams these pieces, and then ends in this way.
    Stream(Vec<String>, End),
    /// Closes the connection without an answer.
    HangUp,
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As a stream does.
    Clean,
    /// The connection breaks.
    Cut,
    /// It goes on without a word, until the client leaves.
    Silent,
}

impl Play {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, vec![("content-type", "application/json".into())], body.to_string())
    }

    /// A stream of events as OpenAI writes them.
    pub(crate) fn events(events: &[Value]) -> Self {
        Self::Stream(events.iter().map(event).collect(), End::Clean)
    }
}

/// An event with its name, if it has one.
pub(crate) fn event(event: &Value) -> String {
    match event["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    }
}

#[derive(Debug, Default)]
struct Shared {
    plays: Mutex<std::vec::IntoIter<Play>>,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<Vec<String>>,
    left: Notify,
}

/// The server. Dropped, it says what was wrong with the requests.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Plays these, one for each request, in order.
    pub(crate) async fn playing(plays: Vec<Play>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { plays: Mutex::new(plays.into_iter()), ..Shared::default() });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&serving);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &shared).await {
                        shared.faults.lock().unwrap().push(error);
                    }
                });
            }
        });
        Self { port, shared, task }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits until a client leaves a stream that is silent.
    pub(crate) async fn client_left(&self) {
        let left =
            tokio::time::timeout(std::time::Duration::from_secs(20), self.shared.left.notified()).await;
        left.expect("the client leaves");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        let faults = self.shared.faults.lock().unwrap();
        if !std::thread::panicking() {
            assert!(faults.is_empty(), "{faults:#?}");
            assert_eq!(self.shared.plays.lock().unwrap().len(), 0, "everything was asked for");
        }
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Result<(), String> {
    loop {
        let Some(seen) = request(&mut stream).await? else { return Ok(()) };
        let problem = check(&seen).err();
        shared.seen.lock().unwrap().push(seen);
        let play = shared.plays.lock().unwrap().next();
        match (problem, play) {
            (Some(problem), _) => {
                answer(&mut stream, 599, &[], &problem).await;
                return Err(problem);
            }
            (None, None) => return Err("a request too many".into()),
            (None, Some(Play::HangUp)) => return Ok(()),
            (None, Some(Play::Answer(status, headers, body))) => {
                answer(&mut stream, status, &headers, &body).await;
            }
            (None, Some(Play::Stream(pieces, end))) => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_1\r\ntransfer-encoding: chunked\r\n\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                    let _ = stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await;
                }
                let _ = stream.flush().await;
                match end {
                    End::Clean => drop(stream.write_all(b"0\r\n\r\n").await),
                    End::Cut => return Ok(()),
                    End::Silent => {
                        let mut byte = [0; 1];
                        let left = stream.read(&mut byte).await;
                        assert!(matches!(left, Ok(0) | Err(_)), "a client that waits says nothing");
                        shared.left.notify_one();
                        return Ok(());
                    }
                }
            }
        }
    }
}

async fn answer(stream: &mut TcpStream, status: u16, headers: &[(&str, String)], body: &str) {
    let mut head =
        format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nx-request-id: req_1\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body.as_bytes()).await;
}

/// Reads a request; `None` if the client is done.
async fn request(stream: &mut TcpStream) -> Result<Option<Seen>, String> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) if bytes.is_empty() => return Ok(None),
            Ok(0) | Err(_) => return Err("a head that broke off".into()),
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).map_err(|error| error.to_string())?;
    let mut lines = head.split("\r\n");
    let line: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let ["POST", path, "HTTP/1.1"] = line.as_slice() else { return Err(format!("{line:?} is no POST")) };
    let mut headers = BTreeMap::new();
    for header in lines {
        let (name, value) = header.split_once(": ").ok_or_else(|| format!("{header} is no header"))?;
        if headers.insert(name.to_ascii_lowercase(), value.to_owned()).is_some() {
            return Err(format!("{name} came twice"));
        }
    }
    let length: usize =
        headers.get("content-length").and_then(|length| length.parse().ok()).ok_or("no length")?;
    let mut body = bytes[end + 4..].to_vec();
    let have = body.len();
    if have > length {
        return Err("more than the length says".into());
    }
    body.resize(length, 0);
    stream.read_exact(&mut body[have..]).await.map_err(|error| error.to_string())?;
    let body = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    Ok(Some(Seen { path: (*path).to_owned(), headers, body }))
}

fn check(seen: &Seen) -> Result<(), String> {
    let header = |name: &str| seen.headers.get(name).map(String::as_str).unwrap_or_default();
    if header("content-type") != "application/json" {
        return Err("content-type".into());
    }
    let accept = if seen.body["stream"] == true { "text/event-stream" } else { "application/json" };
    if header("accept") != accept {
        return Err(format!("accept is `{}`, not `{accept}`", header("accept")));
    }
    let key =
        [header("authorization").strip_prefix("Bearer ").unwrap_or_default(), header("api-key")].concat();
    if key != KEY && key != OTHER_KEY {
        return Err("the key".into());
    }
    let path = seen.path.split('?').next().unwrap_or_default();
    if path.ends_with("/responses") {
        check_responses(&seen.body)
    } else if path.ends_with("/chat/completions") {
        check_chat(&seen.body)
    } else {
        Err(format!("{path} is not served"))
    }
}

/// What the Responses API refuses, as far as it was seen to. The types are those of another author.
fn check_responses(body: &Value) -> Result<(), String> {
    let mut known = body.clone();
    if let Some(input) = known["input"].as_array_mut() {
        // Those types are closed; the API's are not.
        input.retain(|item| item["type"] != "brand_new");
    }
    let typed: Result<async_openai::types::responses::CreateResponse, _> = serde_json::from_value(known);
    typed.map_err(|error| format!("no request of the Responses API: {error}"))?;
    if body["store"] != false {
        return Err("something would be stored".into());
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        check_name(&tool["name"])?;
        if !tool["strict"].is_boolean() {
            return Err("a tool does not say whether it is strict".into());
        }
    }
    let mut open = BTreeSet::new();
    for item in body["input"].as_array().ok_or("no input")? {
        let id = || item["call_id"].as_str().map(str::to_owned).ok_or("no call id");
        match item["type"].as_str().ok_or("an item without a type")? {
            "function_call" => {
                if !open.insert(id()?) {
                    return Err("a call id came twice".into());
                }
                item["arguments"].as_str().ok_or("arguments are text")?;
            }
            "function_call_output" => {
                if !open.remove(&id()?) {
                    return Err("a result of no call".into());
                }
                item["output"].as_str().ok_or("a result is text")?;
            }
            _ => {}
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("no result for {open:?}")) }
}

fn check_chat(body: &Value) -> Result<(), String> {
    let typed: Result<async_openai::types::chat::CreateChatCompletionRequest, _> =
        serde_json::from_value(body.clone());
    typed.map_err(|error| format!("no request of the Chat Completions API: {error}"))?;
    for tool in body["tools"].as_array().into_iter().flatten() {
        check_name(&tool["function"]["name"])?;
    }
    let mut open: Vec<String> = Vec::new();
    for message in body["messages"].as_array().ok_or("no messages")? {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().ok_or("no call id")?;
            let at = open.iter().position(|open| open == id).ok_or("a result of no call")?;
            open.remove(at);
            continue;
        }
        if !open.is_empty() {
            return Err(format!("no result for {open:?}"));
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let id = call["id"].as_str().ok_or("no call id")?.to_owned();
            if open.contains(&id) {
                return Err("a call id came twice".into());
            }
            let arguments = call["function"]["arguments"].as_str().ok_or("arguments are text")?;
            let arguments: Result<serde_json::Map<String, Value>, _> = serde_json::from_str(arguments);
            arguments.map_err(|error| format!("arguments are no object: {error}"))?;
            open.push(id);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("no result for {open:?}")) }
}

fn check_name(name: &Value) -> Result<(), String> {
    let name = name.as_str().ok_or("a tool without a name")?;
    let fits = !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if fits { Ok(()) } else { Err(format!("`{name}` is no name")) }
}
