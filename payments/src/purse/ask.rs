//! Asking: naming the purchase, the gate before any request leaves, and reading offers.

use super::decide::{denied, vendor_prefix};
use super::open::request_digest;
use super::redirect::{Redirect, redirect};
use super::{DecisionRecord, SessionPurse, sums, unavailable};
use crate::events::MoneyEvent;
use crate::hosts::suspicious;
use crate::payment::Ask;
use crate::policy::{Facts, QuoteFacts};
use crate::rail::{Exchange, Offer, OfferError};
use crate::reasons;
use crate::session::SessionState;
use bursar_ledger::{CommitError, Commitment, LinkWrite, Refusal, SealedEvent, StreamId, Transaction};
use bursar_types::{
    BodyProblem, Cause, DataLabel, Decision, Digest, FetchError, HttpRequest, HttpResponse, PaymentId,
    PurchaseKey, QuoteId, QuoteOutcome, Reason, TransportError, Verdict,
};
use http::StatusCode;
use serde_json::json;
use url::Url;

/// Headers that only the purse may set.
const PAYMENT_HEADERS: [&str; 3] = ["payment-signature", "x-payment", "sign-in-with-x"];
/// Headers that say where a request goes or how it is framed: they follow from its URL and body, and another value would send
/// it to a host that no rule has seen, or hide a second request in it.
const FRAMING_HEADERS: [&str; 7] =
    ["host", "connection", "content-length", "expect", "te", "transfer-encoding", "upgrade"];
/// Headers that are journaled with a request, since none of them is a credential; any other may be.
const KEPT_HEADERS: [&str; 5] = ["accept", "accept-language", "content-type", "range", "user-agent"];
/// Most redirects followed, same origin, before anything is paid.
const REDIRECTS_MAX: usize = 3;

/// Host with port where it is not the scheme's own, in lower case.
pub(super) fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?.to_ascii_lowercase();
    Some(url.port().map_or(host.clone(), |port| format!("{host}:{port}")))
}

/// Whether the host is this machine.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether what is sent cannot be read or changed on the way: TLS, or it never leaves this machine.
pub(super) fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || is_local(url)
}

/// Writes the request's URL as it was understood, so that what is compared with a plan is what is sent: dot segments
/// resolved, no fragment, the host in lower case.
pub(super) fn normalised(mut request: HttpRequest) -> Result<HttpRequest, FetchError> {
    let mut url = parse_url(&request)?;
    url.set_fragment(None);
    *request.uri_mut() = url
        .as_str()
        .parse()
        .map_err(|_| FetchError::Request("the URL cannot be sent as it is".to_owned()))?;
    Ok(request)
}

pub(super) fn parse_url(request: &HttpRequest) -> Result<Url, FetchError> {
    let refuse = |problem: &str| FetchError::Request(problem.to_owned());
    let url = Url::parse(&request.uri().to_string())
        .map_err(|_| refuse("the URL is not absolute; give one such as https://api.example/v1"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse("the URL is not http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("the URL holds a name or password; send credentials in a header"));
    }
    if url.host_str().is_some_and(|host| host.ends_with('.')) {
        return Err(refuse("the host ends with a dot; leave it out, so that one vendor has one name"));
    }
    if request.headers().keys().any(|name| PAYMENT_HEADERS.contains(&name.as_str())) {
        return Err(refuse("the request has a payment header; only the purse sets those"));
    }
    if request.headers().keys().any(|name| FRAMING_HEADERS.contains(&name.as_str())) {
        return Err(refuse(
            "the request has a header that says where it goes or how long it is; its URL and body do",
        ));
    }
    Ok(url)
}

/// What came of an unpaid request.
#[derive(Debug)]
pub(super) enum Prices {
    /// It costs nothing.
    Free(HttpResponse),
    /// Every alternative, and the request that they were given for.
    Offers(HttpRequest, Vec<Offer>),
}

impl SessionPurse {
    /// Names the purchase.
    pub(super) fn ask(&self, request: &HttpRequest, key: &PurchaseKey) -> Result<Ask, FetchError> {
        let url = parse_url(request)?;
        let kept = |name: &http::HeaderName| KEPT_HEADERS.contains(&name.as_str());
        let headers: Vec<_> = request
            .headers()
            .iter()
            .filter(|(name, _)| kept(name))
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect();
        let whole = headers.len() == request.headers().len();
        Ok(Ask {
            payment: self.payment_name(request, key),
            session: self.session,
            agent: self.actor.agent.clone(),
            cause: Cause::of(request),
            key: key.clone(),
            request: self.request_name(request),
            method: request.method().to_string(),
            url: url.to_string(),
            body: None,
            headers,
            whole,
        })
    }

    fn request_name(&self, request: &HttpRequest) -> Digest {
        let url =
            Url::parse(&request.uri().to_string()).map_or_else(|_| request.uri().to_string(), Into::into);
        request_digest(&self.actor.user, request.method().as_str(), &url, request.body())
    }

    /// The payment's id: the same session, key and request always give the same one.
    fn payment_name(&self, request: &HttpRequest, key: &PurchaseKey) -> PaymentId {
        let request = self.request_name(request);
        PaymentId::derived(&[
            self.salt.as_bytes(),
            self.session.as_bytes(),
            key.as_str().as_bytes(),
            request.as_bytes(),
        ])
    }

    /// Sends the request unpaid, if the rules let it leave. Redirects are followed on the same origin only.
    pub(super) async fn ask_unpaid(
        &self,
        mut request: HttpRequest,
    ) -> Result<(HttpRequest, HttpResponse), FetchError> {
        let mut redirects = 0_usize;
        loop {
            let url = parse_url(&request)?;
            self.gate(&request, &url).await?;
            let response = match self.shared.transport.send(request.clone(), self.shared.limits).await {
                Ok(response) => response,
                Err(error) => return Err(self.unanswered(&url, error).await),
            };
            let to = match redirect(&request, &response, &url) {
                Redirect::To(_) if redirects >= REDIRECTS_MAX => {
                    Redirect::Refused(reasons::too_many_redirects(REDIRECTS_MAX))
                }
                to => to,
            };
            match to {
                Redirect::To(next) => {
                    redirects = redirects.saturating_add(1);
                    request = *next;
                }
                Redirect::Refused(reason) => {
                    return Err(self.refuse_plainly(&format!("a request to {url}"), denied(reason)).await);
                }
                Redirect::None => {
                    if response.status() != StatusCode::PAYMENT_REQUIRED {
                        self.record_free(&request, &response).await?;
                    }
                    return Ok((request, response));
                }
            }
        }
    }

    /// What it means that no whole answer came. What was refused on purpose is journaled.
    async fn unanswered(&self, url: &Url, error: TransportError) -> FetchError {
        let what = format!("a request to {url}");
        let demand = |status| status == StatusCode::PAYMENT_REQUIRED;
        match &error {
            TransportError::Blocked { .. } => {
                let reason = reasons::egress_blocked(&error.to_string());
                self.refuse_plainly(&what, denied(reason)).await
            }
            TransportError::HeadTooLong { max, .. } => {
                let reason = reasons::challenge_too_large(&format!("its headers have more than {max} bytes"));
                self.refuse_terms(url, reason).await
            }
            TransportError::Body { head, problem: problem @ BodyProblem::TooLong { .. }, .. }
                if demand(head.status) =>
            {
                self.refuse_terms(url, reasons::challenge_too_large(&problem.to_string())).await
            }
            _ => FetchError::Transport(error),
        }
    }

    /// Journals that a vendor's terms are not read.
    async fn refuse_terms(&self, url: &Url, reason: Reason) -> FetchError {
        let host = host_of(url).unwrap_or_default();
        let what = format!("the terms of {url}");
        match self.refuse_plainly(&what, denied(reason.clone())).await {
            FetchError::Denied(_) => FetchError::Terms { host, reason },
            error => error,
        }
    }

    /// Journals a request that cost nothing. One that asks for payment is journaled with its quotes.
    async fn record_free(&self, request: &HttpRequest, response: &HttpResponse) -> Result<(), FetchError> {
        let status = response.status().as_u16();
        let event = json!({
            "method": request.method().as_str(),
            "url": request.uri().to_string(),
            "status": status,
            "body_bytes": response.body().len(),
        });
        let stream = StreamId::of("requests", self.session);
        let mut transaction = Transaction::default();
        let fields = std::iter::once(("status", json!(status))).chain(self.trace_fields());
        SealedEvent::new(stream, "request.free", fields, &event, &*self.shared.entropy)
            .map_err(unavailable)?
            .add_to(&mut transaction);
        self.shared.ledger.commit(transaction).await.map_err(unavailable)?;
        Ok(())
    }

    /// The rules' leave for a request, journaled if refused.
    async fn gate(&self, request: &HttpRequest, url: &Url) -> Result<(), FetchError> {
        let lineage = self.lineage().await?;
        let state = lineage.own();
        let name = host_of(url).unwrap_or_default();
        let now = self.shared.clock.now();
        let counts = self.counts(state, now).await?;
        let budgets = self.budgets(&lineage, None).await?;
        let known = self.shared.ledger.links(&vendor_prefix(&name)).await.map_err(unavailable)?;
        let facts = Facts::Quote(QuoteFacts {
            actor: self.actor.clone(),
            vendor_listed: state.mandate.lists_vendor(&name),
            vendor_approved: state.mandate.approves_vendor(&name),
            first_time_vendor: known.is_empty(),
            category: sums::category(&state.mandate, &name),
            data: DataLabel::of(request),
            gate: self.gate_level(&budgets).await?,
            host: name.clone(),
            method: request.method().to_string(),
            secure: is_secure(url),
            local: is_local(url),
            has_body: !request.body().is_empty(),
            phase: crate::session::phase(state, &counts.bought, now),
        });
        let mut weighed = self.weigh(state, &facts, &[]);
        let mut structural = self.unreachable(url);
        structural.extend(suspicious(&name, known_hosts(state)));
        if !structural.is_empty() {
            // No rule lifts these; what the rules say besides is told as well.
            structural.append(&mut weighed.decision.reasons);
            weighed.decision = Decision { verdict: Verdict::Deny, reasons: structural, ..weighed.decision };
        }
        let what = format!("a request to {url}");
        if weighed.decision.verdict == Verdict::Allow {
            return self.record_shadow(&what, &facts, &weighed).await;
        }
        Err(self.refuse(&what, weighed.decision, &facts).await)
    }

    /// Why the URL itself may not be asked.
    fn unreachable(&self, url: &Url) -> Vec<Reason> {
        let blocked = self.shared.egress.check_url(url).err();
        blocked.map(|error| reasons::egress_blocked(&error.to_string())).into_iter().collect()
    }

    /// Reads every alternative of every rail and stores them; quotes cite what is stored.
    pub(super) async fn read_offers(
        &self,
        request: &HttpRequest,
        response: &HttpResponse,
    ) -> Result<Vec<Offer>, FetchError> {
        let received_at = self.shared.clock.now();
        let exchange = Exchange { request, response, received_at };
        let url = parse_url(request)?;
        let data = DataLabel::of(request);
        let mut offers = Vec::new();
        let mut problem = None;
        for rail in &self.shared.rails {
            match rail.offers(&exchange) {
                Ok(found) => offers.extend(found.into_iter().map(|offer| Offer { data, ..offer })),
                Err(OfferError::Unreadable(reason) | OfferError::NotPayable(reason)) => {
                    problem = Some(reason)
                }
            }
        }
        if offers.is_empty() {
            let unknown = || reasons::terms_unreadable("it asks for payment on no rail that is known here");
            return Err(self.refuse_terms(&url, problem.unwrap_or_else(unknown)).await);
        }
        offers.sort_by_key(|offer| {
            let quote = &offer.quote;
            (
                quote.blocked.is_some(),
                quote.cost_micro_usd.as_ref().map_or(u128::MAX, bursar_types::Amount::atomic),
            )
        });
        self.store_offers(&offers).await?;
        self.tell(&MoneyEvent::Quoted { quotes: offers.iter().map(|offer| offer.quote.clone()).collect() });
        Ok(offers)
    }

    async fn store_offers(&self, offers: &[Offer]) -> Result<(), FetchError> {
        let stream = StreamId::of("quotes", self.session);
        for _ in 0..super::decide::TRIES {
            let mut transaction = Transaction::default();
            for offer in offers {
                let quote = &offer.quote;
                let fields = [
                    ("rail", json!(quote.rail)),
                    ("payee", json!(quote.payee)),
                    ("asset", json!(quote.price.asset())),
                    ("atomic", json!(quote.price.atomic().to_string())),
                    ("blocked", json!(quote.blocked.as_ref().map(|reason| &reason.code))),
                ];
                let fields = fields.into_iter().chain(self.trace_fields());
                let sealed =
                    SealedEvent::new(stream.clone(), "quote.received", fields, offer, &*self.shared.entropy)
                        .map_err(unavailable)?;
                let key = quote_link(self, quote.id);
                transaction.links.push(LinkWrite {
                    expected: self.shared.ledger.link(&key).await.map_err(unavailable)?,
                    key,
                    value: Some(sealed.payload.commitment().to_string()),
                });
                sealed.add_to(&mut transaction);
            }
            // Two alternatives with the same terms are one quote.
            transaction.links.sort_by(|a, b| a.key.cmp(&b.key));
            transaction.links.dedup_by(|a, b| a.key == b.key);
            match self.shared.ledger.commit(transaction).await {
                Ok(_) => return Ok(()),
                Err(CommitError::Refused(Refusal::LinkMoved { .. })) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(FetchError::NotPaid("the same quote kept arriving elsewhere; ask again".to_owned()))
    }

    /// The offer behind a quote of this session.
    pub(super) async fn stored_offer(&self, quote: QuoteId) -> Result<Option<Offer>, FetchError> {
        let key = quote_link(self, quote);
        let Some(text) = self.shared.ledger.link(&key).await.map_err(unavailable)? else { return Ok(None) };
        let digest = Digest::parse(&text).map_err(|error| FetchError::Ledger(Box::new(error)))?;
        let payload =
            self.shared.ledger.payload(Commitment::from_digest(digest)).await.map_err(unavailable)?;
        payload.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(unavailable)
    }

    /// Sends the request unpaid and reads what is asked for it: the request as it was answered, after redirects.
    pub(super) async fn ask_prices(&self, request: HttpRequest) -> Result<Prices, FetchError> {
        let (request, response) = self.ask_unpaid(request).await?;
        if response.status() != StatusCode::PAYMENT_REQUIRED {
            return Ok(Prices::Free(response));
        }
        let offers = self.read_offers(&request, &response).await?;
        Ok(Prices::Offers(request, offers))
    }

    /// Asks for prices. Never pays.
    pub(super) async fn quote(&self, request: HttpRequest) -> Result<QuoteOutcome, FetchError> {
        Ok(match self.ask_prices(normalised(request)?).await? {
            Prices::Free(response) => QuoteOutcome::Free(response),
            Prices::Offers(_, offers) => {
                QuoteOutcome::Quotes(offers.into_iter().map(|offer| offer.quote).collect())
            }
        })
    }

    /// Journals a refusal and tells watchers.
    pub(super) async fn refuse(&self, what: &str, decision: Decision, facts: &Facts) -> FetchError {
        self.refuse_recorded(DecisionRecord::of(what.to_owned(), decision).over(facts)).await
    }

    /// Journals a refusal that no rule made.
    pub(super) async fn refuse_plainly(&self, what: &str, decision: Decision) -> FetchError {
        self.refuse_recorded(DecisionRecord::of(what.to_owned(), decision)).await
    }

    /// Journals a refusal as it is, and tells watchers.
    pub(super) async fn refuse_recorded(&self, record: DecisionRecord) -> FetchError {
        let (what, decision) = (record.what.clone(), record.decision.clone());
        self.tell(&MoneyEvent::Refused { what, decision: decision.clone() });
        match self.record_decision(&record).await {
            Ok(()) => FetchError::Denied(decision),
            Err(error) => error,
        }
    }
}

/// The hosts that a session has to do with: those that its mandate lists, and those of its plans.
fn known_hosts(state: &SessionState) -> impl Iterator<Item = &str> {
    let planned = state.plans.iter().flat_map(|plan| &plan.items).map(|item| item.host.as_str());
    state.mandate.vendors.iter().map(String::as_str).chain(planned)
}

fn quote_link(purse: &SessionPurse, quote: QuoteId) -> String {
    format!("quote/{}/{quote}", purse.session)
}
