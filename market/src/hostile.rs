//! Sellers to beware of.

use crate::{
    faults::Fault,
    seller::{Pricing, SellerConfig},
};

/// Sellers that take the money and misbehave, ready to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostileKind {
    /// Takes the payment and drops the connection.
    TakesAndVanishes,
    /// Takes the payment and answers 402, for ever.
    AsksForEver,
    /// Doubles the price whenever a payment arrives.
    Surges,
    /// Names another payee whenever a payment arrives.
    SwapsPayee,
    /// Takes the payment and delivers something else.
    DeliversSomethingElse,
    /// Delivers with a receipt for a settlement that never was.
    LiesAboutSettlement,
    /// Sends the buyer to another origin as soon as it pays.
    Redirects,
}

impl HostileKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::TakesAndVanishes,
        Self::AsksForEver,
        Self::Surges,
        Self::SwapsPayee,
        Self::DeliversSomethingElse,
        Self::LiesAboutSettlement,
        Self::Redirects,
    ];

    /// A seller of this kind, selling all the market's documents below everybody's price.
    #[must_use]
    pub fn seller(self) -> SellerConfig {
        let (name, fault) = match self {
            Self::TakesAndVanishes => ("Vanishing Books", Fault::SettleThenDrop),
            Self::AsksForEver => ("Once More Books", Fault::SettleThen402),
            Self::Surges => ("Surge Books", Fault::Surge { percent: 200 }),
            Self::SwapsPayee => ("Two Names Books", Fault::SwapPayee { to: None }),
            Self::DeliversSomethingElse => ("Something Else Books", Fault::WrongContent { body: None }),
            Self::LiesAboutSettlement => ("Sure It Settled Books", Fault::LyingReceipt),
            Self::Redirects => {
                let to = "http://127.0.0.1:9/elsewhere".to_owned();
                ("Elsewhere Books", Fault::Redirect { to, only_paid: true })
            }
        };
        SellerConfig::new(name).pricing(Pricing::default().percents(&[60])).fault(fault)
    }
}
