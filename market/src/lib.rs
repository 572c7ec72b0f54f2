//! A market in a box: x402 sellers, a facilitator and a chain on loopback, stricter than the real thing.
//!
//! It shares no code with the crates it tests, so that no mistake is on both sides: its own codec, its own
//! EIP-712 hashing, its own signer recovery.
//!
//! It listens on loopback, or, [in process](MarketBuilder::in_process), on nothing at all: then requests are handed to
//! it by a [call](Market::exchange), and with a [clock in hand](ManualClock) the same requests get the same answers.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), bursar_market::MarketError> {
//! use bursar_market::{Market, SourceDocument};
//! let market = Market::builder()
//!     .documents(vec![SourceDocument::new("gas.md", "# Gas\n\nWho pays for gas.")])
//!     .start()
//!     .await?;
//! assert!(market.seller_urls()[0].starts_with("http://127.0.0.1:"));
//! market.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # In process
//!
//! A simulation starts the market without sockets, gives it a clock, and hands it requests:
//!
//! ```
//! # use axum::http;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bursar_market::{ManualClock, Market, SourceDocument};
//! let market = Market::builder()
//!     .documents(vec![SourceDocument::new("gas.md", "# Gas\n\nWho pays for gas.")])
//!     .clock(ManualClock::new(1_800_000_000))
//!     .in_process()
//!     .start()
//!     .await?;
//! let request = http::Request::get("http://seller-0.market.test/documents/gas").body(bytes::Bytes::new())?;
//! assert_eq!(market.exchange(request).await?.status(), 402);
//! # Ok(())
//! # }
//! ```
//!
//! # Refunds
//!
//! x402 does not know them. A [seller that gives them](SellerConfig::refunds) says so in the `refund` extension of its
//! 402 of version 2: `{"url", "withinSeconds", "partial"}`. A buyer posts a claim there, with the fields `id`, `network`,
//! `asset`, `payer`, `payee`, `nonce`, `transaction` (empty if it never learnt it), `amount`, `paid`, `resource`,
//! `reason` and `detail`, and is told `{"status": "accepted", "id", "amount"}` or `{"status": "refused", "reason"}`: the
//! same for the same claim, for ever. The money is a [plain transfer](Chain::plain_transfers) from the payee to the
//! payer, unless the [rule](RefundRule) says otherwise.
//!
//! | status | reason | the claim |
//! |---|---|---|
//! | 400 | `malformed` | cannot be read |
//! | 404 | `not_settled_here` | is for no payment to this seller, by its payer, payee, nonce and amount paid |
//! | 409 | `id_reused` | said something else before |
//! | 409 | `already_claimed` | is the second one for its settlement |
//! | 410 | `too_late` | comes after the time |
//! | 422 | `wrong_asset`, `other_transaction`, `other_resource` | contradicts the settlement |
//! | 422 | `more_than_paid`, `only_in_full` | asks for what it cannot get |
//! | 200 | the seller's own | is right, and refused |
//!
//! # Gas
//!
//! Sellers and facilitator need none. A buyer that burns a nonce does: give it some with [`MarketBuilder::buyer_gas`],
//! and let it send a transaction of type 2 (EIP-1559) that calls the token's `cancelAuthorization`. What else it sends is
//! mined, reverts, and costs its gas. Nothing ever waits: a transaction is refused, or it is in the next block.

mod admin;
mod chain;
mod clock;
mod facilitator;
mod faults;
mod hostile;
mod library;
mod market;
mod primitives;
mod seller;
mod server;
mod signing;
mod wire;

pub use chain::{Chain, ChainLog, PlainTransfer, Revert, SendError, StateFileError, Token, Transfer};
pub use clock::{ManualClock, TimeSource};
pub use facilitator::{Facilitator, FacilitatorCall};
pub use faults::{Fault, FaultError, FaultRule, Faults, Malformation, Place};
pub use hostile::HostileKind;
pub use library::{Document, FolderError, Hit, Library, SearchIndex, Skipped, SourceDocument};
pub use market::{Market, MarketBuilder, MarketError, Ports};
pub use primitives::{Address, ParseError, Uint, Word, keccak};
pub use seller::{
    AmountRule, Goods, LogEntry, OfferTemplate, PaymentIdentifier, Pricing, RefundClaim, RefundError,
    RefundRule, Seller, SellerConfig, SellerLog, Violation, ViolationKind, WireVersion,
};
pub use server::Broken;
pub use signing::{Authorization, Key, KeyError, Signature, SignatureError};
