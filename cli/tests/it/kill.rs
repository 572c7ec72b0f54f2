//! `kill -9`, again and again: the real binary is killed at moments drawn from a seed, in runs, resumed runs and recovery, and so
//! is the market. Afterwards the chain, which knows nothing of Bursar, says what left the wallets, and the ledgers have to agree.
//!
//! `BURSAR_KILLS=N` kills that often instead.

mod lane;
mod outside;

use lane::{Lane, Moment};
use outside::Outside;
use std::collections::BTreeMap;
use std::io::Write as _;

/// How often something is killed unless the environment says otherwise.
const KILLS: usize = 60;
/// Data folders with wallets of their own. While it is not known of one whether money moved, the others go on buying.
const LANES: usize = 3;

#[test]
fn however_often_it_is_killed_the_chain_and_the_ledgers_agree_and_nothing_is_paid_twice() {
    let kills = wanted();
    let mut dice = Dice(0x6275_7273_6172);
    // A question each, and a document that answers it; what is owned is not bought again.
    let mut outside = Outside::new(kills.saturating_mul(2) + 40, LANES);
    let mut lanes: Vec<Lane> = (0..LANES).map(|number| Lane::new(&outside, number)).collect();
    let mut killed: BTreeMap<Moment, usize> = BTreeMap::new();
    let mut markets = 0;
    while killed.values().sum::<usize>() < kills {
        outside.note_violations();
        let lane = &mut lanes[dice.below(LANES)];
        let with_market = dice.below(12) == 0;
        if let Some(moment) = lane.live_a_little(&mut outside, &mut dice, with_market) {
            *killed.entry(moment).or_default() += 1;
        }
        if with_market {
            markets += 1;
            outside.start_again();
        }
    }
    let mut payments = 0;
    for lane in &mut lanes {
        lane.come_to_rest(&outside);
        payments += lane.agrees(&outside);
    }
    outside.note_violations();
    assert!(outside.violations().is_empty(), "the sellers complain: {:#?}", outside.violations());
    assert!(payments > LANES, "hardly anything was bought: the kills hit nothing");
    let moments: Vec<_> = killed.iter().map(|(moment, count)| format!("{count} {moment}")).collect();
    let told = format!("killed {kills} times, and the market {markets} times: {}", moments.join(", "));
    let _ = writeln!(std::io::stdout(), "{told}; {payments} payments, each once on the chain");
}

#[expect(clippy::disallowed_methods, reason = "whoever runs this test says how long")]
fn wanted() -> usize {
    std::env::var("BURSAR_KILLS").map_or(KILLS, |text| text.parse().unwrap())
}

/// Numbers that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to and without `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}
