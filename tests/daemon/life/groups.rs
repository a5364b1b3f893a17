//! Groups and topics: whose conversation it is, and where the answer stands.

use std::collections::BTreeSet;

use crate::support::{ADMIN, USER, World, texts};

const GROUP: i64 = -1_000_000_000_555;

#[tokio::test]
async fn two_people_in_a_group_have_two_conversations_and_answers_refer_to_their_questions() {
    let world = World::new().await;
    world.api.supergroup(GROUP, "The team", false);
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    // One waits for nobody, and hears nothing of the other's words.
    let hanging = uma.send_group(GROUP, "hang");
    world.wait_told(GROUP, "words of an answer").await;
    let question = ada.send_group(GROUP, "say to Ada");
    let shown = world.wait_shows(GROUP, "to Ada").await;
    assert_eq!(
        shown.iter().find(|m| m.text == "to Ada").unwrap().reply_to,
        Some(question)
    );
    assert!(shown.iter().any(|m| m.reply_to == Some(hanging)));
    uma.send_group(GROUP, "/interrupt");
    world.wait_told(GROUP, "— Interrupted").await;
    let question = uma.send_group(GROUP, "say to Uma");
    let shown = world.wait_shows(GROUP, "to Uma").await;
    assert_eq!(
        shown.iter().find(|m| m.text == "to Uma").unwrap().reply_to,
        Some(question)
    );
    // And alone with the bot it is a third one, whose answers refer to nothing.
    world.says(USER, "in private").await;
    assert_eq!(world.api.view(|v| v.bot_messages(USER))[0].reply_to, None);

    let sessions: BTreeSet<_> = world
        .evidence()
        .reached()
        .iter()
        .map(|r| {
            (
                r.text == "say to Ada",
                r.text == "say in private",
                r.session,
            )
        })
        .collect();
    assert_eq!(sessions.len(), 3);
    let unique: BTreeSet<_> = world
        .evidence()
        .reached()
        .iter()
        .map(|r| r.session)
        .collect();
    assert_eq!(unique.len(), 3);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn topics_are_conversations_of_their_own() {
    let world = World::new().await;
    world.api.supergroup(GROUP, "The team", true);
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    for topic in [7, 8] {
        world.api.topic(GROUP, topic);
        uma.send_in_topic(GROUP, topic, &format!("say topic {topic}"));
        let shown = world.wait_shows(GROUP, &format!("topic {topic}")).await;
        let answer = shown
            .iter()
            .find(|m| m.text == format!("topic {topic}"))
            .unwrap();
        assert_eq!(answer.thread_id, Some(topic));
    }
    uma.send_in_topic(GROUP, 7, "/status");
    let shown = world.wait_told(GROUP, "Up for").await;
    assert_eq!(
        shown
            .iter()
            .find(|m| m.text.contains("Up for"))
            .unwrap()
            .thread_id,
        Some(7)
    );
    let sessions: BTreeSet<_> = world
        .evidence()
        .reached()
        .iter()
        .map(|r| r.session)
        .collect();
    assert_eq!(sessions.len(), 2);
    // Typing is shown where the work is.
    let typing: BTreeSet<_> = world
        .api
        .chat_actions(GROUP)
        .iter()
        .map(|a| a.thread_id)
        .collect();
    assert!(typing.is_subset(&[Some(7), Some(8)].into()), "{typing:?}");

    // A topic that is gone: the answer comes to the group instead of to nobody.
    uma.send_in_topic(GROUP, 8, "slow 30 x30");
    world.wait_told(GROUP, "piece 00002").await;
    world.api.remove_topic(GROUP, 8);
    uma.send_in_topic(GROUP, 7, "say elsewhere");
    world.wait_shows(GROUP, "elsewhere").await;
    world.wait_told(GROUP, "piece 00030").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn strangers_and_other_bots_commands_are_passed_over_in_groups() {
    let world = World::new().await;
    world.api.supergroup(GROUP, "The team", false);
    let daemon = world.start_ready().await;
    let (uma, eve) = (world.api.user(USER, "Uma"), world.api.user(666, "Eve"));
    world.wait_log("Telegram knows this bot").await;
    eve.send_group(GROUP, "say leak");
    eve.send_group(GROUP, "/status");
    eve.send_group(GROUP, "/status@telexd_test_bot");
    uma.send_group(GROUP, "/status@another_bot");
    uma.send_group(GROUP, "/weather");
    uma.send_group(GROUP, "");
    uma.send_group(GROUP, "/weather@telexd_test_bot");
    let shown = world.wait_told(GROUP, "There is no command /weather").await;
    assert_eq!(shown.len(), 1, "{:#?}", texts(&shown));
    assert!(shown[0].reply_to.is_some());
    let asked = uma.send_group(GROUP, "/status@TELEXD_test_bot");
    let shown = world.wait_told(GROUP, "Up for").await;
    assert_eq!(shown[1].reply_to, Some(asked));
    assert_eq!(world.evidence().reached().len(), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_group_that_becomes_a_supergroup_gets_its_answer_there() {
    let world = World::new().await;
    let (old, new) = (-555, -1_000_000_000_556);
    world.api.group(old, "The team");
    let daemon = world.start();
    let uma = world.api.user(USER, "Uma");
    uma.send_group(old, "hang");
    world.wait_told(old, "words of an answer").await;
    world.api.migrate(old, new);
    // Answered in the old id's name, this is told to be elsewhere now.
    uma.send_group(old, "/help");
    world.wait_told(new, "/interrupt").await;
    uma.send_group(new, "/interrupt");
    world.wait_told(new, "— Interrupted").await;
    uma.send_group(new, "say here");
    world.wait_shows(new, "here").await;
    let sessions: BTreeSet<_> = world
        .evidence()
        .reached()
        .iter()
        .map(|r| r.session)
        .collect();
    assert_eq!(sessions.len(), 1, "it is the same conversation");
    daemon.stop().await;
    world.end_all().await;
}
