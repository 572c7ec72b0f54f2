//! Clearances: what only the purse can make.

use crate::rail::{Order, Prepared, PreparedVoid};
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

/// Leave to make one authorization worthless. It moves no money to anyone; where the rail asks a fee for it, the rail's own
/// settings bound that.
///
/// Made only by the purse, after the terms are durable. It cannot be cloned or made elsewhere:
///
/// ```compile_fail,E0451
/// # fn forge(prepared: bursar_payments::PreparedVoid) {
/// let forged = bursar_payments::VoidClearance { payer: String::new(), prepared };
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct VoidClearance {
    payer: String,
    prepared: PreparedVoid,
}

impl VoidClearance {
    /// INVARIANT: called only with what a `void_started` event has made durable.
    pub(in crate::purse) const fn after_record(payer: String, prepared: PreparedVoid) -> Self {
        Self { payer, prepared }
    }

    /// The terms it clears.
    #[must_use]
    pub const fn prepared(&self) -> &PreparedVoid {
        &self.prepared
    }

    /// Turns it into what a wallet signs, one for each digest, in order.
    pub fn into_signables(self) -> Vec<Signable> {
        let Self { payer, prepared } = self;
        let sign = |digest| Signable { digest, payer: payer.clone() };
        prepared.signing.into_iter().map(sign).collect()
    }
}
