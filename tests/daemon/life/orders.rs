//! What administrators order about agents: lists, and the end of one or all of them.

use telexd_botapi::{Call, Fault, FaultKind, ShownMessage, View};

use crate::support::{ADMIN, DEADLINE, USER, World, shows, texts, wait_until};

const GUEST: i64 = 1003;
const ENDED: &str = "— Ended by an administrator";

fn audited(world: &World, what: &str) -> i64 {
    world
        .query(&format!("SELECT count(*) FROM audit WHERE {what}"))
        .unwrap()
}

/// The last message of the bot.
fn last(shown: &[ShownMessage]) -> String {
    texts(shown).last().cloned().unwrap_or_default()
}

/// Sends a command and gives the answer, which is the next message of the bot.
async fn answer(world: &World, chat: i64, command: &str) -> ShownMessage {
    let before = world.api.view(|v| v.bot_messages(chat)).len();
    world.api.user(chat, "Ada").send_text(chat, command);
    let shown = world.wait_chat(chat, command, |m| m.len() > before).await;
    shown[before].clone()
}

/// Has somebody begin something that never ends; gives the beginning of the run's id as `/ps` shows it.
async fn hangs(world: &World, person: i64, name: &str) -> String {
    let before = world.reached("hang");
    world.api.user(person, name).send_text(person, "hang");
    wait_until(
        "it has begun",
        || world.reached("hang") > before,
        || world.log(),
    )
    .await;
    world.wait_told(person, "words of an answer").await;
    let listed = answer(world, ADMIN, "/ps").await.text;
    let line = listed
        .lines()
        .find(|line| line.contains(name))
        .unwrap_or_else(|| panic!("{listed}"));
    assert!(line.contains(" · works · "), "{line}");
    line.split(' ').next().unwrap().to_owned()
}

async fn no_agents(world: &World, daemon: i32) {
    wait_until(
        "no agent is left",
        || world.processes().iter().all(|(pid, _)| *pid == daemon),
        || format!("{:#?}", world.processes()),
    )
    .await;
}

#[tokio::test]
async fn one_agent_is_ended_by_the_beginning_of_its_id_and_its_person_is_told() {
    let world = World::new().await;
    let daemon = world.start();
    assert_eq!(answer(&world, ADMIN, "/ps").await.text, "No agent runs.");
    for (given, told) in [
        ("/kill", "No agent runs for this conversation. /ps shows"),
        ("/kill 7", "That is not the id of a run. Give at least 4"),
        ("/kill ../../x", "That is not the id of a run."),
        ("/kill aaaa", "There is no run aaaa. /ps shows"),
    ] {
        let text = answer(&world, ADMIN, given).await.text;
        assert!(text.starts_with(told), "{given}: {text}");
    }
    let run = hangs(&world, USER, "Uma").await;
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "say next");
    world.wait_told(USER, "In line: number 2.").await;
    // A process id is no name of anything.
    let pid = world
        .processes()
        .iter()
        .find(|(_, line)| line.contains("scripted"))
        .unwrap()
        .0;
    let text = answer(&world, ADMIN, &format!("/kill {pid}")).await.text;
    assert!(
        text.contains("not the id") || text.contains("no run"),
        "{text}"
    );
    let text = answer(&world, ADMIN, &format!("/kill {}", run.to_uppercase()))
        .await
        .text;
    assert!(
        text.starts_with(&format!("{run} ends: Uma, for ")),
        "{text}"
    );
    let shown = world.wait_told(USER, ENDED).await;
    assert!(
        shown
            .iter()
            .any(|m| m.text == format!("words of an answer that never ends\n\n{ENDED}")),
        "{:#?}",
        texts(&shown)
    );
    // What waited goes on, in another process.
    world.wait_shows(USER, "next").await;
    assert_eq!(world.evidence().of("start").count(), 2);
    let whole: String = rusqlite_text(
        &world,
        "SELECT id FROM runs WHERE status = 'killed' OR ended_at IS NOT NULL",
    );
    assert!(whole.starts_with(&run));
    let text = answer(&world, ADMIN, &format!("/kill {whole}")).await.text;
    assert_eq!(text, format!("No change: {run} is over already."));
    assert_eq!(
        world.query("SELECT count(*) FROM settings WHERE key LIKE 'kill.%'"),
        Some(0)
    );
    assert_eq!(
        audited(
            &world,
            "action = 'kill' AND result = 'done' AND target LIKE 'run %'"
        ),
        1
    );
    daemon.stop().await;
    world.end_all().await;
}

fn rusqlite_text(world: &World, sql: &str) -> String {
    let path = world.path("state/telexd.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(path, flags).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn an_order_that_is_recorded_is_carried_out_also_by_the_next_daemon() {
    let world = World::new().await;
    let daemon = world.start();
    let run = hangs(&world, USER, "Uma").await;
    daemon.kill();
    // It ends right after it has recorded the order, before it does anything about it.
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "admin-committed:1")]);
    world
        .api
        .user(ADMIN, "Ada")
        .send_text(ADMIN, &format!("/kill {run}"));
    daemon.wait().await;
    assert_eq!(
        world.query("SELECT count(*) FROM settings WHERE key LIKE 'kill.%'"),
        Some(1)
    );
    assert!(!world.processes().is_empty());
    let daemon = world.start();
    world.wait_told(USER, ENDED).await;
    world.wait_told(ADMIN, &format!("{run} ends")).await;
    no_agents(&world, daemon.pid()).await;
    assert_eq!(world.reached("hang"), 1);
    world.says(USER, "well").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn all_agents_end_after_a_button_that_works_once_and_for_one() {
    let world = World::new().await;
    world.drop_in(
        "10-people",
        &format!("[access]\nadmins = [{ADMIN}, {GUEST}]\n"),
    );
    let daemon = world.start();
    let text = answer(&world, ADMIN, "/killall").await.text;
    assert!(text.starts_with("No agent runs."), "{text}");
    hangs(&world, USER, "Uma").await;
    hangs(&world, GUEST, "Gus").await;
    let asked = answer(&world, ADMIN, "/killall").await;
    assert_eq!(asked.text, "End all 2 agents, and what they are doing?");
    let (yes, no) = (
        asked.buttons[0][0].data.clone().unwrap(),
        asked.buttons[0][1].data.clone().unwrap(),
    );
    // No, asked again; the buttons of the first question are of no use then.
    let ada = world.api.user(ADMIN, "Ada");
    ada.press(ADMIN, asked.message_id, &no).unwrap();
    world.wait_shows(ADMIN, "Left as it was.").await;
    ada.press_stale(ADMIN, asked.message_id, &yes);
    let group = -1_000_000_000_777;
    ada.send_group(group, "/killall");
    let shown = world.wait_told(group, "End all 2 agents").await;
    let asked = shown.last().unwrap();
    let yes = asked.buttons[0][0].data.clone().unwrap();
    // Another admin's, and a user's, press does nothing.
    for person in [GUEST, USER] {
        world
            .api
            .user(person, "X")
            .press(group, asked.message_id, &yes)
            .unwrap();
    }
    world
        .api
        .wait_for(DEADLINE, |v| v.callback_answers().len() == 4)
        .await
        .unwrap();
    assert!(!shows(&world.api.view(|v| v.bot_messages(USER)), ENDED));
    assert_eq!(audited(&world, "action = 'kill-all'"), 0);
    ada.press(group, asked.message_id, &yes).unwrap();
    for chat in [USER, GUEST] {
        world.wait_told(chat, ENDED).await;
    }
    let shown = world
        .wait_told(group, "2 agents end. Messages in line are run by others")
        .await;
    assert!(last(&shown).starts_with("2 agents end"), "{shown:#?}");
    no_agents(&world, daemon.pid()).await;
    assert_eq!(
        audited(
            &world,
            "action = 'kill-all' AND target = '2 runs' AND result = 'done'"
        ),
        1
    );
    daemon.stop().await;
    world.end_all().await;
}

/// Somebody is quicker than Telegram's answer to the message that asks, or that answer never comes.
#[tokio::test]
async fn a_question_may_be_pressed_before_its_number_is_known() {
    let world = World::new().await;
    let asks =
        |call: &Call| call.params["text"] == "End the one agent that runs, and what it is doing?";
    let hang = Fault::once("sendMessage", FaultKind::Hang { taken: true }).when(asks);
    let hang = world.api.fault(hang);
    let daemon = world.start();
    hangs(&world, USER, "Uma").await;
    let asked = answer(&world, ADMIN, "/killall").await;
    let no = asked.buttons[0][1].data.clone().unwrap();
    let ada = world.api.user(ADMIN, "Ada");
    ada.press(ADMIN, asked.message_id, &no).unwrap();
    let pressed = |v: &View| v.callback_answers().len() == 1;
    world.api.wait_for(DEADLINE, pressed).await.unwrap();
    world.api.cancel_fault(hang);
    let closed = |m: &ShownMessage| {
        m.message_id == asked.message_id && m.text == "Left as it was." && m.buttons.is_empty()
    };
    world
        .wait_chat(ADMIN, "it is closed", |m| m.iter().any(closed))
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn orders_that_cost_much_have_a_pace() {
    let world = World::new().await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    for _ in 0..11 {
        uma.send_text(USER, "/clear");
    }
    let shown = world
        .wait_told(USER, "That was ordered often just now")
        .await;
    let refused: Vec<_> = shown
        .iter()
        .filter(|m| m.text.contains("it may be repeated in "))
        .collect();
    assert!(refused.len() == 1 && shown.len() == 11, "{shown:#?}");
    assert_eq!(audited(&world, "result = 'refused: TooManyCalls'"), 1);
    // Somebody else has a pace of their own.
    let text = answer(&world, ADMIN, "/clear").await.text;
    assert!(text.starts_with("Done"), "{text}");
    daemon.kill();
    // And so it is after a restart.
    let daemon = world.start();
    uma.send_text(USER, "/clear");
    world
        .wait_chat(USER, "another refusal", |m| {
            m.iter()
                .filter(|m| m.text.contains("it may be repeated in "))
                .count()
                == 2
        })
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn who_is_who() {
    let world = World::new().await;
    let daemon = world.start();
    world.says(USER, "hello").await;
    let text = answer(&world, ADMIN, "/users").await.text;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 2, "{text}");
    assert!(
        lines[0].starts_with("Ada (1001) · admin · seen 0 s ago"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("Person (1002) · user · seen "),
        "{text}"
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_restart_asks_first_and_is_told_when_it_is_over() {
    let world = World::new().await;
    // Where nobody starts it again it does not end.
    let daemon = world.start();
    let text = answer(&world, ADMIN, "/restart").await.text;
    assert!(text.contains("nobody would start it again"), "{text}");
    world.says(USER, "it goes on").await;
    daemon.stop().await;

    let service = [("INVOCATION_ID", "0123456789abcdef0123456789abcdef")];
    let mut daemon = world.start_with(&service);
    let asked = answer(&world, ADMIN, "/restart").await;
    assert!(asked.text.starts_with("Restart the bot?"), "{}", asked.text);
    world.api.user(USER, "Uma").send_text(USER, "slow 20 x100");
    world.wait_told(USER, "piece 00002").await;
    let yes = asked.buttons[0][0].data.clone().unwrap();
    let ada = world.api.user(ADMIN, "Ada");
    ada.press(ADMIN, asked.message_id, &yes).unwrap();
    assert_eq!(daemon.wait().await.code(), Some(75));
    assert!(!world.processes().is_empty(), "the agent goes on");
    // The old button does nothing in the next life, which begins without a word of a crash.
    ada.press_stale(ADMIN, asked.message_id, &yes);
    let daemon = world.start_with(&service);
    let shown = world.wait_shows(ADMIN, "Restarted: here I am.").await;
    assert!(
        shown.iter().all(|m| !m.text.contains("crash")),
        "{shown:#?}"
    );
    world
        .wait_chat(USER, "the whole answer", |m| {
            m.iter().any(|m| m.text.contains("100"))
        })
        .await;
    assert_eq!(audited(&world, "action = 'restart' AND result = 'done'"), 1);
    world.says(USER, "well").await;
    daemon.stop().await;
    world.end_all().await;
}
