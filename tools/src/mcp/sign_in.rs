//! Signing in to a server that asks who calls: OAuth, as the MCP specification has it (authorization code with PKCE, metadata discovery,
//! registration). Tokens lie in a file that only its owner reads, are sent to this server only, and are renewed when they run out.

use super::client::McpError;
use super::server::{McpServer, Reach};
use async_trait::async_trait;
use rmcp::transport::auth::{
    AuthError, AuthorizationManager, AuthorizationRequest, CredentialStore, OAuthState, StoredCredentials,
};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// How long somebody has to answer in the browser.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);
/// How long a connection may say nothing: browsers open some in advance.
const SAY_WITHIN: Duration = Duration::from_secs(2);
/// Longest request of a browser that comes back.
const REQUEST_BYTES_MAX: usize = 16 << 10;

/// As whom to sign in, where the server does not register whoever comes.
#[derive(Clone, Default)]
pub struct OAuthClient {
    id: Option<(String, Option<String>)>,
    document: Option<String>,
}

impl OAuthClient {
    /// A client that the server registers by itself.
    #[must_use]
    pub fn registered_by_server() -> Self {
        Self::default()
    }

    /// A client that was registered before, with its secret if it has one.
    #[must_use]
    pub fn known(id: impl Into<String>, secret: Option<String>) -> Self {
        Self { id: Some((id.into(), secret)), document: None }
    }

    /// A client whose id is the address of a document that describes it, for servers that know such.
    #[must_use]
    pub fn described_at(mut self, url: impl Into<String>) -> Self {
        self.document = Some(url.into());
        self
    }
}

impl std::fmt::Debug for OAuthClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuthClient").field("id", &self.id.as_ref().map(|(id, _)| id)).finish_non_exhaustive()
    }
}

/// A sign-in that waits for somebody to answer in a browser.
pub struct McpSignIn {
    server: String,
    state: OAuthState,
    url: String,
    /// What the browser has to bring back, so that nobody else ends the sign-in.
    sent: String,
    listener: TcpListener,
}

impl McpSignIn {
    /// Begins with what a server said to somebody whom it turned away ([`McpError::Unauthorized`]), or asks it. `None` if it lets anybody
    /// in, or knows the token already.
    ///
    /// # Errors
    /// [`McpError::SignIn`], or [`McpError::Unreachable`].
    pub async fn begin(
        server: &McpServer,
        client: &OAuthClient,
        challenge: Option<&str>,
    ) -> Result<Option<Self>, McpError> {
        let name = server.name().to_owned();
        let failed = |error: &dyn std::fmt::Display| McpError::SignIn {
            server: name.clone(),
            problem: bursar_types::visible(&error.to_string(), 400),
        };
        let challenge = match challenge {
            Some(challenge) => challenge.to_owned(),
            None => match super::client::challenge(server).await? {
                Some(challenge) => challenge,
                None => return Ok(None),
            },
        };
        let mut state = OAuthState::Unauthorized(manager(server).await.map_err(|error| failed(&error))?);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| failed(&error))?;
        let port = listener.local_addr().map_err(|error| failed(&error))?.port();
        let asked = AuthorizationRequest::new(format!("http://127.0.0.1:{port}/callback"));
        let mut asked =
            asked.with_client_name("Bursar").with_initial_scope_selection().with_application_type("native");
        if !challenge.is_empty() {
            asked = asked.with_challenge(challenge);
        }
        if let Some((id, secret)) = &client.id {
            asked = asked.with_preregistered_client(id);
            if let Some(secret) = secret {
                asked = asked.with_client_secret(secret);
            }
        }
        if let Some(document) = &client.document {
            asked = asked.with_client_metadata_url(document);
        }
        state.start_authorization(asked).await.map_err(|error| failed(&error))?;
        let url = state.get_authorization_url().await.map_err(|error| failed(&error))?;
        let asked = url::Url::parse(&url).map_err(|error| failed(&error))?;
        let sent = asked.query_pairs().find(|(name, _)| name == "state").map(|(_, state)| state.into_owned());
        let sent = sent.ok_or_else(|| failed(&"the sign-in has no state"))?;
        Ok(Some(Self { server: name, state, url, sent, listener }))
    }

    /// Where somebody has to say yes, in a browser on this machine.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the browser comes back, and keeps the token.
    ///
    /// # Errors
    /// [`McpError::SignIn`], also after ten minutes without an answer.
    ///
    /// # Cancellation
    /// Dropping the future leaves no token.
    pub async fn finish(mut self) -> Result<(), McpError> {
        let server = self.server.clone();
        let failed = |problem: String| McpError::SignIn {
            server: server.clone(),
            problem: bursar_types::visible(&problem, 400),
        };
        let came = tokio::time::timeout(ANSWER_WITHIN, came_back(&self.listener, &self.sent)).await;
        let came = came.map_err(|_| failed("nobody answered in the browser; begin again".to_owned()))?;
        let back = came.map_err(|error| failed(error.to_string()))?;
        self.state.handle_callback_url(&back).await.map_err(|error| failed(error.to_string()))
    }
}

impl std::fmt::Debug for McpSignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("McpSignIn").field("server", &self.server).finish_non_exhaustive()
    }
}

/// The address with which the browser comes back. Whatever else asks on the way, such as for an icon, or says nothing, is sent away.
async fn came_back(listener: &TcpListener, sent: &str) -> std::io::Result<String> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut head = Vec::new();
        let mut part = [0_u8; 2_048];
        while head.len() < REQUEST_BYTES_MAX && !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match tokio::time::timeout(SAY_WITHIN, stream.read(&mut part)).await {
                Ok(Ok(0) | Err(_)) | Err(_) => break,
                Ok(Ok(read)) => head.extend_from_slice(part.get(..read).unwrap_or_default()),
            }
        }
        let text = String::from_utf8_lossy(&head);
        let target =
            text.lines().next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        let address = url::Url::parse(&format!("http://127.0.0.1{target}"));
        let ours =
            |address: &url::Url| address.query_pairs().any(|(name, state)| name == "state" && state == sent);
        let back = target.starts_with("/callback?") && address.is_ok_and(|address| ours(&address));
        let (status, said) = match back {
            true => (
                "200 OK",
                "Signed in, or refused: the program that sent you here says which. You may close this page.",
            ),
            false => ("404 Not Found", "Nothing is here."),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
            said.len()
        );
        // A browser that has gone has said what it had to say.
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
        if back {
            return Ok(format!("http://127.0.0.1{target}"));
        }
    }
}

/// What finds out about tokens, keeps and renews them. Addresses that the server's metadata names are the server's words: those of private
/// networks are refused, and this machine's only where the server itself is there.
pub(super) async fn manager(server: &McpServer) -> Result<AuthorizationManager, AuthError> {
    let Reach::Http { url, tokens, .. } = server.reach() else {
        return Err(AuthError::InternalError("a program asks nobody to sign in".to_owned()));
    };
    let mut manager = AuthorizationManager::new(url.clone()).await?;
    if let Some(path) = tokens {
        manager.set_credential_store(TokenFile(path.clone()));
    }
    Ok(manager)
}

/// Tokens in a file that only its owner reads.
struct TokenFile(PathBuf);

impl TokenFile {
    fn failed(&self, error: &dyn std::fmt::Display) -> AuthError {
        AuthError::CredentialStoreError(format!("`{}`: {error}", self.0.display()))
    }

    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        if let Some(folder) = self.0.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let beside = self.0.with_extension(format!("{}.new", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.0)
    }
}

#[async_trait]
impl CredentialStore for TokenFile {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        match std::fs::read(&self.0) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| self.failed(&error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let bytes = serde_json::to_vec(&credentials).map_err(|error| self.failed(&error))?;
        self.write(&bytes).map_err(|error| self.failed(&error))
    }

    async fn clear(&self) -> Result<(), AuthError> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }
}
