//! Slash commands: what of a text is one, and what it says.
//!
//! Grammar: `/name`, `/name@Bot`, each alone or followed by white space and arguments. A name is 1 to 32 letters,
//! digits or underscores (as Telegram has it), in any case. Whatever else begins with a slash (`/etc/passwd`,
//! `//`, `/home/x y`) is a prompt.

use super::{policy::Role, words::english};

/// A command by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The first thing that Telegram sends for a person.
    Start,
    /// What can be done.
    Help,
    /// How things stand.
    Status,
    /// A fresh session from here on.
    Clear,
    /// The running turn is to end.
    Interrupt,
    /// The running turn is given more time.
    Longer,
    /// What waits.
    Queue,
    /// How much the agent asks.
    Mode,
    /// A question of an agent is answered with yes.
    Allow,
    /// A question of an agent is answered with no.
    Deny,
    /// A question of an agent is answered with a choice or with words.
    Answer,
    /// Messages are kept, and no agent is given one.
    Pause,
    /// The end of that.
    Resume,
    /// What runs.
    Ps,
    /// A run is to end.
    Kill,
    /// All runs are to end.
    KillAll,
    /// Who is who.
    Users,
    /// Who asks to be let in.
    Pair,
    /// The daemon is to be started again.
    Restart,
    /// Settings.
    Config,
    /// Everything is to be logged, or not any more.
    Debug,
    /// Formed like a command, but none of ours; the name in lower case.
    Unknown(String),
}

/// What people are told of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandInfo {
    /// Name without the slash, lower case.
    pub name: &'static str,
    /// See [`CommandInfo::description`], in English.
    description: &'static str,
    /// Role from which on it may be given.
    pub least_role: Role,
}

impl CommandInfo {
    /// One line, for `/help` and Telegram's menu (`setMyCommands`: at most 256 characters), in the language in use.
    #[must_use]
    pub fn description(&self) -> String {
        let english = self.description;
        tr::tr!(english)
    }
}

const START: CommandInfo = CommandInfo {
    name: "start",
    description: english!("Say hello and see what I can do"),
    least_role: Role::User,
};
const HELP: CommandInfo = CommandInfo {
    name: "help",
    description: english!("List the commands"),
    least_role: Role::User,
};
const STATUS: CommandInfo = CommandInfo {
    name: "status",
    description: english!("Show what is running and what waits"),
    least_role: Role::User,
};
const CLEAR: CommandInfo = CommandInfo {
    name: "clear",
    description: english!("Forget this conversation and start afresh"),
    least_role: Role::User,
};
const INTERRUPT: CommandInfo = CommandInfo {
    name: "interrupt",
    description: english!("Stop the answer that is being written"),
    least_role: Role::User,
};
const LONGER: CommandInfo = CommandInfo {
    name: "longer",
    description: english!("Give it longer, when I say that I am about to stop it"),
    least_role: Role::User,
};
const QUEUE: CommandInfo = CommandInfo {
    name: "queue",
    description: english!("What waits: /queue [next|drop NUMBER] [run]"),
    least_role: Role::User,
};
const MODE: CommandInfo = CommandInfo {
    name: "mode",
    description: english!("How much the agent asks before it acts: /mode [name]"),
    least_role: Role::User,
};
const ALLOW: CommandInfo = CommandInfo {
    name: "allow",
    description: english!("Let the agent do what it asks: /allow [number] [session]"),
    least_role: Role::User,
};
const DENY: CommandInfo = CommandInfo {
    name: "deny",
    description: english!("Do not let it: /deny [number] [why]"),
    least_role: Role::User,
};
const ANSWER: CommandInfo = CommandInfo {
    name: "answer",
    description: english!("Answer what the agent asks: /answer [number] choice or words"),
    least_role: Role::User,
};
const PAUSE: CommandInfo = CommandInfo {
    name: "pause",
    description: english!("Keep messages and run none: /pause [reason]"),
    least_role: Role::Admin,
};
const RESUME: CommandInfo = CommandInfo {
    name: "resume",
    description: english!("End the pause and run what waits"),
    least_role: Role::Admin,
};
const PS: CommandInfo = CommandInfo {
    name: "ps",
    description: english!("List the agents that run"),
    least_role: Role::Admin,
};
const KILL: CommandInfo = CommandInfo {
    name: "kill",
    description: english!("End an agent: /kill [id]; without an id, yours here"),
    least_role: Role::Admin,
};
const KILLALL: CommandInfo = CommandInfo {
    name: "killall",
    description: english!("End all agents (asks first)"),
    least_role: Role::Admin,
};
const USERS: CommandInfo = CommandInfo {
    name: "users",
    description: english!("Who may talk to me: /users [remove ID]"),
    least_role: Role::Admin,
};
const PAIR: CommandInfo = CommandInfo {
    name: "pair",
    description: english!("Who asks to be let in: /pair [accept|reject CODE]"),
    least_role: Role::Admin,
};
const RESTART: CommandInfo = CommandInfo {
    name: "restart",
    description: english!("Restart me; agents go on (asks first)"),
    least_role: Role::Admin,
};
const CONFIG: CommandInfo = CommandInfo {
    name: "config",
    description: english!("Settings: /config [key] [value]"),
    least_role: Role::Admin,
};
const DEBUG: CommandInfo = CommandInfo {
    name: "debug",
    description: english!("Log everything, messages included: /debug [on|off]"),
    least_role: Role::Admin,
};

impl Command {
    /// All that are ours, in the order in which people see them.
    pub const KNOWN: [Self; 21] = [
        Self::Start,
        Self::Help,
        Self::Status,
        Self::Clear,
        Self::Interrupt,
        Self::Longer,
        Self::Queue,
        Self::Mode,
        Self::Allow,
        Self::Deny,
        Self::Answer,
        Self::Pause,
        Self::Resume,
        Self::Ps,
        Self::Kill,
        Self::KillAll,
        Self::Users,
        Self::Pair,
        Self::Restart,
        Self::Config,
        Self::Debug,
    ];

    /// What people are told of it; `None` for an unknown one.
    #[must_use]
    pub fn info(&self) -> Option<&'static CommandInfo> {
        match self {
            Self::Start => Some(&START),
            Self::Help => Some(&HELP),
            Self::Status => Some(&STATUS),
            Self::Clear => Some(&CLEAR),
            Self::Interrupt => Some(&INTERRUPT),
            Self::Longer => Some(&LONGER),
            Self::Queue => Some(&QUEUE),
            Self::Mode => Some(&MODE),
            Self::Allow => Some(&ALLOW),
            Self::Deny => Some(&DENY),
            Self::Answer => Some(&ANSWER),
            Self::Pause => Some(&PAUSE),
            Self::Resume => Some(&RESUME),
            Self::Ps => Some(&PS),
            Self::Kill => Some(&KILL),
            Self::KillAll => Some(&KILLALL),
            Self::Users => Some(&USERS),
            Self::Pair => Some(&PAIR),
            Self::Restart => Some(&RESTART),
            Self::Config => Some(&CONFIG),
            Self::Debug => Some(&DEBUG),
            Self::Unknown(_) => None,
        }
    }

    /// Its name without the slash, lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown(name) => name,
            known => known.info().map_or("", |info| info.name),
        }
    }

    fn from_name(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        Self::KNOWN
            .into_iter()
            .find(|command| command.name() == name)
            .unwrap_or(Self::Unknown(name))
    }
}

/// Commands that somebody of this role may give, in order; for `/help` and Telegram's menu.
pub fn commands_for(role: Role) -> impl Iterator<Item = &'static CommandInfo> {
    Command::KNOWN
        .iter()
        .filter_map(Command::info)
        .filter(move |info| role >= info.least_role)
}

/// The command that somebody of this role probably meant by a name that is none; `None` where nothing is near.
#[must_use]
pub fn nearest(name: &str, role: Role) -> Option<&'static str> {
    commands_for(role)
        .map(|info| (strsim::damerau_levenshtein(info.name, name), info.name))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min()
        .map(|(_, known)| known)
}

/// What a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading<'a> {
    /// A command.
    Command {
        /// Which.
        command: Command,
        /// What follows it, without the white space around.
        args: &'a str,
        /// Whether it was addressed to this bot by name. In a group an unknown command that was not is probably
        /// another bot's.
        addressed: bool,
    },
    /// A command that is addressed to another bot: not for us at all.
    NotOurs,
    /// Words for the agent.
    Prompt,
}

/// Reads a text. `bot_name` is this bot's user name without `@`; it is compared without regard to case.
#[must_use]
pub fn read<'a>(text: &'a str, bot_name: &str) -> Reading<'a> {
    let Some(rest) = text.strip_prefix('/') else {
        return Reading::Prompt;
    };
    let (name, rest) = word(rest);
    if name.is_empty() || name.len() > 32 {
        return Reading::Prompt;
    }
    let (bot, rest) = match rest.strip_prefix('@') {
        Some(rest) => {
            let (bot, rest) = word(rest);
            if bot.is_empty() {
                return Reading::Prompt;
            }
            (Some(bot), rest)
        }
        None => (None, rest),
    };
    if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
        return Reading::Prompt;
    }
    if bot.is_some_and(|bot| !bot.eq_ignore_ascii_case(bot_name)) {
        return Reading::NotOurs;
    }
    Reading::Command {
        command: Command::from_name(name),
        args: rest.trim(),
        addressed: bot.is_some(),
    }
}

/// Splits off the leading letters, digits and underscores (ASCII, as in Telegram's names).
fn word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Arguments of a command that shows or changes something by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyValue<'a> {
    /// No argument: all of them are meant.
    All,
    /// `key`: show it.
    Show(&'a str),
    /// `key value` or `key=value`: set it. The value may hold spaces and further `=`, and is empty in `key=`.
    Set(&'a str, &'a str),
    /// `=value`: no key.
    NoKey,
}

/// Reads `key value`, `key=value`, `key = value` or `key`. Keys are not checked here.
#[must_use]
pub fn key_value(args: &str) -> KeyValue<'_> {
    let args = args.trim();
    if args.is_empty() {
        return KeyValue::All;
    }
    let end = args
        .find(|c: char| c == '=' || c.is_whitespace())
        .unwrap_or(args.len());
    let (key, rest) = args.split_at(end);
    if key.is_empty() {
        return KeyValue::NoKey;
    }
    let rest = rest.trim_start();
    match rest.strip_prefix('=') {
        Some(value) => KeyValue::Set(key, value.trim_start()),
        None if rest.is_empty() => KeyValue::Show(key),
        None => KeyValue::Set(key, rest),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ours(command: Command, args: &str, addressed: bool) -> Reading<'_> {
        Reading::Command {
            command,
            args,
            addressed,
        }
    }

    #[test]
    fn what_is_a_command() {
        let unknown = |name: &str| Command::Unknown(name.to_owned());
        for (text, reading) in [
            ("/start", ours(Command::Start, "", false)),
            ("/start abc", ours(Command::Start, "abc", false)),
            ("/help", ours(Command::Help, "", false)),
            ("/status", ours(Command::Status, "", false)),
            ("/STATUS", ours(Command::Status, "", false)),
            ("/Status@my_Bot", ours(Command::Status, "", true)),
            ("/clear@My_Bot  now ", ours(Command::Clear, "now", true)),
            (
                "/interrupt\nplease",
                ours(Command::Interrupt, "please", false),
            ),
            ("/interrupt\u{a0}x", ours(Command::Interrupt, "x", false)),
            ("/kill abc", ours(Command::Kill, "abc", false)),
            ("/Stat", ours(unknown("stat"), "", false)),
            ("/x@my_bot", ours(unknown("x"), "", true)),
            ("/status@other_bot", Reading::NotOurs),
            ("/status@other_bot my_bot", Reading::NotOurs),
            ("/x@other_bot", Reading::NotOurs),
            ("", Reading::Prompt),
            ("hello /status", Reading::Prompt),
            ("status", Reading::Prompt),
            ("/", Reading::Prompt),
            ("/ status", Reading::Prompt),
            ("//status", Reading::Prompt),
            ("/etc/passwd", Reading::Prompt),
            ("/home/x y", Reading::Prompt),
            ("/status/x", Reading::Prompt),
            ("/status: what?", Reading::Prompt),
            ("/status@", Reading::Prompt),
            ("/status@ my_bot", Reading::Prompt),
            ("/status@my_bot!", Reading::Prompt),
            ("/status@other_bot/x", Reading::Prompt),
            ("/übersicht", Reading::Prompt),
            ("/*.rs", Reading::Prompt),
            ("/a23456789012345678901234567890123 long", Reading::Prompt),
            (
                "/a2345678901234567890123456789012",
                ours(unknown("a2345678901234567890123456789012"), "", false),
            ),
        ] {
            assert_eq!(read(text, "my_bot"), reading, "{text:?}");
        }
    }

    #[test]
    fn keys_and_values() {
        for (args, wanted) in [
            ("", KeyValue::All),
            ("  ", KeyValue::All),
            ("a.b", KeyValue::Show("a.b")),
            (" a.b ", KeyValue::Show("a.b")),
            ("a.b on", KeyValue::Set("a.b", "on")),
            ("a.b=on", KeyValue::Set("a.b", "on")),
            ("a.b = on", KeyValue::Set("a.b", "on")),
            ("a.b =on", KeyValue::Set("a.b", "on")),
            ("a.b= on", KeyValue::Set("a.b", "on")),
            ("a.b=", KeyValue::Set("a.b", "")),
            ("a x=y", KeyValue::Set("a", "x=y")),
            ("a=x=y z", KeyValue::Set("a", "x=y z")),
            ("a\nx", KeyValue::Set("a", "x")),
            ("=on", KeyValue::NoKey),
            ("= on", KeyValue::NoKey),
        ] {
            assert_eq!(key_value(args), wanted, "{args:?}");
        }
    }

    #[test]
    fn the_table_fits_telegrams_menu() {
        let names: Vec<_> = commands_for(Role::Admin).map(|info| info.name).collect();
        assert_eq!(
            names,
            [
                "start",
                "help",
                "status",
                "clear",
                "interrupt",
                "longer",
                "queue",
                "mode",
                "allow",
                "deny",
                "answer",
                "pause",
                "resume",
                "ps",
                "kill",
                "killall",
                "users",
                "pair",
                "restart",
                "config",
                "debug",
            ]
        );
        let names: Vec<_> = commands_for(Role::User).map(|info| info.name).collect();
        assert_eq!(
            names,
            [
                "start",
                "help",
                "status",
                "clear",
                "interrupt",
                "longer",
                "queue",
                "mode",
                "allow",
                "deny",
                "answer"
            ]
        );
        for info in commands_for(Role::Admin) {
            assert!((1..=32).contains(&info.name.len()));
            assert!(
                info.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            );
            assert!((1..=256).contains(&info.description.chars().count()));
            assert!(!info.description.contains('\n'));
        }
        assert_eq!(commands_for(Role::Nobody).count(), 0);
    }

    #[test]
    fn every_known_command_reads_back() {
        for command in Command::KNOWN {
            let text = format!("/{}", command.name());
            assert_eq!(read(&text, "b"), ours(command.clone(), "", false));
        }
    }

    #[test]
    fn a_slip_is_understood() {
        assert_eq!(nearest("statsu", Role::User), Some("status"));
        assert_eq!(nearest("interupt", Role::User), Some("interrupt"));
        assert_eq!(nearest("halp", Role::User), Some("help"));
        assert_eq!(nearest("deploy", Role::User), None);
        assert_eq!(nearest("statsu", Role::Nobody), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>(), bot in any::<String>()) {
            let _ = read(&text, &bot);
            let _ = key_value(&text);
        }

        #[test]
        fn case_and_address_do_not_matter(
            name in "[a-zA-Z0-9_]{1,32}", args in "[a-z]{0,5}", space in "[ \t\n]{1,3}",
        ) {
            let plain = format!("/{name}{space}{args}");
            let addressed = format!("/{}@BOT{space}{args}", name.to_uppercase());
            let Reading::Command { command: one, args: first, .. } = read(&plain, "bot") else {
                return Err(TestCaseError::fail("not a command"));
            };
            let Reading::Command { command: two, args: second, addressed: true } = read(&addressed, "bot") else {
                return Err(TestCaseError::fail("not addressed"));
            };
            prop_assert_eq!(one, two);
            prop_assert_eq!(first, second);
            prop_assert_eq!(first, args);
        }

        #[test]
        fn a_path_is_a_prompt(parts in prop::collection::vec("[a-z0-9_.]{1,8}", 2..5), rest in "( [a-z]{1,5})?") {
            let path = format!("/{}{rest}", parts.join("/"));
            prop_assert_eq!(read(&path, "bot"), Reading::Prompt);
        }

        #[test]
        fn both_spellings_mean_the_same(key in "[a-z.]{1,10}", value in "[a-z0-9]([a-z0-9 =]{0,10}[a-z0-9])?") {
            let spaced = format!("{key} {value}");
            let equals = format!("{key}={value}");
            prop_assert_eq!(key_value(&spaced), KeyValue::Set(&key, &value));
            prop_assert_eq!(key_value(&equals), KeyValue::Set(&key, &value));
        }
    }
}
