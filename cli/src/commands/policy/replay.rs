//! `bursar policy replay`: what other rules would have decided on what was decided.

use super::check::by;
use super::{configured, file};
use crate::args::ReplayArgs;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::{Amounts, line, table};
use bursar::payments::Policy;
use bursar::report::{self, Replayed, verdict_name};
use bursar::types::{Amount, AssetId, Clock as _, Timestamp, Verdict};
use bursar::{BursarError, SystemClock};
use std::fmt::Write as _;

const DAY_MS: u64 = 86_400_000;

/// What is printed, and how it ends.
pub(super) async fn run(args: &ReplayArgs) -> Result<(String, Exit), CliError> {
    let mut files = configured(args.config.as_deref())?;
    let asked = file(&args.file)?;
    files.retain(|known| known.name != asked.name);
    files.push(asked);
    let policy = Policy::load(&files)?;
    let back = u64::from(args.days).saturating_mul(DAY_MS);
    let since = Timestamp::from_unix_ms(SystemClock.now().unix_ms().saturating_sub(back));
    let ledger = data::ledger(&args.data.folder)?;
    let replayed = report::replay(&ledger, &policy, Some(since)).await;
    ledger.close().await.map_err(BursarError::from)?;
    let all = replayed?;
    let text = if args.json { lines(&all) } else { told(&all, args) };
    Ok((text, Exit::Done))
}

fn lines(all: &[Replayed]) -> String {
    let changed = all.iter().filter(|replayed| replayed.changed());
    changed.map(|replayed| serde_json::json!(replayed).to_string() + "\n").collect()
}

fn told(all: &[Replayed], args: &ReplayArgs) -> String {
    let amounts = Amounts::pinned();
    let show = |micro_usd: u128| amounts.show(&Amount::from_atomic(AssetId::micro_usd(), micro_usd));
    let changed: Vec<_> = all.iter().filter(|replayed| replayed.changed()).collect();
    let mut text = String::new();
    if !changed.is_empty() {
        let mut rows = table(["at", "what", "micro-USD", "was", "would be", "by"]);
        for replayed in &changed {
            let money = replayed.was.micro_usd();
            rows.add_row([
                replayed.was.at.to_string(),
                line(&replayed.was.record.what, 60),
                money.map_or_else(|| "-".to_owned(), |money| money.to_string()),
                verdict_name(replayed.was.record.decision.verdict).to_owned(),
                verdict_name(replayed.would.verdict).to_owned(),
                by(&replayed.would.rules),
            ]);
        }
        let _ = writeln!(text, "{}\n", rows.trim_fmt());
    }
    let _ = writeln!(
        text,
        "{} of {} decisions of the last {} days would be others under `{}`",
        changed.len(),
        all.len(),
        args.days,
        line(&args.file, 80)
    );
    for (was, would, says) in [
        (Verdict::Allow, Verdict::Deny, "paid or planned, and would be denied"),
        (Verdict::Allow, Verdict::Escalate, "paid or planned, and would be put to a person"),
        (Verdict::Escalate, Verdict::Allow, "put to a person, and would pass"),
        (Verdict::Escalate, Verdict::Deny, "put to a person, and would be denied"),
        (Verdict::Deny, Verdict::Allow, "denied, and would pass"),
        (Verdict::Deny, Verdict::Escalate, "denied, and would be put to a person"),
    ] {
        let such = changed.iter().filter(|replayed| {
            replayed.was.record.decision.verdict == was && replayed.would.verdict == would
        });
        let (mut count, mut plans, mut payments) = (0_usize, 0_u128, 0_u128);
        for replayed in such {
            count = count.saturating_add(1);
            let money = replayed.was.micro_usd().unwrap_or(0);
            let sum = if replayed.was.record.payment.is_some() { &mut payments } else { &mut plans };
            *sum = sum.saturating_add(money);
        }
        if count > 0 {
            let _ =
                writeln!(text, "  {count} {says}: payments of {}, plans of {}", show(payments), show(plans));
        }
    }
    text
}
