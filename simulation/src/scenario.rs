//! What a seed is about: who sells, who buys, what goes wrong and how often.

use crate::dice::Dice;
use bursar_market::{PaymentIdentifier, RefundRule, WireVersion};

/// How often things go wrong, in a thousand. What a seed leaves out is 0: seeds that do little else reach further.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rates {
    /// A process dies.
    pub(crate) crash: u64,
    /// All processes die at once.
    pub(crate) power: u64,
    /// A dead process starts again.
    pub(crate) restart: u64,
    /// A process is cut off from a host.
    pub(crate) cut: u64,
    /// A cut heals.
    pub(crate) heal: u64,
    /// A request that is still on its way arrives.
    pub(crate) ghost: u64,
    /// Seconds pass.
    pub(crate) seconds: u64,
    /// Minutes or hours pass.
    pub(crate) hours: u64,
    /// Nobody reaches the chain, for days.
    pub(crate) outage: u64,
    /// A read of the disk fails.
    pub(crate) read_fails: u64,
    /// A write fails, and nothing was written.
    pub(crate) commit_fails: u64,
    /// A write fails, and everything was written.
    pub(crate) committed_fails: u64,
    /// The wallet does not sign.
    pub(crate) sign_fails: u64,
    /// No connection.
    pub(crate) not_sent: u64,
    /// A request is lost.
    pub(crate) lost: u64,
    /// A request arrives after its sender gave up.
    pub(crate) late: u64,
    /// A request arrives twice.
    pub(crate) twice: u64,
    /// An answer is lost.
    pub(crate) answer_lost: u64,
    /// Half of a body comes.
    pub(crate) half: u64,
    /// The seller does something wrong with a request for a price.
    pub(crate) quote_fault: u64,
    /// The seller or the facilitator does something wrong with a payment.
    pub(crate) paid_fault: u64,
    /// The node does something wrong.
    pub(crate) rpc_fault: u64,
    /// The seller fails at a claim for a refund.
    pub(crate) refund_fault: u64,
    /// How many reads stop at all.
    pub(crate) stop_at_reads: u64,
    /// How many requests to the chain stop at all, and how many of its answers.
    pub(crate) stop_at_rpc: u64,
    /// How many answers of disk and wallet stop at all.
    pub(crate) stop_at_answers: u64,
}

/// How the next call is chosen among those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Any.
    Any,
    /// Mostly the one that waits longest.
    Oldest,
    /// Mostly the one that came last: the others are overtaken for long.
    Newest,
    /// Mostly process 0: the other is slow.
    First,
}

/// One thing a buyer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    /// Asks for the price of a document.
    Quote(usize),
    /// Plans to buy a document so many times.
    Plan(usize, u32),
    /// Fetches a document under the key of this number.
    Fetch(usize, u8),
    /// Fetches it so many times under the same key, one after the other.
    Again(usize, u8, u8),
    /// Fetches it so many times under the same key, all at once.
    AtOnce(usize, u8, u8),
    /// Begins to fetch it and waits no longer than this.
    Impatient(usize, u8, u64),
    /// Stops the session's spending.
    Freeze,
    /// Lets it go on.
    Thaw,
    /// Looks where the session stands.
    Standing,
    /// Takes up what is open.
    Recover,
    /// Does nothing for this long.
    Pause(u64),
}

/// Everything that a seed has drawn before it begins.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) rates: Rates,
    pub(crate) order: Order,
    pub(crate) steps: u32,
    /// Whether the storm goes on some time later, when there is little to do but to recover.
    pub(crate) aftermath: bool,
    /// How many processes work over the same disk.
    pub(crate) processes: u8,
    /// Whether all of them work for the same session.
    pub(crate) one_session: bool,
    /// Whether a process takes up what is open when it starts.
    pub(crate) recovers_first: bool,
    /// How often a process looks after what is open, by itself.
    pub(crate) watches_ms: Option<u64>,
    pub(crate) skews_ms: Vec<i64>,
    /// For each process the scripts that it runs side by side.
    pub(crate) scripts: Vec<Vec<Vec<Op>>>,
    pub(crate) sellers: usize,
    pub(crate) wire: WireVersion,
    pub(crate) identifier: PaymentIdentifier,
    pub(crate) refunds: RefundRule,
    pub(crate) price: u64,
    pub(crate) timeout_s: u64,
    pub(crate) funds: u128,
    /// How many endpoints read the chain. One of two may lie.
    pub(crate) readers: usize,
    /// Whether the second endpoint says of everything that it was not used.
    pub(crate) liar: bool,
    /// Whether the rail believes that a window is over only if it is so by the process's own clock too.
    pub(crate) rail_has_clock: bool,
    /// How many blocks finality takes; 0 trusts the newest.
    pub(crate) finality: u64,
    pub(crate) window_s: u64,
    pub(crate) session_cap: u128,
    pub(crate) user_cap: Option<u128>,
    pub(crate) vendor_cap: Option<u128>,
    /// How often the mandate alone lets any document be bought; without it, plans do.
    pub(crate) metered: Option<u32>,
}

/// How many documents each seller has.
pub(crate) const DOCUMENTS: usize = 3;

impl Scenario {
    /// What the seed is about.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "scenario");
        let dice = &mut dice;
        let processes = if dice.chance(550) { 2 } else { 1 };
        let sellers = if dice.chance(300) { 2 } else { 1 };
        let price = dice.within(500, 2_000);
        let purchases = u128::from(dice.within(1, 8));
        let cap = |dice: &mut Dice, purchases: u128| {
            purchases.saturating_mul(u128::from(price)).saturating_add(u128::from(dice.below(price)))
        };
        let finality = if dice.chance(350) { dice.within(1, 12) } else { 0 };
        let skew = |dice: &mut Dice| match dice.below(3) {
            0 => 0,
            _ => i64::try_from(dice.below(20_001)).unwrap_or(0).saturating_sub(10_000),
        };
        let most = if dice.chance(400) { 2 } else { 9 };
        let metered = dice.chance(650).then(|| u32::try_from(dice.within(1, most)).unwrap_or(1));
        let scripts = (0..processes).map(|_| {
            let lanes = dice.within(1, 3);
            (0..lanes).map(|_| script(dice, sellers, metered.is_some())).collect()
        });
        let scripts = scripts.collect();
        Self {
            rates: rates(dice),
            order: match dice.below(6) {
                0 => Order::Oldest,
                1 => Order::Newest,
                2 => Order::First,
                _ => Order::Any,
            },
            aftermath: dice.chance(300),
            steps: u32::try_from(dice.within(80, 320)).unwrap_or(400),
            processes,
            one_session: dice.chance(700),
            recovers_first: dice.chance(700),
            watches_ms: dice.chance(350).then(|| dice.within(2_000, 60_000)),
            skews_ms: (0..processes).map(|_| skew(dice)).collect(),
            scripts,
            sellers,
            wire: match dice.below(4) {
                0 => WireVersion::V1,
                1 => WireVersion::Both,
                _ => WireVersion::V2,
            },
            identifier: match dice.below(3) {
                0 => PaymentIdentifier::Off,
                1 => PaymentIdentifier::Required,
                _ => PaymentIdentifier::Offered,
            },
            refunds: refunds(dice),
            price,
            timeout_s: dice.within(10, 60),
            funds: match dice.below(5) {
                0 => cap(dice, 2),
                _ => 1_000_000,
            },
            readers: if dice.chance(400) { 2 } else { 1 },
            liar: dice.chance(400),
            rail_has_clock: dice.chance(500),
            finality,
            window_s: dice.within(10, 90),
            session_cap: cap(dice, purchases),
            user_cap: dice.chance(500).then(|| cap(dice, purchases)),
            vendor_cap: dice.chance(300).then(|| cap(dice, purchases)),
            metered,
        }
    }
}

fn rates(dice: &mut Dice) -> Rates {
    let mut some = |often: u64, most: u64| if dice.chance(often) { dice.within(1, most) } else { 0 };
    let mut rates = Rates {
        crash: some(700, 40),
        power: some(250, 12),
        restart: 0,
        cut: some(350, 15),
        heal: 0,
        ghost: 0,
        seconds: some(600, 40),
        hours: some(250, 8),
        outage: some(120, 10),
        read_fails: some(300, 40),
        commit_fails: some(350, 60),
        committed_fails: some(350, 60),
        sign_fails: some(400, 500),
        not_sent: some(400, 80),
        lost: some(400, 80),
        late: some(450, 120),
        twice: some(400, 120),
        answer_lost: some(450, 150),
        half: some(350, 80),
        quote_fault: some(350, 80),
        paid_fault: some(700, 800),
        rpc_fault: some(400, 150),
        refund_fault: some(400, 400),
        stop_at_reads: 0,
        stop_at_rpc: 0,
        stop_at_answers: 0,
    };
    rates.restart = dice.within(20, 400);
    rates.heal = dice.within(10, 120);
    rates.ghost = dice.within(5, 80);
    rates.stop_at_reads = match dice.below(4) {
        0 => 0,
        1 => 500,
        _ => dice.within(20, 150),
    };
    rates.stop_at_rpc = if dice.chance(300) { 1_000 } else { dice.within(50, 400) };
    rates.stop_at_answers = dice.within(100, 800);
    rates
}

fn refunds(dice: &mut Dice) -> RefundRule {
    match dice.below(12) {
        0 | 1 => RefundRule::Exact,
        2 => RefundRule::Partial { percent: 40 },
        3 => RefundRule::Late { after_s: dice.within(60, 90_000) },
        4 => RefundRule::Twice,
        5 => RefundRule::Foreign { from: None },
        6 => RefundRule::NeverSends,
        7 => RefundRule::Refuses { reason: "no".to_owned() },
        8 => RefundRule::Fails { times: 2 },
        _ => RefundRule::None,
    }
}

/// A script of a few steps, most of them purchases.
fn script(dice: &mut Dice, sellers: usize, metered: bool) -> Vec<Op> {
    let documents = sellers.saturating_mul(DOCUMENTS);
    // Few documents and fewer keys: purchases are meant to meet.
    let document = |dice: &mut Dice| match dice.chance(550) {
        true => 0,
        false => dice.index(documents),
    };
    let key = |dice: &mut Dice| u8::from(dice.chance(250));
    let mut ops = Vec::new();
    if !metered || dice.chance(200) {
        for number in 0..documents {
            if number == 0 || dice.chance(400) {
                ops.push(Op::Plan(number, u32::try_from(dice.within(1, 3)).unwrap_or(1)));
            }
        }
    }
    for _ in 0..dice.within(3, 7) {
        let (document, key) = (document(dice), key(dice));
        let times = u8::try_from(dice.within(2, 5)).unwrap_or(2);
        ops.push(match dice.below(24) {
            0 => Op::Quote(document),
            1 | 2 => Op::Plan(document, u32::try_from(dice.within(1, 3)).unwrap_or(1)),
            3 | 4 => Op::Again(document, key, if dice.chance(100) { 20 } else { times }),
            5 => Op::AtOnce(document, key, times),
            6 | 7 => Op::Impatient(document, key, dice.within(1, 400)),
            8 => Op::Freeze,
            9 => Op::Thaw,
            10 => Op::Standing,
            11 | 12 => Op::Recover,
            13 | 14 => Op::Pause(dice.within(1, 2_000)),
            _ => Op::Fetch(document, key),
        });
        if ops.last() == Some(&Op::Freeze) {
            ops.push(Op::Pause(dice.within(1, 200)));
            ops.push(Op::Thaw);
        }
    }
    ops
}
