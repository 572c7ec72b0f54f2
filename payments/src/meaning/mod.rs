//! What the entries of a journal mean together: whether what they tell could have happened under Bursar's promises.
//!
//! The ledger's own check finds what was edited. This one finds what was written whole and is not true to the rules: a
//! signature without an allowed decision and a hold, money that was captured without an answer, a plan's item bought once too
//! often. It reads entries and their payloads in order, and nothing else: no store, no wallet, no network. What it finds holds
//! for whoever has the same entries.

mod adopted;
mod counted;
mod freezes;
mod holds;
mod models;
mod payments;
mod rules;
mod sessions;
mod worth;

use crate::freeze::FREEZES;
use crate::payment::Payment;
use crate::purse::{ADOPTED, DecisionRecord, MODEL, RULES};
use crate::session::SessionEvent;
use bursar_ledger::{Commitment, Entry, Ledger, StoreError, StreamId};
use bursar_types::{
    Amount, ArtifactRecord, AssetId, AssetRegistry, BudgetId, PaymentId, SessionId, Timestamp, Verdict,
};
use freezes::Freezes;
use holds::Holds;
use payments::Case;
use rules::Rules;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sessions::Sessions;
use std::collections::{BTreeMap, HashMap, HashSet};
use worth::Worth;

/// Problems beyond this many are counted, not listed.
const PROBLEMS_MAX: usize = 100;
/// How many entries are read at once.
const CHUNK: u32 = 1_000;
/// How far a chain's clock may be ahead of ours.
const CHAIN_AHEAD_MS: u64 = 900_000;

/// Money of one payment that left the wallet, or counts as if it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Captured {
    /// The payment.
    pub payment: PaymentId,
    /// The session that paid.
    pub session: SessionId,
    /// Position of the entry that says so.
    pub entry: u64,
    /// Who was paid.
    pub payee: String,
    /// How much, in the asset, which names its network.
    pub amount: Amount,
    /// The transaction or charge, if anyone named one.
    pub reference: Option<String>,
    /// Whether the rail itself was seen to have moved it.
    pub observed: bool,
}

/// Time that a person turned back: what had run out before may have counted again since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClockTurnedBack {
    /// Position of the entry that says so.
    pub entry: u64,
    /// What the journal's time had been.
    pub from: Timestamp,
    /// What it was since.
    pub to: Timestamp,
}

/// What the entries of a journal mean together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Meaning {
    /// Payments that were begun.
    pub payments: u64,
    /// Signatures that may exist.
    pub signatures: u64,
    /// Payments whose money moved, or counts as moved, at the end of the journal.
    pub captured: Vec<Captured>,
    /// Payments that may have moved money and nobody can say yet.
    pub undecided: Vec<PaymentId>,
    /// Payments by the links under which recovery, or whoever buys the same again, must find them.
    pub awaited: BTreeMap<String, PaymentId>,
    /// Payloads that events speak of beside their own, and the entry that does first. Those that entries say were erased are left out.
    #[serde(skip)]
    pub beside: BTreeMap<Commitment, u64>,
    /// Events whose payload was erased: what they said cannot be checked again, and nothing that depends on it was.
    pub erased: u64,
    /// Decisions that were taken again over their facts, under the rules that their sessions pinned, and came out the same.
    pub decided_again: u64,
    /// Decisions that could not be, by the reason, with how many: nothing is known of them.
    pub not_decided_again: BTreeMap<String, u64>,
    /// Assets whose worth in dollars is not known here: that it was the same throughout is all that was compared.
    pub worth_not_known: Vec<AssetId>,
    /// When the journal's time was turned back: by a person's word, or whoever wrote the journal.
    pub turned_back: Vec<ClockTurnedBack>,
    /// Everything that cannot be, each as a sentence with the number of its entry; empty means that nothing was found.
    pub problems: Vec<String>,
}

impl Meaning {
    /// Reads every entry of a ledger.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read; what cannot be is among the [problems](Self::problems).
    pub async fn of(ledger: &Ledger) -> Result<Self, StoreError> {
        Self::of_assets(ledger, AssetRegistry::pinned()).await
    }

    /// The same, where more assets are known than those that come with Bursar.
    ///
    /// # Errors
    /// As [`Meaning::of`].
    pub async fn of_assets(ledger: &Ledger, assets: AssetRegistry) -> Result<Self, StoreError> {
        let (mut audit, mut next) = (MeaningAudit::new().assets(assets), 0);
        loop {
            let entries = ledger.entries(next, CHUNK).await?;
            let Some(last) = entries.last() else { break };
            next = last.sequence.saturating_add(1);
            for entry in &entries {
                let payload = match entry.detail() {
                    Some(detail) if MeaningAudit::wants_payload(entry) => ledger.payload(detail).await?,
                    _ => None,
                };
                audit.entry(entry, payload.as_deref());
            }
        }
        let mut found = audit.finish();
        for (commitment, entry) in &found.beside {
            if ledger.payload(*commitment).await?.is_none() {
                let problem = "is gone, and no entry says that it was erased";
                found.problems.push(format!("payload {commitment} that entry {entry} speaks of {problem}"));
            }
        }
        Ok(found)
    }
}

/// Reads entry after entry.
///
/// # Example
/// ```
/// use bursar_payments::MeaningAudit;
/// let audit = MeaningAudit::new();
/// // for each entry, in order: `audit.entry(&entry, payload.as_deref())`
/// assert!(audit.finish().problems.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct MeaningAudit {
    holds: Holds,
    sessions: Sessions,
    freezes: Freezes,
    rules: Rules,
    worth: Worth,
    /// Whoever was paid: hosts and payees.
    paid: HashSet<(String, String)>,
    /// Budgets that are named by pseudonym: which is meant by what mandates tell of it.
    meant: HashMap<BudgetId, BudgetId>,
    cases: HashMap<PaymentId, Case>,
    /// What is being paid for a request: never twice at once.
    under_way: HashMap<bursar_types::Digest, PaymentId>,
    /// Which payment a chain's event was credited to.
    credited: HashMap<String, PaymentId>,
    /// Allowed decisions about payments, as far as they could be read.
    allowed: HashMap<PaymentId, Vec<DecisionRecord>>,
    /// Payments with an allowed decision whose event was erased.
    allowed_erased: HashSet<PaymentId>,
    /// What came, by the library's records: their entries.
    kept: HashMap<PaymentId, Vec<u64>>,
    beside: BTreeMap<Commitment, u64>,
    /// Payloads that were erased.
    gone: HashSet<Commitment>,
    turned: Vec<ClockTurnedBack>,
    signatures: u64,
    erased: u64,
    problems: Vec<String>,
    more: u64,
}

impl MeaningAudit {
    /// Begins with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which assets are known, in place of those that come with Bursar.
    #[must_use]
    pub fn assets(self, assets: AssetRegistry) -> Self {
        Self { worth: Worth::of(assets), ..self }
    }

    /// Whether the payload of this entry is looked at; for any other, `None` may be given.
    #[must_use]
    pub fn wants_payload(entry: &Entry) -> bool {
        let stream = entry.stream.as_str();
        entry.detail().is_some()
            && (["payment/", "session/", "decisions/", FREEZES]
                .iter()
                .any(|prefix| stream.starts_with(prefix))
                || stream == ArtifactRecord::STREAM
                || stream == RULES
                || entry.kind == ADOPTED)
    }

    /// Reads the next entry. `payload` is what its [`Entry::detail`] names; `None` once that was erased.
    pub fn entry(&mut self, entry: &Entry, payload: Option<&[u8]>) {
        if entry.stream == StreamId::erasures() {
            // How such an entry reads is for the ledger's own check.
            let erased: Vec<Commitment> = entry.body.get("payloads").and_then(read_value).unwrap_or_default();
            self.gone.extend(erased);
            return;
        }
        if entry.stream == StreamId::clock() {
            // Whether it can be is for the ledger's own check.
            let from =
                entry.body.get("from").and_then(serde_json::Value::as_u64).map(Timestamp::from_unix_ms);
            if let Some(from) = from {
                self.holds.ran_out(from);
                self.turned.push(ClockTurnedBack { entry: entry.sequence, from, to: entry.at });
            }
            return;
        }
        if entry.stream == StreamId::accounts() {
            let problems = self.holds.changed(entry);
            problems.into_iter().for_each(|problem| self.problem(problem));
            return;
        }
        let Some((kind, name)) = entry.stream.as_str().split_once('/') else {
            match entry.stream.as_str() {
                ArtifactRecord::STREAM => self.kept(entry, payload),
                RULES => self.rules_kept(entry, payload),
                _ => {}
            }
            return;
        };
        match kind {
            "freeze" => self.freeze(entry, payload),
            "payment" => match PaymentId::parse(name) {
                Ok(payment) => self.payment(entry, payment, payload),
                Err(_) => self.misnamed(entry),
            },
            "session" => match SessionId::parse(name) {
                Ok(session) => self.session(entry, session, payload),
                Err(_) => self.misnamed(entry),
            },
            DecisionRecord::DECISIONS => match SessionId::parse(name) {
                Ok(session) => self.decision(entry, session, payload),
                Err(_) => self.misnamed(entry),
            },
            MODEL => match SessionId::parse(name) {
                Ok(session) => self.model(entry, session),
                Err(_) => self.misnamed(entry),
            },
            _ if entry.kind == ADOPTED => self.adopted(entry, payload),
            _ => {}
        }
    }

    /// What all of it means, after the last entry.
    #[must_use]
    pub fn finish(mut self) -> Meaning {
        self.holds_at_the_end();
        self.goods_at_the_end();
        let mut meaning = Meaning {
            payments: u64::try_from(self.cases.len()).unwrap_or(u64::MAX),
            signatures: self.signatures,
            erased: self.erased,
            decided_again: self.rules.again,
            worth_not_known: self.worth.not_known().cloned().collect(),
            beside: self.beside.into_iter().filter(|(payload, _)| !self.gone.contains(payload)).collect(),
            ..Meaning::default()
        };
        for (id, case) in &self.cases {
            meaning.captured.extend(case.captured_now(*id));
            if matches!(case.state, Some(Payment::Signing(_) | Payment::Unknown { .. })) {
                meaning.undecided.push(*id);
            }
            let session = case.state.as_ref().and_then(|state| self.sessions.get(state.ask().session));
            let user = session.map(|session| session.mandate.user.as_str());
            meaning.awaited.extend(case.awaited(*id, user).into_iter().map(|link| (link, *id)));
        }
        meaning.captured.sort_by_key(|captured| captured.entry);
        meaning.undecided.sort_unstable();
        if self.more > 0 {
            self.problems.push(format!("and {} more", self.more));
        }
        meaning.turned_back = self.turned;
        meaning.not_decided_again = self.rules.not;
        meaning.problems = self.problems;
        meaning
    }

    fn session(&mut self, entry: &Entry, session: SessionId, payload: Option<&[u8]>) {
        if entry.kind == "session.opened" {
            self.holds.session_began(session);
        }
        match self.read(entry, payload) {
            Some(event) => {
                if let SessionEvent::PlanApproved { plan, .. } = &event
                    && let Some(purpose) = plan.purpose
                {
                    self.beside.entry(purpose).or_insert(entry.sequence);
                }
                self.pins(session, &event);
                let wrong = self.plan_not_allowed(session, &event);
                let problems = self.sessions.apply(entry, session, event);
                problems.into_iter().for_each(|problem| self.problem(problem));
                let uncounted = match entry.kind == "session.opened" {
                    true => self.beginning_not_counted(session),
                    false => Vec::new(),
                };
                let sequence = entry.sequence;
                for problem in wrong.into_iter().chain(uncounted) {
                    self.problem(format!("entry {sequence} of session {session}: {problem}"));
                }
            }
            None => self.sessions.unreadable(session),
        }
    }

    fn freeze(&mut self, entry: &Entry, payload: Option<&[u8]>) {
        let record = self.read(entry, payload);
        let problem = self.freezes.apply(entry, record);
        problem.into_iter().for_each(|problem| self.problem(problem));
    }

    fn decision(&mut self, entry: &Entry, session: SessionId, payload: Option<&[u8]>) {
        let kind = entry.kind.as_str();
        let Some(record) = self.read::<DecisionRecord>(entry, payload) else {
            let about = entry.body.get("payment").and_then(|id| PaymentId::parse(id.as_str()?).ok());
            self.allowed_erased.extend(about.filter(|_| kind == "decision.allowed" && payload.is_none()));
            if payload.is_none() {
                self.decision_erased(session);
            }
            return;
        };
        let fits = match record.decision.verdict {
            Verdict::Allow => kind == "decision.allowed",
            Verdict::Escalate => kind == "decision.escalated",
            Verdict::Deny => false,
        };
        if !fits {
            self.problem(format!("entry {} is a `{kind}` whose event decides otherwise", entry.sequence));
        }
        if let Some(problem) = self.decide_again(session, &record) {
            self.problem(format!("entry {} of `{}`: {problem}", entry.sequence, entry.stream));
        }
        if let (Verdict::Allow, Some(payment)) = (record.decision.verdict, record.payment) {
            self.allowed.entry(payment).or_default().push(record);
        }
    }

    fn kept(&mut self, entry: &Entry, payload: Option<&[u8]>) {
        let shown = entry.body.get("payment").and_then(|id| PaymentId::parse(id.as_str()?).ok());
        let payment = match self.read::<ArtifactRecord>(entry, payload) {
            Some(record) => Some(record.payment.id),
            None => shown,
        };
        if payment != shown {
            self.problem(format!("entry {} shows another payment than its event", entry.sequence));
        }
        if let Some(payment) = payment {
            self.kept.entry(payment).or_default().push(entry.sequence);
        }
    }

    /// Holds are of payments, and money moves with them only.
    fn holds_at_the_end(&mut self) {
        let problems = self.holds.left_over(|hold| {
            let case = self.cases.get(&hold.payment?)?;
            Some(case.account_of(hold.id))
        });
        problems.into_iter().for_each(|problem| self.problem(problem));
    }

    /// What came is in the library, and the library holds nothing that never came.
    fn goods_at_the_end(&mut self) {
        let mut problems: Vec<(u64, String)> = Vec::new();
        for (payment, case) in self.cases.iter().filter(|(_, case)| !case.unreadable) {
            let kept = self.kept.get(payment).map_or(&[][..], Vec::as_slice);
            let (lost, strange) = (case.delivered.get(kept.len()), kept.get(case.delivered.len()));
            problems.extend(lost.map(|entry| {
                (*entry, format!("entry {entry} says that goods of {payment} came, and nothing was kept"))
            }));
            problems
                .extend(strange.map(|entry| {
                    (*entry, format!("entry {entry} keeps goods of {payment} that never came"))
                }));
        }
        for (payment, kept) in self.kept.iter().filter(|(payment, _)| !self.cases.contains_key(payment)) {
            let entry = kept.first().copied().unwrap_or_default();
            problems.push((entry, format!("entry {entry} keeps goods of {payment}, which never began")));
        }
        problems.sort();
        problems.into_iter().for_each(|(_, problem)| self.problem(problem));
    }

    /// Reads the event of an entry. `None` if it was erased, or cannot be read: that is noted here.
    fn read<E: DeserializeOwned>(&mut self, entry: &Entry, payload: Option<&[u8]>) -> Option<E> {
        let (sequence, stream) = (entry.sequence, &entry.stream);
        if entry.detail().is_none() {
            self.problem(format!("entry {sequence} of `{stream}` names no event"));
            return None;
        }
        let Some(payload) = payload else {
            self.erased = self.erased.saturating_add(1);
            return None;
        };
        match serde_json::from_slice(payload) {
            Ok(event) => Some(event),
            Err(error) => {
                self.problem(format!("entry {sequence} of `{stream}` does not read as its event: {error}"));
                None
            }
        }
    }

    fn misnamed(&mut self, entry: &Entry) {
        self.problem(format!(
            "entry {} is of the stream `{}`, which names nothing",
            entry.sequence, entry.stream
        ));
    }

    fn problem(&mut self, problem: String) {
        match self.problems.len() < PROBLEMS_MAX {
            true => self.problems.push(problem),
            false => self.more = self.more.saturating_add(1),
        }
    }
}

/// An entry that tells of something that happened later than itself.
fn dated_before(entry: &Entry, happened: Timestamp) -> Option<String> {
    let early = entry.at.plus_ms(CHAIN_AHEAD_MS) < happened;
    early.then(|| format!("it is of {}, and tells of what the chain shows at {happened}", entry.at))
}

fn read_value<T: DeserializeOwned>(value: &serde_json::Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}
