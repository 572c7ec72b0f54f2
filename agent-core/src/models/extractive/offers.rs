//! Which offers to take, and how far the money lasts.

use super::choice::Document;
use super::state::Offer;

/// A document with the offer chosen for it.
pub(super) type Offered<'a> = (&'a Document, &'a Offer);
/// A document that nobody sells, with the reason.
pub(super) type Blocked<'a> = (&'a Document, String);

/// The cheapest payable offer of each document; the documents without one, with the reason.
pub(super) fn cheapest<'a>(
    documents: &'a [Document],
    offers: &'a [Offer],
    errors: &'a [(String, String)],
) -> (Vec<Offered<'a>>, Vec<Blocked<'a>>) {
    let (mut payable, mut blocked) = (Vec::new(), Vec::new());
    for document in documents {
        let own: Vec<&Offer> = offers.iter().filter(|offer| document.urls.contains(&offer.url)).collect();
        let best = own
            .iter()
            .filter(|offer| offer.payable)
            .min_by_key(|offer| offer.price_micro_usd.unwrap_or(u64::MAX));
        match best {
            Some(offer) => payable.push((document, *offer)),
            None => {
                let reason = own.iter().find_map(|offer| offer.blocked.clone()).or_else(|| {
                    errors.iter().find(|(url, _)| document.urls.contains(url)).map(|(_, error)| error.clone())
                });
                blocked.push((document, reason.unwrap_or_else(|| "no seller quoted a price".to_owned())));
            }
        }
    }
    (payable, blocked)
}

/// As many as the money lasts for, best first. An unknown price does not count as zero: it takes what is left.
pub(super) fn within_budget<'a>(
    payable: Vec<Offered<'a>>,
    left_micro_usd: Option<u64>,
) -> (Vec<Offered<'a>>, Vec<&'a Document>) {
    let Some(mut left) = left_micro_usd else { return (payable, Vec::new()) };
    let (mut within, mut beyond) = (Vec::new(), Vec::new());
    for (document, offer) in payable {
        match left.checked_sub(offer.price_micro_usd.unwrap_or(u64::MAX)) {
            Some(rest) => {
                left = rest;
                within.push((document, offer));
            }
            None => beyond.push(document),
        }
    }
    (within, beyond)
}
