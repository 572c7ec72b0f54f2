//! Listening on loopback, with lines that can be cut: a fault drops a connection as a crash would.

use super::message::{Answer, Delivery, Request, Service};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, State, connect_info::Connected},
    http::{HeaderMap, Method, Response, Uri},
    serve::{IncomingStream, Listener},
};
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
    let answer = service.answer(request);
    if !answer.wait.is_zero() {
        tokio::time::sleep(answer.wait).await;
    }
    sent(answer, &line)
}

/// The answer as the line carries it.
fn sent(answer: Answer, line: &Line) -> Response<Body> {
    let delivery = answer.delivery;
    let (head, body) = answer.into_parts();
    let body = match delivery {
        Delivery::Whole => Body::from(body),
        Delivery::Dropped => {
            line.cut();
            Body::empty()
        }
        Delivery::Half => broken(body, None),
        Delivery::Paused(pause) => broken(body, Some(pause)),
    };
    Response::from_parts(head, body)
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
