//! The list of commands that Telegram's clients offer.

use teloxide_core::{payloads::SetMyCommands, types::BotCommand};

use super::client::{CallError, Client};
use crate::core::command::CommandInfo;

/// Tells Telegram which commands there are, for everybody.
///
/// # Errors
/// Any [`CallError`].
pub async fn tell(
    client: &Client,
    commands: impl Iterator<Item = &'static CommandInfo> + Send,
) -> Result<(), CallError> {
    let list: Vec<_> = commands
        .map(|info| BotCommand::new(info.name, info.description))
        .collect();
    client.set_my_commands(&SetMyCommands::new(list)).await
}
