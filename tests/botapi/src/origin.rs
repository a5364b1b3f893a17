//! Whose message it is that a person forwards.

use serde_json::{Value, json};

/// Origin of a forwarded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A person or a bot with an account that can be seen.
    User {
        /// Telegram user id.
        id: i64,
        /// First name.
        name: String,
        /// User name without `@`.
        username: Option<String>,
    },
    /// A person who hides their account.
    HiddenUser {
        /// Name as shown.
        name: String,
    },
    /// A group, in whose name somebody wrote.
    Chat {
        /// Chat id.
        id: i64,
        /// Title.
        title: String,
    },
    /// A channel.
    Channel {
        /// Chat id.
        id: i64,
        /// Title.
        title: String,
        /// Who signed.
        signature: Option<String>,
    },
}

impl Origin {
    /// A person with this id and name.
    #[must_use]
    pub fn user(id: i64, name: &str) -> Self {
        Self::User {
            id,
            name: name.to_owned(),
            username: None,
        }
    }

    /// A person who hides their account.
    #[must_use]
    pub fn hidden(name: &str) -> Self {
        Self::HiddenUser {
            name: name.to_owned(),
        }
    }

    /// `MessageOrigin`, of a message sent at this time (seconds).
    pub(crate) fn json(&self, date: i64) -> Value {
        match self {
            Self::User { id, name, username } => {
                let mut user = json!({"id": id, "is_bot": false, "first_name": name});
                if let Some(username) = username {
                    user["username"] = json!(username);
                }
                json!({"type": "user", "date": date, "sender_user": user})
            }
            Self::HiddenUser { name } => {
                json!({"type": "hidden_user", "date": date, "sender_user_name": name})
            }
            Self::Chat { id, title } => json!({
                "type": "chat", "date": date, "sender_chat": {"id": id, "type": "supergroup", "title": title},
            }),
            Self::Channel {
                id,
                title,
                signature,
            } => {
                let mut origin = json!({
                    "type": "channel", "date": date, "chat": {"id": id, "type": "channel", "title": title}, "message_id": 1,
                });
                if let Some(signature) = signature {
                    origin["author_signature"] = json!(signature);
                }
                origin
            }
        }
    }
}
