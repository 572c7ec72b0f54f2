//! Which credential goes where: the document's security schemes, filled by the operator.

use super::api::{Api, ApiError, Place, server_url};
use super::document::Document;
use super::secret::Secret;
use super::withheld::Withholding;
use bursar_types::MCP_TOOL;
use http::HeaderName;
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// Headers that say where a request goes, how it is framed, on whose behalf it comes, what it really asks for, or what was paid: no
/// document makes a parameter or a credential of them.
const NEVER: [&str; 24] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "payment-signature",
    "referer",
    "sign-in-with-x",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-original-url",
    "x-payment",
    "x-real-ip",
    "x-rewrite-url",
    super::transport::MARK,
];
const NEVER_BEGINS: [&str; 3] = ["proxy-", "sec-", "x-forwarded-"];
/// Headers that a request has anyway: the specification ignores parameters of these names.
const OURS: [&str; 6] =
    ["accept", "accept-encoding", "authorization", "content-encoding", "content-type", "cookie"];

/// A credential and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) place: Place,
    pub(super) secret: Secret,
}

/// The security schemes of a document, and the server that credentials may go to.
#[derive(Debug)]
pub(super) struct Schemes {
    server: Url,
    /// The servers that the document names for all operations.
    named: Vec<String>,
    all: BTreeMap<String, Place>,
    filled: BTreeMap<String, Filled>,
    always: Vec<Filled>,
    /// What every operation needs that says nothing of its own.
    needed: Option<Value>,
}

impl Schemes {
    /// Reads them.
    ///
    /// # Errors
    /// [`ApiError::NoServer`], [`ApiError::Credential`].
    pub(super) fn read(api: &Api, document: &Document) -> Result<Self, ApiError> {
        let servers = document.get("/servers").and_then(Value::as_array).into_iter().flatten();
        let named: Vec<String> = servers.filter_map(server_of).collect();
        let own = || named.first().and_then(|url| server_url(url));
        let server =
            api.server().cloned().or_else(own).ok_or_else(|| ApiError::NoServer(api.name().to_owned()))?;
        let written = document.get("/components/securitySchemes").and_then(Value::as_object);
        let mut all = BTreeMap::new();
        for (name, scheme) in written.into_iter().flatten() {
            if let Some(place) =
                document.object(scheme).ok().and_then(|scheme| place(&Value::Object(scheme.clone())))
            {
                all.insert(name.clone(), place);
            }
        }
        let refuse = |secret: &Secret, problem: String| ApiError::Credential {
            name: secret.name().to_owned(),
            problem,
        };
        let mut filled = BTreeMap::new();
        for (scheme, secret) in api.credentials() {
            let shown = bursar_types::visible(scheme, 80);
            let place = all.get(scheme).ok_or_else(|| {
                refuse(
                    secret,
                    format!("the document has no security scheme `{shown}` that a credential can fill"),
                )
            })?;
            let one = Filled { place: place.clone(), secret: secret.clone() };
            one.check().map_err(|problem| refuse(secret, problem))?;
            filled.insert(scheme.clone(), one);
        }
        let mut always = Vec::new();
        for (place, secret) in api.sent_always() {
            let one = Filled { place: place.clone(), secret: secret.clone() };
            one.check().map_err(|problem| refuse(secret, problem))?;
            always.push(one);
        }
        Ok(Self { server, named, all, filled, always, needed: document.get("/security").cloned() })
    }

    pub(super) const fn server(&self) -> &Url {
        &self.server
    }

    /// Every credential that there is.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.filled.values().chain(&self.always).map(|filled| &filled.secret)
    }

    /// The credentials for one operation: the first alternative that can be filled, and what is always sent.
    ///
    /// # Errors
    /// [`Withholding::NoCredential`].
    pub(super) fn fill(&self, needed: Option<&Value>) -> Result<Vec<Filled>, Withholding> {
        let alternatives = match needed.or(self.needed.as_ref()) {
            None => return Ok(self.always.clone()),
            Some(Value::Array(alternatives)) => alternatives,
            Some(_) => return Err(Withholding::Unreadable),
        };
        let mut anonymous = alternatives.is_empty();
        for alternative in alternatives {
            let Some(names) = alternative.as_object() else { return Err(Withholding::Unreadable) };
            anonymous |= names.is_empty();
            let found: Option<Vec<_>> = names.keys().map(|name| self.filled.get(name).cloned()).collect();
            if let Some(found) = found.filter(|found| !found.is_empty()) {
                return Ok(found.into_iter().chain(self.always.iter().cloned()).collect());
            }
        }
        match anonymous || !self.always.is_empty() {
            true => Ok(self.always.clone()),
            false => Err(Withholding::NoCredential),
        }
    }

    /// Whether an operation that names servers of its own stays with the operator's.
    ///
    /// # Errors
    /// [`Withholding::OtherServer`].
    pub(super) fn at_the_server(&self, servers: Option<&Value>) -> Result<(), Withholding> {
        let own: Vec<String> =
            servers.and_then(Value::as_array).into_iter().flatten().filter_map(server_of).collect();
        let here = |url: &String| {
            // Whether by TLS or not is the operator's to say.
            self.named.iter().any(|named| schemeless(named) == schemeless(url))
                || url == "/"
                || server_url(url).is_some_and(|url| same_base(&url, &self.server))
        };
        if own.is_empty() || own.iter().any(here) { Ok(()) } else { Err(Withholding::OtherServer) }
    }

    /// Whether a header is none of the model's. Of those that a request has anyway, the parameter is left out; of the others, an
    /// operation that needs it is withheld.
    pub(super) fn header(&self, name: &str) -> Whose {
        let lower = name.to_ascii_lowercase();
        if is_never(&lower) || lower.parse::<HeaderName>().is_err() {
            return Whose::Nobodys;
        }
        if OURS.contains(&lower.as_str())
            || self.places().any(|place| matches!(place, Place::Header(own) if own.as_str() == lower))
        {
            return Whose::Ours;
        }
        Whose::Models
    }

    pub(super) fn query(&self, name: &str) -> Whose {
        if self.places().any(|place| matches!(place, Place::Query(own) if own == name)) {
            return Whose::Ours;
        }
        if matches!(name, MCP_TOOL | "_method") { Whose::Nobodys } else { Whose::Models }
    }

    pub(super) fn cookie(&self, name: &str) -> Whose {
        if self.places().any(|place| matches!(place, Place::Cookie(own) if own == name)) {
            return Whose::Ours;
        }
        if is_cookie_name(name) { Whose::Models } else { Whose::Nobodys }
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.all.values().chain(self.always.iter().map(|filled| &filled.place))
    }
}

/// Who sets a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The model.
    Models,
    /// It follows from the request, or from a credential.
    Ours,
    /// It is never sent.
    Nobodys,
}

fn is_never(lower: &str) -> bool {
    NEVER.contains(&lower) || NEVER_BEGINS.iter().any(|begin| lower.starts_with(begin))
}

fn is_cookie_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

fn schemeless(url: &str) -> &str {
    url.split_once("//").map_or(url, |(_, rest)| rest)
}

/// The same origin, and the same path below it.
fn same_base(a: &Url, b: &Url) -> bool {
    let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
    a.origin() == b.origin() && path(a) == path(b)
}

/// The address of a server with its variables at their defaults.
fn server_of(server: &Value) -> Option<String> {
    let mut url = server.get("url")?.as_str()?.to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten().take(32)
    {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
        if url.len() > 4_096 {
            return None;
        }
    }
    Some(url)
}

/// Where the credential of a scheme goes; `None` for a scheme that takes more than to send one.
fn place(scheme: &Value) -> Option<Place> {
    let text = |field: &str| scheme.get(field).and_then(Value::as_str);
    match text("type")? {
        "apiKey" => {
            let name = text("name")?;
            match text("in")? {
                "header" => name.parse().ok().map(Place::Header),
                "query" => Some(Place::Query(name.to_owned())),
                "cookie" => Some(Place::Cookie(name.to_owned())),
                _ => None,
            }
        }
        "http" => match text("scheme")?.to_ascii_lowercase().as_str() {
            "basic" => Some(Place::Basic),
            "bearer" => Some(Place::Bearer),
            _ => None,
        },
        "oauth2" | "openIdConnect" => Some(Place::Bearer),
        _ => None,
    }
}

impl Filled {
    fn check(&self) -> Result<(), String> {
        match &self.place {
            Place::Header(name) if is_never(name.as_str()) => {
                Err(format!("`{name}` says where a request goes, how it is framed or what was paid"))
            }
            Place::Query(name) if name.is_empty() || name.len() > 128 => {
                Err("the query's parameter has no name, or a long one".to_owned())
            }
            Place::Cookie(name) if !is_cookie_name(name) => Err("no cookie can have this name".to_owned()),
            Place::Basic if !self.secret.value().contains(':') => {
                Err("basic authentication takes USER:PASSWORD".to_owned())
            }
            Place::Cookie(_) if self.secret.value().bytes().any(|byte| b" \",;\\".contains(&byte)) => {
                Err("no cookie can hold this value".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"openapi":"3.1.0","servers":[{"url":"https://{host}/v1","variables":{"host":{"default":"api.example"}}}],
        "security":[{"key":[]},{"login":[],"token":[]}],
        "components":{"securitySchemes":{
            "key":{"type":"apiKey","in":"query","name":"api_key"},
            "host":{"type":"apiKey","in":"header","name":"Host"},
            "paid":{"type":"apiKey","in":"header","name":"X-PAYMENT"},
            "login":{"type":"http","scheme":"Basic"},
            "token":{"type":"oauth2"},
            "digest":{"type":"http","scheme":"digest"},
            "tls":{"type":"mutualTLS"}}}}"#;

    fn secret(value: &str) -> Secret {
        Secret::new("NAME", value).unwrap()
    }

    fn schemes(credentials: &[(&str, &str)]) -> Result<Schemes, ApiError> {
        let document = Document::read(DOCUMENT.as_bytes(), 1 << 20).unwrap();
        let api = Api::at_its_server("a", DOCUMENT).unwrap();
        let api = credentials.iter().fold(api, |api, (scheme, value)| api.credential(*scheme, secret(value)));
        Schemes::read(&api, &document)
    }

    #[test]
    fn the_first_alternative_that_can_be_filled_is_used() {
        let (key, login, token) = (("key", "key-key"), ("login", "user:password"), ("token", "token-token"));
        let none = serde_json::json!([]);
        let maybe = serde_json::json!([{}, {"key": []}]);
        for (given, needed, places) in [
            (vec![key], None, Ok(vec![Place::Query("api_key".to_owned())])),
            (vec![login, token], None, Ok(vec![Place::Basic, Place::Bearer])),
            (vec![login], None, Err(Withholding::NoCredential)),
            (vec![], None, Err(Withholding::NoCredential)),
            (vec![key], Some(&none), Ok(vec![])),
            (vec![key], Some(&maybe), Ok(vec![Place::Query("api_key".to_owned())])),
            (vec![], Some(&maybe), Ok(vec![])),
        ] {
            let filled = schemes(&given).unwrap().fill(needed);
            let found = filled.map(|all| all.into_iter().map(|filled| filled.place).collect::<Vec<_>>());
            assert_eq!(found, places, "{given:?} {needed:?}");
        }
    }

    #[test]
    fn a_credential_is_never_put_where_a_request_is_framed_or_paid() {
        for (scheme, value) in [
            ("host", "evil.test"),
            ("paid", "eyJwYWlkIjp0cnVlfQ=="),
            ("login", "no-colon"),
            ("digest", "user:password"),
            ("tls", "certificate"),
            ("nothing", "something"),
        ] {
            let refused = schemes(&[(scheme, value)]).map(drop);
            assert!(matches!(refused, Err(ApiError::Credential { .. })), "{scheme}: {refused:?}");
            assert!(!refused.unwrap_err().to_string().contains(value), "{scheme}");
        }
    }

    #[test]
    fn an_operation_that_the_document_sends_elsewhere_is_told_apart() {
        let schemes = schemes(&[]).unwrap();
        assert_eq!(schemes.server().as_str(), "https://api.example/v1");
        for (servers, stays) in [
            (serde_json::json!(null), true),
            (serde_json::json!([]), true),
            (serde_json::json!([{"url": "https://api.example/v1"}]), true),
            (serde_json::json!([{"url": "https://api.example/v1/"}]), true),
            (serde_json::json!([{"url": "https://uploads.example/v1"}]), false),
            (serde_json::json!([{"url": "https://api.example/v2"}]), false),
            (serde_json::json!([{"url": "https://api.example@evil.test/v1"}]), false),
        ] {
            let stayed = schemes.at_the_server(Some(&servers));
            assert_eq!(stayed.is_ok(), stays, "{servers}");
        }
    }

    #[test]
    fn nobody_sets_what_frames_a_request_or_says_who_asks() {
        let schemes = schemes(&[]).unwrap();
        for (name, whose) in [
            ("Authorization", Whose::Ours),
            ("Accept", Whose::Ours),
            ("Host", Whose::Nobodys),
            ("X-Forwarded-For", Whose::Nobodys),
            ("Proxy-Authorization", Whose::Nobodys),
            ("X-HTTP-Method-Override", Whose::Nobodys),
            ("Payment-Signature", Whose::Nobodys),
            ("a\r\nb", Whose::Nobodys),
            ("If-Match", Whose::Models),
        ] {
            assert_eq!(schemes.header(name), whose, "{name}");
        }
        assert_eq!(schemes.query("api_key"), Whose::Ours);
        assert_eq!(schemes.query("page"), Whose::Models);
    }
}
