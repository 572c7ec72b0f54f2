//! The market of a scenario.

use super::set::StageError;
use crate::scenario::{OfferSpec, Scenario, SellerSpec};
use bursar::types::Asset;
use bursar_market::{
    Address, AmountRule, Goods, ManualClock, Market, OfferTemplate, PaymentIdentifier, Pricing, SellerConfig,
    TimeSource, keccak,
};

/// The chain that scenarios are played on, and its dollar: play money of a public test network.
pub(crate) const CHAIN_ID: u64 = 84_532;
pub(crate) const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";

/// What buyers of a scenario can pay with: the pinned assets, with that dollar as the scenario has it, on its other networks too.
pub(crate) fn assets(scenario: &Scenario) -> Vec<Asset> {
    let other = scenario.networks.iter().filter_map(|network| network.strip_prefix("eip155:")?.parse().ok());
    let chains = std::iter::once(CHAIN_ID).chain(other);
    chains.map(|chain| Asset::stablecoin(chain, TOKEN, "USDC", 6, ("USDC", "2"), scenario.worth)).collect()
}

/// The sellers of a scenario one by one: `s{1..50}` is fifty.
pub(crate) fn sellers(scenario: &Scenario) -> Vec<SellerSpec> {
    let mut all = Vec::new();
    for spec in &scenario.sellers {
        match range(&spec.host) {
            None => all.push(spec.clone()),
            Some((before, from, to, after)) => all.extend((from..=to).map(|n| SellerSpec {
                name: format!("{}-{n}", spec.name),
                host: format!("{before}{n}{after}"),
                ..spec.clone()
            })),
        }
    }
    all
}

/// `a{1..50}b` as `a`, 1, 50, `b`.
pub(crate) fn range(text: &str) -> Option<(&str, u64, u64, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (inside, after) = rest.split_once('}')?;
    let (from, to) = inside.split_once("..")?;
    Some((before, from.parse().ok()?, to.parse().ok()?, after))
}

/// Who is paid by a seller of this name.
pub(crate) fn payee(seller: &SellerSpec) -> Address {
    let name = seller.paid_as.as_deref().unwrap_or(&seller.name);
    let word = keccak(format!("bursar evals seller: {name}").as_bytes());
    let mut bytes = [0; 20];
    for (to, from) in bytes.iter_mut().zip(word.0) {
        *to = from;
    }
    Address::new(bytes)
}

pub(crate) async fn start(
    scenario: &Scenario,
    sellers: &[SellerSpec],
    buyer: Address,
    clock: ManualClock,
) -> Result<Market, StageError> {
    let token: Address =
        TOKEN.parse().map_err(|_| StageError::Market("its token has no address".to_owned()))?;
    let mut builder = Market::builder()
        .chain_id(CHAIN_ID)
        .token(token, "USDC", "2")
        .buyer_funds(buyer, scenario.funds.micro())
        .buyer_gas(buyer, 1_000_000_000_000_000_000)
        .clock(TimeSource::Manual(clock));
    for seller in sellers {
        builder = builder.add_seller(config(seller)?);
    }
    let market = builder.start().await.map_err(|error| StageError::Market(error.to_string()))?;
    let arm = |faults: &bursar_market::Faults, rules: &[bursar_market::FaultRule]| {
        rules.iter().try_for_each(|rule| faults.arm(rule.clone()))
    };
    arm(market.chain().faults(), &scenario.chain_faults)
        .and_then(|()| arm(market.facilitator().faults(), &scenario.facilitator_faults))
        .map_err(|error| StageError::Market(error.to_string()))?;
    Ok(market)
}

fn config(spec: &SellerSpec) -> Result<SellerConfig, StageError> {
    let mut config = SellerConfig::new(&spec.name)
        .origin(format!("https://{}", spec.host))
        .pay_to(payee(spec))
        .wire(spec.wire)
        .pricing(Pricing::default())
        .payment_identifier(PaymentIdentifier::default())
        .max_timeout_s(spec.timeout_s)
        .refunds(spec.refunds.clone())
        .listed(spec.listed);
    for goods in &spec.sells {
        let mut sold = Goods::new(&goods.path, goods.price.micro(), &goods.text);
        if let Some(description) = &goods.description {
            sold = sold.description(description);
        }
        config = config.sells(sold);
    }
    for rule in &spec.faults {
        config = config.fault(rule.clone());
    }
    if !spec.offers.is_empty() {
        config = config.accepts(spec.offers.iter().map(offer).collect::<Result<_, _>>()?);
    }
    Ok(config)
}

fn offer(spec: &OfferSpec) -> Result<OfferTemplate, StageError> {
    let mut template = OfferTemplate::default();
    if let Some(scheme) = &spec.scheme {
        template.scheme.clone_from(scheme);
    }
    template.network.clone_from(&spec.network);
    template.asset.clone_from(&spec.asset);
    template.flow.clone_from(&spec.flow);
    if let Some(address) = &spec.pay_to {
        let address = address.parse();
        template.pay_to =
            Some(address.map_err(|_| StageError::Scenario("`pay_to` is no address".to_owned()))?);
    }
    template.amount = match (&spec.amount, spec.percent) {
        (Some(text), _) => AmountRule::Verbatim(text.clone()),
        (None, Some(percent)) => AmountRule::Percent(percent),
        (None, None) => AmountRule::Listed,
    };
    Ok(template)
}
