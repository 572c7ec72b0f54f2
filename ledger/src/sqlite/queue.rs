//! The queue before the thread that writes: jobs that wait together are done together, and answered once that is done.
//!
//! Everything here that could go wrong between threads is apart from SQLite, so that tests can run it under schedules of
//! their choice.

use crate::refusal::StoreError;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;
use tokio::sync::oneshot;

/// How many jobs one group takes in.
const GROUP_MAX: usize = 512;
/// How long to wait for one more caller of the last group; a lone caller never waits.
const GATHER: Duration = Duration::from_micros(100);

/// What is asked of the thread.
#[derive(Debug)]
pub(super) enum Request<J, A> {
    Job(J, oneshot::Sender<A>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// Where requests are put.
pub(super) trait Outbox<T> {
    /// Whether it can still be taken out.
    fn put(&self, request: T) -> bool;
}

/// Where requests come out, in the order in which they were put.
pub(super) trait Inbox<T> {
    /// Waits for the next; `None` once nobody can put one any more.
    fn wait(&self) -> Option<T>;
    /// Waits a moment for the next.
    fn wait_briefly(&self) -> Option<T>;
    /// The next that is there already.
    fn at_hand(&self) -> Option<T>;
}

impl<T> Outbox<T> for Sender<T> {
    fn put(&self, request: T) -> bool {
        self.send(request).is_ok()
    }
}

impl<T> Inbox<T> for Receiver<T> {
    fn wait(&self) -> Option<T> {
        self.recv().ok()
    }

    fn wait_briefly(&self) -> Option<T> {
        self.recv_timeout(GATHER).ok()
    }

    fn at_hand(&self) -> Option<T> {
        self.try_recv().ok()
    }
}

/// What the thread does.
pub(super) trait Work {
    /// What one caller asks for.
    type Job;
    /// What it is told.
    type Answer;

    /// Does the jobs; one answer for each, in order. Nobody is told anything before it returns.
    fn group(&mut self, jobs: Vec<Self::Job>) -> Vec<Self::Answer>;

    /// Ends, after the last group.
    fn close(self) -> Result<(), StoreError>;
}

/// Has a job done. `Closed` if the thread ended before it could answer.
pub(super) async fn ask<J, A>(outbox: &impl Outbox<Request<J, A>>, job: J) -> Result<A, StoreError> {
    let (answer, answered) = oneshot::channel();
    send(outbox, Request::Job(job, answer))?;
    answered.await.map_err(|_| StoreError::Closed)
}

/// Has everything finished that was asked before, and the thread ended.
pub(super) async fn close<J, A>(outbox: &impl Outbox<Request<J, A>>) -> Result<(), StoreError> {
    let (answer, answered) = oneshot::channel();
    send(outbox, Request::Close(answer))?;
    answered.await.map_err(|_| StoreError::Closed)?
}

fn send<T>(outbox: &impl Outbox<T>, request: T) -> Result<(), StoreError> {
    if outbox.put(request) { Ok(()) } else { Err(StoreError::Closed) }
}

/// Works until nobody can ask any more or a request closes it. What is asked later, or is left when `work` panics, is
/// dropped with the inbox, and its callers find it [`StoreError::Closed`].
pub(super) fn serve<W: Work>(mut work: W, inbox: impl Inbox<Request<W::Job, W::Answer>>) {
    let mut closing = None;
    let mut last_len = 1;
    while closing.is_none() {
        let Some(first) = inbox.wait() else { break };
        let (mut jobs, mut waiters) = (Vec::with_capacity(last_len), Vec::with_capacity(last_len));
        let mut next = Some(first);
        while let Some(request) = next.take() {
            match request {
                Request::Job(job, waiter) => {
                    jobs.push(job);
                    waiters.push(waiter);
                }
                Request::Close(waiter) => {
                    closing = Some(waiter);
                    break;
                }
            }
            // Those who were just answered may be about to ask again: it pays to wait a moment for them, where a commit
            // would make them wait for a whole sync.
            next = match jobs.len() {
                GROUP_MAX.. => None,
                len if len < last_len => inbox.wait_briefly(),
                _ => inbox.at_hand(),
            };
        }
        if !jobs.is_empty() {
            last_len = jobs.len();
            for (waiter, answer) in waiters.into_iter().zip(work.group(jobs)) {
                // Whoever stopped waiting is not told.
                let _ = waiter.send(answer);
            }
        }
    }
    let closed = work.close();
    if let Some(waiter) = closing {
        let _ = waiter.send(closed);
    }
}

#[cfg(test)]
mod tests;
