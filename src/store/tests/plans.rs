//! No query reads the whole of a table that grows.
//!
//! Every statement that a transaction uses is recorded in tests. One test uses every method and then asks SQLite for
//! the plan of each statement.

use std::{collections::BTreeSet, sync::Mutex};

use super::*;
use crate::store::overviews;
use crate::{
    core::event::Question,
    store::rows::{
        AuditEntry, RawUpdate, SessionMetadata, Slot, Target, TurnEnd, Urgency, Verdict,
    },
};

static STATEMENTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Called for every statement that a transaction uses.
pub(crate) fn record(sql: &'static str) {
    STATEMENTS.lock().unwrap().insert(sql);
}

/// Tables with a handful of rows: one per bot, per setting, per chat that Telegram limits at the moment, per stranger of
/// the last day as far as they are given codes, per person whom an administrator let in.
const SMALL: [&str; 5] = [
    "poll_offsets",
    "settings",
    "rate_limits",
    "pairings",
    "paired",
];

/// Indices over what is open, waiting, wrong or about to be cleared: small however large their table is.
const SMALL_INDICES: [&str; 13] = [
    "attachments_wanted",
    "inbox_waiting",
    "turns_open",
    "turns_open_by_state",
    "runs_live",
    "runs_to_clear",
    "outbox_open",
    "outbox_unsent",
    "outbox_changes",
    "outbox_sending",
    "outbox_ambiguous",
    "outbox_rejected",
    "questions_open_by_request",
];

/// Statements that may read a whole index or table, and why.
const ALLOWED: [(&str, &str); 5] = [
    (
        overviews::AUDIT,
        "reads `limit` rows from the end, or from before a row",
    ),
    (
        overviews::CONVERSATIONS,
        "asked for by administrators; there is one row per person and topic",
    ),
    (
        overviews::PEOPLE,
        "asked for by administrators; there is one row per person",
    ),
    (
        "SELECT count(*) FROM conversations",
        "asked for metrics only; there is one row per person and topic",
    ),
    (
        "SELECT at, who, action, target, result FROM audit ORDER BY id DESC LIMIT ?1",
        "reads `limit` rows from the end",
    ),
];

/// Uses every method once.
fn use_everything(tx: &Tx<'_>) -> Result<(), StoreError> {
    let (conversation, turn) = turn_of(tx, 1)?;
    let update = RawUpdate {
        update_id: 1,
        raw: "{}".to_owned(),
    };
    let inbox = tx.inbox_add(7, &[update], 1)?[0];
    tx.set_poll_offset(7, 2)?;
    tx.poll_offset(7)?;
    tx.inbox_pending(9)?;
    tx.inbox_received_at(InboxId(1))?;
    tx.inbox_done(inbox, Verdict::Prompt, 2)?;
    tx.inbox_backlog()?;
    tx.inbox_prune(1)?;

    tx.conversation(conversation)?;
    tx.conversations_with_work()?;
    tx.conversation_count()?;
    tx.person_seen(1, "Ann", 1)?;
    tx.person_name(1)?;

    tx.session_start(conversation, uuid(1), 1)?;
    tx.session_current(conversation)?;
    tx.session_used(uuid(1), 2)?;
    tx.session_metadata(uuid(1), &SessionMetadata::default())?;
    tx.session_forget(conversation)?;

    tx.turn_part_add(turn, &part(1, "x"))?;
    tx.part_of_message(conversation, 10, 1)?;
    tx.part_edit(turn, InboxId(1), "y")?;
    tx.turn_collected(conversation)?;
    tx.collected(turn)?;
    tx.turn_of_album(conversation, "7")?;
    tx.turn_held(conversation)?;
    tx.run_add(&new_run(run_id(1), conversation, uuid(1)))?;
    tx.turn_submitted(turn, &run_id(1), uuid(2), "{}", 3)?;
    tx.turn_machine(turn, "{}")?;
    tx.turn_attempted(turn)?;
    tx.turn_requeued(turn, uuid(3))?;
    tx.turn_back(turn, uuid(4), TurnState::Queued)?;
    tx.turn_state(turn, TurnState::Asked, 4)?;
    tx.turn(turn)?;
    tx.turns_open(conversation)?;
    tx.turns_ahead(conversation, 1)?;
    tx.turns_of_state(conversation, TurnState::Held, 1)?;
    tx.turn_last_over(conversation)?;
    tx.turn_first(turn)?;
    let (_, other) = turn_of(tx, 1)?;
    tx.turn_behind(turn, other)?;
    tx.turn_last_given(conversation)?;
    tx.turns_waiting()?;
    tx.turns_queued()?;
    tx.turns_waiting_up_to(turn)?;
    tx.turns_in_line()?;
    tx.turns_running()?;
    tx.turns_in_flight()?;

    tx.run(&run_id(1))?;
    tx.runs_live()?;
    tx.runs_live_count()?;
    tx.runs_out_of_memory(0)?;
    tx.run_offset(&run_id(1), 5)?;
    tx.run_running(&run_id(1))?;

    let question = Question {
        request_id: "r".to_owned(),
        tool: "Bash".to_owned(),
        ..Question::default()
    };
    let id = tx.question_add(turn, &run_id(1), &question, 1)?;
    tx.question_decided(turn, &run_id(1), &question, "\"withdrawn\"", 1)?;
    tx.question(id)?;
    tx.questions_open(turn)?;
    tx.questions_of(turn)?;
    tx.question_denied_by(turn, "Bash")?;
    tx.questions_denied_by(turn)?;
    tx.question_by_request(&run_id(1), "r")?;
    tx.question_progress(id, "{}")?;
    let here = Target {
        chat_id: 1,
        thread_id: 0,
    };
    tx.questions_under_way(1, here)?;
    tx.question_answered(id, "\"withdrawn\"", 2)?;

    let target = Target {
        chat_id: 1,
        thread_id: 0,
    };
    let slot = Slot { turn, number: 0 };
    let first = tx.out_show(target, Some(slot), Urgency::Message, &shown("a"), 1)?;
    tx.out_show(target, Some(slot), Urgency::Message, &shown("b"), 1)?;
    tx.out_again(first, &shown("c"), 1)?;
    tx.out_gone(OutboxId(99), 1)?;
    tx.out_renumber(first, 0)?;
    tx.out_press("cb", "", 1)?;
    tx.out_due(1, 9)?;
    tx.out_due_presses(1, 9)?;
    tx.out_next_due(1)?;
    tx.out_sending(first, 2)?;
    tx.out_sent(first, 2, Some(4), 1)?;
    tx.out_later(first, "", 1, 1)?;
    tx.out_ambiguous(first, "", 1, 1)?;
    tx.out_rejected(first, "", 1)?;
    tx.out_plain(first)?;
    tx.out_anew(first, false)?;
    tx.out_unfold(first, "", |_| vec![shown("x")], 1)?;
    tx.out_stir(1, 0)?;
    tx.out_row(first)?;
    tx.out_slot(slot)?;
    tx.out_at(1, 4)?;
    tx.out_backlog()?;
    tx.out_counts()?;
    tx.out_retract(turn, 0, 1, 1)?;
    tx.out_release(slot, 1)?;
    tx.out_recover(1)?;
    tx.out_prune(1)?;
    tx.past_prune(1, 9)?;

    tx.clock_set_back(Some(2), 1)?;
    tx.chat_limit_set(1, 5, 1)?;
    tx.chat_limit(1)?;
    tx.pace_set("p", 5, 1)?;
    tx.pace("p")?;
    tx.limits_prune(1)?;
    tx.chat_migrated(1, 2)?;

    tx.setting_set("k", "v", 1)?;
    tx.setting("k")?;
    tx.settings()?;
    tx.setting_unset("k")?;
    tx.config_changed(Vec::new());
    tx.audit_remove(1)?;
    tx.audit_add(&AuditEntry {
        at: 1,
        who: String::new(),
        action: String::new(),
        target: String::new(),
        result: String::new(),
    })?;
    tx.audit_tail(1)?;
    tx.audit_page(None, 1)?;
    tx.conversations_overview()?;
    tx.people()?;
    tx.questions_waiting()?;

    tx.pairing_new(&asks(3))?;
    tx.pairing_put(&asks(3))?;
    tx.pairing(&asks(3).request.code)?;
    tx.pairing_of(3)?;
    tx.pairings()?;
    tx.pairing_forget(3)?;
    tx.paired_add(3, "signal", 1)?;
    tx.paired()?;
    tx.paired_remove(3)?;
    let file = tx.attachment_add(turn, conversation, inbox, &new_attachment("7-a", None), 1)?;
    tx.attachment_is_wanted(1)?;
    tx.attachments_drop(turn, InboxId(99))?;
    tx.attachments(turn)?;
    tx.attachments_awaited(turn)?;
    tx.attachments_due(1, 2)?;
    tx.attachments_next(1)?;
    tx.attachment_later(file, 1, true, None)?;
    tx.attachment_here(file, 5, None, 2)?;
    let other = tx.attachment_add(turn, conversation, inbox, &new_attachment("8-b", None), 1)?;
    tx.attachment_refused(other, "why", 2)?;
    tx.turn_is_over(turn)?;
    tx.attachments_size(conversation)?;
    tx.attachment_names(conversation)?;
    tx.attachment_oldest_gone(conversation)?;
    tx.attachments_expire(9, 1)?;

    let end = TurnEnd {
        state: TurnState::Completed,
        machine: None,
        cost_usd: None,
        duration_ms: None,
    };
    tx.turn_ended(turn, &end, 9)?;
    tx.run_ended(&run_id(1), RunStatus::Completed, None, 9)?;
    tx.runs_over_before(99)?;
    tx.run_cleared(&run_id(1))
}

/// The steps of a plan, as SQLite words them.
fn plan(tx: &Tx<'_>, sql: &str) -> Vec<String> {
    let mut statement = tx
        .connection()
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    // Parameters that are not bound are NULL, which does for a plan.
    let rows = statement.raw_query();
    rows.mapped(|row| row.get::<_, String>(3))
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Whether a step of this statement's plan reads a whole table that grows.
fn reads_all(tx: &Tx<'_>, sql: &str, step: &str) -> bool {
    let Some(scan) = step.strip_prefix("SCAN ") else {
        return false;
    };
    let mut words = scan.split_whitespace();
    let name = words.next().unwrap();
    let index = words.skip_while(|word| *word != "INDEX").nth(1);
    if index.is_some_and(|index| SMALL_INDICES.contains(&index)) {
        return false;
    }
    // A name that is no table is a subquery, whose own steps are in the plan, too.
    let is_table = |table: &str| -> bool {
        tx.connection()
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)",
                [table],
                |row| row.get(0),
            )
            .unwrap()
    };
    // The plan names aliases; one may stand for several tables, in several parts of the statement.
    let words: Vec<_> = sql
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let meant = words
        .windows(3)
        .filter(|three| three[1] == "AS" && three[2] == name)
        .map(|three| three[0])
        .chain([name]);
    meant
        .into_iter()
        .any(|table| is_table(table) && !SMALL.contains(&table))
}

#[test]
fn no_query_reads_the_whole_of_a_growing_table() {
    let db = Db::new();
    let bad = db.tx(|tx| {
        use_everything(tx)?;
        let statements: Vec<_> = STATEMENTS.lock().unwrap().iter().copied().collect();
        let bad: Vec<_> = statements
            .into_iter()
            .filter(|sql| !ALLOWED.iter().any(|(allowed, _)| allowed == sql))
            .flat_map(|sql| plan(tx, sql).into_iter().map(move |step| (sql, step)))
            .filter(|(sql, step)| reads_all(tx, sql, step))
            .collect();
        Ok(bad)
    });
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn a_query_that_reads_a_whole_table_is_found_out() {
    let db = Db::new();
    db.tx(|tx| {
        for (sql, whole) in [
            ("SELECT raw FROM inbox WHERE received_at < ?1", true),
            ("SELECT count(*) FROM turns WHERE state = 'queued'", true),
            ("SELECT o.id FROM outbox AS o WHERE o.state = ?1", true),
            ("SELECT t.id FROM turns AS t WHERE t.attempts = ?1", true),
            (
                "SELECT l.until FROM rate_limits AS l WHERE l.until > ?1",
                false,
            ),
            ("DELETE FROM turn_parts WHERE message_id = ?1", true),
            (
                "SELECT id FROM inbox WHERE done_at IS NULL ORDER BY id",
                false,
            ),
            ("SELECT value FROM settings", false),
            ("SELECT raw FROM inbox WHERE id = ?1", false),
        ] {
            let found = plan(tx, sql).iter().any(|step| reads_all(tx, sql, step));
            assert_eq!(found, whole, "{sql}: {:?}", plan(tx, sql));
        }
        Ok(())
    });
}

/// The methods of `Tx`, from the sources: a new one must be used by [`use_everything`].
#[test]
fn every_method_is_looked_at() {
    let here = include_str!("plans.rs");
    let sources = [
        include_str!("../attachments.rs"),
        include_str!("../audit.rs"),
        include_str!("../conversations.rs"),
        include_str!("../inbox.rs"),
        include_str!("../limits.rs"),
        include_str!("../line.rs"),
        include_str!("../outbox.rs"),
        include_str!("../outbox_due.rs"),
        include_str!("../outbox_rows.rs"),
        include_str!("../overviews.rs"),
        include_str!("../pairings.rs"),
        include_str!("../parts.rs"),
        include_str!("../questions.rs"),
        include_str!("../runs.rs"),
        include_str!("../sessions.rs"),
        include_str!("../settings.rs"),
        include_str!("../turns.rs"),
    ];
    let methods: Vec<_> = sources
        .iter()
        .flat_map(|source| source.split("\n    pub fn ").skip(1))
        .map(|rest| rest.split(['(', '<']).next().unwrap())
        // Not of `Tx`, and made by a helper of the tests.
        .filter(|name| !["over", "conversation_open", "turn_add"].contains(name))
        .collect();
    assert!(methods.len() > 60, "{methods:?}");
    for method in methods {
        assert!(
            here.contains(&format!("tx.{method}(")),
            "{method} is not used"
        );
    }
}
