//! The lists of commands that Telegram's clients offer.

use teloxide_core::{
    payloads::{DeleteMyCommands, SetMyCommands},
    types::{BotCommand, BotCommandScope, ChatId, Recipient},
};

use super::client::{CallError, Client};
use crate::core::command::CommandInfo;

/// To whom a list is shown. The narrower one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody.
    Everybody,
    /// Whoever writes in this chat.
    Chat(i64),
}

impl From<Scope> for BotCommandScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Everybody => Self::Default,
            Scope::Chat(id) => Self::Chat {
                chat_id: Recipient::Id(ChatId(id)),
            },
        }
    }
}

/// Tells Telegram which commands there are.
///
/// # Errors
/// Any [`CallError`]; a chat that is not there is rejected.
pub async fn tell(
    client: &Client,
    scope: Scope,
    commands: impl Iterator<Item = &'static CommandInfo> + Send,
) -> Result<(), CallError> {
    let list: Vec<_> = commands
        .map(|info| BotCommand::new(info.name, info.description()))
        .collect();
    let mut payload = SetMyCommands::new(list);
    if scope != Scope::Everybody {
        payload.scope = Some(scope.into());
    }
    client.set_my_commands(&payload).await
}

/// Takes the list of a chat away, so that everybody's holds there.
///
/// # Errors
/// Any [`CallError`].
pub async fn forget(client: &Client, chat: i64) -> Result<(), CallError> {
    let mut payload = DeleteMyCommands::new();
    payload.scope = Some(Scope::Chat(chat).into());
    client.delete_my_commands(&payload).await
}
