//! HTTP servers on loopback that do exactly what a test says, byte for byte.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A server that hands each connection to the test's own code.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
}

/// One connection, and how many requests came.
pub(crate) struct Connection {
    stream: TcpStream,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start<F, Done>(serve: F) -> Self
    where
        F: Fn(Connection) -> Done + Send + 'static,
        Done: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Connection { stream, requests: Arc::clone(&counter) }));
            }
        });
        Self { url, requests }
    }

    /// How many whole requests the server has read.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Connection {
    /// Reads one request; `None` once the client has gone.
    pub(crate) async fn request(&mut self) -> Option<(String, String)> {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok()
                });
                if body.len() >= length.unwrap_or(0) {
                    self.requests.fetch_add(1, Ordering::SeqCst);
                    return Some((head.to_owned(), body.to_owned()));
                }
            }
            match self.stream.read_buf(&mut bytes).await {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }

    pub(crate) async fn write(&mut self, text: &str) {
        // The client may have gone on purpose.
        let _ = self.send(text.as_bytes()).await;
    }

    /// Whether the client took it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub(crate) async fn answer(&mut self, status: &str, body: &str) {
        self.write(&format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    }
}
