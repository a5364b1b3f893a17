//! A loopback stand-in of Anthropic's Messages API, so that the real Claude Code CLI runs in tests without any network.
//!
//! ```no_run
//! let api = telexd_messages_api::MessagesApi::start();
//! // ANTHROPIC_BASE_URL=api.url() ANTHROPIC_API_KEY=anything claude -p 'say hello'
//! ```
//!
//! What it answers stands in the prompt (see [`telexd_scripted_agent::script`]; a prompt without a directive is echoed)
//! or is decided by the test ([`MessagesApi::on`]). The step is chosen by the last prompt of the conversation and the
//! number of the model's messages after it, so that tool loops and resumed sessions land where they belong.

mod cli;
mod conversation;
mod reply;
mod server;
mod state;

pub use cli::{CLAUDE_VERSION, real_claude};
pub use conversation::Ask;
pub use server::MessagesApi;
pub use state::Request;
pub use telexd_scripted_agent::script;
