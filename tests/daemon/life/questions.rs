//! Questions of agents, answered by commands.

use telexd_botapi::ShownMessage;

use crate::{
    rig::told_once,
    support::{ADMIN, USER, World, talk, wait_until},
};

const GROUP: i64 = -1_000_000_000_556;

/// The question with this ending, that the agent has in a chat.
async fn question(world: &World, chat: i64, end: &str) -> ShownMessage {
    let is_it =
        |m: &ShownMessage| m.text.starts_with("May the agent use Bash?") && m.text.ends_with(end);
    let shown = world
        .wait_chat(chat, &format!("a question …{end}"), |m| {
            m.iter().any(is_it)
        })
        .await;
    shown.into_iter().rfind(is_it).unwrap()
}

/// How often the bot has said exactly that.
fn times(world: &World, chat: i64, text: &str) -> usize {
    let told = world.api.view(|view| talk(&view.bot_messages(chat)));
    told.iter().filter(|told| *told == text).count()
}

#[tokio::test]
async fn without_buttons_questions_are_answered_by_commands() {
    let world = World::new().await;
    world.drop_in("features", "[features]\npermission_buttons = false\n");
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "/allow");
    world
        .wait_shows(USER, "Nothing is asked here at the moment.")
        .await;
    uma.send_text(USER, "ask");
    let asked = question(&world, USER, "\nAnswer with /allow 1, /allow 1 session or /deny 1; what you write after that number is told to the agent.").await;
    assert!(asked.buttons.is_empty(), "{asked:#?}");
    for (wrong, answer) in [
        ("/allow 99", "No question 99 waits here."),
        ("/deny -1", "No question -1 waits here."),
        ("/allow yes", "Give the number that stands below"),
        ("/allow 1 2", "Give the number that stands below"),
        (
            "/allow 99999999999999999999",
            "Give the number that stands below",
        ),
    ] {
        let before = world.api.view(|v| v.bot_messages(USER)).len();
        uma.send_text(USER, wrong);
        world
            .wait_chat(USER, wrong, |m| {
                m.len() > before && m.last().is_some_and(|m| m.text.starts_with(answer))
            })
            .await;
    }
    // Another person's chat is not where it is asked.
    world.api.user(ADMIN, "Ada").send_text(ADMIN, "/deny 1");
    world.wait_shows(ADMIN, "No question 1 waits here.").await;
    assert_eq!(
        world.query("SELECT count(*) FROM questions WHERE answer IS NULL"),
        Some(1)
    );

    // The only one needs no number.
    uma.send_text(USER, "/allow");
    world.wait_told(USER, "\nallowed").await;
    assert_eq!(
        question(&world, USER, "\n✓ Allowed").await.message_id,
        asked.message_id
    );
    uma.send_text(USER, "ask");
    question(
        &world,
        USER,
        "\nAnswer with /allow 2, /allow 2 session or /deny 2; what you write after that number is told to the agent.",
    )
    .await;
    uma.send_text(USER, "/deny #2");
    world.wait_told(USER, "\ndenied").await;
    question(&world, USER, "\n✗ Denied").await;
    uma.send_text(USER, "/deny 2");
    world.wait_shows(USER, "No question 2 waits here.").await;
    for (text, count) in [("✓ Allowed", 1), ("✗ Denied", 1)] {
        assert_eq!(times(&world, USER, text), count, "{text}");
    }
    for (what, count) in [
        ("target = 'question 1: ✓ Allowed' AND result = 'ok'", 1),
        ("target = 'question 2: ✗ Denied' AND result = 'ok'", 1),
        ("result = 'refused: NoSuchQuestion'", 5),
    ] {
        let sql = format!("SELECT count(*) FROM audit WHERE action = 'approve' AND {what}");
        assert_eq!(world.query(&sql), Some(count), "{what}");
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn in_a_group_each_question_is_for_those_who_may_decide_it() {
    let world = World::new().await;
    world.api.supergroup(GROUP, "The team", false);
    // With buttons, which are there as well.
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    let waiting = |number: i64| {
        let world = &world;
        async move {
            let sql = "SELECT count(*) FROM questions WHERE answer IS NULL";
            wait_until(
                "it is asked",
                || world.query(sql) == Some(number),
                || world.log(),
            )
            .await;
        }
    };
    uma.send_group(GROUP, "ask");
    waiting(1).await;
    ada.send_group(GROUP, "ask");
    waiting(2).await;
    ada.send_group(GROUP, "/allow");
    let list = "Several questions wait here:\n1: Bash\n2: Bash\nAnswer with its number, like /allow 12 or /deny 12.";
    world.wait_shows(GROUP, list).await;
    uma.send_group(GROUP, "/allow 2");
    world
        .wait_shows(GROUP, "🔒 That is not yours to decide.")
        .await;
    // Uma may decide hers alone, so hers is meant.
    uma.send_group(GROUP, "/deny");
    waiting(1).await;
    assert_eq!(
        world.query("SELECT count(*) FROM questions WHERE id = 2 AND answer IS NULL"),
        Some(1)
    );
    uma.send_group(GROUP, "/allow");
    wait_until(
        "it is refused",
        || times(&world, GROUP, "🔒 That is not yours to decide.") == 2,
        || world.log(),
    )
    .await;
    ada.send_group(GROUP, "/allow");
    waiting(0).await;
    world.wait_told(GROUP, "\nallowed").await;
    world.wait_told(GROUP, "\ndenied").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_answer_by_command_survives_the_daemon_and_is_given_once() {
    let world = World::new().await;
    world.drop_in("features", "[features]\npermission_buttons = false\n");
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "lane-answered:1")]);
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "ask");
    question(&world, USER, "is told to the agent.").await;
    uma.send_text(USER, "/allow");
    // Killed between the commit of the answer and the agent's hearing of it.
    daemon.wait().await;
    let daemon = world.start();
    world.wait_told(USER, "\nallowed").await;
    world.says(USER, "after").await;
    let shown = world.api.view(|v| v.bot_messages(USER));
    assert!(told_once(&shown, |text| text == "✓ Allowed"), "{shown:#?}");
    assert_eq!(world.reached("ask"), 1);
    daemon.stop().await;
    world.end_all().await;
}
