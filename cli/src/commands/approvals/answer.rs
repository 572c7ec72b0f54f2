//! `approve` and `deny`.

use super::{list, outside, password};
use crate::args::AnswerArgs;
use crate::commands::resume::begins;
use crate::data;
use crate::exit::CliError;
use crate::screen::{Notes, line};
use bursar::payments::{Answer, ApprovalError, ApproverKey, OpenApproval, Payments, Statement};
use bursar::types::Clock as _;
use bursar::{BursarError, SystemClock};

/// Signs an answer, and gives it or prints it.
pub(super) async fn answer(args: &AnswerArgs, answer: Answer) -> Result<String, CliError> {
    let key = ApproverKey::read(&args.key, password().as_deref(), &outside(&args.data.folder)?)?;
    let desk = data::desk(&args.data.folder)?;
    let done = give(&desk, args, answer, &key).await;
    desk.ledger().close().await.map_err(BursarError::from)?;
    done
}

async fn give(
    desk: &Payments,
    args: &AnswerArgs,
    answer: Answer,
    key: &ApproverKey,
) -> Result<String, CliError> {
    let asked = find(desk, &args.question).await?;
    let statement = Statement::on(&asked.question, answer, SystemClock.now(), args.reason.clone());
    let signed = statement.and_then(|statement| statement.sign(key)).map_err(ApprovalError::from)?;
    // What is signed is shown, whatever comes of it.
    Notes.say(list::shown(&asked)?.trim_end());
    if args.print {
        let text = serde_json::to_string(&signed)
            .map_err(|error| CliError::NoQuestion { problem: error.to_string(), others: Vec::new() })?;
        return Ok(text + "\n");
    }
    desk.answer_approval(&signed).await?;
    let word = match answer {
        Answer::Approve => "approved",
        Answer::Deny => "denied",
    };
    Ok(format!("{word}: {}, for session {}\n", asked.question.id, asked.question.session))
}

/// The one question that waits and begins like this.
async fn find(desk: &Payments, given: &str) -> Result<OpenApproval, CliError> {
    let mut open = desk.approvals().await?;
    open.retain(|open| open.given_by.is_none());
    let found: Vec<_> = open.iter().filter(|open| begins(&open.question.id.to_string(), given)).collect();
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(CliError::NoQuestion {
            problem: format!("no question `{}` waits here", line(given, 80)),
            others: open.iter().map(|open| open.question.id.to_string()).collect(),
        }),
        several => Err(CliError::NoQuestion {
            problem: format!("`{}` is the beginning of several questions:", line(given, 80)),
            others: several.iter().map(|open| open.question.id.to_string()).collect(),
        }),
    }
}
