//! Clearances: what only the purse can make.

use crate::rail::{Order, Prepared};
use bursar_types::Digest;

/// Leave to sign one payment's prepared terms, once.
///
/// Made only by the purse, after decision, hold, and the durable `signing` record. It cannot be cloned or made
/// elsewhere:
///
/// ```compile_fail,E0451
/// # fn forge(order: bursar_payments::Order, prepared: bursar_payments::Prepared) {
/// let forged = bursar_payments::Clearance { order, prepared };
/// # }
/// ```
/// ```compile_fail,E0624
/// # fn forge(order: bursar_payments::Order, prepared: bursar_payments::Prepared) {
/// let forged = bursar_payments::Clearance::after_signing_record(order, prepared);
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn twice(clearance: &bursar_payments::Clearance) {
/// let second = <bursar_payments::Clearance as Clone>::clone(clearance);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a clearance that is not used leaves a pinned hold behind"]
pub struct Clearance {
    order: Order,
    prepared: Prepared,
}

impl Clearance {
    /// INVARIANT: called only with what the `signing` transaction has made durable.
    pub(in crate::purse) const fn after_signing_record(order: Order, prepared: Prepared) -> Self {
        Self { order, prepared }
    }

    /// The order it clears.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// The terms it clears.
    #[must_use]
    pub const fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Turns it into the one thing a wallet signs.
    pub fn into_signable(self) -> Signable {
        Signable { digest: self.prepared.signing, payer: self.order.payer }
    }
}

/// What a wallet signs: made only by consuming a [`Clearance`].
///
/// ```compile_fail,E0451
/// # fn forge(digest: bursar_types::Digest) {
/// let forged = bursar_payments::Signable { digest, payer: String::new() };
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Signable {
    digest: Digest,
    payer: String,
}

impl Signable {
    /// The 32 bytes to sign.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The address that must sign.
    #[must_use]
    pub fn payer(&self) -> &str {
        &self.payer
    }
}
