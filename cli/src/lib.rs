//! The `bursar` command: research, resume, market, sessions, spend, obligations, watch, eval, init, policy, audit, mcp and gateway.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | the run has no answer, the journal does not verify, an example of a policy does not hold, or another process goes on with the run |
//! | 2 | bad input or usage: nothing was paid |
//! | 3 | something is open: it waits for an answer, it is not known whether money moved or a tool did its work, or what was paid for did not come; `obligations` also where a person has to decide |
//! | 130 | interrupted: payments in flight were waited for; `bursar resume SESSION` goes on without paying twice |
//!
//! # The stream of `bursar research --json` and `bursar resume --json`
//!
//! One object a line, nothing else on stdout. The first of the keys `cli`, `money` and `event` that a line has says what
//! it is. Amounts are `{"atomic": "14000", "asset": "<CAIP-19>"}`, times are milliseconds since 1970. Readers pass over
//! lines and fields that they do not know.
//!
//! | line | when | fields |
//! |---|---|---|
//! | `"cli": "session"` | first | `form` (1), `session`, `resumed`, `question`, `place`, `budget`, `approve` (`auto`, `ask`, `wait`, `never`) |
//! | `"money": "phase_changed"` | | `from`, `to`: `explore`, `acquire`, `produce` |
//! | `"money": "quoted"` | prices came in | `quotes`: `id`, `rail`, `resource`, `method`, `host`, `payee`, `network`, `price`, `cost_micro_usd`, `description`, `media_type`, `received_at`, `expires_at`, `blocked` |
//! | `"money": "plan_decided"` | | `outcome`: `outcome` (`approved`, `awaiting_approval`, `refused`), `plan` (`id`, `digest`, `items`, `total`), `approved_by`, `ticket`, `decision` (`verdict`, `reasons`, `rules`, `facts`) |
//! | `"money": "refused"` | | `what`, `decision` |
//! | `"money": "held"`, `"signing"`, `"paid"`, `"observed"` | as a payment goes on | `payment`: `id`, `amount`, `host`, `payee`, `resource`, `receipt` (`reference`, `observed`) |
//! | `"money": "delivered"` | | `payment`, `artifact`: `id`, `digest`, `media_type`, `size_bytes` |
//! | `"money": "undelivered"`, `"unknown"` | | `payment`, `problem` |
//! | `"money": "not_paid"` | | `payment` (its id), `proof` |
//! | `"event": "record"` | a record of the run | `run`, `sequence`, `at`, `record`: `type` (`started`, `resumed`, `model_requested`, `model_replied`, `model_failed`, `call_decided`, `call_started`, `call_cleared`, `call_settled_by_person`, `call_finished`, `finished`, `stopped`) and its fields |
//! | `"event": "delta"` | shown, never stored | `run`, `delta`: `type` (`text`, `reasoning`, `tool_call`, `progress`) and its fields |
//! | `"cli": "brief"` | after the run | `answered`, `answer`, `stopped`, `sources` (`number`, `title`, `heading`, `quote`, `url`, `artifact`, `bought`: `now`, `at`, `amount`, `receipt`), `uses` (`artifact`, `title`, `amount`, `used_for`) |
//! | `"cli": "spend"` | | `session`, `budget`, `spent`, `payments` of this session and `open` ones (also of earlier sessions, where this one wanted the same): as `bursar spend --json` |
//! | `"cli": "verification"` | | `verifies`, `entries`, `root`, `problems`, `chain` (`agrees`, `left`, `booked`; null without a market in a box) |
//! | `"cli": "end"` | last | `exit`, `interrupted`, `go_on` (the command that goes on with the run; null once it has ended), `waiting` (`call`, `tool`, `arguments` of the call that a person has to say of; else null), `asked` (`approval`, `until`, `answer_with` (a command) of the question that the run waits for; else null) |
//!
//! `bursar spend --json` prints a payment a line: `id`, `session`, `at`, `state` (`held`, `signing`, `unknown`,
//! `delivered`, `undelivered`, `claimed`, `parked`, `refunded`, `closed`, `not_paid`, `unreadable`) with its `problem` or `proof`, `amount`, `micro_usd`, `host`,
//! `payee`, `method`, `resource`, `description`, `receipt`, `artifact`, `rules`, `item`, `uses`, and as books see it: `whose` (`agent`, `user`, `project`,
//! `client`, `role`, `task`; null once erased), `category`, `rail`, `network`, `payer`, `moved` (`no`, `held`, `unknown`, `presumed`, `claimed`,
//! `observed`), `paid_at`, `refunded`, `goods`, `used`, `owed`, `written_off`. With `--by` a line is a group and an asset: `by` (a value for each key:
//! text, null, or `{"erased":true}`), `asset`, and the columns of docs/BOOKS.md as text in atomic units. Last comes what models cost, a session a
//! line: `model` (`session`, `tries`, `spent`, `unreported`, `held`).
//!
//! `bursar obligations --json` prints what is listed, a line each: `"desk": "obligation"` (`payment`, `session`, `evidence`,
//! `obligation`, `since`, `description`, `overdue`, `came_back`), `"stray"` (`event`, `transfer`, `why`) or `"unknown"` (as
//! `bursar spend --json`). `bursar watch --json` prints `"money"` lines as above, also `claimed`, `remedy_failed`, `refunded`
//! and `parked`, and with `--once` a last one: `"cli": "pass"` (`found`, `quiet`, `exit`).
//!
//! `bursar reconcile --json` prints a line of a list a line: `"reconcile": "matched"`, `"missing_here"`, `"missing_there"` or `"different"`
//! (`here`: `payment`, `at`, `amount`, `payee`, `reference`, `stand`; `there`: `date`, `amount`, `payee`, `tx`, `authorization`, `confirmed`,
//! `line`; `why`), and a last one: `"end"` (`counts`, `foreign`, `looked`, `unread`, `exit`). With `--accept`: `"accepted"`.
//!
//! `bursar policy explain --json` prints a decision a line: `"policy": "decision"`, `payment`, `session`, `at`, `what`, `decision`,
//! `rules` (`id`, `file`, `line`, `doc`, `code`, `escalate`, `changed_since`), `facts`, `approved`, `shadow`, `shadow_rules`,
//! `plan_approved_by`. `bursar policy replay --json` prints what would change: `session`, `at`, `what`, `decision`, `facts`,
//! `approved`, `shadow`, `payment`, `would`.

mod args;
mod commands;
mod data;
mod exit;
mod interrupt;
mod market_box;
mod model;
mod screen;
mod sources;
mod telemetry;

use args::{Cli, Command, ResearchArgs, WalletCommand};
use clap::Parser;
use exit::{CliError, Exit};
use screen::Notes;
use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;
use telemetry::Traced;

/// Runs the `bursar` command.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::try_parse_from(args) {
        Ok(cli) => match telemetry::begin(Traced::of(&cli.command)) {
            Ok(()) => block_on(commanded(cli.command)),
            Err(error) => failed(&error),
        },
        Err(error) => usage(&error),
    }
}

async fn commanded(command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Research(args) => commands::research::run(args).await,
        Command::Resume(args) => commands::resume::run(args).await,
        Command::Market(args) => commands::market::run(args).await,
        Command::Sessions(args) => commands::sessions::run(args).await,
        Command::Spend(args) => commands::spend::run(args).await,
        Command::Receipt(args) => commands::receipt::run(args).await,
        Command::Obligations(args) => commands::obligations::run(args).await,
        Command::Watch(args) => commands::watch::run(args).await,
        Command::Reconcile(args) => commands::reconcile::run(args).await,
        Command::Init(args) => commands::init::run(&args),
        Command::Policy(command) => commands::policy::run(command).await,
        Command::Prompts(args) => commands::prompts::run(&args),
        Command::Eval(args) => commands::eval::run(args).await,
        #[cfg(feature = "mcp")]
        Command::Servers(args) => commands::servers::run(args).await,
        #[cfg(unix)]
        Command::Purse(args) => commands::purse::run(args).await,
        #[cfg(unix)]
        Command::Fetch(args) => commands::fetch::run(args).await,
        Command::Mcp(args) => commands::mcp::run(args).await,
        Command::Gateway(args) => commands::gateway::run(args).await,
        Command::Mandate(args) => commands::mandate::run(args),
        Command::Approvals(args) => commands::approvals::run(args).await,
        Command::Freeze(args) => commands::freeze::freeze(args).await,
        Command::Thaw(args) => commands::freeze::thaw(args).await,
        Command::Clock(args) => commands::clock::run(args).await,
        Command::Wallet(WalletCommand::New(args)) => commands::wallet::new(&args),
        Command::Audit(command) => commands::audit::run(command).await,
        Command::Witness(args) => commands::witness::run(args).await,
    }
}

/// Runs `bursar research` alone: the first argument is the program's name, the others are those of the command.
pub fn research(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    #[derive(Debug, Parser)]
    #[command(name = "research_agent", version)]
    struct Research {
        #[command(flatten)]
        args: ResearchArgs,
    }
    match Research::try_parse_from(args) {
        Ok(research) => match telemetry::begin(Traced::As(research.args.config.as_deref())) {
            Ok(()) => block_on(commands::research::run(research.args)),
            Err(error) => failed(&error),
        },
        Err(error) => usage(&error),
    }
}

fn block_on(command: impl Future<Output = Result<Exit, CliError>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(command);
            // A thread that still reads the terminal is not waited for.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(CliError::Runtime(error)),
    };
    telemetry::end();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &CliError) -> ExitCode {
    Notes.error(&bursar::types::causes(error), error.next_step().as_deref());
    ExitCode::from(error.code())
}

/// Help goes to stdout and is no fault; anything else is a fault of usage.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody there to read it is no fault.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
