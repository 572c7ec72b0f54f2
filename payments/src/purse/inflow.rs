//! Money that comes back: looked for where something is expected, credited to the claim it belongs to, and shown to a person
//! where that is not certain. One event credits one claim, once.

use super::book::Booked;
use super::decide::TRIES;
use super::join::{Loaded, linked_payments};
use super::open::fold_session;
use super::{Payments, unavailable};
use crate::obligation::{ObligationEvent, Refund};
use crate::payment::{Payment, PaymentEvent};
use crate::rail::{ChainEvent, InflowQuery, Rail, RemedyError, Transfer};
use crate::refunds::{Attribution, Doubt, Expected, attribute};
use bursar_ledger::{CommitError, LinkWrite, SealedEvent, StreamId, Transaction};
use bursar_types::{AssetId, FetchError, PaymentId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How much our clock may be ahead of a chain's.
const CLOCK_SKEW_MS: u64 = 900_000;

/// Money that came in and belongs to nothing that is certain: kept until a person says where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// What was seen.
    pub transfer: Transfer,
    /// Why it is not credited, in words.
    pub why: String,
}

/// Where the look at one asset ended.
#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    upto: String,
    /// What was expected then: an older expectation needs an earlier look.
    since: Timestamp,
}

fn stray_link(transfer: &Transfer) -> String {
    format!("stray/{}", transfer.event)
}

fn credited_link(transfer: &Transfer) -> String {
    format!("credited/{}", transfer.event)
}

impl Payments {
    /// Looks for money that came back, and credits what is certain. Gives how many refunds were credited.
    pub(super) async fn see_refunds(&self) -> Result<u64, FetchError> {
        let mut credited = 0_u64;
        let mut assets: BTreeMap<(String, AssetId), Vec<Expected>> = BTreeMap::new();
        for (rail, expected) in self.expected().await? {
            assets.entry((rail, expected.left.asset().clone())).or_default().push(expected);
        }
        for ((rail, asset), expected) in assets {
            let Some(rail) = self.0.rails.iter().find(|known| known.name() == rail) else { continue };
            match self.look(rail, &asset, &expected).await {
                Ok(found) => credited = credited.saturating_add(found),
                // A failed look is no "nothing came": the next pass looks again from the same place.
                Err(Looking::Rail(RemedyError::Unsupported(_))) => {}
                Err(Looking::Rail(error)) => tracing::warn!(%asset, %error, "could not see what came in"),
                Err(Looking::Ledger(error)) => return Err(error),
            }
        }
        Ok(credited)
    }

    /// What may come back, with the rail it was paid on.
    async fn expected(&self) -> Result<Vec<(String, Expected)>, FetchError> {
        let ids = linked_payments(self.ledger(), &["owed/", "refund/"]).await?;
        let mut all = Vec::new();
        for id in ids {
            match self.expected_of(id).await {
                Ok(expected) => all.extend(expected),
                // One payment that cannot be read does not keep the others' money from being seen.
                Err(error) => tracing::error!(payment = %id, %error, "what may come back cannot be read"),
            }
        }
        Ok(all)
    }

    async fn expected_of(&self, id: PaymentId) -> Result<Option<(String, Expected)>, FetchError> {
        let payment = Loaded::read(self.ledger(), id).await?.payment;
        let Some(Payment::Paid { signed, evidence, obligation }) = payment else { return Ok(None) };
        let Some(left) = obligation.left(signed.held.amount()) else { return Ok(None) };
        if !evidence.is_observed() {
            return Ok(None);
        }
        let payee = signed.held.offer.quote.payee.clone();
        // Our clock may have been fast when it was signed.
        let since = signed.order.now.minus_ms(CLOCK_SKEW_MS);
        let expected = Expected { payment: id, payee, left, since };
        Ok(Some((signed.prepared.rail, expected)))
    }

    /// Looks at one asset: what is new, and what was left for a person before and is certain now.
    async fn look(
        &self,
        rail: &Arc<dyn Rail>,
        asset: &AssetId,
        expected: &[Expected],
    ) -> Result<u64, Looking> {
        let since = expected.iter().map(|one| one.since).min().unwrap_or(Timestamp::from_unix_ms(0));
        let key = format!("inflow/{}|{asset}", rail.name());
        let before = self.ledger().link(&key).await.map_err(unavailable)?;
        let known = before.as_deref().and_then(|text| serde_json::from_str::<Cursor>(text).ok());
        let from = known.as_ref().filter(|cursor| cursor.since <= since);
        let query = InflowQuery { asset: asset.clone(), from: from.map(|cursor| cursor.upto.clone()), since };
        let inflow = rail.inflow(&query).await.map_err(Looking::Rail)?;
        let mut transfers = self.strays_of(asset).await?;
        transfers.extend(inflow.transfers);
        let payees = self.payees().await?;
        let mut credited = 0_u64;
        for transfer in transfers {
            if self.place(&transfer, expected, &payees).await? {
                credited = credited.saturating_add(1);
            }
        }
        let since = from.map_or(since, |cursor| cursor.since);
        let cursor = serde_json::to_string(&Cursor { upto: inflow.upto, since }).map_err(unavailable)?;
        if before.as_deref() != Some(&cursor) {
            let write = LinkWrite { key, expected: before, value: Some(cursor) };
            let moved = Transaction { links: vec![write], ..Transaction::default() };
            // Another process looked as well: whichever place stands, nothing after it was missed by both.
            match self.ledger().commit(moved).await {
                Ok(_) | Err(CommitError::Refused(_)) => {}
                Err(error) => return Err(Looking::Ledger(unavailable(error))),
            }
        }
        Ok(credited)
    }

    /// Everybody who was ever paid.
    async fn payees(&self) -> Result<BTreeSet<String>, FetchError> {
        let vendors = self.ledger().links("vendor/").await.map_err(unavailable)?;
        let payee =
            |(key, _): (String, String)| key.rsplit_once('|').map(|(_, payee)| payee.to_ascii_lowercase());
        Ok(vendors.into_iter().filter_map(payee).collect())
    }

    async fn strays_of(&self, asset: &AssetId) -> Result<Vec<Transfer>, FetchError> {
        let strays = self.strays().await?;
        let own = |stray: &Stray| stray.transfer.amount.asset() == asset;
        Ok(strays.into_iter().filter(own).map(|stray| stray.transfer).collect())
    }

    /// Money that came in and that a person has to place.
    ///
    /// # Errors
    /// [`FetchError::Ledger`].
    pub async fn strays(&self) -> Result<Vec<Stray>, FetchError> {
        let links = self.ledger().links("stray/").await.map_err(unavailable)?;
        let read = |(_, text): (String, String)| serde_json::from_str(&text).map_err(unavailable);
        links.into_iter().map(read).collect()
    }

    /// Credits one transfer if it is certain where it belongs, or keeps it for a person. Whether it was credited now.
    async fn place(
        &self,
        transfer: &Transfer,
        expected: &[Expected],
        payees: &BTreeSet<String>,
    ) -> Result<bool, FetchError> {
        for _ in 0..TRIES {
            if self.ledger().link(&credited_link(transfer)).await.map_err(unavailable)?.is_some() {
                return Ok(false);
            }
            // What was credited a moment ago is not expected any more.
            let (own, mut now_expected): (Vec<_>, Vec<_>) =
                expected.iter().cloned().partition(|one| one.payee.eq_ignore_ascii_case(&transfer.from));
            for one in own {
                match self.expected_of(one.payment).await {
                    Ok(still) => now_expected.extend(still.map(|(_, expected)| expected)),
                    Err(error) => {
                        tracing::error!(payment = %one.payment, %error, "what may come back cannot be read")
                    }
                }
            }
            match attribute(transfer, &now_expected, |who| payees.contains(&who.to_ascii_lowercase())) {
                Attribution::Credit(payment) => match self.credit(transfer, payment, None).await {
                    Ok(Booked::Done(_)) => return Ok(true),
                    Ok(Booked::Overtaken) => {}
                    Err(error) => {
                        tracing::error!(%payment, %error, "money that came back cannot be credited");
                        break;
                    }
                },
                Attribution::NoRefund => return Ok(false),
                Attribution::Person(doubt) => {
                    self.keep_stray(transfer, doubt).await?;
                    return Ok(false);
                }
            }
        }
        // It kept changing under our hands: the next pass looks at it again.
        self.keep_stray(transfer, Doubt::Ambiguous).await?;
        Ok(false)
    }

    /// Credits a transfer to a payment, in one transaction with the note that it was credited.
    pub(super) async fn credit(
        &self,
        transfer: &Transfer,
        payment: PaymentId,
        by: Option<String>,
    ) -> Result<Booked, FetchError> {
        let loaded = Loaded::read(self.ledger(), payment).await?;
        let Some(Payment::Paid { signed, obligation, .. }) = &loaded.payment else {
            return Ok(Booked::Overtaken);
        };
        if obligation.credits(&transfer.event) {
            return Ok(Booked::Overtaken);
        }
        let session = signed.held.ask.session;
        let state = fold_session(self.ledger(), session, None).await.map_err(unavailable)?;
        let purse = self.purse_for_recovery(state);
        let mut extra = Transaction::default();
        extra.links.push(LinkWrite {
            key: credited_link(transfer),
            expected: None,
            value: Some(payment.to_string()),
        });
        let stray = stray_link(transfer);
        if let Some(value) = self.ledger().link(&stray).await.map_err(unavailable)? {
            extra.links.push(LinkWrite { key: stray, expected: Some(value), value: None });
        }
        let refund = Refund { transfer: transfer.clone(), by };
        let seen = PaymentEvent::Owed(ObligationEvent::RefundSeen { refund });
        purse.book(&loaded, &signed.held, &[seen], extra).await
    }

    /// Takes a transfer out of the list for persons, with a name and a reason. False if it is not on the list.
    pub(super) async fn forget_stray(
        &self,
        event: &ChainEvent,
        by: &str,
        reason: &str,
    ) -> Result<bool, FetchError> {
        let strays = self.strays().await?;
        let Some(stray) = strays.into_iter().find(|stray| stray.transfer.event == *event) else {
            return Ok(false);
        };
        let key = stray_link(&stray.transfer);
        let value = self.ledger().link(&key).await.map_err(unavailable)?;
        let mut transaction = Transaction::default();
        transaction.links.push(LinkWrite { key, expected: value, value: None });
        transaction.links.push(LinkWrite {
            key: credited_link(&stray.transfer),
            expected: None,
            value: Some("no refund".to_owned()),
        });
        let stream = StreamId::new("strays").map_err(|error| FetchError::Ledger(Box::new(error)))?;
        let said = json!({"transfer": stray.transfer, "by": by, "reason": reason});
        let fields = [("event", json!(event.to_string()))];
        SealedEvent::new(stream, "stray.dismissed", fields, &said, &*self.0.entropy)
            .map_err(unavailable)?
            .add_to(&mut transaction);
        match self.ledger().commit(transaction).await {
            Ok(_) => Ok(true),
            Err(CommitError::Refused(_)) => Ok(false),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn keep_stray(&self, transfer: &Transfer, doubt: Doubt) -> Result<(), FetchError> {
        let key = stray_link(transfer);
        if self.ledger().link(&key).await.map_err(unavailable)?.is_some() {
            return Ok(());
        }
        let stray = Stray { transfer: transfer.clone(), why: doubt.as_str().to_owned() };
        let value = serde_json::to_string(&stray).map_err(unavailable)?;
        let write = LinkWrite { key, expected: None, value: Some(value) };
        // What was credited or dismissed in this moment is no stray.
        let open = LinkWrite { key: credited_link(transfer), expected: None, value: None };
        match self.ledger().commit(Transaction { links: vec![write, open], ..Transaction::default() }).await {
            Ok(_) | Err(CommitError::Refused(_)) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// Why a look did not come to its end.
enum Looking {
    Rail(RemedyError),
    Ledger(FetchError),
}

impl From<FetchError> for Looking {
    fn from(error: FetchError) -> Self {
        Self::Ledger(error)
    }
}
