//! The stage: where every call that leaves a process stops until the scheduler lets it go on.

use crate::clock::SimClock;
use crate::dice::Dice;
use crate::scenario::Rates;
use crate::trace::{Coverage, Trace};
use bursar_market::Fault;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// One life of a process: it ends with a crash, and a restart is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Life {
    /// Which process.
    pub(crate) process: u8,
    /// Which of its lives, from 1.
    pub(crate) number: u32,
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}.{}", self.process, self.number)
    }
}

/// What a process is about to do, or to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seam {
    /// Reads from the disk.
    Read(&'static str),
    /// Writes to the disk: nothing is durable yet.
    Commit(String),
    /// Hears that it was written.
    Committed(String),
    /// Asks the wallet for a signature.
    Sign,
    /// Gets the signature.
    Signed,
    /// Sends a request.
    Send {
        /// To whom.
        host: String,
        /// What for.
        what: String,
        /// Whether a payment is on it.
        paid: bool,
    },
    /// Gets the answer.
    Answer {
        /// From whom.
        host: String,
        /// Whether a payment was on the request.
        paid: bool,
    },
    /// Begins the next step of its script.
    Step(String),
}

impl fmt::Display for Seam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(what) => write!(f, "read {what}"),
            Self::Commit(what) => write!(f, "commit {what}"),
            Self::Committed(what) => write!(f, "committed {what}"),
            Self::Sign => f.write_str("sign"),
            Self::Signed => f.write_str("signed"),
            Self::Send { host, what, paid } => {
                write!(f, "send {}{what} to {host}", if *paid { "paid " } else { "" })
            }
            Self::Answer { host, paid } => {
                write!(f, "{}answer of {host}", if *paid { "paid " } else { "" })
            }
            Self::Step(what) => write!(f, "step {what}"),
        }
    }
}

impl Seam {
    /// Its name in the counters: with what is committed, without what differs from seed to seed.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Read(_) => "read".into(),
            Self::Commit(what) => format!("commit {what}").into(),
            Self::Committed(what) => format!("committed {what}").into(),
            Self::Sign => "sign".into(),
            Self::Signed => "signed".into(),
            Self::Send { paid: true, .. } => "send paid".into(),
            Self::Send { host, .. } if host.starts_with("rpc") => "send rpc".into(),
            Self::Send { .. } => "send unpaid".into(),
            Self::Answer { paid: true, .. } => "answer paid".into(),
            Self::Answer { host, .. } if host.starts_with("rpc") => "answer rpc".into(),
            Self::Answer { .. } => "answer unpaid".into(),
            Self::Step(_) => "step".into(),
        }
    }
}

/// How a call goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it should.
    Go,
    /// A request arrives, and this goes wrong at the other side.
    With(Fault),
    /// It fails, and nothing was done.
    Fail,
    /// A request or an answer is lost.
    Lost,
    /// A request arrives after its sender has given up.
    Late,
    /// A request arrives twice.
    Twice,
    /// Half of an answer's body comes.
    Half,
}

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) ticket: u64,
    pub(crate) life: Life,
    pub(crate) seam: Seam,
    go: oneshot::Sender<Verdict>,
}

/// Where calls wait, and what everybody in a seed shares.
#[derive(Debug)]
pub(crate) struct Stage {
    inner: Mutex<Inner>,
    trace: Mutex<Trace>,
    coverage: Mutex<Coverage>,
    pub(crate) clock: SimClock,
}

#[derive(Debug)]
struct Inner {
    calm: bool,
    tickets: u64,
    parked: Vec<Parked>,
    dead: BTreeSet<Life>,
    dice: Dice,
    rates: Rates,
}

impl Stage {
    pub(crate) fn new(seed: u64, rates: Rates, clock: SimClock, all_lines: bool) -> Arc<Self> {
        let inner = Inner {
            calm: false,
            tickets: 0,
            parked: Vec::new(),
            dead: BTreeSet::new(),
            dice: Dice::new(seed, "stage"),
            rates,
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            trace: Mutex::new(Trace::new(all_lines)),
            coverage: Mutex::default(),
            clock,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&self, text: fmt::Arguments<'_>) {
        let now_ms = self.clock.elapsed_ms();
        self.trace().line(now_ms, text);
    }

    pub(crate) fn trace(&self) -> MutexGuard<'_, Trace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts something that was reached.
    pub(crate) fn count(&self, what: impl Into<Cow<'static, str>>) {
        self.coverage.lock().unwrap_or_else(PoisonError::into_inner).count(what);
    }

    pub(crate) fn coverage(&self) -> Coverage {
        self.coverage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A name for a call.
    pub(crate) fn ticket(&self) -> u64 {
        let mut inner = self.inner();
        inner.tickets = inner.tickets.saturating_add(1);
        inner.tickets
    }

    /// Whether everything goes well from now on.
    pub(crate) fn is_calm(&self) -> bool {
        self.inner().calm
    }

    /// Whether this life has ended.
    pub(crate) fn is_dead(&self, life: Life) -> bool {
        self.inner().dead.contains(&life)
    }

    /// Never comes back to a process that has crashed.
    pub(crate) async fn alive(&self, life: Life) {
        if self.is_dead(life) {
            std::future::pending::<()>().await;
        }
    }

    /// Stops here until the scheduler says how to go on. A process that has crashed meanwhile never does.
    pub(crate) async fn pass(&self, life: Life, ticket: u64, seam: Seam) -> Verdict {
        self.alive(life).await;
        let Some(waiting) = self.park(life, ticket, seam) else { return Verdict::Go };
        let _withdrawn = Withdrawn { stage: self, ticket };
        match waiting.await {
            Ok(verdict) => verdict,
            Err(_) => std::future::pending().await,
        }
    }

    /// As [`Stage::pass`], for calls of which not each needs to stop.
    pub(crate) async fn pass_often(&self, life: Life, seam: Seam) -> Verdict {
        let ticket = self.ticket();
        self.pass_often_as(life, ticket, seam).await
    }

    /// As [`Stage::pass_often`], under a ticket.
    pub(crate) async fn pass_often_as(&self, life: Life, ticket: u64, seam: Seam) -> Verdict {
        let stops = {
            let mut inner = self.inner();
            let often = match &seam {
                Seam::Read(_) => inner.rates.stop_at_reads,
                Seam::Committed(_) | Seam::Signed => inner.rates.stop_at_answers,
                Seam::Send { host, .. } | Seam::Answer { host, .. } if host.starts_with("rpc") => {
                    inner.rates.stop_at_rpc
                }
                _ => 1_000,
            };
            inner.dice.chance(often)
        };
        if stops {
            return self.pass(life, ticket, seam).await;
        }
        self.alive(life).await;
        Verdict::Go
    }

    fn park(&self, life: Life, ticket: u64, seam: Seam) -> Option<oneshot::Receiver<Verdict>> {
        let mut inner = self.inner();
        if inner.calm {
            return None;
        }
        let (go, waiting) = oneshot::channel();
        inner.parked.push(Parked { ticket, life, seam, go });
        Some(waiting)
    }

    /// How many calls wait.
    pub(crate) fn waiting(&self) -> usize {
        self.inner().parked.len()
    }

    /// Whether this call waits.
    pub(crate) fn is_parked(&self, ticket: u64) -> bool {
        self.inner().parked.iter().any(|parked| parked.ticket == ticket)
    }

    /// The call at a place, in the order of arrival.
    pub(crate) fn seen(&self, index: usize) -> Option<(Life, Seam)> {
        self.inner().parked.get(index).map(|parked| (parked.life, parked.seam.clone()))
    }

    /// Lets the call at a place go on.
    pub(crate) fn release(&self, index: usize, verdict: Verdict) {
        let parked = {
            let mut inner = self.inner();
            if index >= inner.parked.len() {
                return;
            }
            inner.parked.remove(index)
        };
        // Who waited may have given up just now.
        drop(parked.go.send(verdict));
    }

    /// Ends a life. What it was about to do is given back; none of it goes on.
    pub(crate) fn crash(&self, life: Life) -> Vec<Seam> {
        let mut inner = self.inner();
        inner.dead.insert(life);
        let (dead, parked) =
            std::mem::take(&mut inner.parked).into_iter().partition(|call| call.life == life);
        inner.parked = parked;
        drop(inner);
        let dead: Vec<Parked> = dead;
        dead.into_iter().map(|call| call.seam).collect()
    }

    /// From now on nothing stops and nothing goes wrong.
    pub(crate) fn calm(&self) {
        let parked = {
            let mut inner = self.inner();
            inner.calm = true;
            std::mem::take(&mut inner.parked)
        };
        for call in parked {
            drop(call.go.send(Verdict::Go));
        }
    }
}

/// Takes a call off the stage whose caller waits no more.
struct Withdrawn<'a> {
    stage: &'a Stage,
    ticket: u64,
}

impl Drop for Withdrawn<'_> {
    fn drop(&mut self) {
        self.stage.inner().parked.retain(|parked| parked.ticket != self.ticket);
    }
}
