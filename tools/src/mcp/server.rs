//! What an operator says about a server.

use crate::child::ChildEnvironment;
use bursar_types::{Digest, Effect, MCP_TOOL};
use http::{HeaderName, HeaderValue};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;
use url::{Host, Url};

/// Longest name of a server: it stands before the name of each of its tools, which providers bound to 64 characters.
const NAME_CHARS_MAX: usize = 20;

/// Bounds of what a server is listened to. What is beyond them is withheld or refused, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct McpLimits {
    /// Longest time to connect and to list tools.
    pub connect_ms: u64,
    /// Longest time of a call.
    pub call_ms: u64,
    /// Longest result that a model is shown, in bytes of its JSON.
    pub result_bytes_max: usize,
    /// Most tools of one server.
    pub tools_max: usize,
    /// Longest schema of a tool's arguments, in bytes of its JSON.
    pub schema_bytes_max: usize,
    /// Deepest nesting of such a schema.
    pub schema_depth_max: usize,
    /// Longest description that a model is shown, in characters.
    pub description_chars_max: usize,
}

impl Default for McpLimits {
    /// 15 s to connect, 60 s a call, 128 KiB of result, 256 tools, schemas of 32 KiB and 24 levels, descriptions of 1,000 characters.
    fn default() -> Self {
        Self {
            connect_ms: 15_000,
            call_ms: 60_000,
            result_bytes_max: 128 << 10,
            tools_max: 256,
            schema_bytes_max: 32 << 10,
            schema_depth_max: 24,
            description_chars_max: 1_000,
        }
    }
}

/// Why a server cannot be declared like this.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum McpServerError {
    /// Its name.
    #[error(
        "`{0}` cannot name a server: 1 to {NAME_CHARS_MAX} lower-case letters, digits and hyphens, beginning with a letter"
    )]
    Name(String),
    /// Its address.
    #[error(
        "`{0}` is not the address of an MCP server: give an http or https URL without a user name, such as https://mcp.example/mcp"
    )]
    Url(String),
    /// A credential that could be read on the way.
    #[error("a credential is sent to an MCP server over https, or to one on this machine, and nowhere else")]
    Insecure,
    /// A header of its own.
    #[error("`{0}` is not a header that can be sent to a server")]
    Header(String),
}

/// Where a server is.
#[derive(Clone)]
pub(super) enum Reach {
    /// Streamable HTTP.
    Http {
        url: Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        bearer: Option<HeaderValue>,
        tokens: Option<PathBuf>,
    },
    /// A program on this machine, spoken to over its standard input and output.
    Program {
        url: Url,
        environment: ChildEnvironment,
        program: String,
        arguments: Vec<String>,
        variables: BTreeMap<String, String>,
    },
}

impl Reach {
    /// Whether what is sent stays between the two.
    fn check_private(&self) -> Result<(), McpServerError> {
        let Self::Http { url, .. } = self else { return Ok(()) };
        let local = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() == "https" || local { Ok(()) } else { Err(McpServerError::Insecure) }
    }
}

/// An MCP server as its operator declares it.
///
/// # Example
/// ```
/// use bursar_tools::mcp::McpServer;
/// let server = McpServer::http("sources", "https://mcp.example/mcp")?
///     .bearer("not-a-real-token")?
///     .paid("search")
///     .reads("list_topics")
///     .only(["search", "list_topics"]);
/// assert_eq!(server.tool_address("search"), "https://mcp.example/mcp?mcp-tool=search");
/// # Ok::<(), bursar_tools::mcp::McpServerError>(())
/// ```
#[derive(Clone)]
pub struct McpServer {
    name: String,
    reach: Reach,
    paid: Named,
    reads: Named,
    only: Option<BTreeSet<String>>,
    limits: McpLimits,
}

/// Tools by name, or all of them.
#[derive(Debug, Clone, Default)]
struct Named {
    all: bool,
    names: BTreeSet<String>,
}

impl Named {
    fn has(&self, tool: &str) -> bool {
        self.all || self.names.contains(tool)
    }

    fn add(&mut self, tool: String) {
        match tool == "*" {
            true => self.all = true,
            false => drop(self.names.insert(tool)),
        }
    }
}

impl McpServer {
    fn new(name: &str, reach: Reach) -> Result<Self, McpServerError> {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !first || name.len() > NAME_CHARS_MAX || !name.bytes().all(rest) {
            return Err(McpServerError::Name(bursar_types::visible(name, 80)));
        }
        Ok(Self {
            name: name.to_owned(),
            reach,
            paid: Named::default(),
            reads: Named::default(),
            only: None,
            limits: McpLimits::default(),
        })
    }

    /// A server that is reached over streamable HTTP.
    ///
    /// # Errors
    /// [`McpServerError`].
    pub fn http(name: &str, url: &str) -> Result<Self, McpServerError> {
        let refuse = || McpServerError::Url(bursar_types::visible(url, 200));
        let mut parsed = Url::parse(url).map_err(|_| refuse())?;
        let plain = parsed.username().is_empty() && parsed.password().is_none();
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() || !plain {
            return Err(refuse());
        }
        if parsed.query_pairs().any(|(name, _)| name == MCP_TOOL) {
            return Err(refuse());
        }
        parsed.set_fragment(None);
        Self::new(name, Reach::Http { url: parsed, headers: Vec::new(), bearer: None, tokens: None })
    }

    /// A server that is a program on this machine. It is started with `environment` and [`variables`](Self::variable), and with
    /// nothing else of this process's: no key, no password, no token.
    ///
    /// # Errors
    /// [`McpServerError::Name`].
    pub fn program(
        name: &str,
        environment: ChildEnvironment,
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, McpServerError> {
        let url = Url::parse(&format!("https://{name}.mcp.invalid/"));
        let url = url.map_err(|_| McpServerError::Name(bursar_types::visible(name, 80)))?;
        let arguments = arguments.into_iter().map(Into::into).collect();
        let program = program.into();
        Self::new(name, Reach::Program { url, environment, program, arguments, variables: BTreeMap::new() })
    }

    /// The same with a variable in the environment of its program, which may hold a credential of its own.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Reach::Program { variables, .. } = &mut self.reach {
            variables.insert(name.into(), value.into());
        }
        self
    }

    /// The same with a bearer token. It goes to this server and is never shown.
    ///
    /// # Errors
    /// [`McpServerError::Header`], or [`McpServerError::Insecure`].
    pub fn bearer(mut self, token: &str) -> Result<Self, McpServerError> {
        let value = secret(token).ok_or_else(|| McpServerError::Header("authorization".to_owned()))?;
        self.reach.check_private()?;
        if let Reach::Http { bearer, .. } = &mut self.reach {
            *bearer = Some(value);
        }
        Ok(self)
    }

    /// The same for a server that wants somebody to [sign in](super::McpSignIn): its tokens lie in a file of this folder that only its
    /// owner reads. The file is this address's: a server of the same name elsewhere never gets them.
    #[must_use]
    pub fn tokens_in(mut self, folder: impl AsRef<Path>) -> Self {
        if let Reach::Http { url, tokens, .. } = &mut self.reach {
            let digest = Digest::of(url.as_str().as_bytes()).to_string();
            let digits: String = digest.chars().rev().take(16).collect();
            *tokens = Some(folder.as_ref().join(format!("{}-{digits}.json", self.name)));
        }
        self
    }

    /// The same with a header, such as one that holds a key. It goes to this server and is never shown.
    ///
    /// # Errors
    /// [`McpServerError::Header`], or [`McpServerError::Insecure`].
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, McpServerError> {
        let refuse = || McpServerError::Header(bursar_types::visible(name, 80));
        let parsed: HeaderName = name.parse().map_err(|_| refuse())?;
        if parsed == http::header::AUTHORIZATION {
            return Err(McpServerError::Header("authorization (use a bearer token)".to_owned()));
        }
        let value = secret(value).ok_or_else(refuse)?;
        self.reach.check_private()?;
        if let Reach::Http { headers, .. } = &mut self.reach {
            headers.push((parsed, value));
        }
        Ok(self)
    }

    /// Says that this tool is paid for, or all of them with `*`: it becomes a `Spend`, and the purse is asked.
    #[must_use]
    pub fn paid(mut self, tool: impl Into<String>) -> Self {
        self.paid.add(tool.into());
        self
    }

    /// Says that this tool only reads, or all of them with `*`: it may be called again and beside others. What the server says of it
    /// counts for nothing.
    #[must_use]
    pub fn reads(mut self, tool: impl Into<String>) -> Self {
        self.reads.add(tool.into());
        self
    }

    /// Uses these tools and no others.
    #[must_use]
    pub fn only(mut self, tools: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.only = Some(tools.into_iter().map(Into::into).collect());
        self
    }

    /// Other bounds.
    #[must_use]
    pub const fn limits(mut self, limits: McpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether it has a token, or a file for one.
    #[must_use]
    pub const fn has_credential(&self) -> bool {
        matches!(&self.reach, Reach::Http { bearer: Some(_), .. } | Reach::Http { tokens: Some(_), .. })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address under which a tool is bought: quotes, plans, rules and receipts name it. The query of the server's own address,
    /// which may hold a key, is no part of it. A program has the host `NAME.mcp.invalid`, which no name server knows.
    #[must_use]
    pub fn tool_address(&self, tool: &str) -> String {
        let (Reach::Http { url, .. } | Reach::Program { url, .. }) = &self.reach;
        let mut url = url.clone();
        url.set_query(None);
        url.query_pairs_mut().append_pair(MCP_TOOL, tool);
        url.into()
    }

    /// The tool that an address names, if it is one of this server's.
    pub(super) fn tool_at(&self, url: &Url) -> Option<String> {
        let (_, tool) = url.query_pairs().find(|(name, _)| name == MCP_TOOL)?;
        (self.tool_address(&tool) == url.as_str()).then(|| tool.into_owned())
    }

    pub(super) const fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(super) const fn bounds(&self) -> &McpLimits {
        &self.limits
    }

    pub(super) fn offers(&self, tool: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(tool))
    }

    pub(super) fn is_paid(&self, tool: &str) -> bool {
        self.paid.has(tool)
    }

    /// What a tool does to the world. The strictest thing that was said counts.
    pub(super) fn effect(&self, tool: &str) -> Effect {
        match (self.paid.has(tool), self.reads.has(tool)) {
            (true, _) => Effect::Spend,
            (false, true) => Effect::Read,
            (false, false) => Effect::Write,
        }
    }
}

fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = match &self.reach {
            Reach::Http { url, .. } => url.origin().ascii_serialization(),
            Reach::Program { program, .. } => program.clone(),
        };
        f.debug_struct("McpServer").field("name", &self.name).field("at", &at).finish_non_exhaustive()
    }
}
