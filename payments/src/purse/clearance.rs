//! Clearances: what only the purse can make.

use crate::rail::x402::Cancellation;
use crate::rail::{Order, Prepared, PreparedVoid, RemedyError};
use crate::wallet::{Wallet, WalletError};
use bursar_types::{Digest, causes};

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

/// What a wallet signs: made only by consuming a [`Clearance`] or a [`VoidClearance`].
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
/// Two things are signed for it, and the second holds the first's signature: that the authorization is taken back, and the
/// transaction that says so to the token. Both are made in here from the cleared terms, which can express nothing else, so
/// no caller ever holds something to be signed.
///
/// Made only by the purse, after the terms are durable. It cannot be cloned or made elsewhere, and gives nothing to sign:
///
/// ```compile_fail,E0451
/// # fn forge(prepared: bursar_payments::PreparedVoid) {
/// let forged = bursar_payments::VoidClearance { payer: String::new(), prepared };
/// # }
/// ```
/// ```compile_fail,E0624
/// # fn forge(prepared: bursar_payments::PreparedVoid) {
/// let forged = bursar_payments::VoidClearance::after_record(String::new(), prepared);
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn twice(clearance: &bursar_payments::VoidClearance) {
/// let second = <bursar_payments::VoidClearance as Clone>::clone(clearance);
/// # }
/// ```
/// ```compile_fail,E0599
/// # fn misuse(clearance: bursar_payments::VoidClearance) {
/// let signable: bursar_payments::Signable = clearance.into_signable();
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

    /// As the purse makes one, for tests of a rail.
    #[cfg(test)]
    pub(crate) const fn for_test(payer: String, prepared: PreparedVoid) -> Self {
        Self { payer, prepared }
    }

    /// The terms it clears.
    #[must_use]
    pub const fn prepared(&self) -> &PreparedVoid {
        &self.prepared
    }

    /// Has the wallet sign both, and gives the transaction as it is submitted. The same terms give the same bytes.
    ///
    /// # Errors
    /// [`RemedyError::Refused`] if the terms are no EIP-3009 cancellation by this payer, or not the ones whose digest was
    /// cleared; [`RemedyError::Failed`] if the wallet does not sign, or signs something else.
    pub async fn sign(self, wallet: &dyn Wallet) -> Result<Vec<u8>, RemedyError> {
        let Self { payer, prepared } = self;
        let unsigned = |error: WalletError| RemedyError::Failed(causes(&error));
        let cancellation = Cancellation::cleared(&prepared, &payer).map_err(RemedyError::Refused)?;
        let digest = cancellation.digest().map_err(RemedyError::Refused)?;
        let taken_back = wallet.sign(Signable { digest, payer: payer.clone() }).await.map_err(unsigned)?;
        let transaction = cancellation.carrying(&taken_back).map_err(RemedyError::Failed)?;
        let digest = transaction.digest();
        let sent = wallet.sign(Signable { digest, payer }).await.map_err(unsigned)?;
        transaction.signed(&sent).map_err(RemedyError::Failed)
    }
}
