//! The twin of a run of rig's: an ordinary run of Bursar's that goes beside it in lock-step.
//!
//! Its model says what rig's model said, its tools do what rig's tools do. So what is decided, recorded and paid is decided, recorded and
//! paid where it always is, and a run of rig's is in the journal as any other.

mod link;
mod mirror;
mod proxy;
mod turn;

pub(crate) use link::{Answer, Link, Work};
pub(crate) use proxy::{Behind, Proxy, value_of};
pub(crate) use turn::Said;

use crate::governor::Inner;
use bursar_agent_core::{Agent, EventSender, EventStream, RunContext, Steer, events};
use bursar_types::{RunId, causes};
use mirror::Mirror;
use std::sync::Arc;

/// What a run of rig's holds of its twin. When it is dropped the run is over, however it ended.
#[derive(Debug)]
pub(crate) struct Twin {
    link: Arc<Link>,
}

impl Drop for Twin {
    fn drop(&mut self) {
        self.link.abandon();
    }
}

impl Twin {
    /// Begins one. Whatever goes wrong is told when rig wants to ask its model.
    pub(crate) fn begin(inner: &Arc<Inner>, run: Option<RunId>, question: String) -> Arc<Self> {
        let mut context = inner.context.clone();
        let run = run.unwrap_or_else(|| RunId::random(context.entropy.as_ref()));
        let (sender, stream) = events();
        let told = std::mem::replace(&mut context.events, sender);
        context.cancel = context.cancel.child();
        context.steer = Steer::new();
        let link = Arc::new(Link::new(run, context.cancel.clone()));
        match inner.agent(Mirror::new(inner.model.clone(), Arc::clone(&link)), &link) {
            Ok(agent) => {
                let going = go(agent, context, run, question, Arc::clone(&link), stream, told);
                drop(tokio::spawn(going));
            }
            Err(problem) => link.end(Err(problem)),
        }
        Arc::new(Self { link })
    }

    pub(crate) const fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

/// Says that the twin ended, should its task be lost.
struct Ends(Arc<Link>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end(Err("its twin was lost".to_owned()));
    }
}

async fn go(
    agent: Agent,
    context: RunContext,
    run: RunId,
    question: String,
    link: Arc<Link>,
    mut heard: EventStream,
    told: EventSender,
) {
    let ends = Ends(Arc::clone(&link));
    let mut work = std::pin::pin!(agent.run_as(context, run, question));
    let report = loop {
        tokio::select! {
            biased;
            Some(event) = heard.recv() => link.hear(event, &told),
            report = &mut work => break report,
        }
    };
    while let Some(event) = heard.try_recv() {
        link.hear(event, &told);
    }
    link.end(report.map_err(|error| format!("it could not be recorded: {}", causes(&error))));
    drop(ends);
}
