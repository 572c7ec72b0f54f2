//! The wallet of one life: the real key, behind the stage and under the watch's eyes.

use crate::stage::{Life, Seam, Stage, Verdict};
use crate::watch::Watch;
use async_trait::async_trait;
use bursar_payments::{LocalWallet, Signable, Wallet, WalletError};
use std::sync::Arc;

/// The buyer's key; worth nothing anywhere.
pub(crate) const KEY: &str = "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";

/// A wallet that may fail, and whose process may die before or after it has signed.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) wallet: Arc<LocalWallet>,
    pub(crate) stage: Arc<Stage>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) life: Life,
}

#[async_trait]
impl Wallet for Signer {
    fn address(&self) -> &str {
        self.wallet.address()
    }

    fn can_approve_as(&self, approver: &bursar_payments::PublicKey) -> bool {
        self.wallet.can_approve_as(approver)
    }

    async fn sign(&self, signable: Signable) -> Result<[u8; 65], WalletError> {
        let ticket = self.stage.ticket();
        // Before and after the wait: what is durable must be so before the wallet hears of it.
        self.stage.alive(self.life).await;
        self.watch.asked_to_sign(self.life, signable.digest());
        if self.stage.pass(self.life, ticket, Seam::Sign).await == Verdict::Fail {
            self.stage.count("wallet failed");
            return Err(WalletError::Signer("the signer is away".into()));
        }
        self.watch.signed(self.life, signable.digest());
        let signature = self.wallet.sign(signable).await?;
        self.stage.pass_often(self.life, Seam::Signed).await;
        Ok(signature)
    }
}
