//! Why a turn ended, and what it cost.

use crate::model::{StopReason, Usage};
use aws_sdk_bedrockruntime::types::{self as sdk, GuardrailAssessment, GuardrailTraceAssessment, TokenUsage};

/// The reason in our words. `trace` is the guardrail's, if there is one.
pub(super) fn reason(stop: &sdk::StopReason, trace: Option<&GuardrailTraceAssessment>) -> StopReason {
    match stop {
        sdk::StopReason::EndTurn => StopReason::EndTurn,
        sdk::StopReason::ToolUse => StopReason::ToolCalls,
        sdk::StopReason::StopSequence => StopReason::StopSequence,
        sdk::StopReason::MaxTokens => StopReason::Length,
        sdk::StopReason::ModelContextWindowExceeded => StopReason::ContextFull,
        sdk::StopReason::ContentFiltered => StopReason::Filtered,
        sdk::StopReason::MalformedModelOutput | sdk::StopReason::MalformedToolUse => {
            StopReason::MalformedCall
        }
        sdk::StopReason::GuardrailIntervened if only_masked(trace) => StopReason::Masked,
        sdk::StopReason::GuardrailIntervened => StopReason::Filtered,
        other if other.as_str() == "refusal" => StopReason::Refused,
        _ => StopReason::Other,
    }
}

/// Whether the guardrail did nothing but mask. Without a trace, and of an action that is new, nobody knows: then it is taken as a
/// block.
fn only_masked(trace: Option<&GuardrailTraceAssessment>) -> bool {
    let Some(trace) = trace else { return false };
    let inputs = trace.input_assessment().into_iter().flat_map(|assessments| assessments.values());
    let outputs =
        trace.output_assessments().into_iter().flat_map(|assessments| assessments.values().flatten());
    let actions: Vec<&str> = inputs.chain(outputs).flat_map(actions).collect();
    actions.contains(&"ANONYMIZED") && actions.iter().all(|action| matches!(*action, "ANONYMIZED" | "NONE"))
}

fn actions(assessment: &GuardrailAssessment) -> Vec<&str> {
    let mut actions = Vec::new();
    if let Some(policy) = assessment.topic_policy() {
        actions.extend(policy.topics().iter().map(|topic| topic.action().as_str()));
    }
    if let Some(policy) = assessment.content_policy() {
        actions.extend(policy.filters().iter().map(|filter| filter.action().as_str()));
    }
    if let Some(policy) = assessment.word_policy() {
        actions.extend(policy.custom_words().iter().map(|word| word.action().as_str()));
        actions.extend(policy.managed_word_lists().iter().map(|word| word.action().as_str()));
    }
    if let Some(policy) = assessment.sensitive_information_policy() {
        actions.extend(policy.pii_entities().iter().map(|entity| entity.action().as_str()));
        actions.extend(policy.regexes().iter().map(|regex| regex.action().as_str()));
    }
    if let Some(policy) = assessment.contextual_grounding_policy() {
        actions.extend(policy.filters().iter().map(|filter| filter.action().as_str()));
    }
    actions
}

/// The service counts what came from a cache and what went into one beside the input, we count them in it.
///
/// Each turn reads and writes something: where all counts are 0, the SDK has filled in what the service left out.
pub(super) fn usage(reported: Option<&TokenUsage>) -> Usage {
    let Some(tokens) = reported.filter(|tokens| tokens.input_tokens > 0 || tokens.output_tokens > 0) else {
        return Usage::default();
    };
    let count = |count: i32| u64::try_from(count).ok();
    let cached = tokens.cache_read_input_tokens.and_then(count);
    let written = tokens.cache_write_input_tokens.and_then(count);
    let read = count(tokens.input_tokens);
    Usage {
        input_tokens: read
            .map(|read| read.saturating_add(cached.unwrap_or(0)).saturating_add(written.unwrap_or(0))),
        output_tokens: count(tokens.output_tokens),
        cached_tokens: cached,
        cache_write_tokens: written,
        reasoning_tokens: None,
    }
}
