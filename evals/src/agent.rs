//! Agents on the stage: the user's own, or one that ships.

use crate::play::Tally;
use crate::report::{Baseline, BaselineError, CaseVerdict, Diff, Format, SuiteReport, SuiteVerdict, visible};
use crate::run::{Options, run_suite};
use crate::scenario::{LoadError, ModelSpec, Suite};
use crate::side_door::SideDoor;
use crate::stage::{Stage, StageError};
use bursar::agent::models::ScriptedTurn;
use bursar::models::{Scripted, extractive};
use bursar::{Agent, tools};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error as ThisError;

/// Most characters shown of what a step said.
const SAID_MAX: usize = 400;

/// What an own agent gives up with.
pub type AgentFailure = Box<dyn Error + Send + Sync>;

type Run = Pin<Box<dyn Future<Output = Result<(), AgentFailure>>>>;

/// What plays the steps `do = "agent"`: the user's own agent. It is given the stage and the task.
#[derive(Clone)]
pub struct AgentFn(Arc<dyn Fn(Arc<Stage>, String) -> Run + Send + Sync>);

impl fmt::Debug for AgentFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentFn")
    }
}

impl AgentFn {
    /// Makes one of a function that is given the stage and the task.
    pub fn new<F, R>(agent: F) -> Self
    where
        F: Fn(Arc<Stage>, String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), AgentFailure>> + 'static,
    {
        let boxed = move |stage, task| -> Run { Box::pin(agent(stage, task)) };
        Self(Arc::new(boxed))
    }

    pub(crate) async fn run(
        &self,
        stage: &Arc<Stage>,
        task: &str,
        tally: &mut Tally,
    ) -> Result<(), StageError> {
        match (self.0)(stage.clone(), task.to_owned()).await {
            Ok(()) => tally.ended("agent_done"),
            Err(error) => {
                tally.ended("agent_failed");
                tally.said(error.to_string());
            }
        }
        Ok(())
    }
}

/// Runs the scenario's agent: its model, with the tools for research.
pub(crate) async fn own(
    stage: &Stage,
    task: &str,
    session: &str,
    tally: &mut Tally,
) -> Result<(), StageError> {
    let (session, life) = stage.session_named(session, "main").await?;
    let model: Arc<dyn bursar::agent::Model> = match &stage.scenario().model {
        // A case for an own agent is not run without one.
        ModelSpec::Extractive | ModelSpec::Own => extractive(),
        ModelSpec::Scripted { turns } => Arc::new(scripted(turns)?),
    };
    let wrong = |error: &dyn fmt::Display| StageError::Scenario(format!("agent: {error}"));
    let tools = tools::research(&session).map_err(|error| wrong(&error))?;
    let tools = tools.with(SideDoor).map_err(|error| wrong(&error))?;
    let agent = Agent::builder(model).tools(tools).build().map_err(|error| wrong(&error))?;
    let report = tokio::select! {
        biased;
        () = life.over() => { tally.ended("died"); return Ok(()); }
        report = agent.run(session.run_context(), task) => report,
    };
    match report.map(|report| report.answer().map(str::to_owned)) {
        Ok(Ok(_)) => tally.ended("answered"),
        Ok(Err(none)) => {
            tally.ended("stopped");
            tally.said(none.cause.to_string());
        }
        Err(error) => {
            tally.ended("agent_failed");
            tally.said(error.to_string());
        }
    }
    Ok(())
}

fn scripted(turns: &[crate::scenario::Turn]) -> Result<Scripted, StageError> {
    let mut model = Scripted::new();
    for turn in turns {
        model = model.turn(match (&turn.say, &turn.call) {
            (Some(text), None) => ScriptedTurn::Text(text.clone()),
            (None, Some(tool)) => {
                ScriptedTurn::RawCall(tool.clone(), turn.arguments.clone().unwrap_or_else(|| "{}".to_owned()))
            }
            _ => {
                return Err(StageError::Scenario(
                    "a turn of the model has either `say` or `call`".to_owned(),
                ));
            }
        });
    }
    Ok(model)
}

/// Begins a check of a suite in `cargo test`.
///
/// # Example
/// ```no_run
/// #[test]
/// fn my_agent_spends_only_what_it_may() {
///     bursar_evals::suite("evals")
///         .agent(|stage, task| async move {
///             let session = stage.session().await?;
///             let tools = bursar::tools::research(&session)?;
///             let agent = bursar::Agent::builder(bursar::models::extractive()).tools(tools).build()?;
///             agent.run(session.run_context(), &task).await?;
///             Ok(())
///         })
///         .assert_passes();
/// }
/// ```
pub fn suite(path: impl Into<PathBuf>) -> Assertion {
    Assertion {
        paths: vec![path.into()],
        filter: None,
        options: Options::default(),
        reports: Vec::new(),
        baseline: None,
    }
}

/// A suite to be checked in a test.
#[derive(Debug)]
#[must_use = "nothing runs before `assert_passes` or `run`"]
pub struct Assertion {
    paths: Vec<PathBuf>,
    filter: Option<String>,
    options: Options,
    reports: Vec<(Format, PathBuf)>,
    baseline: Option<PathBuf>,
}

/// Why a suite did not pass, for a person.
#[derive(Debug, ThisError)]
pub enum SuiteFailed {
    /// It cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The filter leaves nothing.
    #[error("no case has `{0}` in its id, family or mode")]
    NoCase(String),
    /// A report or the baseline cannot be read or written.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The baseline is none.
    #[error("`{}`: {source}", path.display())]
    Baseline {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BaselineError,
    },
    /// It ran, and something is not as it must be.
    #[error("{}", told(.0))]
    Failed(Box<SuiteReport>),
}

impl Assertion {
    /// Adds files, or folders of files.
    pub fn and(mut self, path: impl Into<PathBuf>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// Plays only cases whose id, family or mode contains this.
    pub fn filter(mut self, text: impl Into<String>) -> Self {
        self.filter = Some(text.into());
        self
    }

    /// Begins with this seed.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Plays each case with so many seeds; it passes if it does with all.
    pub const fn seeds(mut self, seeds: u64) -> Self {
        self.options.seeds = seeds;
        self
    }

    /// Sets the agent that plays the steps `do = "agent"`.
    pub fn agent<F, R>(mut self, agent: F) -> Self
    where
        F: Fn(Arc<Stage>, String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), AgentFailure>> + 'static,
    {
        self.options.agent = Some(AgentFn::new(agent));
        self
    }

    /// Writes a report to a file, whether it passes or not. Can be called more than once.
    pub fn report(mut self, format: Format, file: impl Into<PathBuf>) -> Self {
        self.reports.push((format, file.into()));
        self
    }

    /// Compares with how the suite came out once: the reports say what changed, in money. A file that does not exist is written,
    /// to be kept in the project; remove it to begin anew.
    pub fn baseline(mut self, file: impl Into<PathBuf>) -> Self {
        self.baseline = Some(file.into());
        self
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`SuiteFailed`]: it cannot be read, or it did not pass.
    pub fn run(self) -> Result<SuiteReport, SuiteFailed> {
        let mut suite = Suite::load(&self.paths)?;
        if let Some(filter) = &self.filter {
            suite = suite.filtered(filter);
            if suite.cases.is_empty() {
                return Err(SuiteFailed::NoCase(filter.clone()));
            }
        }
        let report = run_suite(&suite, &self.options);
        let diff = self.baseline.as_deref().map(|path| against(path, &report)).transpose()?.flatten();
        for (format, path) in &self.reports {
            write(path, &format.write(&report, diff.as_ref()))?;
        }
        if report.verdict == SuiteVerdict::Pass {
            Ok(report)
        } else {
            Err(SuiteFailed::Failed(Box::new(report)))
        }
    }

    /// Runs it, and fails the test with what is not as it must be.
    ///
    /// # Panics
    /// If it does not pass.
    #[track_caller]
    #[expect(clippy::panic, reason = "this is how a test fails")]
    pub fn assert_passes(self) {
        if let Err(failed) = self.run() {
            panic!("{failed}");
        }
    }
}

/// What changed against the baseline; the first time there is none, and it is written.
fn against(path: &Path, report: &SuiteReport) -> Result<Option<Diff>, SuiteFailed> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let kept = Baseline::read(&text);
            let kept = kept.map_err(|source| SuiteFailed::Baseline { path: path.to_owned(), source })?;
            Ok(Some(kept.against(report)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            write(path, &Baseline::of(report).written()).map(|()| None)
        }
        Err(source) => Err(SuiteFailed::File { doing: "read", path: path.to_owned(), source }),
    }
}

fn write(path: &Path, text: &str) -> Result<(), SuiteFailed> {
    let fail = |source| SuiteFailed::File { doing: "write", path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    std::fs::write(path, text).map_err(fail)
}

/// What is not as it must be, case by case.
fn told(report: &SuiteReport) -> String {
    let mut text = format!(
        "{} of {} cases failed",
        report.failed,
        report.passed.saturating_add(report.failed).saturating_add(report.not_run)
    );
    for reason in &report.invalid_because {
        text.push_str(&format!("; the run says nothing, since {reason}"));
    }
    for case in report.cases.iter().filter(|case| case.verdict == CaseVerdict::Fail) {
        let file = if case.file.is_empty() { "" } else { &format!("{}, ", case.file) };
        text.push_str(&format!("\n\n{} {} ({file}seed {})", case.id, case.title, case.seed));
        for problem in &case.problems {
            text.push_str(&format!(
                "\n  {}\n  - expected: {}\n  + found:    {}",
                problem.what, problem.expected, problem.found
            ));
        }
        for step in &case.steps {
            let ended: Vec<_> = step.ended.iter().map(|(how, times)| format!("{how} x{times}")).collect();
            let codes: Vec<_> = step.codes.iter().map(String::as_str).collect();
            let told = format!("{} {}", ended.join(", "), codes.join(" "));
            text.push_str(&format!("\n    {:>5} {}: {}", step.step, step.action, told.trim_end()));
            if let Some(said) = &step.said {
                let said: String = visible(said).chars().take(SAID_MAX).collect();
                text.push_str(&format!("\n          it said: {said}"));
            }
        }
    }
    text
}
