//! The queue under schedules that shuttle chooses: at random, and by priorities that change at few points (PCT).

#![expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]

use super::*;
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::sync::{Condvar, Mutex, MutexGuard};
use shuttle::{future, thread};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

/// A channel whose every step shuttle can put off. What is left in it goes with its inbox, as std's does; shuttle's own
/// keeps it.
struct Line<T>(Mutex<Kept<T>>, Condvar);

struct Kept<T> {
    requests: VecDeque<T>,
    senders: usize,
    gone: bool,
}

struct Put<T>(Arc<Line<T>>);

struct Take<T>(Arc<Line<T>>);

fn line<T>() -> (Put<T>, Take<T>) {
    let kept = Kept { requests: VecDeque::new(), senders: 1, gone: false };
    let line = Arc::new(Line(Mutex::new(kept), Condvar::new()));
    (Put(line.clone()), Take(line))
}

impl<T> Clone for Put<T> {
    fn clone(&self) -> Self {
        lock(&self.0.0).senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Put<T> {
    fn drop(&mut self) {
        lock(&self.0.0).senders -= 1;
        self.0.1.notify_all();
    }
}

impl<T> Drop for Take<T> {
    fn drop(&mut self) {
        let mut kept = lock(&self.0.0);
        kept.gone = true;
        let left = std::mem::take(&mut kept.requests);
        drop(kept);
        drop(left);
    }
}

impl<T> Outbox<T> for Put<T> {
    fn put(&self, request: T) -> bool {
        let mut kept = lock(&self.0.0);
        if kept.gone {
            return false;
        }
        kept.requests.push_back(request);
        self.0.1.notify_all();
        true
    }
}

impl<T> Inbox<T> for Take<T> {
    fn wait(&self) -> Option<T> {
        let mut kept = lock(&self.0.0);
        while kept.requests.is_empty() && kept.senders > 0 {
            kept = self.0.1.wait(kept).unwrap_or_else(PoisonError::into_inner);
        }
        kept.requests.pop_front()
    }

    /// A moment is as long as shuttle likes.
    fn wait_briefly(&self) -> Option<T> {
        for _ in 0..thread_rng().gen_range(0..3) {
            thread::yield_now();
        }
        self.at_hand()
    }

    fn at_hand(&self) -> Option<T> {
        lock(&self.0.0).requests.pop_front()
    }
}

/// A lock that poison does not stop: all tasks of shuttle share one thread, so the panic of one poisons the locks of all.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Job = u32;
/// How many jobs were durable when it was done.
type Done = Result<usize, &'static str>;

/// Where the thread panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Panic {
    Never,
    /// At the first group with this many jobs done before it, and before it commits.
    BeforeCommit(usize),
    /// Likewise, but once it is durable.
    AfterCommit(usize),
}

/// What a commit leaves behind, seen by all.
#[derive(Debug, Default)]
struct Disk {
    durable: Vec<Job>,
    closed: usize,
}

struct Fake {
    disk: Arc<Mutex<Disk>>,
    panic: Panic,
}

impl Fake {
    /// Without the hook of shuttle, which would take it for a failed test.
    fn stop(at: &str) -> ! {
        resume_unwind(Box::new(at.to_owned()))
    }
}

impl Work for Fake {
    type Job = Job;
    type Answer = Done;

    fn group(&mut self, jobs: Vec<Job>) -> Vec<Done> {
        let before = lock(&self.disk).durable.len();
        // As long as a sync.
        thread::yield_now();
        if matches!(self.panic, Panic::BeforeCommit(at) if before >= at) {
            Self::stop("before the commit");
        }
        let mut disk = lock(&self.disk);
        // Every tenth job is refused, as a decision would.
        let refused = |job: &Job| job % 10 == 9;
        disk.durable.extend(jobs.iter().filter(|job| !refused(job)));
        let durable = disk.durable.len();
        drop(disk);
        if matches!(self.panic, Panic::AfterCommit(at) if before >= at) {
            Self::stop("after the commit");
        }
        thread::yield_now();
        jobs.iter().map(|job| if refused(job) { Err("refused") } else { Ok(durable) }).collect()
    }

    fn close(self) -> Result<(), StoreError> {
        lock(&self.disk).closed += 1;
        Ok(())
    }
}

/// The handle as a store has it: no outbox any more once it was closed.
type Handle = Mutex<Option<Put<Request<Job, Done>>>>;

fn ask_one(handle: &Handle, job: Job) -> Result<Done, StoreError> {
    let outbox = lock(handle).clone().ok_or(StoreError::Closed)?;
    future::block_on(ask(&outbox, job))
}

fn close_one(handle: &Handle) -> Result<(), StoreError> {
    let outbox = lock(handle).take().ok_or(StoreError::Closed)?;
    future::block_on(close(&outbox))
}

#[derive(Debug, Clone, Copy)]
struct Scenario {
    callers: Job,
    jobs_each: Job,
    /// How many close it while the callers ask.
    closers: usize,
    panic: Panic,
}

/// One run under one schedule; answers whether the thread panicked. That it ends says that everyone was answered:
/// shuttle reports whoever waits for ever.
fn run(scenario: Scenario) -> bool {
    let Scenario { callers, jobs_each, closers, panic } = scenario;
    let disk = Arc::new(Mutex::new(Disk::default()));
    let (outbox, inbox) = line();
    let handle: Arc<Handle> = Arc::new(Mutex::new(Some(outbox)));
    let work = Fake { disk: disk.clone(), panic };
    let writer = thread::spawn(move || catch_unwind(AssertUnwindSafe(|| serve(work, inbox))).is_err());
    let asking: Vec<_> = (0..callers)
        .map(|caller| {
            let (handle, disk) = (handle.clone(), disk.clone());
            thread::spawn(move || {
                let mut answers = Vec::new();
                for n in 0..jobs_each {
                    let job = caller * 10 + n + 10 - jobs_each;
                    let answer = ask_one(&handle, job);
                    // What is read right after the answer is at least what was answered.
                    if let Ok(Ok(durable)) = answer {
                        let disk = lock(&disk);
                        assert!(disk.durable.get(..durable).unwrap().contains(&job), "{job} is not durable");
                    }
                    answers.push((job, answer));
                }
                answers
            })
        })
        .collect();
    let closing: Vec<_> = (0..closers)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || close_one(&handle))
        })
        .collect();
    let answers: Vec<_> = asking.into_iter().flat_map(|caller| caller.join().unwrap()).collect();
    let mut closed: Vec<_> = closing.into_iter().map(|closer| closer.join().unwrap()).collect();
    closed.push(close_one(&handle));
    let panicked = writer.join().unwrap();
    // Nobody is asked any more.
    assert!(matches!(ask_one(&handle, 0), Err(StoreError::Closed)));

    let disk = lock(&disk);
    assert_eq!(closed.iter().filter(|closed| closed.is_ok()).count(), usize::from(!panicked));
    assert_eq!(disk.closed, usize::from(!panicked));
    for (job, answer) in answers {
        let times = disk.durable.iter().filter(|done| **done == job).count();
        match answer {
            Ok(Ok(_)) => assert_eq!(times, 1, "{job}"),
            Ok(Err("refused")) => assert_eq!((times, job % 10), (0, 9)),
            // It was never taken in hand, but for the group in which the panic was.
            Err(StoreError::Closed) if panicked => assert!(times <= 1, "{job}"),
            Err(StoreError::Closed) => {
                assert_eq!(times, 0, "{job}");
                assert!(closers > 0, "{job} was not answered");
            }
            other => panic!("{job}: {other:?}"),
        }
    }
    panicked
}

/// Runs every scenario, and sees that the panics it asks for come.
fn check(under: impl Fn(Box<dyn Fn() + Send + Sync>)) {
    for scenario in SCENARIOS {
        let panics = Arc::new(AtomicUsize::new(0));
        let counted = panics.clone();
        under(Box::new(move || {
            counted.fetch_add(usize::from(run(scenario)), Ordering::Relaxed);
        }));
        let panics = panics.load(Ordering::Relaxed);
        assert_eq!(panics > 0, scenario.panic != Panic::Never, "{panics} panics in {scenario:?}");
    }
}

/// How many schedules of each kind a scenario runs under.
const SCHEDULES: usize = 500;

const SCENARIOS: [Scenario; 6] = [
    Scenario { callers: 3, jobs_each: 2, closers: 0, panic: Panic::Never },
    Scenario { callers: 3, jobs_each: 2, closers: 1, panic: Panic::Never },
    Scenario { callers: 2, jobs_each: 1, closers: 2, panic: Panic::Never },
    Scenario { callers: 3, jobs_each: 2, closers: 0, panic: Panic::BeforeCommit(2) },
    Scenario { callers: 3, jobs_each: 2, closers: 1, panic: Panic::AfterCommit(1) },
    Scenario { callers: 2, jobs_each: 2, closers: 2, panic: Panic::BeforeCommit(0) },
];

#[test]
fn everyone_is_answered_once_and_not_before_the_commit_under_random_schedules() {
    check(|run| shuttle::check_random(run, SCHEDULES));
}

#[test]
fn everyone_is_answered_once_and_not_before_the_commit_under_schedules_by_priority() {
    check(|run| shuttle::check_pct(run, SCHEDULES, 3));
}

/// Says how large each group was.
struct Sizes;

impl Work for Sizes {
    type Job = ();
    type Answer = usize;

    fn group(&mut self, jobs: Vec<()>) -> Vec<usize> {
        vec![jobs.len(); jobs.len()]
    }

    fn close(self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[test]
fn what_waits_is_done_in_groups_of_a_largest_size_and_what_comes_after_a_close_is_dropped() {
    let (outbox, inbox) = std::sync::mpsc::channel();
    let put = |count: usize| -> Vec<oneshot::Receiver<usize>> {
        let requests = (0..count).map(|_| oneshot::channel());
        requests.map(|(answer, answered)| (outbox.put(Request::Job((), answer)), answered).1).collect()
    };
    let before = put(2 * GROUP_MAX + 7);
    let (closed, mut told) = oneshot::channel();
    outbox.put(Request::Close(closed));
    let after = put(3);
    serve(Sizes, inbox);
    let sizes: Vec<usize> = before.into_iter().map(|mut answered| answered.try_recv().unwrap()).collect();
    let expected = [vec![GROUP_MAX; 2 * GROUP_MAX], vec![7; 7]].concat();
    assert_eq!(sizes, expected);
    assert!(told.try_recv().unwrap().is_ok());
    assert!(after.into_iter().all(|mut answered| answered.try_recv().is_err()));
    assert!(!outbox.put(Request::Job((), oneshot::channel().0)));
}
