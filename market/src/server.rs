//! Listening on loopback, with lines that can be cut: a fault drops a connection as a crash would.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, State, connect_info::Connected},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri},
    serve::{IncomingStream, Listener},
};
use serde_json::Value;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// How long stopping waits for answers that are still on their way.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// A request, read whole.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// The first value of a query parameter.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        let query = self.query.as_deref()?;
        url::form_urlencoded::parse(query.as_bytes())
            .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// A query parameter that is a count, within bounds.
    pub(crate) fn count(&self, name: &str, default: usize, max: usize) -> usize {
        self.param(name).and_then(|text| text.parse().ok()).unwrap_or(default).min(max)
    }

    /// Path and query, as quoted and as paid for.
    pub(crate) fn target(&self) -> String {
        self.query.as_ref().map_or_else(|| self.path.clone(), |query| format!("{}?{query}", self.path))
    }
}

/// How an answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// As it should.
    Whole,
    /// Breaks off in the middle of the body.
    Half,
    /// Pauses in the middle of the body.
    Paused(Duration),
    /// Not at all: the connection closes without a byte.
    Dropped,
}

/// An answer, before it is sent: a value that faults can change.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) media_type: String,
    pub(crate) body: Vec<u8>,
    pub(crate) delivery: Delivery,
}

impl Answer {
    /// JSON with a status.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, "application/json; charset=utf-8", body.to_string().into_bytes())
    }

    /// Bytes of a media type with a status.
    pub(crate) fn bytes(status: u16, media_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            media_type: media_type.to_owned(),
            body,
            delivery: Delivery::Whole,
        }
    }

    /// A connection that closes without an answer.
    pub(crate) fn dropped() -> Self {
        Self { delivery: Delivery::Dropped, ..Self::bytes(500, "text/plain", Vec::new()) }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Takes a header away.
    pub(crate) fn without(&mut self, name: &str) {
        self.headers.retain(|(present, _)| !present.eq_ignore_ascii_case(name));
    }

    fn into_response(self, line: &Line) -> Response<Body> {
        let length = self.body.len();
        let body = match self.delivery {
            Delivery::Whole => Body::from(self.body),
            Delivery::Dropped => {
                line.cut();
                Body::empty()
            }
            Delivery::Half => broken(self.body, None),
            Delivery::Paused(pause) => broken(self.body, Some(pause)),
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert("content-length", HeaderValue::from(length));
        if let Ok(media_type) = HeaderValue::from_str(&self.media_type) {
            headers.insert("content-type", media_type);
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// A body in two parts: with a pause, both arrive; without one, the second never does.
fn broken(body: Vec<u8>, pause: Option<Duration>) -> Body {
    let (sender, receiver) = mpsc::channel(2);
    let mut first = body;
    let second = first.split_off(first.len() / 2);
    tokio::spawn(async move {
        if sender.send(Ok(Bytes::from(first))).await.is_err() {
            return;
        }
        let rest = match pause {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                Ok(Bytes::from(second))
            }
            None => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        };
        // The buyer may have gone: then nobody waits for the rest.
        drop(sender.send(rest).await);
    });
    Body::from_stream(Parts(receiver))
}

struct Parts(mpsc::Receiver<io::Result<Bytes>>);

impl futures_core::Stream for Parts {
    type Item = io::Result<Bytes>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// Something that answers requests.
pub(crate) trait Service: Clone + Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request) -> impl Future<Output = Answer> + Send;
}

/// A port that is ours, not yet served.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    url: String,
}

impl Bound {
    /// Takes a port of loopback; 0 takes a free one.
    pub(crate) async fn new(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        Ok(Self { listener, url })
    }

    /// Its origin, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Serves until the returned value is stopped or dropped.
    pub(crate) fn serve<S: Service>(self, service: S) -> Listening {
        let router = Router::new().fallback(answer::<S>).with_state(service);
        let (stop, mut stopped) = watch::channel(());
        let server = axum::serve(
            Lines { listener: self.listener },
            router.into_make_service_with_connect_info::<Line>(),
        )
        .with_graceful_shutdown(async move {
            // An error says that the sender was dropped, which also means stop.
            drop(stopped.changed().await);
        });
        let task = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::warn!(%error, "a market server ended");
            }
        });
        Listening { stop, task }
    }
}

/// A running server. Stops accepting when dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Stops accepting and waits for answers on their way, for a short while.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(());
        let mut task = self.task;
        if tokio::time::timeout(STOP_WAIT, &mut task).await.is_err() {
            task.abort();
        }
    }
}

async fn answer<S: Service>(
    State(service): State<S>,
    ConnectInfo(line): ConnectInfo<Line>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let request = Request {
        method: method.as_str().to_owned(),
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
        headers,
        body,
    };
    service.answer(request).await.into_response(&line)
}

/// A hand on one connection.
#[derive(Debug, Clone, Default)]
struct Line(Arc<AtomicBool>);

impl Line {
    fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Connected<IncomingStream<'_, Lines>> for Line {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().line.clone()
    }
}

struct Lines {
    listener: TcpListener,
}

impl Listener for Lines {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cuttable, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "nodelay");
        }
        (Cuttable { stream, line: Line::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

struct Cuttable {
    stream: TcpStream,
    line: Line,
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.line.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.line.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
