//! What is outstanding: a pure function of the state.

use super::{CallState, CallView, OpenTry, Run, Step, Thinking};
use crate::compact::{self, Compaction};
use crate::message::Message;
use crate::model::{Arguments, ModelErrorKind, Retry, StopReason};
use crate::record::{Answer, CallResult};
use crate::stop::StopCause;
use crate::tool::{Executed, Waits};
use crate::warning::{Problem, of_call};
use bursar_types::{CallId, Decision, Digest, Effect, Verdict};
use serde_json::{Value, json};

/// The pause before the second try, where the provider named none.
const BACKOFF_MS: u64 = 500;
/// The longest such pause.
const BACKOFF_MAX_MS: u64 = 30_000;

/// How often a model is asked to sum up before it is done without.
const SUMMARY_TRIES: u32 = 3;

/// Something the driver has to do. Doing it appends records, and they change what is outstanding.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Call the model.
    CallModel {
        /// The turn, from 0.
        turn: u32,
        /// The try, from 0.
        attempt: u32,
        /// Milliseconds to wait before.
        wait_ms: u64,
        /// Whether only the cheaper model may be called.
        cheaper: bool,
    },
    /// Replace the conversation by this shorter one.
    Compact {
        /// How it was made.
        how: Compaction,
        /// The whole conversation as it is from then on.
        messages: Vec<Message>,
    },
    /// Ask the model to sum up what was done, and replace the conversation by that.
    SumUp {
        /// The turn that waits for it.
        turn: u32,
        /// The try, from 0.
        attempt: u32,
        /// Milliseconds to wait before.
        wait_ms: u64,
        /// How many halves of it are left out, the oldest first, because it was too long for that too.
        cut: u32,
        /// Whether only the cheaper model may be called.
        cheaper: bool,
    },
    /// Settle a try of which nothing came: nobody knows what it cost.
    SettleTry {
        /// The try.
        open: OpenTry,
    },
    /// Check the arguments, and ask the gate.
    Decide {
        /// The call.
        call: CallId,
    },
    /// Put a call that the gate escalated to a person.
    Ask {
        /// The call.
        call: CallId,
    },
    /// Call the tool. Several of these together may run side by side; their results are recorded in this order.
    CallTool {
        /// The call.
        call: CallId,
        /// The try, from 0.
        attempt: u32,
    },
    /// Ask the tool what came of a call that was started and has no result.
    Reconcile {
        /// The call.
        call: CallId,
    },
    /// Record this result without calling the tool.
    Settle {
        /// The call.
        call: CallId,
        /// The result.
        result: CallResult,
    },
    /// Tell the model that it cannot go on like this.
    Warn {
        /// Why.
        problem: Problem,
        /// What to tell it.
        message: String,
    },
    /// Check whether a text has the form that was asked for: it is the answer then, and goes back to the model otherwise.
    Check {
        /// The text.
        text: String,
    },
    /// Record the answer.
    Finish {
        /// The answer.
        answer: Answer,
    },
    /// Record that the run stops.
    Stop {
        /// Why.
        cause: StopCause,
    },
}

impl Run {
    /// What is outstanding; empty once the run has ended, and while it stands still.
    ///
    /// Reads of one turn that stand side by side come together. A `Write` or a `Spend` comes alone, when everything before it has
    /// its result. After a crash a `Write` that was started is not started again: its tool is asked whether it happened. What was allowed
    /// and had not begun is decided again then, and so is what begins again; only a `Spend` that was started goes on without, since its
    /// money may be on its way and the purse decides about the rest.
    #[must_use]
    pub fn next(&self) -> Vec<Command> {
        match &self.step {
            Step::Think(thinking) => vec![self.next_turn(thinking)],
            Step::Act { calls, stop, .. } => self.next_calls(calls, *stop),
            Step::Warn { problem, message } => {
                vec![Command::Warn { problem: *problem, message: message.clone() }]
            }
            Step::Check { text } => vec![Command::Check { text: text.clone() }],
            Step::Answer { answer, .. } => vec![Command::Finish { answer: answer.clone() }],
            Step::Over { cause } => vec![Command::Stop { cause: cause.clone() }],
            Step::Done { .. } | Step::Paused { .. } => Vec::new(),
        }
    }

    fn next_turn(&self, thinking: &Thinking) -> Command {
        let Thinking { requested, failures, last, open, cheaper, withheld, .. } = thinking;
        let (requested, failures) = (*requested, *failures);
        if let Some(open) = open {
            return Command::SettleTry { open: open.clone() };
        }
        if let Some(reasons) = withheld {
            return Command::Stop { cause: StopCause::ModelWithheld { reasons: reasons.clone() } };
        }
        if let Some(cause) = self.used_up() {
            return Command::Stop { cause };
        }
        if let Some(command) = self.squeeze(thinking) {
            return command;
        }
        let wait_ms = match last {
            None => 0,
            Some(failure) => match failure.retry {
                Retry::After { ms } if failures < self.limits.model_tries => ms,
                Retry::Backoff if failures < self.limits.model_tries => self.backoff_ms(failures),
                _ if failure.kind == ModelErrorKind::TooLong => {
                    return Command::Stop { cause: StopCause::ContextFull };
                }
                Retry::After { .. } | Retry::Backoff | Retry::Never => {
                    let (kind, message) = (failure.kind, failure.message.clone());
                    return Command::Stop { cause: StopCause::Model { kind, message } };
                }
            },
        };
        Command::CallModel { turn: self.turns, attempt: requested, wait_ms, cheaper: *cheaper }
    }

    /// What makes a conversation shorter that does not fit, or is longer than it may be. Each time it does not suffice something
    /// harder follows, and after the hardest the run ends: so this ends too.
    fn squeeze(&self, thinking: &Thinking) -> Option<Command> {
        let pressed = self.limits.context_tokens.is_some_and(|limit| self.context_tokens() > limit);
        if !(thinking.full || (pressed && self.squeezed.is_none())) {
            return None;
        }
        let plain = |how, messages| Some(Command::Compact { how, messages });
        if self.squeezed.is_none()
            && let Some(messages) = compact::shortened(&self.messages)
        {
            return plain(Compaction::Shortened, messages);
        }
        let may_sum_up = self.squeezed != Some(Compaction::SummedUp) && thinking.summaries < SUMMARY_TRIES;
        if may_sum_up && compact::has_middle(&self.messages) {
            let wait_ms = if thinking.summaries == 0 { 0 } else { self.backoff_ms(thinking.summaries) };
            let (attempt, cut) = (thinking.requested, thinking.summaries);
            return Some(Command::SumUp {
                turn: self.turns,
                attempt,
                wait_ms,
                cut,
                cheaper: thinking.cheaper,
            });
        }
        if thinking.full {
            return plain(Compaction::LeftOut, compact::left_out(&self.messages, |tool| self.effect(tool)));
        }
        None
    }

    /// About how many tokens the conversation has.
    fn context_tokens(&self) -> u64 {
        self.context.unwrap_or_else(|| compact::bytes(&self.messages) / 4)
    }

    /// Doubles with each failure from half a second to half a minute, less up to a quarter that follows from run, turn and
    /// failure: runs that failed together do not come back together, and the same run always waits the same.
    fn backoff_ms(&self, failures: u32) -> u64 {
        let whole = BACKOFF_MS << failures.saturating_sub(1).min(6);
        let whole = whole.min(BACKOFF_MAX_MS);
        let parts: [&[u8]; 3] = [self.id.as_bytes(), &self.turns.to_be_bytes(), &failures.to_be_bytes()];
        let digest = Digest::of_parts("bursar/agent/backoff", &parts);
        let spread = digest.as_bytes().first().map_or(0, |byte| u64::from(*byte));
        whole.saturating_sub(whole.saturating_mul(spread) / 1_024)
    }

    pub(super) fn used_up(&self) -> Option<StopCause> {
        if self.turns >= self.limits.turns {
            return Some(StopCause::Turns { limit: self.limits.turns });
        }
        if let Some(limit) = &self.limits.model_cost
            && self.model_cost >= limit.atomic()
        {
            return Some(StopCause::ModelCost { limit: limit.clone(), used: self.model_cost() });
        }
        let limit = self.limits.tokens?;
        if self.usage.unreported_turns > 0 {
            return Some(StopCause::TokensUnreported);
        }
        let used = self.usage.input_tokens.saturating_add(self.usage.output_tokens);
        (used >= limit).then_some(StopCause::Tokens { limit, used })
    }

    fn next_calls(&self, calls: &[CallView], stop: StopReason) -> Vec<Command> {
        let mut open = calls.iter().filter(|call| !matches!(call.state, CallState::Finished(_))).peekable();
        let together = open.peek().is_some_and(|call| side_by_side(call));
        let group: Vec<&CallView> = if together {
            open.take_while(|call| side_by_side(call)).collect()
        } else {
            open.take(1).collect()
        };
        let commands: Vec<Command> = group.into_iter().filter_map(|call| next_of_call(call, stop)).collect();
        // All is decided, and then all is asked, before anything of the group happens.
        let (decide, rest): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|command| matches!(command, Command::Decide { .. }));
        if !decide.is_empty() {
            return decide;
        }
        let (ask, commands): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|command| matches!(command, Command::Ask { .. }));
        if !ask.is_empty() {
            return ask;
        }
        self.within_call_limit(commands)
    }

    /// As many as the limit on calls leaves; a repetition after a crash was counted before.
    fn within_call_limit(&self, commands: Vec<Command>) -> Vec<Command> {
        let mut left = self.limits.calls.saturating_sub(self.calls_made);
        let mut within = Vec::with_capacity(commands.len());
        for command in commands {
            if matches!(command, Command::CallTool { attempt: 0, .. }) {
                if left == 0 {
                    break;
                }
                left = left.saturating_sub(1);
            }
            within.push(command);
        }
        if within.is_empty() {
            within.push(Command::Stop { cause: StopCause::Calls { limit: self.limits.calls } });
        }
        within
    }
}

/// Calls that no tool answers stand beside reads.
fn side_by_side(call: &CallView) -> bool {
    matches!(call.effect, Some(Effect::Read) | None)
}

fn next_of_call(view: &CallView, stop: StopReason) -> Option<Command> {
    let call = view.id;
    if matches!(view.state, CallState::Finished(_)) {
        return None;
    }
    let settle = |content: Value, executed| {
        let result = CallResult { content, is_error: true, executed, answer: None, waits: None };
        Some(Command::Settle { call, result })
    };
    if !stop.calls_are_whole() {
        return settle(of_call(Problem::of(stop)).into(), Executed::No);
    }
    let Some(effect) = view.effect else {
        let message = format!("there is no tool `{}`; use one of those offered", shown(&view.tool));
        return settle(message.into(), Executed::No);
    };
    if let Arguments::Malformed { problem, .. } = &view.arguments {
        let message = format!("arguments are not JSON: {problem}; call again with one JSON object");
        return settle(message.into(), Executed::No);
    }
    match &view.state {
        CallState::Proposed | CallState::Cleared => Some(Command::Decide { call }),
        CallState::Decided(decision) | CallState::Answered(decision, _)
            if decision.verdict == Verdict::Allow =>
        {
            Some(Command::CallTool { call, attempt: view.attempts })
        }
        CallState::Decided(decision) if decision.verdict == Verdict::Escalate => Some(Command::Ask { call }),
        CallState::Decided(decision) => settle(refusal(decision, None), Executed::No),
        CallState::Answered(decision, waits) => settle(refusal(decision, waits.as_ref()), Executed::No),
        CallState::Started if effect == Effect::Write => Some(Command::Reconcile { call }),
        CallState::Started => Some(Command::CallTool { call, attempt: view.attempts }),
        CallState::Told(result) => Some(Command::Settle { call, result: result.clone() }),
        CallState::Finished(_) => None,
    }
}

/// What the model is told of a decision that is no allow: codes, sentences, and what it can do.
fn refusal(decision: &Decision, waits: Option<&Waits>) -> Value {
    let outcome = match decision.verdict {
        Verdict::Escalate => "awaiting_approval",
        Verdict::Allow | Verdict::Deny => "refused",
    };
    let mut said = json!({"outcome": outcome, "executed": "no", "reasons": decision.reasons});
    if let (Some(waits), Some(fields)) = (waits, said.as_object_mut()) {
        fields.insert("approval".to_owned(), json!(waits.approval));
        fields.insert("until".to_owned(), json!(waits.until));
    }
    said
}

fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}
