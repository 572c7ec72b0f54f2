//! Payments without a network: for whoever looks at obligations and decides about them, and must not be able to pay.

use super::{Payments, PaymentsParts, Signable};
use crate::approval::PublicKey;
use crate::egress::Egress;
use crate::policy::{Policy, PolicyError};
use crate::rail::Rail;
use crate::recovery::RecoveryRules;
use crate::wallet::{Wallet, WalletError};
use async_trait::async_trait;
use bursar_ledger::Ledger;
use bursar_types::{
    AssetRegistry, Clock, Entropy, HttpRequest, HttpResponse, Limits, Transport, TransportError,
};
use std::sync::Arc;

/// Signs nothing and reaches nobody.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Wallet for Nothing {
    fn address(&self) -> &'static str {
        "none"
    }

    fn can_approve_as(&self, _approver: &PublicKey) -> bool {
        false
    }

    async fn sign(&self, signable: Signable) -> Result<[u8; 65], WalletError> {
        drop(signable);
        Err(WalletError::Signer("there is no wallet here".into()))
    }
}

#[async_trait]
impl Transport for Nothing {
    async fn send(&self, request: HttpRequest, _limits: Limits) -> Result<HttpResponse, TransportError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        Err(TransportError::NotSent { host, source: "there is no network here".into() })
    }
}

/// Knows an address, and signs nothing.
#[derive(Debug)]
struct WatchOnly(String);

#[async_trait]
impl Wallet for WatchOnly {
    fn address(&self) -> &str {
        &self.0
    }

    fn can_approve_as(&self, _approver: &PublicKey) -> bool {
        false
    }

    async fn sign(&self, signable: Signable) -> Result<[u8; 65], WalletError> {
        drop(signable);
        Err(WalletError::Signer("only the wallet's address is known here".into()))
    }
}

impl Payments {
    /// Over a ledger, with rails that read what left a wallet of which only the address is known: nothing can be paid.
    #[must_use]
    pub fn watching(
        policy: Arc<Policy>,
        ledger: Ledger,
        rails: Vec<Arc<dyn Rail>>,
        address: String,
        registry: Arc<AssetRegistry>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let parts = parts(policy, ledger, registry, clock, entropy);
        Self::new(PaymentsParts { rails, wallet: Arc::new(WatchOnly(address)), ..parts })
    }

    /// Over a ledger alone: no rail, no wallet, no network. What persons do about obligations works; nothing can be asked or
    /// paid.
    ///
    /// # Errors
    /// [`PolicyError`] if the rules that come with this crate cannot be read, which a test rules out.
    pub fn offline(
        ledger: Ledger,
        registry: Arc<AssetRegistry>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, PolicyError> {
        Ok(Self::offline_under(Arc::new(Policy::shipped()?), ledger, registry, clock, entropy))
    }

    /// The same under other rules: for whoever accepts them for a session.
    #[must_use]
    pub fn offline_under(
        policy: Arc<Policy>,
        ledger: Ledger,
        registry: Arc<AssetRegistry>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self::new(parts(policy, ledger, registry, clock, entropy))
    }
}

fn parts(
    policy: Arc<Policy>,
    ledger: Ledger,
    registry: Arc<AssetRegistry>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> PaymentsParts {
    PaymentsParts {
        ledger,
        policy,
        rails: Vec::new(),
        wallet: Arc::new(Nothing),
        transport: Arc::new(Nothing),
        egress: Egress::internet(),
        registry,
        clock,
        entropy,
        limits: Limits::default(),
        recovery: RecoveryRules::default(),
        traces: Arc::new(bursar_types::telemetry::Untraced),
    }
}
