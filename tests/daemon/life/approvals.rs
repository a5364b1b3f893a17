//! What people do about questions of agents, and what of it outlives the daemon.

use serde_json::{Value, json};
use telexd_botapi::ShownMessage;

use crate::{
    rig::{labels, script, told_once},
    support::{ADMIN, Daemon, USER, World, shows, wait_until},
};

const GROUP: i64 = -1_000_000_000_557;

/// A prompt that has the agent use a tool, and then say what came of it.
fn uses(tool: &str, input: Value) -> String {
    script(&json!([{"tool": tool, "input": input}, {"text": "told: {told}"}]))
}

fn chooses(questions: Value) -> String {
    uses("AskUserQuestion", json!({"questions": questions}))
}

fn colours(several: bool) -> Value {
    json!([{"question": "Which color?", "header": "Color", "multiSelect": several, "options": [
        {"label": "Red", "description": "like fire"}, {"label": "Blue", "description": "like the sea"},
        {"label": "Green", "description": ""},
    ]}])
}

/// The newest message of the bot in the chat that begins so and has buttons.
async fn question(world: &World, chat: i64, begin: &str) -> ShownMessage {
    let is_it = |m: &ShownMessage| m.text.starts_with(begin) && !m.buttons.is_empty();
    let shown = world
        .wait_chat(chat, &format!("a question {begin}…"), |m| {
            m.iter().any(is_it)
        })
        .await;
    shown.into_iter().rfind(is_it).unwrap()
}

/// Waits until that message reads otherwise.
async fn becomes(
    world: &World,
    message: &ShownMessage,
    what: &str,
    is_it: impl Fn(&ShownMessage) -> bool,
) -> ShownMessage {
    let same = |m: &ShownMessage| m.message_id == message.message_id && is_it(m);
    let shown = world
        .wait_chat(message.chat_id, what, |m| m.iter().any(same))
        .await;
    shown.into_iter().rfind(same).unwrap()
}

fn press(world: &World, person: i64, message: &ShownMessage, label: &str) {
    world
        .api
        .user(person, "Person")
        .press_labelled(message.chat_id, message.message_id, label)
        .unwrap();
}

async fn end(world: World, daemon: Daemon) {
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_no_may_come_with_words_that_are_no_prompt() {
    let world = World::new().await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, &uses("Bash", json!({"command": "mv a b"})));
    let asked = question(&world, USER, "May the agent use Bash?").await;
    press(&world, USER, &asked, "Deny and tell it…");
    let asked = becomes(&world, &asked, "words are waited for", |m| {
        labels(m) == ["Cancel"]
    })
    .await;
    assert!(
        asked.text.ends_with("your next message here goes to it."),
        "{asked:#?}"
    );
    // A command in between is none of the words, and a file is not either.
    uma.send_text(USER, "/status");
    world.wait_told(USER, "Working for").await;
    press(&world, USER, &asked, "Cancel");
    let asked = becomes(&world, &asked, "it is as before", |m| {
        labels(m).contains(&"Allow once")
    })
    .await;
    press(&world, USER, &asked, "Deny and tell it…");
    becomes(&world, &asked, "words are waited for", |m| {
        labels(m) == ["Cancel"]
    })
    .await;
    uma.send_text(USER, "use git mv");
    world
        .wait_shows(
            USER,
            "told: The user did not allow this and says: use git mv",
        )
        .await;
    becomes(&world, &asked, "it is decided", |m| {
        m.text.ends_with("\n✗ Denied: use git mv") && m.buttons.is_empty()
    })
    .await;
    // The next one is a prompt again.
    uma.send_text(USER, "say next");
    world.wait_shows(USER, "next").await;
    assert_eq!(world.reached("use git mv"), 0);
    let audit = "SELECT count(*) FROM audit WHERE action = 'approve' AND target = 'question 1: ✗ Denied' AND result = 'ok'";
    assert_eq!(world.query(audit), Some(1));
    assert!(
        !world.log().contains("git mv"),
        "what people write is not logged"
    );
    end(world, daemon).await;
}

#[tokio::test]
async fn words_are_those_of_who_pressed_and_no_others() {
    let world = World::new().await;
    world.api.supergroup(GROUP, "The team", false);
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    uma.send_group(GROUP, "ask");
    let asked = question(&world, GROUP, "May the agent use Bash?").await;
    press(&world, ADMIN, &asked, "Deny and tell it…");
    let asked = becomes(&world, &asked, "words are waited for", |m| {
        labels(m) == ["Cancel"]
    })
    .await;
    assert!(
        asked
            .text
            .ends_with("Reply to this message with what I shall tell the agent.")
    );
    // Uma's own message waits for her agent; so does Ada's in another chat.
    uma.send_group(GROUP, "say hers");
    world.wait_shows(GROUP, "In line: number 2.").await;
    ada.send_text(ADMIN, "say elsewhere");
    world.wait_shows(ADMIN, "elsewhere").await;
    assert_eq!(
        world.query("SELECT count(*) FROM questions WHERE answer IS NULL"),
        Some(1)
    );
    ada.send_group(GROUP, "no files here");
    becomes(&world, &asked, "it is decided", |m| {
        m.text.ends_with("\n✗ Denied: no files here")
    })
    .await;
    world.wait_shows(GROUP, "hers").await;
    assert_eq!(world.reached("no files here"), 0);
    end(world, daemon).await;
}

#[tokio::test]
async fn a_choice_is_made_by_a_press() {
    let world = World::new().await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, &chooses(colours(false)));
    let asked = question(&world, USER, "The agent asks you about Color:").await;
    assert_eq!(
        labels(&asked),
        ["Red", "Blue", "Green", "Write an answer…", "Skip"]
    );
    assert!(
        asked
            .text
            .contains("\nWhich color?\n1. Red – like fire\n2. Blue – like the sea\n3. Green")
    );
    world.wait_told(USER, "Waiting for your answer").await;
    press(&world, USER, &asked, "Blue");
    world.wait_told(USER, "\"Which color?\"=\"Blue\"").await;
    becomes(&world, &asked, "it is answered", |m| {
        m.text.ends_with("\n✓ Color: Blue") && m.buttons.is_empty()
    })
    .await;
    // An old button.
    let data = asked.buttons[0][0].data.clone().unwrap();
    let stale = uma.press_stale(USER, asked.message_id, &data);
    assert_eq!(
        world.press_answer(&stale).await.as_deref(),
        Some("That question is answered already.")
    );

    uma.send_text(USER, &chooses(colours(false)));
    let asked = question(&world, USER, "The agent asks you about Color:").await;
    press(&world, USER, &asked, "Write an answer…");
    let asked = becomes(&world, &asked, "words are waited for", |m| {
        labels(m) == ["Cancel"]
    })
    .await;
    uma.send_text(USER, "none of\nthese");
    world.wait_told(USER, "none of").await;
    becomes(&world, &asked, "it is answered", |m| {
        m.text.ends_with("\n✓ Color: none of\\nthese")
    })
    .await;

    uma.send_text(USER, &chooses(colours(false)));
    let asked = question(&world, USER, "The agent asks you about Color:").await;
    press(&world, USER, &asked, "Skip");
    world
        .wait_shows(USER, "told: The user does not want to answer this.")
        .await;
    end(world, daemon).await;
}

#[tokio::test]
async fn several_options_and_several_questions_outlive_the_daemon() {
    let world = World::new().await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    let mut questions = colours(true);
    questions
        .as_array_mut()
        .unwrap()
        .push(json!({"question": "And the size?", "options": [{"label": "S"}, {"label": "L"}]}));
    uma.send_text(USER, &chooses(questions));
    let asked = question(&world, USER, "The agent asks you about Color (1 of 2):").await;
    press(&world, USER, &asked, "☐ Green");
    let asked = becomes(&world, &asked, "it is ticked", |m| {
        labels(m)[2] == "☑ Green"
    })
    .await;
    daemon.kill();
    let daemon = world.start();
    press(&world, USER, &asked, "☐ Red");
    let asked = becomes(&world, &asked, "both are ticked", |m| {
        labels(m)[..3] == ["☑ Red", "☐ Blue", "☑ Green"]
    })
    .await;
    press(&world, USER, &asked, "Done");
    let asked = becomes(&world, &asked, "the next is asked", |m| {
        m.text.starts_with("The agent asks you (2 of 2):")
    })
    .await;
    assert!(asked.text.ends_with("\n✓ Color: Red, Green"), "{asked:#?}");
    press(&world, USER, &asked, "Write an answer…");
    becomes(&world, &asked, "words are waited for", |m| {
        labels(m) == ["Cancel"]
    })
    .await;
    // Killed while words are waited for; they come while it is away.
    daemon.kill();
    uma.send_text(USER, "M");
    let daemon = world.start();
    world
        .wait_told(
            USER,
            "\"And the size?\"=\"M\", \"Which color?\"=\"Red, Green\"",
        )
        .await;
    becomes(&world, &asked, "it is answered", |m| {
        m.text
            .ends_with("\n✓ Color: Red, Green\n✓ And the size?: M")
    })
    .await;
    assert_eq!(world.reached("M"), 0);
    end(world, daemon).await;
}

#[tokio::test]
async fn without_buttons_choices_are_made_by_commands() {
    let world = World::new().await;
    world.drop_in("features", "[features]\npermission_buttons = false\n");
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    let mut questions = colours(true);
    questions
        .as_array_mut()
        .unwrap()
        .push(json!({"question": "And the size?", "options": [{"label": "S"}, {"label": "L"}]}));
    uma.send_text(USER, &chooses(questions));
    let asked = world
        .wait_told(
            USER,
            "Answer with /answer 1 and numbers like 1, 3 or your own words",
        )
        .await;
    let labelled = asked.iter().flat_map(labels);
    assert!(labelled.filter(|label| *label != "Stop").count() == 0);
    for (wrong, told) in [
        (
            "/allow",
            "That question wants an answer, not a yes: /answer 1",
        ),
        ("/answer", "Give your answer behind it, like /answer yes"),
        ("/answer 7 x", "No question 7 waits here."),
    ] {
        uma.send_text(USER, wrong);
        world.wait_told(USER, told).await;
    }
    uma.send_text(USER, "/answer 1, 3");
    world
        .wait_shows(USER, "Noted. The next question stands above.")
        .await;
    uma.send_text(USER, "/answer 1 somewhere between");
    world
        .wait_told(
            USER,
            "\"And the size?\"=\"somewhere between\", \"Which color?\"=\"Red, Green\"",
        )
        .await;
    // A tool wants a yes or a no.
    uma.send_text(USER, "ask");
    world
        .wait_told(USER, "Answer with /allow 2, /allow 2 session or /deny 2")
        .await;
    uma.send_text(USER, "/answer 2 yes");
    world
        .wait_shows(
            USER,
            "That question wants a yes or a no: /allow 2 or /deny 2.",
        )
        .await;
    uma.send_text(USER, "/allow 2 session");
    world.wait_shows(USER, "✓ Allowed for this session").await;
    uma.send_text(USER, "say done");
    world.wait_shows(USER, "done").await;
    uma.send_text(USER, &uses("Bash", json!({"command": "mv a b"})));
    world
        .wait_told(
            USER,
            "/deny 3; what you write after that number is told to the agent.",
        )
        .await;
    uma.send_text(USER, "/deny use git mv");
    world
        .wait_shows(
            USER,
            "told: The user did not allow this and says: use git mv",
        )
        .await;
    end(world, daemon).await;
}

#[tokio::test]
async fn a_plan_is_shown_and_decided() {
    let world = World::new().await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    let plan = "# The plan\n\n1. **one**\n2. two";
    uma.send_text(USER, &uses("ExitPlanMode", json!({"plan": plan})));
    let asked = question(&world, USER, "The agent's plan:\nThe plan\n").await;
    assert_eq!(
        labels(&asked),
        [
            "Go ahead",
            "Keep planning",
            "Go ahead, accept edits",
            "Keep planning and tell it…"
        ]
    );
    assert!(asked.entities.iter().any(|e| e.kind == "bold"));
    press(&world, USER, &asked, "Keep planning and tell it…");
    becomes(&world, &asked, "words are waited for", |m| {
        labels(m) == ["Cancel"]
    })
    .await;
    uma.send_text(USER, "with tests");
    world
        .wait_shows(
            USER,
            "told: The user wants you to keep planning and says: with tests",
        )
        .await;
    becomes(&world, &asked, "it is decided", |m| {
        m.text.ends_with("\n✎ Keep planning: with tests")
    })
    .await;

    // A long one goes before, in messages of its own.
    let long: String = (0..400)
        .map(|n| format!("{n}. step number {n} of a long plan\n"))
        .collect();
    uma.send_text(USER, &uses("ExitPlanMode", json!({"plan": long})));
    let asked = question(&world, USER, "That is the agent's plan. Shall it go ahead?").await;
    let shown = world.api.view(|v| v.bot_messages(USER));
    let parts: Vec<&ShownMessage> = shown
        .iter()
        .filter(|m| m.text.contains("of a long plan"))
        .collect();
    assert!(parts.len() > 2 && parts.iter().all(|m| m.message_id < asked.message_id));
    assert!(
        parts
            .last()
            .unwrap()
            .text
            .ends_with("399. step number 399 of a long plan")
    );
    press(&world, USER, &asked, "Go ahead, accept edits");
    becomes(&world, &asked, "it is decided", |m| {
        m.text
            .ends_with("✓ Go ahead; files are changed without a question")
    })
    .await;
    world.wait_told(USER, "told: (scripted stand-in").await;
    end(world, daemon).await;
}

#[tokio::test]
async fn an_answer_to_a_choice_that_was_committed_is_given_once() {
    let world = World::new().await;
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "question-committed:1")]);
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, &chooses(colours(false)));
    let asked = question(&world, USER, "The agent asks you about Color:").await;
    // Else nobody would know which message it is.
    world.wait_sent().await;
    press(&world, USER, &asked, "Blue");
    daemon.wait().await;
    let daemon = world.start();
    world.wait_told(USER, "\"Which color?\"=\"Blue\"").await;
    becomes(&world, &asked, "it is answered", |m| {
        m.text.ends_with("\n✓ Color: Blue")
    })
    .await;
    world.says(USER, "after").await;
    end(world, daemon).await;
}

#[tokio::test]
async fn words_that_were_committed_and_not_given_are_given_once() {
    let world = World::new().await;
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "lane-answered:1")]);
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, &uses("Bash", json!({"command": "mv a b"})));
    let asked = question(&world, USER, "May the agent use Bash?").await;
    press(&world, USER, &asked, "Deny and tell it…");
    becomes(&world, &asked, "words are waited for", |m| {
        labels(m) == ["Cancel"]
    })
    .await;
    uma.send_text(USER, "use git mv");
    daemon.wait().await;
    let daemon = world.start();
    world
        .wait_shows(
            USER,
            "told: The user did not allow this and says: use git mv",
        )
        .await;
    world.says(USER, "after").await;
    let shown = world.api.view(|v| v.bot_messages(USER));
    let denied = |text: &str| text == "✗ Denied: use git mv";
    assert!(told_once(&shown, denied), "{shown:#?}");
    assert_eq!(world.reached("use git mv"), 0);
    end(world, daemon).await;
}

#[tokio::test]
async fn a_question_that_nobody_answers_is_denied_and_not_anew_with_each_start() {
    let world = World::new().await;
    world.drop_in("timeout", "[agent]\napproval_timeout_s = 3\n");
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, &uses("Bash", json!({"command": "mv a b"})));
    let asked = question(&world, USER, "May the agent use Bash?").await;
    becomes(&world, &asked, "nobody answers", |m| {
        m.text
            .ends_with("\n✗ Not answered in time, so it was denied")
    })
    .await;
    world.wait_told(USER, "told: Nobody answered in time").await;
    daemon.stop().await;

    // Asked long ago by the clock of this server: whoever could not be heard has some time yet.
    world.drop_in("timeout", "[agent]\napproval_timeout_s = 600\n");
    let daemon = world.start();
    uma.send_text(USER, &uses("Bash", json!({"command": "mv a b"})));
    let asked = question(&world, USER, "May the agent use Bash?").await;
    world.wait_sent().await;
    daemon.kill();
    world.change("UPDATE questions SET asked_at = asked_at - 86400000");
    world.drop_in("timeout", "[agent]\napproval_timeout_s = 4\n");
    let daemon = world.start_ready().await;
    press(&world, USER, &asked, "Deny and tell it…");
    becomes(&world, &asked, "words are waited for", |m| {
        labels(m) == ["Cancel"]
    })
    .await;
    uma.send_text(USER, "too late?");
    becomes(&world, &asked, "it is heard", |m| {
        m.text.ends_with("\n✗ Denied: too late?")
    })
    .await;
    end(world, daemon).await;
}

#[tokio::test]
async fn a_withdrawn_question_takes_no_answer_and_words_for_it_are_a_prompt() {
    let world = World::new().await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, &uses("Bash", json!({"command": "mv a b"})));
    let asked = question(&world, USER, "May the agent use Bash?").await;
    press(&world, USER, &asked, "Deny and tell it…");
    becomes(&world, &asked, "words are waited for", |m| {
        labels(m) == ["Cancel"]
    })
    .await;
    uma.send_text(USER, "/interrupt");
    becomes(&world, &asked, "it is withdrawn", |m| {
        m.text.ends_with("\nNo longer asked") && m.buttons.is_empty()
    })
    .await;
    uma.send_text(USER, "say a prompt");
    world.wait_shows(USER, "a prompt").await;
    let data = asked.buttons[0][0].data.clone().unwrap();
    let stale = uma.press_stale(USER, asked.message_id, &data);
    assert_eq!(
        world.press_answer(&stale).await.as_deref(),
        Some("The agent no longer asks that: it went on, or was stopped.")
    );
    end(world, daemon).await;
}

#[tokio::test]
async fn odd_questions_are_asked_as_well_as_can_be() {
    let world = World::new().await;
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    let option = |n: usize| json!({"label": format!("Option number {n} with a name that is far too long for a button"), "description": "d".repeat(500)});
    let fifty = json!([{"question": "Which of many? ".repeat(300), "options": (0..50).map(option).collect::<Vec<_>>()}]);
    uma.send_text(USER, &chooses(fifty));
    let asked = question(&world, USER, "The agent asks you:").await;
    assert_eq!(asked.buttons.iter().flatten().count(), 52);
    let data = asked.buttons[24][1].data.clone().unwrap();
    uma.press(USER, asked.message_id, &data).unwrap();
    world
        .wait_told(USER, "=\"Option number 49 with a name")
        .await;
    // What no version of the agent would ask.
    for odd in [
        json!([]),
        json!("x"),
        json!([{"question": "", "options": 7}]),
    ] {
        uma.send_text(USER, &chooses(odd));
        let asked = question(&world, USER, "May the agent use AskUserQuestion?").await;
        assert_eq!(labels(&asked), ["Allow once", "Deny", "Deny and tell it…"]);
        press(&world, USER, &asked, "Deny");
        becomes(&world, &asked, "it is denied", |m| {
            m.text.ends_with("\n✗ Denied")
        })
        .await;
    }
    // A command of a megabyte: what is not shown is counted.
    let huge = json!([{"tool": "Bash", "input": {"command": "mv a b;"}, "repeat": 150_000}, {"text": "{outcome}"}]);
    uma.send_text(USER, &script(&huge));
    let asked = question(&world, USER, "May the agent use Bash?\nmv a b;mv a b;").await;
    assert!(
        asked
            .text
            .contains("characters in the middle are not shown here."),
        "{asked:#?}"
    );
    assert!(
        asked
            .entities
            .iter()
            .any(|e| e.kind == "expandable_blockquote")
    );
    press(&world, USER, &asked, "Allow once");
    world.wait_shows(USER, "allowed").await;
    uma.send_text(
        USER,
        &uses("Bash", json!({"command": "mv \u{202e}a b\u{200b}"})),
    );
    let asked = question(
        &world,
        USER,
        "May the agent use Bash?\nmv \\u{202e}a b\\u{200b}",
    )
    .await;
    // Foreign data, on a message of ours.
    for foreign in ["q:1", "q:999:y", "q:6:o:9:9", "q:1:zz", "q::y", "q:1:o:1"] {
        let id = uma.press_stale(USER, asked.message_id, foreign);
        assert_eq!(
            world.press_answer(&id).await.as_deref(),
            Some("That button is no longer of use."),
            "{foreign}"
        );
    }
    press(&world, USER, &asked, "Deny");
    end(world, daemon).await;
}

#[tokio::test]
async fn two_questions_at_once_are_told_apart() {
    let world = World::new().await;
    world.api.supergroup(GROUP, "The team", false);
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    uma.send_group(GROUP, &uses("Bash", json!({"command": "first"})));
    let first = question(&world, GROUP, "May the agent use Bash?\nfirst").await;
    ada.send_group(GROUP, &uses("Bash", json!({"command": "second"})));
    let second = question(&world, GROUP, "May the agent use Bash?\nsecond").await;
    for message in [&first, &second] {
        press(&world, ADMIN, message, "Deny and tell it…");
        becomes(&world, message, "words are waited for", |m| {
            labels(m) == ["Cancel"]
        })
        .await;
    }
    // What was asked for last is answered first.
    ada.send_group(GROUP, "words for the second");
    becomes(&world, &second, "it is decided", |m| {
        m.text.ends_with("✗ Denied: words for the second")
    })
    .await;
    ada.send_group(GROUP, "words for the first");
    becomes(&world, &first, "it is decided", |m| {
        m.text.ends_with("✗ Denied: words for the first")
    })
    .await;
    // Another person's press is refused.
    uma.send_group(GROUP, "ask");
    let asked = question(&world, GROUP, "May the agent use Bash?\nMake a file").await;
    let data = asked.buttons[0][0].data.clone().unwrap();
    world
        .api
        .user(1003, "Eve")
        .press_stale(GROUP, asked.message_id, &data);
    wait_until(
        "a stranger's press is taken",
        || world.query("SELECT count(*) FROM inbox WHERE verdict = 'refused'") == Some(1),
        || world.log(),
    )
    .await;
    press(&world, USER, &asked, "Deny");
    world
        .wait_chat(GROUP, "denied", |m| {
            shows(m, "I should like to make a file.\n\ndenied")
        })
        .await;
    end(world, daemon).await;
}
