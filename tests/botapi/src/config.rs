//! Settings of a server.

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use crate::{clock::Clock, flood::FloodLimits};

/// Environment variable that names the file for [`Config::calls_file`] where that is not set.
pub const CALLS_FILE_VARIABLE: &str = "TELEXD_BOTAPI_CALLS";

/// Environment variable with the milliseconds for [`Config::late`] where that is not set: to find out what leans on the order
/// or the speed of answers, in tests or in the program (`just shake`).
pub const LATE_VARIABLE: &str = "TELEXD_BOTAPI_LATE_MS";

/// Settings of a server. The default is a bot on a free loopback port with no flood limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on.
    pub address: Ipv4Addr,
    /// Port; 0 takes a free one, which is kept for the life of the server.
    pub port: u16,
    /// Token that requests must carry, `ID:SECRET`; the number in front is the bot's id.
    pub token: String,
    /// Username of the bot, without `@`.
    pub username: String,
    /// First name of the bot.
    pub first_name: String,
    /// Whether the bot has topics in private chats.
    pub has_topics_enabled: bool,
    /// Whether the bot sees every message of groups (privacy mode off; on by default here, unlike at Telegram). Where it
    /// does not, groups give it only commands, mentions and answers to its own messages.
    pub can_read_all_group_messages: bool,
    /// Id of the first update.
    pub first_update_id: i64,
    /// Time.
    pub clock: Clock,
    /// Flood limits; none by default.
    pub flood: FloodLimits,
    /// Most calls kept for observation; older ones are forgotten.
    pub keep_calls: usize,
    /// Most messages kept per chat; older ones are forgotten.
    pub keep_messages: usize,
    /// JSON-lines file to which every call is appended as `{"method":…,"params":…,"files":…,"at":…}`.
    pub calls_file: Option<PathBuf>,
    /// Largest file that `getFile` gives out, in bytes (20 MB on Telegram's own servers).
    pub max_download: u64,
    /// Largest file that the bot may send, in bytes (50 MB on Telegram's own servers).
    pub max_upload: u64,
    /// Each call is taken late by a random time up to this, and its answer sent late by another; 0 by default.
    pub late: Duration,
    /// Whether the server has the routes under `/sim/` that play people and faults over HTTP.
    pub sim_routes: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST,
            port: 0,
            token: "4242:AAF-a-loopback-bot-token-35-letters".to_owned(),
            username: "telexd_test_bot".to_owned(),
            first_name: "telexd".to_owned(),
            has_topics_enabled: false,
            can_read_all_group_messages: true,
            first_update_id: 900_000_001,
            clock: Clock::System,
            flood: FloodLimits::default(),
            keep_calls: 100_000,
            keep_messages: 20_000,
            calls_file: std::env::var_os(CALLS_FILE_VARIABLE).map(PathBuf::from),
            max_download: 20_000_000,
            max_upload: 50_000_000,
            late: std::env::var(LATE_VARIABLE)
                .ok()
                .and_then(|ms| ms.parse().ok())
                .map_or(Duration::ZERO, Duration::from_millis),
            sim_routes: false,
        }
    }
}
