//! The kinds of log message on which an administrator acts, each with the id that the journal knows it by.
//!
//! An event says its kind by a field: `error!(event = messages::DISK_FULL, …)`. What to do about each kind stands in
//! `systemd/telexd.catalog`, from where `journalctl -x` takes it. An id that was once published keeps its meaning.

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What the field `event` holds.
    pub name: &'static str,
    /// Its `MESSAGE_ID`.
    pub id: u128,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $id:literal;)*) => {
        $($(#[$doc])* pub const $constant: &str = $name;)*

        /// All kinds.
        pub const ALL: &[Kind] = &[$(Kind { name: $name, id: $id }),*];

        /// The constants of [`ALL`], in the same order: for the test that each is used.
        pub const CONSTANTS: &[&str] = &[$(stringify!($constant)),*];
    };
}

kinds! {
    /// It works: database, configuration and intake of messages are in order.
    READY = "ready", 0xe84b208a_dd2a4f4e_a9f7ddb7_c4770c32;
    /// It has stopped in order.
    STOPPED = "stopped", 0xdf5c5bf2_1f6d494c_b15d8a7b_1e9d173f;
    /// A stop took too long; something was left for the next start.
    STOP_LATE = "stop-late", 0x3d777342_a8aa4fa0_921182de_5ddbd019;
    /// It could not start, or could not go on, for a reason that has no kind of its own.
    START_FAILED = "start-failed", 0x3e7ba285_d3234937_a8b48ebb_6e82271a;
    /// The configuration is wrong.
    CONFIG_REJECTED = "config-rejected", 0xcc17790a_45cd4fbb_8176b04c_65660c12;
    /// A changed configuration was taken over.
    CONFIG_RELOADED = "config-reloaded", 0x6c1038df_95794969_ba40f78c_e487ae04;
    /// A changed configuration is wrong; the old one goes on.
    RELOAD_REFUSED = "reload-refused", 0xf35e9e6e_85434e9e_9f537425_f6bb6d14;
    /// An administrator ordered something.
    ADMIN_ACT = "admin-act", 0xe425f8e3_84094795_bb7601ca_8a8f2e39;
    /// Somebody on the bus was refused what they called.
    CALL_REFUSED = "call-refused", 0x665ff365_084947a2_81a260a4_872c1745;
    /// It found a fault of its own and ended itself.
    PANIC = "panic", 0x1118a06b_b7484985_993c7114_e1dbe5f8;
    /// The life before this one ended by a crash.
    CRASH_NOTICED = "crash-noticed", 0x24d64bba_b6554bee_878d943e_4ff4c5e8;
    /// Telegram does not accept the bot token.
    TOKEN_REFUSED = "token-refused", 0xfdd83fdc_9d854aed_9a032fb5_d72843db;
    /// Another program takes this bot's messages.
    POLL_CONFLICT = "poll-conflict", 0x087533b6_f7bc463f_a3be4c08_cfa0d494;
    /// A webhook of the bot was removed because it kept messages away.
    WEBHOOK_REMOVED = "webhook-removed", 0x383b5085_df444d77_900924c1_3e45068a;
    /// Telegram cannot be reached for some time.
    TELEGRAM_UNREACHABLE = "telegram-unreachable", 0xc15fbff2_49fc4d67_8ee4cfbf_05cd0cef;
    /// Telegram can be reached again.
    TELEGRAM_BACK = "telegram-back", 0x189c3cde_fd164b75_b308ea7e_009d0810;
    /// There is no room left for the database or a run.
    DISK_FULL = "disk-full", 0x74a42138_87204669_9fb18dc8_e5b03cfa;
    /// The database is damaged.
    DATABASE_DAMAGED = "database-damaged", 0xf0cd7e5b_916a4384_89458aeb_2595c999;
    /// The database is of a newer telexd.
    DATABASE_NEWER = "database-newer", 0xe81d5ad8_4ab64cd1_b348befe_c26f8d6f;
    /// The database was brought to the schema of this telexd, after a backup.
    DATABASE_MIGRATED = "database-migrated", 0x93cffb96_ac8646a7_8934661f_7e543848;
    /// The state directory, or the database in it, cannot be used.
    STATE_UNUSABLE = "state-unusable", 0x87281f96_897f4cf7_a0c59f58_074ee834;
    /// Another telexd works on the state directory.
    STATE_LOCKED = "state-locked", 0x9ef0d01c_4a184d97_b9f2e95c_d82cde06;
    /// systemd or polkit refused to start or stop an agent.
    RUN_REFUSED = "run-refused", 0x94f84beb_f0b749f9_90c70486_80b13d02;
    /// The unit template of the agents is not installed.
    TEMPLATE_MISSING = "template-missing", 0xe01f9a01_b3dc4e38_adbba170_f6f857bf;
    /// The unit template of the agents is masked.
    TEMPLATE_MASKED = "template-masked", 0xe9475efc_79ad4f3f_abda5d0c_25eaf423;
    /// The unit template of the agents, or a drop-in of it, cannot be loaded.
    TEMPLATE_BROKEN = "template-broken", 0x2d361f5b_80504d3e_a389577b_5b088f28;
    /// An agent could not be started.
    AGENT_NOT_STARTED = "agent-not-started", 0x00f39f03_da024147_9980df9e_ecf84eeb;
    /// An agent ended by a fault or a signal.
    AGENT_CRASHED = "agent-crashed", 0x62a6f9b2_e1884c06_8e00731d_e5709278;
    /// An agent used more memory than it may.
    AGENT_OUT_OF_MEMORY = "agent-out-of-memory", 0x2d54dab4_eac24d12_b8879c96_2556094b;
    /// An agent ran longer than it may.
    AGENT_OUT_OF_TIME = "agent-out-of-time", 0x192ec073_0d8f4632_a55f41e6_68fd896e;
    /// A turn, or the silence of its agent, came to its limit.
    LIMIT_REACHED = "limit-reached", 0x7c0e5b3f_94d14a6e_b8a2d10c_5f6e93a7;
    /// An agent wrote more than it may.
    AGENT_OUTPUT_LIMIT = "agent-output-limit", 0xab0c07bf_eacf485a_b0a92581_3219e4c1;
    /// An agent's supervisor is gone and left no record.
    AGENT_VANISHED = "agent-vanished", 0xb9ac373e_b6894d5b_932a79a9_dd1c4e1f;
    /// The output of a run was cut or changed from outside.
    OUTPUT_TAMPERED = "output-tampered", 0xca90900d_73244f58_b301bc9e_ae571912;
    /// Somebody else than the agent's unit asked for a run.
    HANDOFF_REFUSED = "handoff-refused", 0xf07b7234_bab74782_8c4d01e3_70730d3d;
    /// A part of telexd does not answer; the watchdog is about to end it.
    WATCHDOG_LATE = "watchdog-late", 0x5643f6cc_b4aa44cc_93f9a930_fbecf19e;
    /// An update of Telegram's cannot be read; it is kept.
    UPDATE_UNREADABLE = "update-unreadable", 0xe4fdbe59_dc624651_8d62d48a_75aaf0b4;
    /// Somebody who is not allowed to wrote to the bot.
    STRANGER_REFUSED = "stranger-refused", 0xb2a6a252_e8294940_a324fc86_029324d3;
    /// Somebody who is not known asks to be let in.
    PAIRING_REQUESTED = "pairing-requested", 0xfd331878_a124413b_8ed0adff_48c896df;
    /// Telegram refused a message for good.
    MESSAGE_REFUSED = "message-refused", 0xe82c99d4_be1b4ce8_83e400c7_26d041a5;
    /// A message may have been sent twice.
    MESSAGE_UNCERTAIN = "message-uncertain", 0xe775b341_6dc14c52_9658dd1f_5d0df69c;
    /// A call to Telegram failed in a way that telexd does not know.
    CALL_UNKNOWN = "call-unknown", 0x003d6095_52f84279_89e0bec1_e08c2160;
    /// No updates can come in as the configuration or the server stands.
    POLL_IMPOSSIBLE = "poll-impossible", 0x8017b92f_e0c243d5_8989ae4a_682c7061;
    /// Updates stopped coming in although Telegram can be reached; telexd ends to be started anew.
    POLL_STALLED = "poll-stalled", 0x2db8ae26_c3a24538_becec725_ffc73f7c;
    /// Something went wrong that nobody thought of; its person was told its number.
    UNEXPECTED = "unexpected", 0xc4f6f705_71d644f4_aa5e7b45_470ca283;
    /// The administrators were told of a failed unit.
    ALERT_SENT = "alert-sent", 0x919b82cf_8e124b33_92e3031f_89b575bb;
    /// The administrators could not be told of a failed unit.
    ALERT_FAILED = "alert-failed", 0x4d154d58_a1914c79_b2e79139_cf4a2ba2;
}

/// The `MESSAGE_ID` of the kind with this name.
#[must_use]
pub fn id(name: &str) -> Option<u128> {
    ALL.iter()
        .find(|kind| kind.name == name)
        .map(|kind| kind.id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_ids_are_unique() {
        let names: BTreeSet<_> = ALL.iter().map(|kind| kind.name).collect();
        let ids: BTreeSet<_> = ALL.iter().map(|kind| kind.id).collect();
        assert_eq!((names.len(), ids.len()), (ALL.len(), ALL.len()));
        assert_eq!(
            id(DISK_FULL),
            Some(0x74a4_2138_8720_4669_9fb1_8dc8_e5b0_3cfa)
        );
        assert_eq!(id("no such kind"), None);
    }

    #[test]
    fn a_name_is_its_constant() {
        for (kind, constant) in ALL.iter().zip(CONSTANTS) {
            assert_eq!(kind.name, constant.to_lowercase().replace('_', "-"));
        }
    }
}
