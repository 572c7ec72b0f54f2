//! A seller of documents: free to look, paid to read.

mod catalogue;
mod config;
mod handle;
mod mcp;
mod offer;
mod purchase;
mod record;
mod refund;
mod service;
mod signed;

pub(crate) use config::address_of;
pub use config::{AmountRule, Goods, OfferTemplate, PaymentIdentifier, Pricing, SellerConfig, WireVersion};
pub use handle::Seller;
pub use record::{LogEntry, SellerLog, Violation, ViolationKind};
pub use refund::{RefundClaim, RefundError, RefundRule};
pub(crate) use service::SellerService;
