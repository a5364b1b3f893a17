//! Strangers who ask to be let in, and what administrators make of it.

use telexd_botapi::ShownMessage;

use crate::{
    rig::told_once,
    support::{ADMIN, USER, World, texts, wait_until},
};

const STRANGER: i64 = 2001;
const ON: &str = "[access]\npairing = true\n";
const ADA: i64 = 1009;

/// A world in which strangers may ask, and whose administrator has a chat with the bot: a first message of theirs waits.
async fn open_world() -> World {
    let world = World::new().await;
    world.drop_in("pairing", ON);
    world.api.user(ADMIN, "Olga").send_text(ADMIN, "/help");
    world
}

/// What the bot has said in a chat.
fn said(world: &World, chat: i64) -> Vec<ShownMessage> {
    world.api.view(|v| v.bot_messages(chat))
}

/// Has a stranger write, and gives the code of their answer.
async fn asks(world: &World, person: i64, name: &str) -> String {
    let before = said(world, person).len();
    world.api.user(person, name).send_text(person, "/start");
    let shown = world
        .wait_chat(person, "a code", |m| m.len() > before)
        .await;
    let code = code(&shown[before].text);
    news(world, ADMIN, name, &code).await;
    code
}

/// The code in a text: the line that is nothing else.
fn code(text: &str) -> String {
    let line = text
        .lines()
        .find(|line| line.len() == 8 && line.chars().all(|c| c.is_ascii_uppercase()));
    line.unwrap_or_else(|| panic!("no code in {text:?}"))
        .to_owned()
}

/// Waits until an admin's news about somebody have this in them.
async fn news(world: &World, admin: i64, name: &str, part: &str) -> ShownMessage {
    let fits = |m: &ShownMessage| m.text.contains(name) && m.text.contains(part);
    let shown = world
        .wait_chat(admin, &format!("{name}, {part}"), |m| m.iter().any(fits))
        .await;
    shown.into_iter().rfind(fits).unwrap()
}

async fn answer(world: &World, command: &str) -> String {
    world.wait_told(ADMIN, "Besides that I understand").await;
    let before = said(world, ADMIN).len();
    world.api.user(ADMIN, "Olga").send_text(ADMIN, command);
    let shown = world.wait_chat(ADMIN, command, |m| m.len() > before).await;
    shown[before].text.clone()
}

/// All updates so far are acted on.
async fn settled(world: &World, updates: i64) {
    wait_until(
        "all updates are done",
        || world.query("SELECT count(*) FROM inbox WHERE done_at IS NOT NULL") >= Some(updates),
        || world.log(),
    )
    .await;
}

fn count(world: &World, of: &str) -> i64 {
    world.query(&format!("SELECT count(*) FROM {of}")).unwrap()
}

#[tokio::test]
async fn without_pairing_a_stranger_is_told_nothing() {
    let world = World::new().await;
    world.api.user(ADMIN, "Olga").send_text(ADMIN, "/help");
    let daemon = world.start_ready().await;
    world.api.user(STRANGER, "Eve").send_text(STRANGER, "hello");
    world.wait_log("refused: not a known person").await;
    settled(&world, 2).await;
    world.says(USER, "still there").await;
    assert!(said(&world, STRANGER).is_empty());
    assert_eq!(count(&world, "pairings"), 0);
    let text = answer(&world, "/pair").await;
    assert!(text.contains("access.pairing is off"), "{text}");
    daemon.stop().await;
}

#[tokio::test]
async fn who_is_accepted_by_button_is_a_user_from_then_on_and_nothing_more() {
    let world = open_world().await;
    world.drop_in(
        "people",
        &format!("[access]\nadmins = [{ADMIN}, {ADA}]\nusers = [{USER}]\n"),
    );
    world.api.user(ADA, "Ada").send_text(ADA, "/status");
    let daemon = world.start_ready().await;
    let eve = world.api.user(STRANGER, "Eve /kill");
    let code = asks(&world, STRANGER, "Eve /kill").await;
    // The same code again, and not more than a few times.
    eve.send_text(STRANGER, "say sesame");
    let shown = world.wait_chat(STRANGER, "again", |m| m.len() == 2).await;
    assert!(shown.iter().all(|m| m.text.contains(&code)), "{shown:#?}");
    for _ in 0..5 {
        eve.send_text(STRANGER, "let me in");
    }
    settled(&world, 9).await;
    let shown = news(&world, ADMIN, "Eve /kill (2001)", &code).await;
    let adas = news(&world, ADA, "Eve", &code).await.message_id;
    world.wait_sent().await;
    assert_eq!(said(&world, STRANGER).len(), 3);
    let told = texts(&said(&world, ADMIN));
    assert_eq!(told.len(), 2, "help, and told once: {told:#?}");
    // Neither the one who asks nor a user may press, wherever they have the button from.
    let stranger_pressed = eve.press_stale(ADMIN, shown.message_id, &format!("p:{code}:y"));
    world
        .api
        .user(USER, "Uma")
        .press_stale(ADMIN, shown.message_id, &format!("p:{code}:y"));
    wait_until(
        "the user's press is refused",
        || count(&world, "audit WHERE action = 'press-refused'") == 1,
        || world.log(),
    )
    .await;
    assert_eq!(count(&world, "paired"), 0);
    let olga = world.api.user(ADMIN, "Olga");
    olga.press_labelled(ADMIN, shown.message_id, "Accept")
        .unwrap();
    world.wait_told(STRANGER, "You are let in.").await;
    for admin in [ADMIN, ADA] {
        let shown = news(&world, admin, "Eve", "was let in by").await;
        assert!(shown.buttons.is_empty(), "{shown:#?}");
    }
    assert!(
        world
            .api
            .callback_answers()
            .iter()
            .all(|answer| answer.id != stranger_pressed)
    );
    // An old button explains itself.
    world
        .api
        .user(ADA, "Ada")
        .press_stale(ADA, adas, &format!("p:{code}:n"));
    wait_until(
        "the old button is explained",
        || {
            let told = world.api.callback_answers();
            told.iter().any(|a| {
                a.text
                    .as_deref()
                    .unwrap_or("")
                    .contains("decided otherwise")
            })
        },
        || format!("{:#?}", world.api.callback_answers()),
    )
    .await;
    // What they wrote before was not run; what they write now is.
    world.says(STRANGER, "open").await;
    assert_eq!(world.reached("say sesame"), 0);
    for command in ["/ps", "/pair", "/users", "/config"] {
        eve.send_text(STRANGER, command);
    }
    world
        .wait_chat(STRANGER, "refusals", |m| {
            m.iter()
                .filter(|m| m.text.contains("not yours to decide"))
                .count()
                == 4
        })
        .await;
    let people = answer(&world, "/users").await;
    assert!(people.contains("(2001) · user · by a code"), "{people}");
    // It outlives the daemon, and what the files say about others.
    daemon.kill();
    let daemon = world.start_ready().await;
    world.says(STRANGER, "after").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn who_is_rejected_is_told_once_and_given_no_other_code() {
    let world = open_world().await;
    let daemon = world.start_ready().await;
    let code = asks(&world, STRANGER, "").await;
    news(&world, ADMIN, "person 2001", &code).await;
    for (wrong, told) in [
        ("/pair accept", "Write /pair accept CODE"),
        ("/pair frobnicate", "Write /pair accept CODE"),
        ("/pair accept 1234", "That is not a code. It has eight"),
        ("/pair accept BCDFGHJ\u{202e}", "That is not a code."),
        ("/pair accept BBBBBBBB", "Nobody asks to be let in with"),
    ] {
        let text = answer(&world, wrong).await;
        assert!(text.starts_with(told), "{wrong}: {text}");
    }
    let text = answer(&world, "/pair").await;
    assert!(
        text.starts_with(&format!("{code} · person 2001 · valid for ")),
        "{text}"
    );
    let spelt = format!("{}-{}", &code[..4].to_lowercase(), &code[4..]);
    let text = answer(&world, &format!("/pair reject {spelt}")).await;
    assert!(text.starts_with("Not let in: person 2001."), "{text}");
    world.wait_told(STRANGER, "You were not let in.").await;
    news(&world, ADMIN, "person 2001", "was not let in by Olga").await;
    let text = answer(&world, &format!("/pair reject {code}")).await;
    assert!(text.starts_with("No change: "), "{text}");
    let text = answer(&world, &format!("/pair accept {code}")).await;
    assert!(text.contains("decided otherwise"), "{text}");
    assert_eq!(answer(&world, "/pair").await, "Nobody asks to be let in.");
    world.api.user(STRANGER, "").send_text(STRANGER, "please");
    world.wait_log("refused: not a known person").await;
    world.says(USER, "there").await;
    assert_eq!(said(&world, STRANGER).len(), 2);
    assert_eq!(
        count(
            &world,
            "audit WHERE action = 'pairing-reject' AND result = 'done' AND target = 'person 2001' AND who = 'telegram:1001'"
        ),
        1
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_code_expires_and_access_that_is_off_lets_nobody_in() {
    let world = open_world().await;
    let daemon = world.start_ready().await;
    let code = asks(&world, STRANGER, "Eve").await;
    answer(&world, "/config access.pairing off").await;
    let text = answer(&world, &format!("/pair accept {code}")).await;
    assert!(text.starts_with("Access.pairing is off"), "{text}");
    world.api.user(2002, "Mal").send_text(2002, "hello");
    settled(&world, 5).await;
    answer(&world, "/config access.pairing on").await;
    daemon.stop().await;
    // An hour goes by.
    world.change(
        "UPDATE pairings SET asked_at = asked_at - 3600000, expires_at = expires_at - 3600000, ahead = 0",
    );
    let daemon = world.start_ready().await;
    // Its news say so, and its button.
    let shown = world.wait_told(ADMIN, "Nobody answered in time").await;
    assert!(said(&world, 2002).is_empty(), "it was off");
    assert_eq!(answer(&world, "/pair").await, "Nobody asks to be let in.");
    let text = answer(&world, &format!("/pair accept {code}")).await;
    assert!(text.contains("any more"), "{text}");
    drop(shown);
    let next = asks(&world, STRANGER, "Eve").await;
    assert_ne!(next, code);
    let text = answer(&world, &format!("/pair accept {code}")).await;
    assert!(text.contains("any more"), "{text}");
    assert_eq!(count(&world, "paired"), 0);
    let text = answer(&world, &format!("/pair accept {next}")).await;
    assert!(text.starts_with("Let in: Eve (2001)."), "{text}");
    world.says(STRANGER, "in").await;
    // Who is in stays in, also when nobody may ask any more.
    answer(&world, "/config access.pairing off").await;
    daemon.stop().await;
    let daemon = world.start_ready().await;
    world.says(STRANGER, "still").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn who_is_removed_is_out_at_once_with_what_they_had_in_line() {
    let world = open_world().await;
    let daemon = world.start_ready().await;
    let code = asks(&world, STRANGER, "Eve").await;
    answer(&world, &format!("/pair accept {code}")).await;
    let eve = world.api.user(STRANGER, "Eve");
    eve.send_text(STRANGER, "hang");
    world.wait_told(STRANGER, "words of an answer").await;
    eve.send_text(STRANGER, "say never");
    world.wait_told(STRANGER, "In line: number 2.").await;
    for (wrong, told) in [
        ("/users remove", "Write /users remove ID"),
        ("/users remove x", "Write /users remove ID"),
        ("/users remove 1 2", "Write /users remove ID"),
        ("/users frob 1", "Write /users remove ID"),
        ("/users remove 99", "Nobody with the id 99 is known."),
        (
            "/users remove -9223372036854775808",
            "Nobody with the id -9223372036854775808 is known.",
        ),
        (
            &format!("/users remove {USER}"),
            "Person 1002 is let in by the settings.",
        ),
        (
            &format!("/users remove {ADMIN}"),
            "Person 1001 is let in by the settings.",
        ),
    ] {
        let text = answer(&world, wrong).await;
        assert!(text.starts_with(told), "{wrong}: {text}");
    }
    let text = answer(&world, "/users remove 2001").await;
    assert!(
        text.starts_with("Eve (2001) is not let in any more") && text.contains("agent ends"),
        "{text}"
    );
    world.wait_told(STRANGER, "Ended by an administrator").await;
    world.wait_alone(&daemon).await;
    wait_until(
        "nothing of theirs is open",
        || count(&world, "turns WHERE ended_at IS NULL") == 0,
        || world.log(),
    )
    .await;
    assert_eq!(world.reached("say never"), 0);
    let text = answer(&world, "/users remove 2001").await;
    assert!(text.starts_with("No change: "), "{text}");
    eve.send_text(STRANGER, "say hello");
    world.wait_log("refused: not a known person").await;
    world.says(USER, "there").await;
    assert_eq!(world.reached("say hello"), 0);
    daemon.stop().await;
    let daemon = world.start_ready().await;
    world.says(USER, "again").await;
    assert_eq!(world.reached("say never"), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn in_groups_there_are_no_codes() {
    let world = open_world().await;
    world.api.group(-77, "Team");
    let daemon = world.start_ready().await;
    let eve = world.api.user(STRANGER, "Eve");
    eve.send_group(-77, "/start");
    eve.send_group(-77, "hello");
    settled(&world, 3).await;
    world.says(USER, "there").await;
    assert!(said(&world, -77).is_empty());
    assert!(said(&world, STRANGER).is_empty());
    assert_eq!(count(&world, "pairings"), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_thousand_strangers_cost_ten_messages() {
    let world = open_world().await;
    let daemon = world.start_ready().await;
    for n in 0..1000 {
        let person = 5000 + n;
        world.api.user(person, "Mal").send_text(person, "hello");
    }
    settled(&world, 1001).await;
    world.says(USER, "unmoved").await;
    assert_eq!(count(&world, "pairings"), 10);
    assert_eq!(count(&world, "people"), 2, "nobody else is noted");
    let of_strangers = |sql: &str| count(&world, &format!("outbox WHERE {sql}"));
    assert_eq!(of_strangers("chat_id >= 5000"), 10);
    assert_eq!(of_strangers(&format!("chat_id = {ADMIN}")), 1 + 10);
    assert_eq!(count(&world, "rate_limits WHERE scope LIKE 'pairing%'"), 1);
    world
        .wait_chat(ADMIN, "help and ten news", |m| m.len() == 1 + 10)
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn killed_after_the_decision_the_person_is_told_and_let_in_all_the_same() {
    let world = open_world().await;
    let daemon = world.start_ready().await;
    let code = asks(&world, STRANGER, "Eve").await;
    news(&world, ADMIN, "Eve", &code).await;
    daemon.stop().await;
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "admin-committed:1")]);
    world
        .api
        .user(ADMIN, "Olga")
        .send_text(ADMIN, &format!("/pair accept {code}"));
    daemon.wait().await;
    let daemon = world.start_ready().await;
    world.wait_told(STRANGER, "You are let in.").await;
    world.says(STRANGER, "in").await;
    world.wait_told(ADMIN, "Let in: Eve (2001).").await;
    world.wait_sent().await;
    let told = said(&world, STRANGER);
    assert!(
        told_once(&told, |text| text.contains("let in.")),
        "{told:#?}"
    );
    assert_eq!(count(&world, "audit WHERE action = 'pairing-accept'"), 1);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn killed_after_a_request_its_code_and_its_news_go_out_once() {
    let world = open_world().await;
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "pairing-committed:1")]);
    world.api.user(STRANGER, "Eve").send_text(STRANGER, "hi");
    daemon.wait().await;
    let daemon = world.start_ready().await;
    let shown = world.wait_told(STRANGER, "ask to be let in").await;
    news(&world, ADMIN, "Eve", &code(&shown[0].text)).await;
    world.says(USER, "there").await;
    world.wait_sent().await;
    let told = said(&world, STRANGER);
    assert!(told_once(&told, |_| true), "{told:#?}");
    assert_eq!(count(&world, "pairings"), 1);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn killed_after_a_removal_nothing_of_theirs_is_run() {
    let world = open_world().await;
    let daemon = world.start_ready().await;
    let code = asks(&world, STRANGER, "Eve").await;
    answer(&world, &format!("/pair accept {code}")).await;
    daemon.stop().await;
    // That was days ago.
    world.change("DELETE FROM pairings");
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "admin-committed:1")]);
    let eve = world.api.user(STRANGER, "Eve");
    eve.send_text(STRANGER, "hang");
    world.wait_told(STRANGER, "words of an answer").await;
    eve.send_text(STRANGER, "say never");
    world.wait_told(STRANGER, "In line: number 2.").await;
    world
        .api
        .user(ADMIN, "Olga")
        .send_text(ADMIN, "/users remove 2001");
    daemon.wait().await;
    let daemon = world.start_ready().await;
    world.wait_told(ADMIN, "is not let in any more").await;
    world.wait_alone(&daemon).await;
    wait_until(
        "nothing of theirs is open",
        || count(&world, "turns WHERE ended_at IS NULL") == 0,
        || world.log(),
    )
    .await;
    assert_eq!(world.reached("say never"), 0);
    // Nor are they back with another code.
    eve.send_text(STRANGER, "please");
    world.wait_log("refused: not a known person").await;
    world.says(USER, "there").await;
    assert_eq!(count(&world, "pairings WHERE answer = 'rejected'"), 1);
    assert_eq!(answer(&world, "/pair").await, "Nobody asks to be let in.");
    daemon.stop().await;
    world.end_all().await;
}
