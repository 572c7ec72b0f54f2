//! `bursar policy explain`: which rules determined what was decided about a payment, over which facts.

use super::check::by;
use super::configured;
use crate::args::ExplainArgs;
use crate::commands::resume::begins;
use crate::data;
use crate::exit::{CliError, Exit};
use crate::screen::line;
use bursar::BursarError;
use bursar::payments::{DecisionRecord, Policy, PolicyFile, RuleView};
use bursar::report::{self, DecisionReport, Explained, verdict_name};
use bursar::types::{Decision, PaymentId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What is printed, and how it ends.
pub(super) async fn run(args: &ExplainArgs) -> Result<(String, Exit), CliError> {
    let rules = Rules::read(args)?;
    let ledger = data::ledger(&args.data.folder)?;
    let found = async {
        let payment = payment(&ledger, &args.payment).await?;
        report::explain(&ledger, payment).await?.ok_or_else(|| unknown(&args.payment))
    };
    let found: Result<Explained, CliError> = found.await;
    ledger.close().await.map_err(BursarError::from)?;
    let found = found?;
    let text = if args.json { lines(&found, &rules) } else { told(&found, &rules) };
    Ok((text, Exit::Done))
}

/// The payment that is meant, also one that was refused and never held.
async fn payment(ledger: &bursar::ledger::Ledger, given: &str) -> Result<PaymentId, CliError> {
    let held = report::payments(ledger).await?.into_iter().map(|payment| payment.id);
    let refused =
        report::decisions(ledger, None).await?.into_iter().filter_map(|report| report.record.payment);
    let found: BTreeSet<_> = held.chain(refused).filter(|id| begins(&id.to_string(), given)).collect();
    match found.iter().collect::<Vec<_>>().as_slice() {
        [only] => Ok(**only),
        [] => Err(unknown(given)),
        several => Err(CliError::NoPayment {
            problem: format!(
                "`{}` is the beginning of {} payments; give more of it:",
                line(given, 80),
                several.len()
            ),
            others: several.iter().map(ToString::to_string).collect(),
        }),
    }
}

fn unknown(given: &str) -> CliError {
    CliError::NoPayment {
        problem: format!(
            "no decision about a payment `{}` is journaled in this data folder",
            line(given, 80)
        ),
        others: Vec::new(),
    }
}

/// The rules as they are now, by id.
struct Rules {
    views: BTreeMap<String, RuleView>,
    digests: Vec<(String, bursar::types::Digest)>,
}

impl Rules {
    /// The shipped ones, also those that are optional, and the configuration's.
    fn read(args: &ExplainArgs) -> Result<Self, CliError> {
        let mut files = configured(args.config.as_deref())?;
        for name in PolicyFile::bundled_names() {
            if !files.iter().any(|file| file.name == name) {
                files.push(PolicyFile::bundled(name)?);
            }
        }
        let policy = Policy::load(&files)?;
        let views = policy.rules().map(|rule| (rule.id.clone(), rule)).collect();
        Ok(Self { views, digests: policy.digests() })
    }

    /// Whether the rule's file is another now than the session was decided under.
    fn changed(&self, rule: &RuleView, explained: &Explained) -> bool {
        let same = |(name, _): &&(String, _)| name.strip_prefix("shadow:").unwrap_or(name) == rule.file;
        let (then, now) = (explained.policies.iter().find(same), self.digests.iter().find(same));
        then.map(|(_, digest)| digest) != now.map(|(_, digest)| digest)
    }

    fn json(&self, id: &str, explained: &Explained) -> Value {
        self.views.get(id).map_or_else(
            || json!({"id": id}),
            |rule| {
                json!({
                    "id": id, "file": rule.file, "line": rule.line, "doc": rule.doc, "code": rule.code,
                    "escalate": rule.escalate, "changed_since": self.changed(rule, explained),
                })
            },
        )
    }

    fn told(&self, text: &mut String, id: &str, explained: &Explained) {
        let Some(rule) = self.views.get(id) else {
            let _ =
                writeln!(text, "  rule {id}: not among the rules here; name its configuration with --config");
            return;
        };
        let changed =
            if self.changed(rule, explained) { ", another text than it was decided by" } else { "" };
        let _ = writeln!(text, "  rule {id} ({}, line {}{changed})", rule.file, rule.line);
        for comment in rule.doc.lines() {
            let _ = writeln!(text, "    {comment}");
        }
    }
}

fn lines(explained: &Explained, rules: &Rules) -> String {
    let mut text = String::new();
    for report in &explained.decisions {
        let of = |decision: &Decision| -> Vec<_> {
            decision.rules.iter().map(|id| rules.json(id, explained)).collect()
        };
        let told = json!({
            "policy": "decision",
            "payment": explained.payment,
            "session": report.session,
            "at": report.at,
            "what": report.record.what,
            "decision": report.record.decision,
            "rules": of(&report.record.decision),
            "facts": report.record.facts,
            "approved": report.record.approved,
            "shadow": report.record.shadow,
            "shadow_rules": report.record.shadow.as_ref().map(of),
            "plan_approved_by": explained.plan_approved_by,
        });
        let _ = writeln!(text, "{told}");
    }
    text
}

fn told(explained: &Explained, rules: &Rules) -> String {
    let mut text = format!("payment {}\n", explained.payment);
    if let Some(session) = explained.session {
        let _ = writeln!(text, "session {session}");
    }
    if let Some(by) = &explained.plan_approved_by {
        let _ = writeln!(text, "its plan was approved by {}", line(by, 80));
    }
    for report in &explained.decisions {
        let _ = write!(text, "\n{}", decision(report, explained, rules));
    }
    text
}

fn decision(report: &DecisionReport, explained: &Explained, rules: &Rules) -> String {
    let DecisionReport { at, record: DecisionRecord { what, decision, facts, approved, shadow, .. }, .. } =
        report;
    let mut text = format!("{at}  {}: {}\n", line(what, 160), verdict_name(decision.verdict));
    for reason in &decision.reasons {
        let _ = writeln!(text, "  {}: {}", reason.code, line(&reason.message, 200));
    }
    if decision.rules.is_empty() {
        let _ = writeln!(text, "  by no rule: structure, the ledger, or the lack of a rule that allows it");
    }
    for id in &decision.rules {
        rules.told(&mut text, id, explained);
    }
    if !approved.is_empty() {
        let _ = writeln!(text, "  a person had approved: {}", approved.join(", "));
    }
    if let Some(shadow) = shadow.as_ref().filter(|shadow| shadow.verdict != decision.verdict) {
        let _ = writeln!(
            text,
            "  rules that are tried out: {} by {}",
            verdict_name(shadow.verdict),
            by(&shadow.rules)
        );
        for id in shadow.rules.iter().filter(|id| !decision.rules.contains(id)) {
            rules.told(&mut text, id, explained);
        }
    }
    let _ = writeln!(text, "  facts {}", decision.facts);
    if let Some(facts) = facts {
        write_facts(&mut text, "", &json!(facts));
    }
    text
}

/// One fact a line, under the names that rules know them by.
fn write_facts(text: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| write_facts(text, name, value)),
        Value::Null => {}
        Value::String(value) => {
            let _ = writeln!(text, "    {name} = \"{}\"", line(value, 160));
        }
        other => {
            let _ = writeln!(text, "    {name} = {}", line(&other.to_string(), 160));
        }
    }
}
