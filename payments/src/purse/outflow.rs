//! Comparing what left the wallet with the journal, before anything is paid and from time to time.
//!
//! The journal remembers up to where everything was matched, in a stream for each asset, and only what came after is read. Money
//! that the journal does not know stops all spending, in every process, until a person has taken it into the journal
//! ([`Payments::accept_outflow`]).

use super::{Payments, SessionPurse, Shared, unavailable};
use crate::freeze::{FROZEN, FreezeRecord, FreezeScope, THAWED};
use crate::outflow::{
    AssetLooked, Attempt, Circumstances, Compared, MatchedUpTo, OUTFLOW, OutflowFound, OutflowLook,
    OutflowRules, Unread, attempts_of, compare,
};
use crate::rail::{OutflowQuery, Outgoing, Rail, RemedyError};
use crate::reasons;
use bursar_ledger::{CommitError, Refusal, Require, SealedEvent, StreamId, Transaction};
use bursar_types::{AssetId, Digest, FetchError, PaymentId, Reason, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Where it stands that spending stands still because of what left.
pub(super) const STOPPED: &str = "freeze/outflow";
/// A look that read so many blocks, and found nothing, is remembered too.
const WORTH_REMEMBERING: u64 = 1_000;
/// How long one comparison may take; the next goes on where it ended.
const AT_MOST: Duration = Duration::from_secs(20);
/// How often one is made while nothing is wrong.
const EVERY_MS: u64 = 600_000;
/// How often one is made while the chain cannot be read, at most.
const AGAIN_MS: u64 = 5_000;
/// How many attempts a payment has at most: more than the purse ever signs.
const ATTEMPTS: u32 = 8;

/// What a process knows about what left the wallet.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// Set once the outflow must be known before anything is paid.
    rules: OnceLock<OutflowRules>,
    known: Mutex<Known>,
    /// Held by whoever compares.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// What was compared once, or need not be.
    read: BTreeSet<AssetId>,
    /// What could not be, and why.
    unread: BTreeMap<AssetId, String>,
    /// Whether the last comparison took too long.
    slow: bool,
    /// When the last one was.
    at: Option<Timestamp>,
}

impl Known {
    /// Why it is not known what left of an asset; `None` if it is, or if no rail can see it.
    fn problem(&self, asset: &AssetId) -> Option<String> {
        if self.read.contains(asset) {
            return None;
        }
        let slow =
            || self.slow.then(|| "it took too long; the next look goes on where this one ended".to_owned());
        self.unread.get(asset).cloned().or_else(slow)
    }

    fn is_due(&self, now: Timestamp, within_ms: u64) -> bool {
        let again = if self.slow || !self.unread.is_empty() { AGAIN_MS.min(within_ms) } else { within_ms };
        self.at.is_none_or(|at| now >= at.plus_ms(again) || now < at)
    }
}

/// Whether what is found is journaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    Yes,
    No,
}

impl Payments {
    /// From now on nothing is paid before what left the wallet was compared with the journal.
    #[must_use]
    pub fn guarding_outflow(self, rules: OutflowRules) -> Self {
        // Set twice is set.
        let _ = self.0.outflow.rules.set(rules);
        self
    }

    /// Compares what left the wallet since the last comparison with the journal. What the journal does not know stops all spending,
    /// with `OUTFLOW_UNKNOWN`, in every process. What could not be read is in [`OutflowFound::unread`].
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    ///
    /// # Idempotency
    /// A second call looks again at what was not final, and at what did not match.
    pub async fn check_outflow(&self) -> Result<OutflowFound, FetchError> {
        self.look_at_outflow(OutflowLook::New).await
    }

    /// The same, of what is new or of all since the journal began.
    ///
    /// # Errors
    /// As [`Payments::check_outflow`].
    pub async fn look_at_outflow(&self, look: OutflowLook) -> Result<OutflowFound, FetchError> {
        let rules = self.0.outflow.rules.get().copied().unwrap_or_default();
        self.0.check_outflow(rules, look, Keeping::Yes).await
    }

    /// Compares all that left the wallet since the journal began, and writes nothing: neither up to where everything matched, nor that
    /// spending must stop. For whoever only looks.
    ///
    /// # Errors
    /// As [`Payments::check_outflow`].
    pub async fn read_outflow(&self) -> Result<OutflowFound, FetchError> {
        let rules = self.0.outflow.rules.get().copied().unwrap_or_default();
        self.0.check_outflow(rules, OutflowLook::All, Keeping::No).await
    }

    /// Compares again if it is time, for whoever looks after what is open anyhow.
    pub(super) async fn check_outflow_when_due(&self) -> Result<(), FetchError> {
        self.0.compare_when_due(EVERY_MS).await
    }
}

impl SessionPurse {
    /// Why nothing of an asset may be paid, if nobody could compare what left of it with the journal yet.
    pub(super) async fn outflow_unread(&self, asset: &AssetId) -> Result<Option<Reason>, FetchError> {
        if self.shared.outflow.rules.get().is_none() || self.shared.outflow.known().read.contains(asset) {
            return Ok(None);
        }
        self.shared.compare_when_due(AGAIN_MS).await?;
        let problem = self.shared.outflow.known().problem(asset);
        Ok(problem.map(|problem| reasons::outflow_unread(&problem)))
    }
}

impl Guard {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Compares, unless it was done in the last `within_ms`.
    async fn compare_when_due(&self, within_ms: u64) -> Result<(), FetchError> {
        let Some(rules) = self.outflow.rules.get().copied() else { return Ok(()) };
        let _turn = self.outflow.turn.lock().await;
        let now = self.clock.now();
        if !self.outflow.known().is_due(now, within_ms) {
            return Ok(());
        }
        let compared = self.check_outflow(rules, OutflowLook::New, Keeping::Yes);
        let found = match tokio::time::timeout(AT_MOST, compared).await {
            Ok(found) => Some(found?),
            Err(_) => None,
        };
        let mut noted = Vec::new();
        {
            let mut known = self.outflow.known();
            (known.at, known.slow) = (Some(now), found.is_none());
            let found = found.unwrap_or_default();
            for looked in found.looked {
                known.unread.remove(&looked.asset);
                known.read.insert(looked.asset);
            }
            for (asset, problem) in found.unread {
                tracing::warn!(%asset, %problem, "what left the wallet could not be compared with the journal");
                if known.read.contains(&asset) {
                    continue;
                }
                if rules.unread == Unread::Pay {
                    known.read.insert(asset.clone());
                    noted.push((asset, problem));
                } else {
                    known.unread.insert(asset, problem);
                }
            }
        }
        for (asset, problem) in noted {
            self.note_unread(&asset, &problem).await?;
        }
        Ok(())
    }

    /// Journals that payments are made although nobody knows what left the wallet.
    async fn note_unread(&self, asset: &AssetId, problem: &str) -> Result<(), FetchError> {
        let said = json!({"asset": asset, "problem": problem});
        let mut transaction = Transaction::default();
        SealedEvent::new(StreamId::of(OUTFLOW, "unread"), "outflow.unread", [], &said, &*self.entropy)
            .map_err(unavailable)?
            .add_to(&mut transaction);
        self.ledger.commit(transaction).await.map_err(unavailable)?;
        Ok(())
    }

    /// Compares every asset on every rail that can see it.
    pub(super) async fn check_outflow(
        &self,
        rules: OutflowRules,
        look: OutflowLook,
        keeping: Keeping,
    ) -> Result<OutflowFound, FetchError> {
        let mut found = OutflowFound::default();
        for rail in &self.rails {
            for asset in self.registry.iter() {
                match self.check_asset(rail, asset.id(), rules, (look, keeping), &mut found).await? {
                    Ok(()) | Err(RemedyError::Unsupported(_)) => {}
                    Err(error) => {
                        found.looked.retain(|looked| looked.asset != *asset.id());
                        found.unread.push((asset.id().clone(), error.to_string()));
                    }
                }
            }
        }
        let unknown: Vec<&Compared> = found.contradictions().collect();
        if let (Some(first), Keeping::Yes) = (unknown.first(), keeping) {
            self.stop_for(first, unknown.len()).await?;
        }
        Ok(found)
    }

    /// Compares one asset, look after look, and remembers after each up to where everything matched.
    async fn check_asset(
        &self,
        rail: &Arc<dyn Rail>,
        asset: &AssetId,
        rules: OutflowRules,
        (look, keeping): (OutflowLook, Keeping),
        found: &mut OutflowFound,
    ) -> Result<Result<(), RemedyError>, FetchError> {
        let remembered = match look {
            OutflowLook::New => self.matched_upto(rail.name(), asset).await?,
            OutflowLook::All => None,
        };
        let whole_since = remembered.as_ref().map(|(_, at)| *at);
        let remembered = remembered.map(|(upto, _)| upto);
        let since = self.began().await?;
        let (mut from, mut first) = (remembered, None);
        let mut settled = true;
        loop {
            let query = OutflowQuery { asset: asset.clone(), from, since };
            let outflow = match rail.outflow(&query).await {
                Ok(outflow) => outflow,
                Err(error) => return Ok(Err(error)),
            };
            // The journal is read after the chain: what it signed is known to it before anybody can use it.
            let compared = self.compare_all(rail, outflow.sent, rules, since).await?;
            let open = compared.iter().filter(|one| one.contradicts()).map(|one| one.sent.height).min();
            let (first, upto) = (*first.get_or_insert(outflow.from), outflow.upto);
            let matched = open.map_or(upto, |open| open.min(upto));
            if settled {
                let news = compared.iter().any(|one| one.sent.height < matched);
                if keeping == Keeping::Yes {
                    self.remember(rail.name(), asset, matched, news).await?;
                }
                found.looked.retain(|looked| looked.asset != *asset);
                found.looked.push(AssetLooked { asset: asset.clone(), from: first, upto: matched });
            }
            settled &= open.is_none();
            found.compared.retain(|known| compared.iter().all(|new| new.sent != known.sent));
            found.compared.extend(compared);
            if outflow.whole {
                found.since = found.since.max(whole_since);
                return Ok(Ok(()));
            }
            if from == Some(upto) {
                return Ok(Err(RemedyError::Failed("the endpoint shows no more of its blocks".to_owned())));
            }
            from = Some(upto);
        }
    }

    /// Where the journal began: nothing before it can be missing in it.
    async fn began(&self) -> Result<Timestamp, FetchError> {
        let first = self.ledger.entries(0, 1).await.map_err(unavailable)?;
        Ok(first.first().map_or_else(|| self.clock.now(), |entry| entry.at))
    }

    /// Compares what left with the journal as it is now.
    pub(super) async fn compare_all(
        &self,
        rail: &Arc<dyn Rail>,
        sent: Vec<Outgoing>,
        rules: OutflowRules,
        began: Timestamp,
    ) -> Result<Vec<Compared>, FetchError> {
        let known = self.attempts_behind(rail, &sent).await?;
        let adopted = self.ledger.link_values(&sent.iter().map(adopted_link).collect::<Vec<_>>()).await;
        let mut all = Vec::with_capacity(sent.len());
        for (sent, adopted) in sent.into_iter().zip(adopted.map_err(unavailable)?) {
            let handle = sent.handle.as_deref();
            let own = handle.is_some_and(|handle| rail.is_handle_of(self.ledger.id(), handle));
            let attempt = handle.and_then(|handle| known.get(handle));
            // The chain's clock may differ from ours: what this ledger authorized is its own business whenever it left.
            let before = sent.at.unix_s() < began.unix_s();
            let known = Circumstances { adopted: adopted.is_some(), own, before };
            all.push(compare(sent, attempt, rules, known));
        }
        Ok(all)
    }

    /// The journal's attempts whose authorizations these are.
    async fn attempts_behind(
        &self,
        rail: &Arc<dyn Rail>,
        sent: &[Outgoing],
    ) -> Result<HashMap<String, Attempt>, FetchError> {
        let mut wanted: BTreeSet<&str> = sent.iter().filter_map(|one| one.handle.as_deref()).collect();
        let mut known = HashMap::new();
        if wanted.is_empty() {
            return Ok(known);
        }
        for (stream, _) in self.ledger.streams("payment/").await.map_err(unavailable)? {
            let id = stream.as_str().strip_prefix("payment/").map(PaymentId::parse);
            let Some(Ok(id)) = id else { continue };
            let handle = |number| rail.handle(self.ledger.id(), id, number).map(|handle| (number, handle));
            let hits: Vec<_> =
                (0..ATTEMPTS).filter_map(handle).filter(|(_, one)| wanted.contains(one.as_str())).collect();
            if hits.is_empty() {
                continue;
            }
            let attempts = attempts_of(&self.ledger, id).await.map_err(unavailable)?;
            for (number, handle) in hits {
                wanted.remove(handle.as_str());
                let attempt = attempts.iter().find(|attempt| attempt.attempt == number);
                known.extend(attempt.map(|attempt| (handle, attempt.clone())));
            }
            if wanted.is_empty() {
                break;
            }
        }
        Ok(known)
    }

    /// Up to where everything matched, and when that was found.
    async fn matched_upto(
        &self,
        rail: &str,
        asset: &AssetId,
    ) -> Result<Option<(u64, Timestamp)>, FetchError> {
        let stream = matched_stream(rail, asset);
        let known = self.ledger.streams(stream.as_str()).await.map_err(unavailable)?;
        let length = known.iter().find(|(name, _)| *name == stream).map_or(0, |(_, length)| *length);
        let Some(last) = length.checked_sub(1) else { return Ok(None) };
        let entries = self.ledger.stream(&stream, last).await.map_err(unavailable)?;
        let Some(entry) = entries.first() else { return Ok(None) };
        let upto: MatchedUpTo = self.ledger.event(entry).await.map_err(unavailable)?;
        // Another wallet's place says nothing about this one's.
        let own = upto.wallet.eq_ignore_ascii_case(self.wallet.address());
        Ok(own.then_some((upto.upto, entry.at)))
    }

    /// Remembers up to where everything matched, where it is worth an entry.
    async fn remember(&self, rail: &str, asset: &AssetId, upto: u64, news: bool) -> Result<(), FetchError> {
        let before = self.matched_upto(rail, asset).await?;
        let worth = before.is_none_or(|(before, _)| {
            let more = upto.saturating_sub(before);
            more >= WORTH_REMEMBERING || (news && more > 0)
        });
        if !worth {
            return Ok(());
        }
        let record = MatchedUpTo {
            rail: rail.to_owned(),
            asset: asset.clone(),
            wallet: self.wallet.address().to_owned(),
            upto,
        };
        let fields = [("asset", json!(asset)), ("upto", json!(upto))];
        let mut transaction = Transaction::default();
        SealedEvent::new(matched_stream(rail, asset), "outflow.matched", fields, &record, &*self.entropy)
            .map_err(unavailable)?
            .add_to(&mut transaction);
        self.ledger.commit(transaction).await.map_err(unavailable)?;
        Ok(())
    }

    /// Whether the journal is known to have everything of an asset that was signed, as far as that can be known: only then is it
    /// certain of a hold that nothing was.
    pub(super) fn journal_is_whole(&self, asset: &AssetId) -> bool {
        self.outflow.rules.get().is_none() || self.outflow.known().problem(asset).is_none()
    }

    /// How long the stream of stops is, and whether spending stands still because of what left.
    pub(super) async fn outflow_stop(&self) -> Result<(u64, bool), CommitError> {
        let stream = stopped_stream();
        let known = self.ledger.streams(STOPPED).await?;
        let length = known.iter().find(|(name, _)| *name == stream).map_or(0, |(_, length)| *length);
        let Some(last) = length.checked_sub(1) else { return Ok((0, false)) };
        let entries = self.ledger.stream(&stream, last).await?;
        Ok((length, entries.first().is_none_or(|entry| entry.kind != THAWED)))
    }

    /// Stops all spending, once.
    async fn stop_for(&self, first: &Compared, count: usize) -> Result<(), FetchError> {
        let (length, stopped) = self.outflow_stop().await.map_err(unavailable)?;
        if stopped {
            return Ok(());
        }
        let what = self.registry.display(&first.sent.amount);
        let more = if count > 1 { format!(", and {} more", count.saturating_sub(1)) } else { String::new() };
        let reason = format!(
            "{what} left the wallet in {} that the journal does not know{more}; `bursar reconcile` shows it",
            first.sent.event.transaction
        );
        tracing::error!(%reason, "all spending is frozen");
        self.record_stop(FROZEN, length, "the chain", &reason).await
    }

    /// Journals that spending stops or goes on.
    async fn record_stop(
        &self,
        kind: &'static str,
        length: u64,
        by: &str,
        reason: &str,
    ) -> Result<(), FetchError> {
        let scope = FreezeScope::wallet(self.wallet.address());
        let record = FreezeRecord { scope, by: by.to_owned(), reason: reason.to_owned() };
        let stream = stopped_stream();
        let mut transaction = Transaction::default();
        transaction.require.push(Require::StreamAt { stream: stream.clone(), length });
        SealedEvent::new(stream, kind, [("by", json!("outflow"))], &record, &*self.entropy)
            .map_err(unavailable)?
            .add_to(&mut transaction);
        match self.ledger.commit(transaction).await {
            // Another process found the same at the same time.
            Ok(_) | Err(CommitError::Refused(Refusal::StreamMoved { .. })) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Lets spending go on, if it stands still because of what left.
    pub(super) async fn lift_stop(&self, by: &str, reason: &str) -> Result<bool, FetchError> {
        let (length, stopped) = self.outflow_stop().await.map_err(unavailable)?;
        if stopped {
            self.record_stop(THAWED, length, by, reason).await?;
        }
        Ok(stopped)
    }
}

/// The stream of stops because of what left.
pub(super) fn stopped_stream() -> StreamId {
    StreamId::of("freeze", "outflow")
}

fn matched_stream(rail: &str, asset: &AssetId) -> StreamId {
    StreamId::of(
        OUTFLOW,
        Digest::of_parts("bursar/outflow/v1", &[rail.as_bytes(), asset.as_str().as_bytes()]),
    )
}

/// Where it stands that a person took something into the journal that had left the wallet.
pub(super) fn adopted_link(sent: &Outgoing) -> String {
    format!("adopted/{}", sent.key())
}
