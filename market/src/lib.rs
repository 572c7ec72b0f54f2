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
    AmountRule, LogEntry, OfferTemplate, PaymentIdentifier, Pricing, RefundClaim, RefundError, RefundRule,
    Seller, SellerConfig, SellerLog, Violation, ViolationKind, WireVersion,
};
pub use server::Broken;
pub use signing::{Authorization, Key, KeyError, Signature, SignatureError};
