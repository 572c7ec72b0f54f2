//! Doing what is outstanding.

mod calls;
mod chat;
mod cost;
mod reconcile;
mod spans;
mod work;

use crate::agent::Agent;
use crate::context::RunContext;
use crate::event::RunEvent;
use crate::form::Form;
use crate::model::Usage;
use crate::person::PersonAnswer;
use crate::record::{Answer, Record, RecordEntry};
use crate::report::{RunError, RunOutcome, RunReport, read_run};
use crate::run::{Command, Run};
use crate::stop::StopCause;
use crate::task::Task;
use crate::warning::{Problem, of_form};
use bursar_types::{Effect, JournalError, RunId, Timestamp};
use std::future::Future;
use std::time::Duration;
use tracing::{Instrument as _, Span};

struct Driver<'a> {
    agent: &'a Agent,
    context: RunContext,
    form: Option<Form>,
    run: Run,
    sequence: u64,
}

/// Begins a run and drives it to its end.
pub(crate) async fn start(
    agent: &Agent,
    context: RunContext,
    id: RunId,
    task: Task,
    form: Option<Form>,
) -> Result<RunReport, RunError> {
    check_purse(agent, &context)?;
    task.check()?;
    let span = spans::of_run(agent, &context, id);
    let started = Record::Started {
        run: id,
        session: context.principal.session,
        question: task.text,
        media: task.media,
        output: form.as_ref().map(|form| form.schema.clone()),
        settings: agent.settings,
        prompt: agent.prompt.clone(),
        limits: agent.limits.clone(),
        tools: agent.tools.specs().map(|spec| (spec.name.clone(), spec.effect)).collect(),
        polls: agent.tools.polling().map(str::to_owned).collect(),
        has_cheaper: agent.cheaper.is_some(),
        under: context.under,
        at: context.clock.now(),
        trace: span.in_scope(|| context.traces.current()),
    };
    let run = Run::begin(&started)?;
    let mut driver = Driver { agent, context, form, run, sequence: 0 };
    driver.write(std::slice::from_ref(&started)).await?;
    driver.drive_in(span).await
}

/// Goes on with a run, first with what people say of its calls.
///
/// The first thing is a record: whoever writes it goes on, and every other worker is fenced off before a tool is asked.
pub(crate) async fn resume(
    agent: &Agent,
    context: RunContext,
    id: RunId,
    answers: Vec<PersonAnswer>,
    form: Option<Form>,
) -> Result<RunReport, RunError> {
    let (run, entries) = read_run(context.journal.as_ref(), id).await?;
    let waits = |call| run.open_write().is_some_and(|open| open.id == call);
    if let Some(answer) = answers.iter().find(|answer| !waits(answer.call)) {
        return Err(RunError::NotOpen { run: id, call: answer.call });
    }
    let stays = run.has_ended() || (context.cancel.is_cancelled() && answers.is_empty());
    if let (true, Some(outcome)) = (stays, run.outcome()) {
        return Ok(report(&run, outcome));
    }
    check_purse(agent, &context)?;
    let difference = if run.settings() != agent.settings {
        Some("model, instructions or tools")
    } else if run.session() != context.principal.session {
        Some("session")
    } else if run.output() != form.as_ref().map(|form| &form.schema) {
        Some("form of the answer")
    } else {
        None
    };
    if let Some(difference) = difference {
        return Err(RunError::OtherSettings { run: id, difference });
    }
    let now = context.clock.now().unix_ms();
    let (sequence, idle_ms) = entries
        .last()
        .map_or((0, 0), |last| (last.sequence.saturating_add(1), now.saturating_sub(last.at.unix_ms())));
    let worker = context.worker.clone();
    let span = spans::of_run(agent, &context, id);
    let trace = span.in_scope(|| context.traces.current());
    let mut driver = Driver { agent, context, form, run, sequence };
    let mut records = vec![Record::Resumed { worker, idle_ms, decides_anew: true, trace }];
    records.extend(answers.into_iter().map(PersonAnswer::into_record));
    driver.append(records).await?;
    driver.drive_in(span).await
}

fn report(run: &Run, outcome: &RunOutcome) -> RunReport {
    RunReport {
        run: run.id(),
        outcome: outcome.clone(),
        turns: run.turns(),
        calls: run.calls_made(),
        usage: run.usage(),
        model_cost: run.model_cost(),
    }
}

fn check_purse(agent: &Agent, context: &RunContext) -> Result<(), RunError> {
    match (&context.purse, agent.spender()) {
        (None, Some(tool)) => Err(RunError::SpendWithoutPurse { tool: tool.to_owned() }),
        _ => Ok(()),
    }
}

impl Driver<'_> {
    async fn drive_in(self, span: Span) -> Result<RunReport, RunError> {
        let report = self.drive().instrument(span.clone()).await;
        spans::note_report(&span, &report);
        report
    }

    /// The loop. It ends because every pass appends a record or was interrupted, and turns, tries and calls are limited.
    async fn drive(mut self) -> Result<RunReport, RunError> {
        loop {
            if let Some(outcome) = self.run.outcome() {
                if let Some(after) = &self.context.after {
                    after.ended(self.run.id(), outcome).await;
                }
                return Ok(report(&self.run, outcome));
            }
            let commands = self.run.next();
            match self.interrupted(&commands).await {
                Some(cause) => self.append(vec![Record::Stopped { cause }]).await?,
                None if self.steered().await? => {}
                None => self.perform(commands).await?,
            }
        }
    }

    async fn perform(&mut self, commands: Vec<Command>) -> Result<(), RunError> {
        let mut calls = Vec::new();
        for command in commands {
            match command {
                Command::CallModel { turn, attempt, wait_ms, cheaper } => {
                    self.chat(turn, attempt, wait_ms, cheaper).await?;
                }
                Command::Compact { how, messages } => {
                    let record = Record::Compacted { how, messages, usage: Usage::default(), cost: None };
                    self.append(vec![record]).await?;
                }
                Command::SumUp { turn, attempt, wait_ms, cut, cheaper } => {
                    self.sum_up(turn, attempt, wait_ms, cut, cheaper).await?;
                }
                Command::SettleTry { open } => self.settle_lost(&open).await?,
                Command::Decide { call } => {
                    if !self.decide(call).await? {
                        return Ok(());
                    }
                }
                Command::Ask { call } => {
                    if !self.ask_person(call).await? {
                        return Ok(());
                    }
                }
                Command::Reconcile { call } => self.reconcile(call).await?,
                Command::CallTool { .. } | Command::Settle { .. } => calls.push(command),
                Command::Warn { problem, message } => {
                    self.append(vec![Record::Warned { problem, message }]).await?;
                }
                Command::Check { text } => self.check(text).await?,
                Command::Finish { answer } => self.append(vec![Record::Finished { answer }]).await?,
                Command::Stop { cause } => self.append(vec![Record::Stopped { cause }]).await?,
            }
        }
        self.call(calls).await
    }

    /// Takes in what the user said meanwhile; false if there is nothing, or if the model does not have the next word.
    async fn steered(&mut self) -> Result<bool, RunError> {
        if self.context.cancel.is_cancelled() || !self.run.takes_messages() {
            return Ok(false);
        }
        let said = self.context.steer.take();
        let records: Vec<_> =
            said.into_iter().map(|said| Record::Steered { by: said.by, text: said.text }).collect();
        if records.is_empty() {
            return Ok(false);
        }
        self.append(records).await?;
        Ok(true)
    }

    /// Checks a text for the form that was asked for. A run with a form is driven only by who knows it.
    async fn check(&mut self, text: String) -> Result<(), RunError> {
        let read = match &self.form {
            Some(form) => form.read(&text),
            None => Err("nobody knows the form".to_owned()),
        };
        let record = match read {
            Ok(details) => Record::Finished { answer: Answer { text, details } },
            Err(problem) => Record::Warned { problem: Problem::Form, message: of_form(&problem) },
        };
        self.append(vec![record]).await
    }

    /// Why the run must not begin what is outstanding. An answer that was given is still recorded.
    async fn interrupted(&self, commands: &[Command]) -> Option<StopCause> {
        let last = |command: &Command| {
            matches!(
                command,
                Command::Finish { .. }
                    | Command::Check { .. }
                    | Command::Stop { .. }
                    | Command::SettleTry { .. }
            )
        };
        if commands.iter().all(last) {
            return None;
        }
        if self.context.cancel.is_cancelled() {
            return Some(StopCause::Cancelled);
        }
        let now = self.context.clock.now();
        if let (Some(deadline), Some(limit_ms)) = (self.run.deadline(), self.run.limits().time_ms)
            && now >= deadline
        {
            return Some(StopCause::Time { limit_ms });
        }
        if let Some(at) = self.context.under.and_then(|under| under.deadline).filter(|at| now >= *at) {
            return Some(StopCause::Deadline { at });
        }
        let spends = |command: &Command| match command {
            Command::CallModel { .. } | Command::SumUp { .. } => true,
            Command::CallTool { call, .. } => {
                self.run.call(*call).is_some_and(|call| call.effect == Some(Effect::Spend))
            }
            _ => false,
        };
        if commands.iter().any(spends) { self.spent().await } else { None }
    }

    /// Compares the limit on spending with every budget of the same asset. What cannot be compared does not count as zero.
    async fn spent(&self) -> Option<StopCause> {
        let limit = self.run.limits().spend.clone()?;
        let unknown = |problem: String| Some(StopCause::SpendUnknown { problem });
        let purse = self.context.purse.as_ref()?;
        let standing = match purse.standing().await {
            Ok(standing) => standing,
            Err(error) => return unknown(error.to_string()),
        };
        let same: Vec<_> =
            standing.budgets.iter().filter(|budget| budget.limit.asset() == limit.asset()).collect();
        if same.is_empty() {
            return unknown(format!("no budget counts {}", limit.asset().as_str()));
        }
        for budget in same {
            match budget.spent.checked_add(&budget.held) {
                Err(error) => return unknown(error.to_string()),
                Ok(used) if used.atomic() >= limit.atomic() => {
                    return Some(StopCause::Spend { budget: budget.name.clone(), limit, used });
                }
                Ok(_) => {}
            }
        }
        None
    }

    /// When its time is over, or that of the run that it works for.
    fn deadline(&self) -> Option<Timestamp> {
        let above = self.context.under.and_then(|under| under.deadline);
        self.run.deadline().into_iter().chain(above).min()
    }

    /// Whether it was cancelled, or its time is over.
    fn is_interrupted(&self) -> bool {
        self.context.cancel.is_cancelled()
            || self.deadline().is_some_and(|deadline| self.context.clock.now() >= deadline)
    }

    /// Waits for a future until the run is cancelled or its time is over; `None` then.
    async fn until_interrupted<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.interruption() => None,
            value = future => Some(value),
        }
    }

    /// Ends when the run is cancelled or its time is over.
    async fn interruption(&self) {
        let over = async {
            match self.deadline() {
                None => std::future::pending().await,
                Some(deadline) => {
                    let now = self.context.clock.now();
                    let left_ms = deadline.unix_ms().saturating_sub(now.unix_ms());
                    tokio::time::sleep(Duration::from_millis(left_ms)).await;
                }
            }
        };
        tokio::select! {
            () = self.context.cancel.cancelled() => {}
            () = over => {}
        }
    }

    /// Folds records first, so that an illegal one is never written; then journals them, and tells whoever listens. If the
    /// write fails, the folded state goes with the driver.
    async fn append(&mut self, records: Vec<Record>) -> Result<(), RunError> {
        for record in &records {
            self.run.apply(record)?;
        }
        self.write(&records).await
    }

    async fn write(&mut self, records: &[Record]) -> Result<(), RunError> {
        let (run, at) = (self.run.id(), self.context.clock.now());
        let encoded = records
            .iter()
            .map(|record| RecordEntry::encode(record, at))
            .collect::<Result<Vec<_>, _>>()
            .map_err(RunError::Encode)?;
        let first = self.sequence;
        self.sequence = match self.context.journal.append(run, first, encoded).await {
            Ok(next) => next,
            Err(JournalError::Fenced { .. }) => {
                return Err(RunError::Fenced { run, by: self.other_worker().await });
            }
            Err(error @ JournalError::Store(_)) => return Err(RunError::Journal(error)),
        };
        for (sequence, record) in (first..).zip(records) {
            self.context.events.send(RunEvent::Record {
                run,
                sequence,
                at,
                record: Box::new(record.clone()),
            });
        }
        Ok(())
    }

    /// Who took the run up last, if that can be read.
    async fn other_worker(&self) -> Option<String> {
        let (_, entries) = read_run(self.context.journal.as_ref(), self.run.id()).await.ok()?;
        entries.into_iter().rev().find_map(|entry| match entry.record {
            Record::Resumed { worker, .. } => Some(worker),
            _ => None,
        })
    }
}
