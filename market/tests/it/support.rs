//! A buyer who does what it is told, right or wrong.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bursar_market::{
    Authorization, Key, ManualClock, Market, MarketBuilder, Seller, SourceDocument, Token, Uint, Word, keccak,
};
use reqwest::{Client, Method, redirect::Policy};
use serde_json::{Value, json};

pub(crate) const NOW_S: u64 = 1_800_000_000;
pub(crate) const FUNDS: u128 = 1_000_000_000;

/// A market with a buyer in it and a clock in hand.
pub(crate) struct Shop {
    pub(crate) market: Market,
    pub(crate) clock: ManualClock,
    pub(crate) buyer: Buyer,
}

pub(crate) struct Buyer {
    pub(crate) key: Key,
    pub(crate) token: Token,
    pub(crate) http: Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// A header of base64 of JSON.
    pub(crate) fn header(&self, name: &str) -> Option<Value> {
        decode(self.headers.get(name)?.to_str().unwrap())
    }
}

pub(crate) fn decode(text: &str) -> Option<Value> {
    serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()
}

pub(crate) fn encode(value: &Value) -> String {
    STANDARD.encode(value.to_string())
}

pub(crate) fn documents() -> Vec<SourceDocument> {
    vec![
        SourceDocument::new(
            "erc-3009.md",
            "---\neip: 3009\ntitle: Transfer With Authorization\n\
             description: Transfer fungible assets via a signed authorization\ncategory: ERC\n---\n\n\
             ## Abstract\n\nDelegate the gas payment to someone else. Random nonces stop replays of a transfer.\n\n\
             ```solidity\nfunction transferWithAuthorization(address from) external;\n```\n",
        ),
        SourceDocument::new(
            "erc-4626.md",
            "---\neip: 4626\ntitle: Tokenized Vaults\ncategory: ERC\n---\n\n## Security\n\n\
             An inflation attack donates shares to a vault before the first deposit.\n",
        ),
        SourceDocument::new(
            "guides/gas.md",
            "# Gas in general\n\nEvery transaction costs gas, paid in ether.\n",
        ),
        SourceDocument::new(
            "story.txt",
            "Once upon a time a vault stood empty. ERC-4626 had not been written.",
        ),
    ]
}

pub(crate) fn builder() -> (MarketBuilder, ManualClock) {
    let clock = ManualClock::new(NOW_S);
    let key = Key::named("buyer").unwrap();
    let builder = Market::builder()
        .documents(documents())
        .clock(clock.clone())
        .buyer_funds(key.address(), FUNDS)
        .admin(true);
    (builder, clock)
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(|builder| builder).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(MarketBuilder) -> MarketBuilder) -> Self {
        let (builder, clock) = builder();
        let market = change(builder).start().await.unwrap();
        let buyer = Buyer {
            key: Key::named("buyer").unwrap(),
            token: market.token().clone(),
            http: Client::builder().redirect(Policy::none()).no_proxy().build().unwrap(),
        };
        Self { market, clock, buyer }
    }

    /// The main seller; or the only one.
    pub(crate) fn seller(&self) -> &Seller {
        self.market.seller(0).unwrap()
    }

    pub(crate) fn url(&self) -> String {
        self.seller().document_url("erc-3009")
    }

    pub(crate) fn paid(&self) -> u128 {
        FUNDS - self.market.balance_of(self.buyer.key.address())
    }
}

impl Buyer {
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> reqwest::Result<Got> {
        let mut request = self.http.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request.body(body.to_owned()).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Got { status, headers, body: response.bytes().await?.to_vec() })
    }

    pub(crate) async fn get(&self, url: &str) -> Got {
        self.send(Method::GET, url, &[], "").await.unwrap()
    }

    pub(crate) async fn post(&self, url: &str, body: &Value) -> Got {
        self.send(Method::POST, url, &[], &body.to_string()).await.unwrap()
    }

    /// The `PaymentRequired` of version 2.
    pub(crate) async fn quote(&self, url: &str) -> Value {
        let got = self.get(url).await;
        assert_eq!(got.status, 402);
        got.header("payment-required").unwrap()
    }

    /// The authorization for an offered requirement; `nonce` tells one from another.
    pub(crate) fn authorization(&self, terms: &Value, nonce: &str) -> Authorization {
        let text = |field: &str| terms[field].as_str().unwrap();
        let amount = terms.get("amount").or_else(|| terms.get("maxAmountRequired")).unwrap();
        Authorization {
            from: self.key.address(),
            to: text("payTo").parse().unwrap(),
            value: Uint::from_decimal(amount.as_str().unwrap()).unwrap(),
            valid_after: Uint::default(),
            valid_before: Uint::from(NOW_S + 60),
            nonce: nonce_of(nonce),
        }
    }

    /// `{signature, authorization}`, signed.
    pub(crate) fn payload(&self, authorization: &Authorization) -> Value {
        let signature = self.key.sign(authorization, &self.token).unwrap().to_string();
        json!({ "signature": signature, "authorization": authorization })
    }

    /// A payment of version 2 for the first alternative.
    pub(crate) fn payment(&self, quote: &Value, nonce: &str) -> Value {
        let terms = &quote["accepts"][0];
        json!({
            "x402Version": 2,
            "accepted": terms,
            "payload": self.payload(&self.authorization(terms, nonce)),
            "resource": quote["resource"],
            "extensions": quote["extensions"],
        })
    }

    pub(crate) async fn present(&self, url: &str, payment: &Value) -> reqwest::Result<Got> {
        self.send(Method::GET, url, &[("payment-signature", encode(payment))], "").await
    }

    /// Asks, pays, and returns the answer to the payment.
    pub(crate) async fn buy(&self, url: &str, nonce: &str) -> reqwest::Result<Got> {
        let quote = self.quote(url).await;
        self.present(url, &self.payment(&quote, nonce)).await
    }
}

pub(crate) fn nonce_of(name: &str) -> Word {
    keccak(name.as_bytes())
}
