//! The market's chain, seen through endpoints that each have faults of their own.

use crate::common::{NOW, PAYER, TOKEN};
use async_trait::async_trait;
use bursar_market::{
    Authorization, Broken, Fault, FaultRule, Key, ManualClock, Market, MarketBuilder, SourceDocument, Uint,
    Word,
};
use bursar_payments::Prepared;
use bursar_payments::x402::{Finality, NetworkReader, Safeguards, X402, X402Options};
use bursar_types::{AssetRegistry, HttpRequest, HttpResponse, Limits, Transport, TransportError};
use std::sync::Arc;

/// Of [`PAYER`]; worth nothing anywhere.
pub(crate) const KEY: &str = "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";

/// A market whose chain is the one that the fixtures are for.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) market: Arc<Market>,
    pub(crate) clock: ManualClock,
    /// What each endpoint does wrong: `http://a.test` has the first.
    pub(crate) faults: Arc<Vec<Vec<FaultRule>>>,
}

impl Chain {
    pub(crate) async fn open(change: impl FnOnce(MarketBuilder) -> MarketBuilder) -> Self {
        let clock = ManualClock::new(NOW.unix_s());
        let builder = Market::builder()
            .documents(vec![SourceDocument::new("gas.md", "# Gas\n\nWho pays for gas.\n")])
            .clock(clock.clone())
            .chain_id(84_532)
            .token(TOKEN.parse::<bursar_market::Address>().unwrap(), "USDC", "2")
            .buyer_funds(key().address(), 1_000_000)
            .in_process();
        let market = Arc::new(change(builder).start().await.unwrap());
        Self { market, clock, faults: Arc::default() }
    }

    pub(crate) fn with(&self, faults: &[&[Fault]]) -> Self {
        let rules = |faults: &&[Fault]| faults.iter().cloned().map(FaultRule::new).collect();
        Self { faults: Arc::new(faults.iter().map(rules).collect()), ..self.clone() }
    }

    /// A rail that reads it, one endpoint for each list of faults.
    pub(crate) fn rail(&self, safeguards: Safeguards) -> X402 {
        let hosts = ["a", "b", "c"].iter().take(self.faults.len());
        X402::new(X402Options {
            assets: Arc::new(AssetRegistry::pinned()),
            networks: vec![NetworkReader {
                network: "eip155:84532".to_owned(),
                rpc_urls: hosts.map(|host| format!("http://{host}.test")).collect(),
                finality: Finality::Finalized,
            }],
            transport: Arc::new(self.clone()),
            payer: PAYER.to_owned(),
            quote_ttl_ms: 60_000,
        })
        .guarded_by(safeguards)
    }

    /// Does what the payee does with a signed authorization.
    pub(crate) fn settle(&self, prepared: &Prepared) {
        let text = |field: &str| prepared.terms[field].as_str().unwrap();
        let number = |field: &str| Uint::from_decimal(text(field)).unwrap();
        let authorization = Authorization {
            from: text("from").parse().unwrap(),
            to: text("to").parse().unwrap(),
            value: number("value"),
            valid_after: number("valid_after"),
            valid_before: number("valid_before"),
            nonce: text("nonce").parse().unwrap(),
        };
        let signature = key().sign(&authorization, self.market.token()).unwrap();
        self.market.chain().transfer_with_authorization(&authorization, &signature).unwrap();
    }

    pub(crate) fn cancel(&self, prepared: &Prepared) {
        let nonce: Word = prepared.terms["nonce"].as_str().unwrap().parse().unwrap();
        let signature = key().sign_cancel(nonce, self.market.token()).unwrap();
        self.market.chain().cancel_authorization(key().address(), nonce, &signature).unwrap();
    }

    /// Mines a block every two seconds.
    pub(crate) fn pass(&self, blocks: u64) {
        for _ in 0..blocks {
            self.clock.advance_s(2);
            self.market.chain().mine();
        }
    }
}

pub(crate) fn key() -> Key {
    Key::new(&KEY.parse::<Word>().unwrap().0).unwrap()
}

#[async_trait]
impl Transport for Chain {
    async fn send(&self, mut request: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
        let host = request.uri().host().unwrap().to_owned();
        if let Some(place) = host.strip_suffix(".test").and_then(|name| name.strip_prefix(['a', 'b', 'c'])) {
            assert_eq!(place, "", "{host}");
            let faults = &self.faults[usize::from(host.as_bytes()[0] - b'a')];
            self.market.chain().faults().replace(faults.clone()).unwrap();
            *request.uri_mut() = self.market.rpc_url().parse().unwrap();
        }
        self.market.exchange(request).await.map_err(|broken| match broken {
            Broken::NoSuchHost { host } => TransportError::NotSent { host, source: "nobody".into() },
            other => TransportError::NoAnswer { host, source: other.into() },
        })
    }
}
