//! The Claude Code CLI in its bidirectional stream-json mode.

mod codec;
mod launch;
#[cfg(test)]
mod replay;
mod rules;

use uuid::Uuid;

pub use launch::ClaudeConfig;

use crate::{
    core::{
        approval::rules::Lists,
        event::{AgentEvent, Question},
        ids::RunId,
        live::Live,
        mode::PermissionMode,
    },
    gateway::ports::{Answer, Backend, Launch, PromptImage, Spec},
};

/// The Claude Code CLI as the agent.
#[derive(Clone, Debug)]
pub struct Claude {
    config: Live<ClaudeConfig>,
}

impl Claude {
    /// The agent with these settings, which may change at any moment: what is launched later has the new ones.
    #[must_use]
    pub fn new(config: Live<ClaudeConfig>) -> Self {
        Self { config }
    }
}

impl Backend for Claude {
    fn spec(&self, run: &RunId, launch: &Launch) -> Spec {
        launch::spec(&self.config.get(), run, launch)
    }

    fn rules(&self, rules: &Lists) -> Option<String> {
        rules::argument(rules)
    }

    fn hello(&self) -> Vec<u8> {
        codec::hello()
    }

    fn prompt(&self, uuid: Uuid, text: &str, images: &[PromptImage]) -> Vec<u8> {
        codec::prompt(uuid, text, images)
    }

    fn is_prompt(&self, line: &[u8], uuid: Uuid) -> bool {
        codec::is_prompt(line, uuid)
    }

    fn interrupt(&self, request_id: &str, queued: bool) -> Vec<u8> {
        codec::interrupt(request_id, queued)
    }

    fn mode(&self, request_id: &str, mode: PermissionMode) -> Vec<u8> {
        codec::mode(request_id, mode)
    }

    fn end(&self, request_id: &str) -> Vec<u8> {
        codec::end(request_id)
    }

    fn answer(&self, question: &Question, answer: &Answer) -> Vec<u8> {
        codec::answer(question, answer)
    }

    fn decode(&self, line: &[u8]) -> Vec<AgentEvent> {
        codec::decode(line)
    }
}
