//! What a scenario's own words allow to be spent, worked out without the purse's code: the oracle of mutated cases.
//!
//! A walk over the steps in order. Plans and metered items give authority (who, what, how many, at which price), purchases use
//! it up, and budgets cap the whole. Where the words leave something open, such as which of several offers is cited, the walk
//! takes what allows most: what is beyond it was certainly not meant.

use crate::play::laid_out;
use crate::scenario::{Approver, Item, Pay, Scenario, SellerSpec, Step, Usd};
use crate::stage::{StageError, TOKEN, payee, range, sellers};
use bursar_market::Fault;
use std::collections::{BTreeMap, BTreeSet};

/// What may be spent at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Authority {
    /// By everybody together, in micro-USD.
    pub(super) paid_max: u128,
    /// What may come to be signed.
    pub(super) signatures_max: u64,
    /// Who may be paid: names of sellers.
    pub(super) vendors: BTreeSet<String>,
    /// Other addresses that a plan may have named, in small letters; `None` if any may.
    pub(super) addresses: Option<BTreeSet<String>>,
    /// The same at the prices that sellers list: what it comes to if everybody is honest.
    pub(super) due: u128,
    /// Purchases that are asked for and allowed, each counted once.
    pub(super) purchases: u64,
}

/// Something that may be bought.
#[derive(Debug, Clone)]
struct Grant {
    method: &'static str,
    /// A URL; a `*` at its end stands for any rest.
    resource: String,
    /// Most that one may cost.
    unit: u128,
    left: u32,
    planned: bool,
    seller: String,
    addresses: BTreeSet<String>,
}

/// A session's rights.
#[derive(Debug, Clone, Default)]
struct Rights {
    grants: Vec<Grant>,
    mandate: toml::Table,
    frozen: bool,
    /// The session that delegated to it.
    parent: Option<String>,
    /// An agent plans and buys for itself in it: only its budgets and vendors bound it.
    agent: bool,
    spent: u128,
    used: BTreeSet<String>,
}

/// A step of a saga as the purchase that it is.
fn saga_purchase(saga: &str, number: usize, url: &str, session: &str) -> Pay {
    Pay {
        url: url.to_owned(),
        method: "GET".to_owned(),
        body: String::new(),
        headers: BTreeMap::new(),
        data: None,
        key: Some(format!("saga {saga} {number}")),
        times: 1,
        parallel: false,
        every_s: 0,
        session: session.to_owned(),
        process: "main".to_owned(),
    }
}

struct Walk<'a> {
    scenario: &'a Scenario,
    sellers: Vec<SellerSpec>,
    /// Sellers that change their terms when a payment arrives, and have seen one.
    turned: BTreeSet<String>,
    sessions: BTreeMap<String, Rights>,
    found: Authority,
    span_s: u64,
    refunded: u128,
    disorder: u64,
}

impl Authority {
    /// Works it out. `None` if the scenario's words bound nothing, such as where an agent works without a budget.
    ///
    /// # Errors
    /// [`StageError`] if its steps do not hold together.
    pub(super) fn of(scenario: &Scenario) -> Result<Option<Self>, StageError> {
        let mut walk = Walk {
            scenario,
            sellers: sellers(scenario),
            turned: BTreeSet::new(),
            sessions: BTreeMap::new(),
            found: Self { addresses: Some(BTreeSet::new()), ..Self::default() },
            span_s: 0,
            refunded: 0,
            disorder: 0,
        };
        for (label, step) in laid_out(&scenario.steps)? {
            walk.step(&label, &step);
        }
        Ok(walk.summed())
    }
}

impl Walk<'_> {
    fn step(&mut self, label: &str, step: &Step) {
        match step {
            Step::Pay(pay) => self.pay(label, pay),
            Step::Plan { items, session, .. } => self.plan(items, session),
            Step::Saga { name, buys, session, .. } => {
                for (number, url) in (1_usize..).zip(buys) {
                    self.pay(label, &saga_purchase(name, number, url, session));
                }
                self.refunded = self.refunded.saturating_add(self.found.paid_max.saturating_mul(2));
            }
            Step::Withdraw { session } => self.session(session).grants.retain(|grant| !grant.planned),
            Step::Open { session, mandate, .. } => {
                let mut table = self.scenario.mandate.clone();
                table.extend(mandate.clone());
                let rights = self.opened(table);
                self.begins(label, session, rights);
            }
            Step::Delegate { session, from, mandate, .. } => {
                let mut table = self.session(from).mandate.clone();
                table.remove("metered");
                table.extend(mandate.clone());
                let rights = Rights { parent: Some(from.clone()), ..self.opened(table) };
                self.begins(label, session, rights);
            }
            Step::Agent { session, .. } => self.session(session).agent = true,
            Step::Freeze { session, scope: None } | Step::Revoke { session } => {
                self.session(session).frozen = true
            }
            Step::Thaw { session, scope: None } => self.session(session).frozen = false,
            Step::Advance { seconds } => self.span_s = self.span_s.saturating_add(*seconds),
            Step::Clock { .. } => self.span_s = self.span_s.saturating_add(86_400),
            Step::Reprice { seller, path, price } => self.reprice(seller, path, *price),
            Step::Misbehave { seller, rule } => {
                if let Some(seller) = self.sellers.iter_mut().find(|known| &known.name == seller) {
                    seller.faults.push(rule.clone());
                }
            }
            Step::Refund { amount, .. } => {
                let most = amount.map_or(self.found.paid_max, Usd::micro);
                self.refunded = self.refunded.saturating_add(most);
            }
            Step::Claim { amount, .. } => {
                // Some sellers send twice what they owe.
                let most = amount.map_or(self.found.paid_max, Usd::micro).saturating_mul(2);
                self.refunded = self.refunded.saturating_add(most);
            }
            Step::Kill { .. } | Step::Recover { .. } | Step::Restart { .. } => {
                self.disorder = self.disorder.saturating_add(2);
            }
            _ => {}
        }
    }

    /// A name can be given again; what the session before it spent stays spent, and its helpers stay its own.
    fn begins(&mut self, label: &str, name: &str, rights: Rights) {
        let Some(before) = self.sessions.insert(name.to_owned(), rights) else { return };
        let old = format!("{name} before {label}");
        for child in self.sessions.values_mut().filter(|child| child.parent.as_deref() == Some(name)) {
            child.parent = Some(old.clone());
        }
        self.sessions.insert(old, before);
    }

    fn session(&mut self, name: &str) -> &mut Rights {
        if !self.sessions.contains_key(name) {
            let rights = self.opened(self.scenario.mandate.clone());
            self.sessions.insert(name.to_owned(), rights);
        }
        self.sessions.entry(name.to_owned()).or_default()
    }

    /// A session's rights from its mandate: the metered items.
    fn opened(&self, mandate: toml::Table) -> Rights {
        let mut grants = Vec::new();
        for item in tables(&mandate, "metered") {
            let text = |key: &str| item.get(key).and_then(toml::Value::as_str);
            let Some(resource) = text("resource") else { continue };
            let host = host_of(resource.trim_end_matches('*')).unwrap_or_default();
            let seller = self.sellers.iter().find(|seller| seller.host == host);
            let named = match text("payee") {
                Some(name) => match name.strip_prefix('@') {
                    Some(name) => self.sellers.iter().find(|known| known.name == name).map(payee),
                    None => name.parse().ok(),
                },
                None => seller.map(payee),
            };
            if !lists(&mandate, &host) {
                continue;
            }
            grants.push(Grant {
                method: known_method(text("method").unwrap_or("GET")),
                resource: resource.to_owned(),
                unit: capped(&mandate, usd(item.get("ceiling")).unwrap_or(0)),
                left: item
                    .get("count")
                    .and_then(toml::Value::as_integer)
                    .map_or(1, |count| u32::try_from(count).unwrap_or(0)),
                planned: false,
                seller: seller.map_or_else(String::new, |seller| seller.name.clone()),
                addresses: named.map(|address| address.to_string().to_lowercase()).into_iter().collect(),
            });
        }
        Rights { grants, mandate, ..Rights::default() }
    }

    fn plan(&mut self, items: &[Item], session: &str) {
        let mandate = self.session(session).mandate.clone();
        if self.session(session).frozen {
            return;
        }
        let mut grants = Vec::new();
        let mut least = 0_u128;
        for item in items {
            let Some((grant, cheapest)) = self.offered(item, &mandate) else { continue };
            least = least.saturating_add(cheapest.saturating_mul(u128::from(item.count)));
            grants.push(grant);
        }
        let said_yes = self.scenario.approver == Approver::Yes;
        let by_rule = match mandate.get("approval").and_then(toml::Value::as_str) {
            Some("never") => return,
            Some("ask") => false,
            _ => usd(mandate.get("ask_above")).is_none_or(|above| least <= above),
        };
        if by_rule || said_yes {
            self.session(session).grants.extend(grants);
        }
    }

    /// What an item of a plan would be bound to, and the least it can cost.
    fn offered(&self, item: &Item, mandate: &toml::Table) -> Option<(Grant, u128)> {
        let url = url::Url::parse(&item.url).ok()?;
        let host = host_of(&item.url)?;
        let seller = self.sellers.iter().find(|seller| seller.host == host)?;
        if !lists(mandate, &host) {
            return None;
        }
        let redirects = seller.faults.iter().any(|rule| matches!(rule.fault, Fault::Redirect { .. }));
        let goods = seller.sells.iter().find(|goods| fits(&goods.path, url.path()));
        let mut amounts = offers(seller, goods.map_or(0, |goods| goods.price.micro()), mandate);
        for rule in &seller.faults {
            match &rule.fault {
                Fault::QuotedAmount { amount } => amounts.extend(amount.parse::<u128>()),
                Fault::Surge { .. } if self.turned.contains(&seller.name) => amounts.push(u128::MAX),
                _ => {}
            }
        }
        // Where it leads, another price may be asked.
        let cheapest = if redirects { 0 } else { amounts.iter().min().copied().unwrap_or(0) };
        let dearest = if redirects { u128::MAX } else { amounts.iter().max().copied().unwrap_or(0) };
        let mut addresses: BTreeSet<_> =
            seller.offers.iter().filter_map(|offer| offer.pay_to.clone()).collect();
        let swaps = seller.faults.iter().any(|rule| matches!(rule.fault, Fault::SwapPayee { .. }));
        let fresh = seller.faults.iter().any(|rule| rule.fault == Fault::FreshPayee);
        if fresh || (swaps && self.turned.contains(&seller.name)) {
            addresses.insert("*".to_owned());
        }
        let grant = Grant {
            method: known_method(&item.method),
            resource: if redirects { "*".to_owned() } else { url.to_string() },
            unit: capped(mandate, dearest),
            left: item.count,
            planned: true,
            seller: seller.name.clone(),
            addresses: addresses.into_iter().map(|text| text.to_lowercase()).collect(),
        };
        Some((grant, cheapest))
    }

    fn pay(&mut self, label: &str, pay: &Pay) {
        for n in 1..=pay.times {
            let key =
                pay.key.clone().unwrap_or_else(|| format!("{label}-{{n}}")).replace("{n}", &n.to_string());
            let url = url_of(&pay.url, n);
            let host = host_of(&url);
            let seller = self.sellers.iter().find(|seller| Some(&seller.host) == host.as_ref());
            let path = url::Url::parse(&url).map_or_else(|_| String::new(), |url| url.path().to_owned());
            let goods = seller.and_then(|seller| seller.sells.iter().find(|goods| fits(&goods.path, &path)));
            let listed = goods.map_or(0, |goods| goods.price.micro());
            let redirects = seller.is_some_and(|seller| {
                seller.faults.iter().any(|rule| matches!(rule.fault, Fault::Redirect { .. }))
            });
            if let Some(seller) = seller {
                self.turned.insert(seller.name.clone());
            }
            // A key names one request: another request under it is another purchase.
            let name = format!("{key} {} {url} {}", pay.method, pay.body);
            self.one(&name, (&url, listed), pay, redirects);
        }
        let between = u64::from(pay.times.saturating_sub(1)).saturating_mul(pay.every_s);
        self.span_s = self.span_s.saturating_add(between);
    }

    fn one(&mut self, key: &str, (url, listed): (&str, u128), pay: &Pay, redirects: bool) {
        let rights = self.session(&pay.session);
        if rights.frozen {
            return;
        }
        let names = |grant: &Grant| {
            let same = match grant.resource.strip_suffix('*') {
                Some(prefix) => url.starts_with(prefix),
                None => grant.resource == url,
            };
            (same || redirects) && grant.method.eq_ignore_ascii_case(&pay.method)
        };
        let mut fitting: Vec<_> = rights.grants.iter_mut().filter(|grant| names(grant)).collect();
        if fitting.is_empty() {
            return;
        }
        let reached: Vec<_> =
            fitting.iter().map(|grant| (grant.seller.clone(), grant.addresses.clone())).collect();
        fitting.sort_by_key(|grant| std::cmp::Reverse((grant.left.min(1), grant.unit)));
        let first = fitting.into_iter().next().filter(|grant| grant.left > 0);
        let again = rights.used.contains(key);
        let unit = match first {
            Some(grant) if !again => {
                grant.left = grant.left.saturating_sub(1);
                Some(grant.unit)
            }
            _ => None,
        };
        if let Some(unit) = unit {
            rights.used.insert(key.to_owned());
            rights.spent = rights.spent.saturating_add(unit);
            self.found.purchases = self.found.purchases.saturating_add(1);
            self.found.paid_max = self.found.paid_max.saturating_add(unit);
            self.found.due = self.found.due.saturating_add(unit.min(listed));
        }
        // What was proven not to have moved may be tried again, with another signature.
        self.found.signatures_max = self.found.signatures_max.saturating_add(1);
        for (seller, addresses) in reached {
            self.found.vendors.insert(seller);
            if addresses.contains("*") {
                self.found.addresses = None;
            }
            if let Some(known) = &mut self.found.addresses {
                known.extend(addresses);
            }
        }
    }

    fn reprice(&mut self, seller: &str, path: &str, price: Usd) {
        let seller = self.sellers.iter_mut().find(|known| known.name == seller);
        let goods = seller.and_then(|seller| seller.sells.iter_mut().find(|goods| goods.path == path));
        if let Some(goods) = goods {
            goods.price = price;
        }
    }

    /// Everything together, under the budgets.
    fn summed(mut self) -> Option<Authority> {
        let mut total = 0_u128;
        for (name, rights) in self.sessions.iter().filter(|(_, rights)| rights.parent.is_none()) {
            total = total.saturating_add(self.of_family(name, rights, self.sessions.len()));
        }
        // Caps over several sessions hold if each of them has the same.
        let changed = self.sessions.values().any(|rights| rights.mandate != self.scenario.mandate);
        if !changed {
            let cap = self.cap(&self.scenario.mandate, |scope| ["user", "project", "all"].contains(&scope));
            total = total.min(cap);
        }
        if total == u128::MAX {
            return None;
        }
        if self.sessions.values().any(|rights| rights.agent) {
            self.found.signatures_max = u64::MAX;
            self.found.addresses = None;
            let hosts = self.sellers.iter().filter(|seller| {
                self.sessions.values().any(|rights| rights.agent && lists(&rights.mandate, &seller.host))
            });
            self.found.vendors.extend(hosts.map(|seller| seller.name.clone()));
        }
        self.found.paid_max = total;
        self.found.signatures_max = self.found.signatures_max.saturating_add(self.disorder);
        Some(self.found)
    }

    /// What a session and those that it delegated to may spend. A session counts in its parent's budgets too.
    fn of_family(&self, name: &str, rights: &Rights, depth: usize) -> u128 {
        let worthless = !self.scenario.worth || (self.scenario.live && switched(&rights.mandate, "live"));
        let own = match (worthless, rights.agent) {
            (false, _) => 0,
            (true, true) => u128::MAX,
            (true, false) => rights.spent,
        };
        let mut asked = own;
        if let Some(less) = depth.checked_sub(1) {
            let children = self.sessions.iter().filter(|(_, child)| child.parent.as_deref() == Some(name));
            for (name, child) in children {
                asked = asked.saturating_add(self.of_family(name, child, less));
            }
        }
        asked.min(self.cap(&rights.mandate, |scope| scope == "session"))
    }

    /// The least of a mandate's budgets of some scopes, over all windows that the scenario can reach into.
    fn cap(&self, mandate: &toml::Table, fits: impl Fn(&str) -> bool) -> u128 {
        let caps = tables(mandate, "budget").filter_map(|budget| {
            fits(budget.get("scope")?.as_str()?).then_some(())?;
            let limit = usd(budget.get("limit"))?;
            let window_s: u64 = match budget.get("window").and_then(toml::Value::as_str) {
                None | Some("life") => return Some(limit.saturating_add(self.refunded)),
                Some("hour") => 3_600,
                Some("day") => 86_400,
                Some("month") => 86_400 * 30,
                Some(_) => return None,
            };
            let windows = u128::from(self.span_s / window_s).saturating_add(1);
            Some(limit.saturating_mul(windows).saturating_add(self.refunded))
        });
        caps.min().unwrap_or(u128::MAX)
    }
}

/// The amounts that a seller asks in the market's dollar; offers in anything else can never be paid.
fn offers(seller: &SellerSpec, listed: u128, mandate: &toml::Table) -> Vec<u128> {
    if seller.offers.is_empty() {
        return vec![listed];
    }
    let payable = seller.offers.iter().filter(|offer| {
        offer.scheme.as_deref().is_none_or(|scheme| scheme == "exact")
            && offer
                .network
                .as_deref()
                .is_none_or(|network| ["eip155:84532", "base-sepolia"].contains(&network))
            && offer.asset.as_deref().is_none_or(|asset| asset.eq_ignore_ascii_case(TOKEN))
            && match offer.flow.as_deref() {
                None | Some("authorization") => true,
                Some(flow) => ["upfront", "escrow"].contains(&flow) && switched(mandate, "upfront"),
            }
    });
    let asked = payable.filter_map(|offer| match (&offer.amount, offer.percent) {
        (Some(text), _) => text.parse().ok(),
        (None, Some(percent)) => Some(listed.saturating_mul(u128::from(percent)).div_ceil(100)),
        (None, None) => Some(listed),
    });
    asked.collect()
}

fn capped(mandate: &toml::Table, unit: u128) -> u128 {
    usd(mandate.get("payment_max")).map_or(unit, |most| most.min(unit))
}

fn lists(mandate: &toml::Table, host: &str) -> bool {
    let Some(vendors) = mandate.get("vendors").and_then(toml::Value::as_array) else { return true };
    vendors.is_empty()
        || vendors.iter().filter_map(toml::Value::as_str).any(|vendor| match vendor.strip_prefix("*.") {
            Some(domain) => host.ends_with(&format!(".{domain}")),
            None => vendor == host || host.split(':').next() == Some(vendor),
        })
}

fn switched(mandate: &toml::Table, key: &str) -> bool {
    mandate.get(key).and_then(toml::Value::as_bool) == Some(true)
}

fn tables<'a>(mandate: &'a toml::Table, key: &str) -> impl Iterator<Item = &'a toml::Table> {
    mandate.get(key).and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_table)
}

fn usd(value: Option<&toml::Value>) -> Option<u128> {
    Usd::parse(value?.as_str()?).ok().map(Usd::micro)
}

fn known_method(text: &str) -> &'static str {
    ["POST", "PUT", "PATCH", "DELETE", "HEAD"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(text))
        .unwrap_or("GET")
}

/// The host as a client connects to it: in small letters, in ASCII, with a port that is not the usual one.
pub(super) fn host_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn url_of(template: &str, n: u32) -> String {
    let mut url = template.replace("{n}", &n.to_string());
    if let Some((before, from, to, after)) = range(template) {
        let width = to.saturating_sub(from).saturating_add(1);
        let at = from.saturating_add(u64::from(n.saturating_sub(1)).checked_rem(width).unwrap_or(0));
        url = format!("{before}{at}{after}").replace("{n}", &n.to_string());
    }
    url::Url::parse(&url).map_or(url, String::from)
}

fn fits(pattern: &str, path: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == path, |prefix| path.starts_with(prefix))
}
