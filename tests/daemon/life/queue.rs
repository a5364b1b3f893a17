//! The queue of a conversation: its order, its buttons, `/queue`; what becomes of it at a stop.

use telexd_botapi::{Config, ShownMessage};

use crate::support::{ADMIN, Daemon, USER, World, talk, texts};

const GUEST: i64 = 1003;
const INTERRUPTED: &str = "words of an answer that never ends\n\n— Interrupted";
const ENDED: &str = "words of an answer that never ends\n\n— Ended by an administrator";

/// Labels of the buttons of a message, row by row.
fn labels(message: &ShownMessage) -> Vec<Vec<String>> {
    let row = |row: &Vec<telexd_botapi::Button>| row.iter().map(|b| b.text.clone()).collect();
    message.buttons.iter().map(row).collect()
}

/// The message of a chat that shows exactly this, once it is there.
async fn message(world: &World, chat: i64, text: &str) -> ShownMessage {
    let shown = world.wait_shows(chat, text).await;
    let is_it = |m: &ShownMessage| !m.deleted && m.text == text;
    shown.into_iter().rfind(is_it).unwrap()
}

/// The list of what waits, once it begins like this.
async fn list(world: &World, chat: i64, begin: &str) -> ShownMessage {
    let is_it = |m: &ShownMessage| !m.deleted && m.text.starts_with(begin);
    let shown = world.wait_chat(chat, begin, |m| m.iter().any(is_it)).await;
    shown.into_iter().rfind(is_it).unwrap()
}

/// Presses a button of a message; what the person is told.
async fn press(world: &World, person: i64, message: &ShownMessage, label: &str) -> String {
    let user = world.api.user(person, "Person");
    let id = user
        .press_labelled(message.chat_id, message.message_id, label)
        .unwrap();
    world.press_answer(&id).await.unwrap()
}

/// Presses what stood on a message once.
async fn press_old(world: &World, chat: i64, message: i64, data: &str) -> String {
    let id = world
        .api
        .user(chat, "Person")
        .press_stale(chat, message, data);
    world.press_answer(&id).await.unwrap()
}

/// Somebody's agent hangs in mid-answer, and these wait behind it.
async fn hangs(world: &World, person: i64, waiting: &[&str]) -> ShownMessage {
    let user = world.api.user(person, "Person");
    user.send_text(person, "hang");
    world.wait_told(person, "words of an answer").await;
    for (place, text) in (2..).zip(waiting) {
        user.send_text(person, text);
        let shown = format!("In line: number {place}.");
        world.wait_shows(person, &shown).await;
    }
    let shown = world.api.view(|v| v.bot_messages(person));
    let running = |m: &ShownMessage| !m.deleted && m.text.contains("words of an answer");
    shown.into_iter().rfind(running).unwrap()
}

/// Numbers of the turns with these prompts.
fn number(world: &World, text: &str) -> i64 {
    world
        .query(&format!(
            "SELECT max(turn) FROM turn_parts WHERE text = '{text}'"
        ))
        .unwrap()
}

/// Prompts in the order in which agents took them up.
fn begun(world: &World) -> Vec<String> {
    let evidence = world.evidence();
    let mut seen: Vec<_> = evidence
        .of("begun")
        .map(|line| {
            (
                line["at_ms"].as_u64().unwrap(),
                line["text"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    seen.sort_by_key(|(at, _)| *at);
    seen.into_iter().map(|(_, text)| text).collect()
}

fn audited(world: &World, what: &str) -> i64 {
    world
        .query(&format!("SELECT count(*) FROM audit WHERE {what}"))
        .unwrap()
}

async fn end(world: &World, daemon: Daemon) {
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn prompts_in_line_are_moved_and_cancelled_by_their_buttons() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "ask");
    let question = list(&world, USER, "May the agent use").await;
    for (place, text) in [(2, "say one"), (3, "say two"), (4, "say three")] {
        user.send_text(USER, text);
        world
            .wait_shows(USER, &format!("In line: number {place}."))
            .await;
    }
    let (one, two, three) = (
        message(&world, USER, "In line: number 2.").await,
        message(&world, USER, "In line: number 3.").await,
        message(&world, USER, "In line: number 4.").await,
    );
    assert_eq!(labels(&one), [["Cancel"]]);
    assert_eq!(labels(&two), [["Run next", "Cancel"]]);
    assert_eq!(
        press(&world, USER, &three, "Run next").await,
        "It runs next."
    );
    // Each message is still that of its own prompt.
    let stands = |number: usize, of: &ShownMessage| {
        let (text, id) = (format!("In line: number {number}."), of.message_id);
        move |m: &[ShownMessage]| m.iter().any(|m| m.message_id == id && m.text == text)
    };
    for (number, of) in [(2, &three), (3, &one), (4, &two)] {
        let shown = world
            .wait_chat(USER, "its new place", stands(number, of))
            .await;
        let now = shown
            .iter()
            .find(|m| m.message_id == of.message_id)
            .unwrap();
        assert_eq!(labels(now).concat().len(), if number == 2 { 1 } else { 2 });
    }
    assert_eq!(
        press(&world, USER, &one, "Cancel").await,
        "Dropped: it was not run."
    );
    let dropped = message(&world, USER, "Dropped: it was not run.").await;
    assert_eq!(
        (dropped.message_id, labels(&dropped).len()),
        (one.message_id, 0)
    );
    world
        .wait_chat(USER, "the last moved up", stands(3, &two))
        .await;
    // Pressed by an app that shows an old state.
    let told = press_old(
        &world,
        USER,
        one.message_id,
        &format!("u:{}", number(&world, "say one")),
    )
    .await;
    assert_eq!(
        told,
        "“Run next” is no longer of use: that message was dropped and not run."
    );
    press(&world, USER, &question, "Allow once").await;
    for (answer, of) in [("three", &three), ("two", &two)] {
        let answer = message(&world, USER, answer).await;
        assert_eq!(
            (answer.message_id, labels(&answer).len()),
            (of.message_id, 0)
        );
    }
    assert_eq!(begun(&world), ["ask", "say three", "say two"]);
    let told = press_old(
        &world,
        USER,
        two.message_id,
        &format!("x:{}", number(&world, "say two")),
    )
    .await;
    assert_eq!(
        told,
        "“Cancel” is no longer of use: that answer is finished."
    );
    assert_eq!(audited(&world, "action = 'run-next' AND result = 'ok'"), 1);
    assert_eq!(audited(&world, "action = 'drop' AND result = 'ok'"), 1);
    assert_eq!(
        audited(
            &world,
            "action IN ('run-next', 'drop') AND result = 'no-change'"
        ),
        2
    );
    end(&world, daemon).await;
}

#[tokio::test]
async fn a_stop_keeps_what_waits_over_a_kill_until_its_person_says_so() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let running = hangs(&world, USER, &["say one", "say  two\nof it"]).await;
    assert_eq!(press(&world, USER, &running, "Stop").await, "Stopping…");
    world.wait_shows(USER, INTERRUPTED).await;
    let (one, two) = (number(&world, "say one"), number(&world, "say  two\nof it"));
    let text = format!(
        "2 messages are kept and wait for your word:\n#{one} “say one”\n#{two} “say two of it”"
    );
    let listed = message(&world, USER, &text).await;
    assert_eq!(
        labels(&listed),
        [
            vec![format!("Run next #{one}"), format!("Drop #{one}")],
            vec![format!("Run next #{two}"), format!("Drop #{two}")],
            vec!["Run all".to_owned()],
        ]
    );
    world.wait_sent().await;
    assert_eq!(
        texts(&world.api.view(|v| v.bot_messages(USER))),
        [INTERRUPTED, &text],
        "they have no other message meanwhile"
    );
    user.send_text(USER, "/status");
    world
        .wait_told(USER, "\n2 messages are kept until you say so: /queue\n")
        .await;
    world.wait_sent().await;
    daemon.kill();
    let daemon = world.start_ready().await;
    // What is written next runs at once, and they stay.
    world.says(USER, "new").await;
    assert_eq!(begun(&world), ["hang", "say new"]);
    assert_eq!(
        press(&world, USER, &listed, &format!("Run next #{two}")).await,
        "It runs next."
    );
    let text = format!("1 message is kept and waits for your word:\n#{one} “say one”");
    let left = message(&world, USER, &text).await;
    assert_eq!(left.message_id, listed.message_id);
    assert_eq!(labels(&left), [["Run next", "Drop"]]);
    let answer = message(&world, USER, "two\nof it").await;
    assert!(
        answer.message_id > listed.message_id,
        "below, where it is seen"
    );
    assert_eq!(
        press(&world, USER, &left, "Drop").await,
        "Dropped: it was not run."
    );
    let over = message(&world, USER, "Nothing waits any more.").await;
    assert_eq!(
        (over.message_id, labels(&over).len()),
        (listed.message_id, 0)
    );
    assert_eq!(
        press_old(&world, USER, over.message_id, &format!("w:{one}")).await,
        "“Run all” is no longer of use: that message was dropped and not run."
    );
    assert_eq!(world.reached("say one"), 0);
    assert_eq!(world.reached("say  two\nof it"), 1);
    assert_eq!(
        world.query("SELECT count(*) FROM settings WHERE key LIKE 'queue.list.%'"),
        Some(0)
    );
    end(&world, daemon).await;
}

#[tokio::test]
async fn a_stop_with_nothing_in_line_says_nothing_of_a_queue() {
    let world = World::new().await;
    let daemon = world.start();
    let running = hangs(&world, USER, &[]).await;
    press(&world, USER, &running, "Stop").await;
    world.wait_shows(USER, INTERRUPTED).await;
    world.says(USER, "next").await;
    assert_eq!(
        talk(&world.api.view(|v| v.bot_messages(USER))),
        [INTERRUPTED, "next"]
    );
    end(&world, daemon).await;
}

#[tokio::test]
async fn what_is_sent_after_a_stop_is_not_kept_even_if_the_agent_is_slow_to_end() {
    let world = World::new().await;
    let daemon = world.start_with(&[("TELEXD_STALL_AT", "lane-stopping:700")]);
    let user = world.api.user(USER, "Uma");
    let running = hangs(&world, USER, &["say before"]).await;
    let stop = running.buttons[0][0].data.clone().unwrap();
    user.press(USER, running.message_id, &stop).unwrap();
    user.send_text(USER, "say after");
    world.wait_shows(USER, "after").await;
    list(&world, USER, "1 message is kept").await;
    assert_eq!(begun(&world), ["hang", "say after"]);
    end(&world, daemon).await;
}

#[tokio::test]
async fn all_that_is_kept_runs_in_its_order_and_many_are_summed_up() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let faces = format!("say {}", "😀".repeat(100));
    let prompts: Vec<String> = (1..=7)
        .map(|n| format!("say number {n}"))
        .chain([faces])
        .collect();
    let waiting: Vec<&str> = prompts.iter().map(String::as_str).collect();
    hangs(&world, USER, &waiting).await;
    user.send_text(USER, "/interrupt");
    let listed = list(
        &world,
        USER,
        "8 messages are kept and wait for your word:\n#",
    )
    .await;
    assert_eq!(listed.text.matches("\n#").count(), 5, "{}", listed.text);
    assert!(
        listed
            .text
            .ends_with("\n… and 3 more\n\n/queue lists them."),
        "{}",
        listed.text
    );
    assert_eq!(labels(&listed).len(), 6);
    for button in listed.buttons.iter().flatten() {
        assert!(button.data.as_ref().unwrap().len() <= 64);
    }
    // The whole of it, and there is one list only.
    user.send_text(USER, "/queue");
    let is_new = |m: &ShownMessage| !m.deleted && m.text.matches("\n#").count() == 8;
    let shown = world
        .wait_chat(USER, "the whole list is there", |m| {
            m.iter().any(is_new)
                && m.iter()
                    .filter(|m| !m.deleted && m.text.starts_with("8 messages"))
                    .count()
                    == 1
        })
        .await;
    let whole = shown.into_iter().find(is_new).unwrap();
    let cut = format!(" “say {}…”", "😀".repeat(44));
    assert!(whole.text.ends_with(&cut), "{}", whole.text);
    assert_eq!(
        press(&world, USER, &whole, "Run all").await,
        "They run in their order."
    );
    world.wait_shows(USER, &"😀".repeat(100)).await;
    let order = [&["hang"][..], &waiting[..]].concat();
    assert_eq!(begun(&world), order);
    message(&world, USER, "Nothing waits any more.").await;
    end(&world, daemon).await;
}

#[tokio::test]
async fn prompts_that_wait_in_line_are_never_merged() {
    let world = World::with(
        Config::default(),
        "[batching]\nfirst_ms = 1\nidle_ms = 1\nmax_ms = 5\n[delivery]\nchat_interval_ms = 0\n",
    )
    .await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "ask");
    let question = list(&world, USER, "May the agent use").await;
    for (place, text) in [(2, "say one"), (3, "say two"), (4, "say three")] {
        user.send_text(USER, text);
        world
            .wait_shows(USER, &format!("In line: number {place}."))
            .await;
    }
    press(&world, USER, &question, "Allow once").await;
    world.wait_shows(USER, "three").await;
    assert_eq!(begun(&world), ["ask", "say one", "say two", "say three"]);
    let evidence = world.evidence();
    assert!(
        evidence
            .of("answer")
            .all(|a| a["uuids"].as_array().unwrap().len() == 1)
    );
    end(&world, daemon).await;
}

#[tokio::test]
async fn without_buttons_the_command_does_all_of_it() {
    let world = World::new().await;
    world.drop_in("buttons", "[features]\nqueue_buttons = false\n");
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let told = async |command: &str| {
        let before = world.api.view(|v| v.bot_messages(USER)).len();
        user.send_text(USER, command);
        let shown = world.wait_chat(USER, command, |m| m.len() > before).await;
        shown[before].text.clone()
    };
    assert_eq!(told("/queue").await, "Nothing waits.");
    let running = hangs(&world, USER, &["say one", "say two", "say three"]).await;
    assert_eq!(labels(&running), [["Stop"]], "that is another feature's");
    let (one, two, three) = (
        number(&world, "say one"),
        number(&world, "say two"),
        number(&world, "say three"),
    );
    let shown = world.api.view(|v| v.bot_messages(USER));
    let waiting = shown.iter().filter(|m| m.text.starts_with("In line"));
    assert_eq!(waiting.filter(|m| m.buttons.is_empty()).count(), 3);
    assert_eq!(
        told("/queue").await,
        format!(
            "3 messages in line:\n#{one} “say one”\n#{two} “say two”\n#{three} “say three”\n\n\
             /queue next {one} runs it next, /queue drop {one} drops it."
        )
    );
    assert_eq!(
        told(&format!("/queue next #{three}")).await,
        "It runs next: “say three”"
    );
    // The list follows.
    list(
        &world,
        USER,
        &format!("3 messages in line:\n#{three} “say three”\n#{one} "),
    )
    .await;
    assert_eq!(
        told(&format!("/queue drop {one}")).await,
        "Dropped, and not run: “say one”"
    );
    // Numbers of others, of what runs, of nothing.
    let hang = number(&world, "hang");
    for (order, which) in [("next", hang), ("drop", one), ("drop", 999)] {
        assert_eq!(
            told(&format!("/queue {order} {which}")).await,
            format!("No message #{which} waits here. /queue lists those that do.")
        );
    }
    for odd in ["next", "drop x", "run 7", "drop 1 2", "jump"] {
        assert!(
            told(&format!("/queue {odd}"))
                .await
                .starts_with("Write /queue to see")
        );
    }
    world
        .api
        .user(ADMIN, "Ada")
        .send_text(ADMIN, &format!("/queue drop {two}"));
    world.wait_told(ADMIN, "waits here.").await;
    assert_eq!(
        told("/queue run").await,
        "Nothing is kept. What is in line runs by itself."
    );
    user.send_text(USER, "/interrupt");
    list(&world, USER, &format!("2 messages are kept and wait for your word:\n#{three} “say three”\n#{two} “say two”\n\n/queue next {three} runs it next, /queue drop {three} drops it, /queue run runs all")).await;
    assert_eq!(
        told(&format!("/queue drop {three}")).await,
        "Dropped, and not run: “say three”"
    );
    user.send_text(USER, "/queue run");
    world.wait_shows(USER, "It runs.").await;
    world.wait_shows(USER, "two").await;
    hangs(&world, USER, &["say four", "say five"]).await;
    assert_eq!(
        told("/queue drop all").await,
        "2 messages were dropped and not run."
    );
    user.send_text(USER, "/interrupt");
    world.says(USER, "six").await;
    assert_eq!(begun(&world), ["hang", "say two", "hang", "say six"]);
    end(&world, daemon).await;
}

#[tokio::test]
async fn in_a_group_a_prompt_is_its_persons_and_an_admins() {
    let world = World::new().await;
    let group = -1_000_000_000_777;
    world.drop_in(
        "10-people",
        &format!("[access]\nusers = [{USER}, {GUEST}]\n"),
    );
    let daemon = world.start();
    let (uma, gus) = (world.api.user(USER, "Uma"), world.api.user(GUEST, "Gus"));
    uma.send_group(group, "hang");
    let running = list(&world, group, "words of an answer").await;
    let asked = uma.send_group(group, "say one");
    uma.send_group(group, "say two");
    let two = message(&world, group, "In line: number 3.").await;
    assert_eq!(
        press(&world, GUEST, &two, "Run next").await,
        "🔒 That is not yours to decide."
    );
    gus.send_group(group, "/queue drop all");
    world.wait_shows(group, "Nothing waits.").await;
    assert_eq!(
        press(&world, ADMIN, &two, "Cancel").await,
        "Dropped: it was not run."
    );
    // Somebody else ends the turn: what its person sent goes on.
    assert_eq!(press(&world, ADMIN, &running, "Stop").await, "Stopping…");
    world.wait_shows(group, ENDED).await;
    let answer = message(&world, group, "one").await;
    assert_eq!(answer.reply_to, Some(asked));
    uma.send_group(group, "hang");
    let again = world
        .wait_chat(group, "it hangs again", |m| {
            m.iter()
                .any(|m| m.text.starts_with("words of") && !m.buttons.is_empty())
        })
        .await;
    let again = again
        .into_iter()
        .rfind(|m| m.text.starts_with("words of"))
        .unwrap();
    let asked = uma.send_group(group, "say three");
    world.wait_shows(group, "In line: number 2.").await;
    press(&world, USER, &again, "Stop").await;
    let listed = list(&world, group, "1 message is kept").await;
    assert_eq!(listed.reply_to, Some(asked));
    assert_eq!(
        press(&world, GUEST, &listed, "Drop").await,
        "🔒 That is not yours to decide."
    );
    press(&world, USER, &listed, "Run next").await;
    let answer = message(&world, group, "three").await;
    assert_eq!(answer.reply_to, Some(asked));
    end(&world, daemon).await;
}

#[tokio::test]
async fn while_all_is_paused_the_buttons_move_and_cancel_and_a_stop_keeps() {
    let world = World::new().await;
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    let running = hangs(&world, USER, &["say one"]).await;
    ada.send_text(ADMIN, "/pause");
    world.wait_told(ADMIN, "Paused").await;
    ada.send_text(ADMIN, "say other");
    world.wait_told(ADMIN, "yours is number 2.").await;
    for (number, text) in [(3, "say two"), (4, "say three")] {
        uma.send_text(USER, text);
        world
            .wait_told(USER, &format!("yours is number {number}."))
            .await;
    }
    let at = async |number: usize| {
        let end = format!("yours is number {number}.");
        let shown = world.wait_told(USER, &end).await;
        shown.into_iter().rfind(|m| m.text.ends_with(&end)).unwrap()
    };
    let (one, two, three) = (at(1).await, at(3).await, at(4).await);
    assert_eq!(labels(&one), [["Cancel"]]);
    press(&world, USER, &three, "Run next").await;
    // Its person's seats are those of their own messages: nobody else's is passed.
    for (number, of) in [(1, &three), (3, &one), (4, &two)] {
        let end = format!("yours is number {number}.");
        world
            .wait_chat(USER, "its new number", |m| {
                m.iter()
                    .any(|m| m.message_id == of.message_id && m.text.ends_with(&end))
            })
            .await;
    }
    world.wait_told(ADMIN, "yours is number 2.").await;
    press(&world, USER, &two, "Cancel").await;
    // What runs can be stopped; then what is left is kept.
    assert_eq!(press(&world, USER, &running, "Stop").await, "Stopping…");
    world.wait_shows(USER, INTERRUPTED).await;
    let listed = list(&world, USER, "2 messages are kept").await;
    press(&world, USER, &listed, "Run all").await;
    ada.send_text(ADMIN, "/resume");
    world
        .wait_told(ADMIN, "Resumed: the 3 messages in line are run now")
        .await;
    world.wait_shows(USER, "one").await;
    world.wait_shows(ADMIN, "other").await;
    let mine: Vec<String> = begun(&world)
        .into_iter()
        .filter(|text| text != "say other")
        .collect();
    assert_eq!(mine, ["hang", "say three", "say one"]);
    end(&world, daemon).await;
}
