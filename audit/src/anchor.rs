//! Second places for checkpoints.

use crate::folder::replace;
use async_trait::async_trait;
use bursar_proof::{Checkpoint, CheckpointError, NoteError, SignedNote};
use bursar_types::{Limits, Transport, TransportError};
use bytes::Bytes;
use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// Somewhere else, where a checkpoint is kept.
///
/// A place that can be read back protects twice: what was kept there before must be continued by what is published now.
#[async_trait]
pub trait Anchor: Send + Sync + fmt::Debug {
    /// What to call it on screens.
    fn name(&self) -> String;

    /// What it keeps now; `None` if it keeps nothing yet, or cannot be read back.
    ///
    /// # Errors
    /// [`AnchorError`].
    async fn kept(&self) -> Result<Option<SignedNote>, AnchorError>;

    /// Keeps a checkpoint.
    ///
    /// # Errors
    /// [`AnchorError`]; it is tried again with the next checkpoint.
    ///
    /// # Idempotency
    /// The same checkpoint may be kept again.
    async fn keep(&self, checkpoint: &SignedNote) -> Result<(), AnchorError>;
}

/// Why a place does not keep a checkpoint.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// A file.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What lies there is no checkpoint.
    #[error("what is kept there is no checkpoint: {0}")]
    NoCheckpoint(#[from] CheckpointError),
    /// What lies there is no note.
    #[error("what is kept there is no note: {0}")]
    NoNote(#[from] NoteError),
    /// The server could not be asked.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server said no.
    #[error("the server answered {0}")]
    Status(u16),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// A file on another disk, in another account, in a folder that is backed up.
#[derive(Debug, Clone)]
pub struct FileAnchor(pub PathBuf);

#[async_trait]
impl Anchor for FileAnchor {
    fn name(&self) -> String {
        format!("file {}", self.0.display())
    }

    async fn kept(&self) -> Result<Option<SignedNote>, AnchorError> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => Ok(Some(SignedNote::parse(&text)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(AnchorError::File { path: self.0.clone(), source }),
        }
    }

    async fn keep(&self, checkpoint: &SignedNote) -> Result<(), AnchorError> {
        let path = self.0.clone();
        replace(&path, checkpoint.to_string().as_bytes()).map_err(|source| AnchorError::File { path, source })
    }
}

/// A URL that takes `PUT` and gives `GET`, as object stores and WebDAV do.
#[derive(Debug, Clone)]
pub struct HttpAnchor {
    /// Where.
    pub url: http::Uri,
    /// How.
    pub transport: Arc<dyn Transport>,
}

impl HttpAnchor {
    async fn ask(&self, method: http::Method, body: Bytes) -> Result<(u16, Bytes), AnchorError> {
        let mut request = http::Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.url.clone();
        let text = http::HeaderValue::from_static("text/plain; charset=utf-8");
        request.headers_mut().insert(http::header::CONTENT_TYPE, text);
        let answer = self.transport.send(request, Limits::default()).await?;
        Ok((answer.status().as_u16(), answer.into_body()))
    }
}

#[async_trait]
impl Anchor for HttpAnchor {
    fn name(&self) -> String {
        format!("{}", self.url)
    }

    async fn kept(&self) -> Result<Option<SignedNote>, AnchorError> {
        match self.ask(http::Method::GET, Bytes::new()).await? {
            (200, body) => {
                let text =
                    std::str::from_utf8(&body).map_err(|error| AnchorError::Other(error.to_string()))?;
                Ok(Some(SignedNote::parse(text)?))
            }
            // Nothing yet, or a place that only takes.
            (403..=405, _) => Ok(None),
            (status, _) => Err(AnchorError::Status(status)),
        }
    }

    async fn keep(&self, checkpoint: &SignedNote) -> Result<(), AnchorError> {
        match self.ask(http::Method::PUT, Bytes::from(checkpoint.to_string())).await? {
            (200..=299, _) => Ok(()),
            (status, _) => Err(AnchorError::Status(status)),
        }
    }
}

/// The checkpoint that a place keeps, read.
pub(crate) fn read(note: &SignedNote) -> Result<Checkpoint, AnchorError> {
    Ok(Checkpoint::parse(note.text())?)
}
