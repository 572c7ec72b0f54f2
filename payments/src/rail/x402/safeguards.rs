//! What guards against endpoints that lie, and what may be spent on fees.

use super::rpc::Rpc;
use super::{NetworkReader, X402};
use bursar_types::{Amount, Clock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What guards the rail against endpoints that lie or lag, and what it may spend on fees.
///
/// # What a lying endpoint can do
/// It can say of a payment that was used that nobody used it, that it was canceled, or that its window is over while it is
/// still open. The hold is then released, the payee keeps the money or can still take it, and the same thing may be paid
/// again: one lie costs one payment. It can also say "used" of a payment that nobody used; then the money counts as spent and
/// is still there. It can hide what came in. It cannot sign, and it cannot change what a payment says.
///
/// So the loss for one lie is bounded by the amount of one payment, and [`Safeguards::two_readers_above`] says up to which
/// amount that is a risk to take for one endpoint's word. Lies about time need no second endpoint: with
/// [`Safeguards::clock`] a window is over only if it is over by the chain's clock and by ours.
#[derive(Debug, Clone, Default)]
pub struct Safeguards {
    /// Above this worth two endpoints of different hosts must say the same before a payment's outcome is known, and no
    /// other may contradict them; networks with fewer cannot be paid on above it. In micro-USD; what is not worth a known
    /// number of dollars is above it. `None`: one endpoint suffices.
    pub two_readers_above: Option<Amount>,
    /// For each network, the most that canceling one authorization may cost in fees, in the smallest unit of the chain's
    /// own coin. A network that is not named here cancels nothing.
    pub cancel_fee_wei_max: BTreeMap<String, u128>,
    /// Our own clock. An endpoint that says a window is over before it is over here is not believed.
    pub clock: Option<Arc<dyn Clock>>,
}

impl X402 {
    /// The worth above which two readers are needed, if this amount is above it.
    pub(super) fn two_readers_for(&self, amount: &Amount) -> Option<&Amount> {
        let limit = self.safeguards.two_readers_above.as_ref()?;
        let worth = self.options.assets.to_micro_usd(amount);
        let below =
            worth.is_some_and(|worth| worth.asset() == limit.asset() && worth.atomic() <= limit.atomic());
        (!below).then_some(limit)
    }

    /// An amount of money for a person.
    pub(super) fn shown_amount(&self, amount: &Amount) -> String {
        self.options.assets.display(amount)
    }

    pub(super) fn reader(&self, network: &str) -> Option<&NetworkReader> {
        self.options.networks.iter().find(|reader| reader.network == network)
    }

    pub(super) fn rpc<'a>(&'a self, url: &'a str) -> Rpc<'a> {
        Rpc { transport: self.options.transport.as_ref(), url }
    }

    /// How many different hosts read a network.
    pub(super) fn witnesses(&self, reader: &NetworkReader) -> usize {
        reader.rpc_urls.iter().map(|url| self.rpc(url).witness()).collect::<BTreeSet<_>>().len()
    }
}
