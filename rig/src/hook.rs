//! What rig tells of a run: it begins and ends the twin, and gives its turns over.

use crate::governed::{LAYER, ungoverned};
use crate::governor::Inner;
use crate::ticket::{Stub, Ticket};
use crate::twin::{Said, Twin};
use bursar_types::RunId;
use rig_agent::agent::{
    AgentHook, CompletionCallAction, CompletionCallEvent, DispatchAction, DispatchEvent, HookContext,
    OutcomeAction, OutcomeEvent, RequestPatch, RunSettled, RunStart, RunStartAction, SettledOutcome,
};
use rig_agent::tool::server::ToolServerHandle;
use rig_core::completion::{Document, Message};
use rig_core::effect::EffectKind;
use rig_core::message::UserContent;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) struct TwinHook {
    inner: Arc<Inner>,
    tools: ToolServerHandle,
    run: Option<RunId>,
}

impl TwinHook {
    pub(crate) const fn new(inner: Arc<Inner>, tools: ToolServerHandle, run: Option<RunId>) -> Self {
        Self { inner, tools, run }
    }

    fn is_wrapped(&self, tool: &str) -> bool {
        let wrapped = |layers: Vec<String>| layers.first().is_some_and(|layer| layer == LAYER);
        self.inner.knows(tool)
            && self.tools.toolset().get(tool).is_some_and(|tool| wrapped(tool.handler().descriptor().layers))
    }
}

impl AgentHook for TwinHook {
    fn name(&self) -> Option<String> {
        Some(LAYER.to_owned())
    }

    async fn on_run_start(&self, ctx: &HookContext, event: RunStart<'_>) -> RunStartAction {
        ctx.scratchpad().insert(Twin::begin(&self.inner, self.run, text_of(event.prompt)));
        RunStartAction::Continue
    }

    async fn on_completion_call(
        &self,
        ctx: &HookContext,
        _: CompletionCallEvent<'_>,
    ) -> CompletionCallAction {
        let Some(twin) = ctx.scratchpad().get::<Arc<Twin>>() else {
            return CompletionCallAction::stop("the run was not begun under its governor");
        };
        match twin.link().wanted().await {
            Ok(told) if told.is_empty() => CompletionCallAction::continue_run(),
            Ok(told) => {
                let note = Document { id: LAYER.to_owned(), text: told, additional_props: HashMap::new() };
                CompletionCallAction::patch(RequestPatch::new().context(note))
            }
            Err(why) => CompletionCallAction::stop(why),
        }
    }

    async fn on_dispatch(&self, ctx: &HookContext, event: DispatchEvent<'_>) -> DispatchAction {
        let EffectKind::ToolCall { name, .. } = event.kind else { return DispatchAction::proceed() };
        let twin = ctx.scratchpad().get::<Arc<Twin>>().filter(|_| self.is_wrapped(name));
        let (Some(twin), Some(call)) = (twin, event.call_id) else {
            return DispatchAction::skip(ungoverned(name).to_string());
        };
        let Some(number) = twin.link().dispatch(call, name) else {
            return DispatchAction::skip(ungoverned(name).to_string());
        };
        let link = Arc::clone(twin.link());
        self.inner.tickets.give(event.id, Ticket { link, tool: name.clone(), number });
        DispatchAction::proceed()
    }

    async fn on_outcome(&self, ctx: &HookContext, event: OutcomeEvent<'_>) -> OutcomeAction {
        let twin = ctx.scratchpad().get::<Arc<Twin>>();
        if let (Some(response), Some(twin)) = (event.completion(), &twin) {
            twin.link().say(Said::of(response));
        } else if let EffectKind::ToolCall { name, .. } = event.kind {
            // Another hook may have kept the call from being made, before or after this one; the twin must not wait for it.
            match (self.inner.tickets.close(event.id), twin, event.call_id) {
                (Stub::Left(ticket), ..) => ticket.link.keep_from(ticket.number),
                (Stub::None, Some(twin), Some(call)) => {
                    if let Some(number) = twin.link().dispatch(call, name) {
                        twin.link().keep_from(number);
                    }
                }
                (Stub::None | Stub::Used, ..) => {}
            }
        }
        OutcomeAction::proceed()
    }

    async fn on_run_settled(&self, ctx: &HookContext, event: RunSettled<'_>) {
        let Some(twin) = ctx.scratchpad().get::<Arc<Twin>>() else { return };
        let text = match event.outcome {
            SettledOutcome::Response(response) => Some(response.output()),
            SettledOutcome::Error(_) => None,
        };
        twin.link().settle(text).await;
    }
}

fn text_of(prompt: &Message) -> String {
    let Message::User { content } = prompt else { return String::new() };
    let texts: Vec<&str> = content
        .iter()
        .filter_map(|content| match content {
            UserContent::Text(text) => Some(text.text.as_str()),
            _ => None,
        })
        .collect();
    texts.join("\n")
}
