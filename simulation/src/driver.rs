//! The scheduler: whenever nothing can run, it decides what happens next.

use crate::buyer;
use crate::dice::Dice;
use crate::faults::fault_for;
use crate::scenario::Order;
use crate::stage::{Life, Seam, Verdict};
use crate::watch::Violation;
use crate::world::World;
use std::sync::Arc;
use std::time::Duration;

/// Decides.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) world: Arc<World>,
    dice: Dice,
    processes: Vec<Process>,
}

#[derive(Debug, Clone, Copy)]
struct Process {
    life: Life,
    alive: bool,
}

impl Driver {
    pub(crate) fn new(world: Arc<World>) -> Self {
        let dice = Dice::new(world.seed, "driver");
        let processes = (0..world.scenario.processes)
            .map(|process| Process { life: Life { process, number: 0 }, alive: false });
        let processes = processes.collect();
        Self { world, dice, processes }
    }

    /// Lets everything run that can. Time passes only when nothing can, so afterwards every task waits.
    async fn idle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.world.network.tick();
    }

    /// The bad part of a seed. Ends at the first violation.
    pub(crate) async fn storm(&mut self) -> Result<(), Violation> {
        for index in 0..self.processes.len() {
            self.start(index);
        }
        self.weather(self.world.scenario.steps).await?;
        if !self.world.scenario.aftermath {
            return Ok(());
        }
        // Some time later, with everything dead, processes come back to take up what is open, and it goes on storming.
        self.world.stage.note(format_args!("the aftermath"));
        self.world.stage.count("aftermath");
        for index in 0..self.processes.len() {
            self.crash(index);
        }
        let ms = self.dice.within(30_000, 900_000);
        self.pass_time("minutes pass", ms).await;
        self.world.then_recover();
        for index in 0..self.processes.len() {
            self.restart(index);
        }
        self.weather(self.world.scenario.steps / 2).await
    }

    /// So many decisions.
    async fn weather(&mut self, steps: u32) -> Result<(), Violation> {
        for _ in 0..steps {
            self.idle().await;
            self.settle_torn().await;
            self.check()?;
            if self.world.is_done() && self.world.stage.waiting() == 0 {
                break;
            }
            self.step().await;
        }
        self.idle().await;
        self.settle_torn().await;
        self.check()
    }

    /// The good part: everything heals, and what was begun comes to its end.
    pub(crate) async fn calm(&mut self) -> Result<(), Violation> {
        let world = self.world.clone();
        world.stage.note(format_args!("everything heals"));
        for cut in world.network.cuts() {
            world.network.heal(&cut);
        }
        world.network.lies(false);
        world.stage.calm();
        for round in 0..400_u32 {
            self.idle().await;
            self.settle_torn().await;
            self.check()?;
            for index in 0..self.processes.len() {
                self.restart(index);
            }
            if round < 40 && world.network.ghosts() > 0 {
                let index = self.dice.index(world.network.ghosts());
                world.network.arrive(index).await;
            }
            if world.is_done() && round > 2 {
                break;
            }
            let wait_ms = self.dice.within(100, 5_000);
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        // Until nothing that was signed is live, whoever still has it.
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(40)).await;
            world.network.tick();
        }
        while world.network.ghosts() > 0 {
            world.network.arrive(0).await;
        }
        world.network.forget_ghosts();
        self.check()?;
        match world.is_done() {
            true => Ok(()),
            false => Err(Violation {
                invariant: "what-heals-goes-on",
                message: "a script does not come to its end though nothing is wrong any more".to_owned(),
            }),
        }
    }

    /// The first violation, if there is one.
    fn check(&self) -> Result<(), Violation> {
        match self.world.watch.violations().into_iter().next() {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }

    /// What was half done when its process went away is done or not.
    async fn settle_torn(&mut self) {
        for ticket in self.world.disk.torn() {
            let written = self.dice.chance(500);
            self.world.disk.settle(ticket, written).await;
        }
        for ticket in self.world.network.torn() {
            let left = self.dice.chance(500);
            self.world.network.settle(ticket, left);
        }
    }

    /// One decision.
    async fn step(&mut self) {
        let rates = self.world.scenario.rates.clone();
        let network = self.world.network.clone();
        let dead = self.processes.iter().any(|process| !process.alive);
        if dead && self.dice.chance(rates.restart) {
            let index = self.dice.index(self.processes.len());
            return self.restart(index);
        }
        if self.dice.chance(rates.crash) {
            let index = self.dice.index(self.processes.len());
            return self.crash(index);
        }
        if self.dice.chance(rates.power) {
            self.world.stage.note(format_args!("the power fails"));
            self.world.stage.count("power failed");
            return (0..self.processes.len()).for_each(|index| self.crash(index));
        }
        if self.dice.chance(rates.cut) {
            let process = self.dice.index(self.processes.len());
            let host = self.dice.pick(&network.hosts()).cloned().unwrap_or_default();
            return network.cut(u8::try_from(process).unwrap_or(0), host);
        }
        let cuts = network.cuts();
        if !cuts.is_empty() && self.dice.chance(rates.heal) {
            let index = self.dice.index(cuts.len());
            return cuts.get(index).into_iter().for_each(|cut| network.heal(cut));
        }
        if network.ghosts() > 0 && self.dice.chance(rates.ghost) {
            let index = self.dice.index(network.ghosts());
            return network.arrive(index).await;
        }
        if self.dice.chance(rates.seconds) {
            let ms = self.dice.within(200, 20_000);
            return self.pass_time("seconds pass", ms).await;
        }
        if self.dice.chance(rates.hours) {
            let ms = self.dice.within(20_000, 8_000_000);
            return self.pass_time("time passes", ms).await;
        }
        if self.dice.chance(rates.outage) {
            let ms = self.dice.within(100_000_000, 250_000_000);
            for process in 0..self.world.scenario.processes {
                for host in network.hosts().into_iter().filter(|host| host.starts_with("rpc")) {
                    network.cut(process, host);
                }
            }
            return self.pass_time("days pass", ms).await;
        }
        self.let_go_on().await;
    }

    async fn pass_time(&self, what: &'static str, ms: u64) {
        self.world.stage.note(format_args!("{what}: {ms} ms"));
        self.world.stage.count(what);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// Chooses a call that waits, and how it goes on.
    async fn let_go_on(&mut self) {
        let waiting = self.world.stage.waiting();
        if waiting == 0 {
            let ms = self.dice.within(5, 400);
            return tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        let index = self.choose(waiting);
        let Some((life, seam)) = self.world.stage.seen(index) else { return };
        let verdict = self.verdict(&seam);
        self.world.stage.count(match &verdict {
            Verdict::Go => seam.name(),
            Verdict::With(_) => format!("{}, with a fault", seam.name()).into(),
            other => format!("{}, {other:?}", seam.name()).to_lowercase().into(),
        });
        match &verdict {
            Verdict::Go => self.world.stage.note(format_args!("{life} {seam}")),
            other => self.world.stage.note(format_args!("{life} {seam}: {other:?}")),
        }
        self.world.stage.release(index, verdict);
    }

    fn choose(&mut self, waiting: usize) -> usize {
        let mostly = self.dice.chance(850);
        match self.world.scenario.order {
            Order::Oldest if mostly => 0,
            Order::Newest if mostly => waiting.saturating_sub(1),
            Order::First if mostly => {
                let first =
                    |index: &usize| self.world.stage.seen(*index).is_some_and(|(life, _)| life.process == 0);
                (0..waiting).find(first).unwrap_or(0)
            }
            _ => self.dice.index(waiting),
        }
    }

    fn verdict(&mut self, seam: &Seam) -> Verdict {
        let rates = &self.world.scenario.rates;
        let dice = &mut self.dice;
        let mut fails = |often: u64, verdict: Verdict| dice.chance(often).then_some(verdict);
        let failed = match seam {
            Seam::Read(_) => fails(rates.read_fails, Verdict::Fail),
            Seam::Commit(_) => fails(rates.commit_fails, Verdict::Fail),
            Seam::Committed(_) => fails(rates.committed_fails, Verdict::Fail),
            Seam::Sign => fails(rates.sign_fails, Verdict::Fail),
            Seam::Send { .. } => fails(rates.not_sent, Verdict::Fail)
                .or_else(|| fails(rates.lost, Verdict::Lost))
                .or_else(|| fails(rates.late, Verdict::Late))
                .or_else(|| fails(rates.twice, Verdict::Twice)),
            Seam::Answer { .. } => {
                fails(rates.answer_lost, Verdict::Lost).or_else(|| fails(rates.half, Verdict::Half))
            }
            Seam::Signed | Seam::Step(_) => None,
        };
        if let Some(verdict) = failed {
            return verdict;
        }
        let often = match seam {
            Seam::Send { host, .. } if host.starts_with("rpc") => rates.rpc_fault,
            Seam::Send { what, .. } if what.ends_with("/refunds") => rates.refund_fault,
            Seam::Send { paid: true, .. } => rates.paid_fault,
            Seam::Send { .. } => rates.quote_fault,
            _ => 0,
        };
        let fault =
            if dice.chance(often) { fault_for(dice, seam, self.world.scenario.readers) } else { None };
        fault.map_or(Verdict::Go, Verdict::With)
    }

    fn start(&mut self, index: usize) {
        let Some(process) = self.processes.get_mut(index) else { return };
        process.life.number = process.life.number.saturating_add(1);
        process.alive = true;
        let life = process.life;
        self.world.stage.note(format_args!("{life} starts"));
        tokio::spawn(buyer::live(self.world.clone(), life));
    }

    fn restart(&mut self, index: usize) {
        if self.processes.get(index).is_some_and(|process| !process.alive) {
            self.world.stage.count("restart");
            self.start(index);
        }
    }

    fn crash(&mut self, index: usize) {
        let Some(process) = self.processes.get_mut(index).filter(|process| process.alive) else { return };
        process.alive = false;
        let life = process.life;
        self.world.stage.note(format_args!("{life} crashes"));
        self.world.stage.count("crash");
        for seam in self.world.stage.crash(life) {
            self.world.stage.note(format_args!("  in the middle of: {seam}"));
            self.world.stage.count(format!("crash at {}", seam.name()));
        }
        self.world.watch.died(life);
    }
}
