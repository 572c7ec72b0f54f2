//! Callers: who may spend through an entrance of this process, as the operator's configuration names them.
//!
//! A caller brings a token and nothing else. Mandate, budget and whose money it is are the operator's word.

use crate::config::Config;
use crate::error::BursarError;
use crate::handle::Bursar;
use crate::mandate_file::{self, Issued};
use crate::session::{Approve, Session};
use bursar_payments::{Mandate, OpenError, PlanApproval};
use bursar_types::{Amount, Asset, Digest, SessionId, Timestamp};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Shortest token that is taken, in characters: it is guessed at over a network.
const TOKEN_CHARS_MIN: usize = 20;
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 40;

/// A `[[caller]]` of the configuration.
///
/// ```
/// let caller: bursar::CallerConfig = toml::from_str(r#"
///     name = "desktop"
///     token_env = "BURSAR_DESKTOP_TOKEN"
///     budget = "0.25"
/// "#)?;
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerConfig {
    /// Its name: lower-case letters, digits and hyphens. Sessions and reports name it.
    pub name: String,
    /// SHA-256 of its token, in hex. The token itself stands nowhere.
    pub token_sha256: Option<String>,
    /// The variable that holds its token. Without this and `token_sha256` it has no token: it can be served over stdio only.
    pub token_env: Option<String>,
    /// On whose behalf it acts; its own name without this. No two callers have the same: what a user bought is that user's.
    pub user: Option<String>,
    /// What its money is for; the mandate's purpose without this.
    pub purpose: Option<String>,
    /// The most that its session may spend in US dollars, such as `"0.25"`. It lowers what the mandate says, and never raises it.
    pub budget: Option<String>,
    /// A mandate of its own, as `mandate_file`; the configuration's without this.
    pub mandate_file: Option<PathBuf>,
    /// Whether it may propose plans. Without, it buys what its mandate lists as metered, and nothing else.
    #[serde(default = "yes")]
    pub plans: bool,
    /// Which of its sessions is meant: another number begins another session, with a budget of its own. Raise it after a change of
    /// the mandate.
    #[serde(default = "first")]
    pub generation: u32,
}

const fn yes() -> bool {
    true
}

const fn first() -> u32 {
    1
}

/// A caller with its mandate, checked.
#[derive(Debug, Clone)]
pub struct Caller {
    name: String,
    tokens: Vec<Digest>,
    mandate: Mandate,
    plans: bool,
    generation: u32,
    issued: Option<Arc<Issued>>,
    missing: Option<String>,
}

impl Caller {
    /// A caller in code, who may spend under this mandate. Without a [token](Self::token) it can be named and not called from outside.
    #[must_use]
    pub fn new(name: impl Into<String>, mandate: Mandate) -> Self {
        Self {
            name: name.into(),
            tokens: Vec::new(),
            mandate,
            plans: true,
            generation: first(),
            issued: None,
            missing: None,
        }
    }

    /// The same with a token.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.tokens.push(Digest::of(token.as_bytes()));
        self
    }

    /// The same, meaning another of its sessions: see [`CallerConfig::generation`].
    #[must_use]
    pub const fn generation(mut self, generation: u32) -> Self {
        self.generation = generation;
        self
    }

    /// The same without leave to propose plans.
    #[must_use]
    pub const fn without_plans(mut self) -> Self {
        self.plans = false;
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// On whose behalf it acts.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.mandate.user
    }

    /// Whether it may propose plans.
    #[must_use]
    pub const fn may_plan(&self) -> bool {
        self.plans
    }

    /// Whether it has a token at all.
    #[must_use]
    pub const fn has_token(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// The variable that should hold its token and is not set.
    #[must_use]
    pub fn missing_variable(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// Whether this is its token. How long the answer takes says nothing about the token.
    #[must_use]
    pub fn knows(&self, token: &str) -> bool {
        let given = Digest::of(token.as_bytes());
        let same = |known: &Digest| {
            let pairs = known.as_bytes().iter().zip(given.as_bytes());
            pairs.fold(0_u8, |difference, (a, b)| difference | (a ^ b)) == 0
        };
        self.tokens.iter().fold(false, |found, known| found | same(known))
    }
}

/// The callers of a configuration; paths are relative to `base`.
pub(crate) fn read(
    config: &Config,
    base: &Path,
    mandate: Option<&Mandate>,
    now: Timestamp,
) -> Result<Vec<Caller>, BursarError> {
    let mut callers: Vec<Caller> = Vec::with_capacity(config.callers.len());
    for written in &config.callers {
        let caller = one(written, config, base, mandate, now)?;
        let problem = |what: String| Err(BursarError::Caller { name: written.name.clone(), problem: what });
        if callers.iter().any(|other| other.name == caller.name) {
            return problem("there are two of this name".to_owned());
        }
        if let Some(other) = callers.iter().find(|other| other.user() == caller.user()) {
            return problem(format!(
                "it acts for the same user as `{}`, so that each would have what the other buys; give each a `user`, or a mandate, \
                 of its own",
                other.name
            ));
        }
        if callers.iter().any(|other| other.tokens.iter().any(|token| caller.tokens.contains(token))) {
            return problem("another caller has the same token".to_owned());
        }
        callers.push(caller);
    }
    Ok(callers)
}

fn one(
    written: &CallerConfig,
    config: &Config,
    base: &Path,
    mandate: Option<&Mandate>,
    now: Timestamp,
) -> Result<Caller, BursarError> {
    let problem = |problem: String| BursarError::Caller { name: written.name.clone(), problem };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if written.name.is_empty() || written.name.len() > NAME_CHARS_MAX || !written.name.chars().all(fits) {
        let rule = format!("a name is 1 to {NAME_CHARS_MAX} lower-case letters, digits and hyphens");
        return Err(problem(rule));
    }
    let (mut mandate, issued) = match (&written.mandate_file, mandate) {
        (Some(file), _) => {
            let read = mandate_file::read_file(&base.join(file), &config.issuers, &config.registry(), now)?;
            (read.mandate, read.issued.map(Arc::new))
        }
        (None, _) if !config.issuers.is_empty() => {
            let what = "the configuration names issuers, so it needs a signed `mandate_file` of its own";
            return Err(problem(what.to_owned()));
        }
        (None, Some(mandate)) => {
            let mut mandate = mandate.clone();
            mandate.user = written.name.clone();
            mandate.agent = written.name.clone();
            (mandate, None)
        }
        (None, None) => {
            return Err(problem("there is no mandate: give `mandate_file`, or [mandate]".to_owned()));
        }
    };
    match (&written.user, &issued) {
        (Some(user), None) => mandate.user = user.clone(),
        (Some(user), Some(_)) if *user != mandate.user => {
            return Err(problem(format!("its signed mandate is for the user `{}`", mandate.user)));
        }
        _ => {}
    }
    if let Some(purpose) = &written.purpose {
        mandate.purpose = purpose.clone();
    }
    if let Some(budget) = &written.budget {
        let limit = Amount::parse_decimal(&Asset::micro_usd(), budget)
            .map_err(|error| problem(format!("budget: `{}`: {error}", budget.escape_debug())))?;
        mandate = mandate.cap_session(limit);
    }
    let (tokens, missing) = tokens(written).map_err(problem)?;
    Ok(Caller {
        name: written.name.clone(),
        tokens,
        mandate,
        plans: written.plans,
        generation: written.generation,
        issued,
        missing,
    })
}

/// Its tokens, and the variable that should hold one and is not set: who only reads or serves others does not need it.
#[expect(clippy::disallowed_methods, reason = "the composition root is where the environment is read")]
fn tokens(written: &CallerConfig) -> Result<(Vec<Digest>, Option<String>), String> {
    let mut tokens = Vec::new();
    if let Some(text) = &written.token_sha256 {
        let digest = Digest::parse(&text.to_ascii_lowercase());
        tokens.push(digest.map_err(|_| "token_sha256 is not 64 hex digits".to_owned())?);
    }
    let Some(variable) = &written.token_env else { return Ok((tokens, None)) };
    let Some(token) = std::env::var(variable).ok().filter(|token| !token.is_empty()) else {
        return Ok((tokens, Some(variable.clone())));
    };
    if token.chars().count() < TOKEN_CHARS_MIN {
        return Err(format!("the token in `{variable}` is shorter than {TOKEN_CHARS_MIN} characters"));
    }
    tokens.push(Digest::of(token.as_bytes()));
    Ok((tokens, None))
}

impl Bursar {
    /// The callers of its configuration, in its order.
    #[must_use]
    pub fn callers(&self) -> &[Caller] {
        &self.0.callers
    }

    /// The session of a caller: opened the first time, and taken up ever after, by whatever process. It is named by the caller's
    /// name and generation.
    ///
    /// # Errors
    /// [`BursarError::Caller`] if the mandate was changed since it was opened, and as [`Bursar::resume`].
    ///
    /// # Idempotency
    /// Any number of calls, at once and from several processes, give the same session.
    pub async fn session_of(&self, caller: &Caller) -> Result<Session, BursarError> {
        if caller.issued.is_none() && self.0.issued_only {
            return Err(mandate_file::unsigned("a caller's mandate"));
        }
        if let Some(issued) = &caller.issued {
            issued.record(&self.0.ledger, &*self.0.entropy).await?;
        }
        let generation = caller.generation.to_be_bytes();
        let ledger = self.0.ledger.id();
        let id = SessionId::derived(&[b"caller", ledger.as_bytes(), caller.name.as_bytes(), &generation]);
        let mandate = Mandate { session: Some(id), ..caller.mandate.clone() };
        let approve = match mandate.approval {
            PlanApproval::Never => Approve::Never,
            PlanApproval::Ask | PlanApproval::Rule => Approve::Rule,
        };
        match self.under(id, &mandate, approve.clone()).await {
            Err(BursarError::Session(OpenError::NoSession(_))) => {}
            known => return known.map_err(|error| changed(caller, error)),
        }
        match self.begin(mandate.clone(), approve.clone()).await {
            // Another process was first.
            Err(BursarError::Session(OpenError::Context("session"))) => {
                self.under(id, &mandate, approve).await.map_err(|error| changed(caller, error))
            }
            begun => begun,
        }
    }
}

fn changed(caller: &Caller, error: BursarError) -> BursarError {
    match error {
        BursarError::Session(OpenError::Immutable | OpenError::Context(_)) => BursarError::Caller {
            name: caller.name.clone(),
            problem: format!(
                "its mandate was changed since its session began (MANDATE_IMMUTABLE); set `generation = {}` to begin another",
                u64::from(caller.generation) + 1
            ),
        },
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = r#"
data = ".bursar"
[mandate]
purpose = "research"
user = "owner"
assets = ["eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e"]
budget = [{ scope = "session", limit = "0.50" }]
"#;

    fn callers(more: &str) -> Result<Vec<Caller>, String> {
        let config: Config = toml::from_str(&format!("{BASE}{more}")).map_err(|error| error.to_string())?;
        let mandate = config.mandate.clone().unwrap().into_mandate(&config.registry()).unwrap();
        let now = Timestamp::from_unix_ms(0);
        read(&config, Path::new("."), Some(&mandate), now).map_err(|error| error.to_string())
    }

    #[test]
    fn a_caller_is_cut_from_the_mandate_and_never_wider() {
        let all = callers(
            "[[caller]]\nname = \"a\"\nbudget = \"0.10\"\n[[caller]]\nname = \"b\"\nbudget = \"9.00\"\nplans = false",
        )
        .unwrap();
        let caps: Vec<u128> = all.iter().map(|caller| caller.mandate.budgets[0].limit.atomic()).collect();
        assert_eq!(caps, [100_000, 500_000]);
        let users: Vec<&str> = all.iter().map(Caller::user).collect();
        assert_eq!((users, all[1].may_plan()), (vec!["a", "b"], false));
    }

    #[test]
    fn a_token_is_known_by_its_digest_alone() {
        let digest = Digest::of(b"a-token-of-some-length").to_string();
        let all = callers(&format!("[[caller]]\nname = \"a\"\ntoken_sha256 = \"{digest}\"")).unwrap();
        assert!(all[0].knows("a-token-of-some-length") && !all[0].knows(&digest) && !all[0].knows(""));
        assert!(!callers("[[caller]]\nname = \"a\"").unwrap()[0].knows(""));
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        let digest = Digest::of(b"t").to_string();
        for (more, said) in [
            ("[[caller]]\nname = \"A b\"".to_owned(), "lower-case letters"),
            (
                "[[caller]]\nname = \"a\"\n[[caller]]\nname = \"a\"\nuser = \"c\"".to_owned(),
                "two of this name",
            ),
            (
                "[[caller]]\nname = \"a\"\n[[caller]]\nname = \"b\"\nuser = \"a\"".to_owned(),
                "the same user as `a`",
            ),
            (
                format!(
                    "[[caller]]\nname = \"a\"\ntoken_sha256 = \"{digest}\"\n[[caller]]\nname = \"b\"\ntoken_sha256 = \"{digest}\""
                ),
                "the same token",
            ),
            ("[[caller]]\nname = \"a\"\ntoken_sha256 = \"12\"".to_owned(), "64 hex digits"),
            ("[[caller]]\nname = \"a\"\nbudget = \"-1\"".to_owned(), "budget"),
            ("[[caller]]\nname = \"a\"\nmandate = \"mine\"".to_owned(), "unknown field"),
        ] {
            let error = callers(&more).unwrap_err();
            assert!(error.contains(said), "{more}: {error}");
        }
    }
}
