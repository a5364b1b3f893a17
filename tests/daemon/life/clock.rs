//! How long an answer takes, in its status line: said anew where nothing else is shown, and never in the way of what is.

use telexd_botapi::{Config, Fault, FaultKind, ShownMessage};

use crate::support::{ADMIN, DEADLINE, FAST, USER, World, fast, wait_until};

const GROUP: i64 = -1_000_000_000_557;

async fn world(clock: &str) -> World {
    World::with(Config::default(), &format!("{FAST}\n[answers]\n{clock}\n")).await
}

/// What the clock says in a text, in seconds; none where there is no clock.
fn seconds(text: &str) -> Option<u64> {
    let (_, clock) = text.rsplit_once(" · ")?;
    let parts: Option<Vec<u64>> = clock.split(':').map(|part| part.parse().ok()).collect();
    let parts = parts.filter(|parts| (2..=3).contains(&parts.len()))?;
    Some(parts.into_iter().fold(0, |sum, part| sum * 60 + part))
}

/// Waits until the clock of the running answer shows at least so many seconds.
async fn shows_from(world: &World, chat: i64, least: u64) -> ShownMessage {
    let is_it = |m: &ShownMessage| seconds(&m.text).is_some_and(|s| s >= least);
    let shown = world
        .wait_chat(chat, &format!("{least} s are shown"), |m| {
            m.iter().any(is_it)
        })
        .await;
    shown.into_iter().find(is_it).unwrap()
}

/// When each state of a message was there that has a clock, and what it said: milliseconds, seconds.
fn ticks(message: &ShownMessage) -> Vec<(i64, u64)> {
    let of = |v: &telexd_botapi::Version| Some((v.at, seconds(&v.text)?));
    message.history.iter().filter_map(of).collect()
}

#[tokio::test]
async fn it_goes_on_in_silence_over_a_kill_and_is_gone_at_the_end() {
    let world = world("clock_s = 1").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "hang");
    let thrice = |m: &ShownMessage| ticks(m).len() >= 3;
    let shown = world
        .wait_chat(USER, "it has ticked three times", |m| m.iter().any(thrice))
        .await;
    let shown = shown.into_iter().find(thrice).unwrap();
    assert!(
        shown
            .text
            .starts_with("words of an answer that never ends\n\nWriting… · 0:0"),
        "{}",
        shown.text
    );
    let ticked = ticks(&shown);
    for two in ticked.windows(2) {
        assert!(
            two[1].1 > two[0].1 && two[1].0 - two[0].0 >= 950,
            "{ticked:?}"
        );
    }
    daemon.kill();
    // It began an hour earlier: the next life counts from there, not from its own beginning.
    world.change("UPDATE turns SET submitted_at = submitted_at - 3600000 WHERE ended_at IS NULL");
    let daemon = world.start();
    let again = shows_from(&world, USER, 3600).await;
    assert_eq!(again.message_id, shown.message_id);
    assert!(again.text.contains("Writing… · 1:00:"), "{}", again.text);
    user.send_text(USER, "/interrupt");
    let over = world
        .wait_chat(USER, "it is interrupted", |m| {
            m.iter().any(|m| m.text.ends_with("— Interrupted"))
        })
        .await;
    assert!(
        over.iter().all(|m| m.deleted || seconds(&m.text).is_none()),
        "{over:#?}"
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn it_is_silent_while_telegram_limits_the_chat_and_while_somebody_is_asked() {
    let world = world("clock_s = 1").await;
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    uma.send_text(USER, "hang");
    ada.send_text(ADMIN, "ask");
    world.wait_told(ADMIN, "touch asked.txt").await;
    shows_from(&world, USER, 1).await;
    let flood = FaultKind::TooManyRequests {
        retry_after: 3,
        parameters: true,
        header: true,
    };
    world
        .api
        .fault(Fault::once("editMessageText", flood).when(|call| call.params["chat_id"] == USER));
    wait_until(
        "Telegram limits the chat",
        || world.api.view(|v| v.faults_struck()) == 1,
        || world.log(),
    )
    .await;
    let struck = world.writes(USER);
    let last = struck.last().unwrap().at;
    shows_from(&world, USER, 5).await;
    let next = world.writes(USER)[struck.len()].at;
    assert!(next - last >= 2_900, "{last} {next}");
    // Who is asked knows that it waits for them. (However long the agent took before it asked.)
    let shown = world.api.view(|v| v.bot_messages(ADMIN));
    let asks = |v: &telexd_botapi::Version| v.text.contains("touch asked.txt");
    let mut versions = shown.iter().flat_map(|m| &m.history);
    let asked_at = versions.find(|v| asks(v)).unwrap().at;
    for message in shown {
        let mut ticked = ticks(&message);
        ticked.retain(|(at, _)| *at > asked_at);
        assert_eq!(ticked, [], "{message:#?}");
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn in_a_group_all_answers_together_say_it_a_third_as_often() {
    let world = world("clock_s = 1").await;
    world.api.supergroup(GROUP, "The team", false);
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    uma.send_group(GROUP, "hang");
    ada.send_group(GROUP, "hang");
    let told = |m: &[ShownMessage]| {
        let ticked = m.iter().flat_map(ticks).filter(|(_, s)| *s >= 3).count();
        ticked >= 3
    };
    let shown = world
        .wait_chat(GROUP, "it was told three times", told)
        .await;
    let mut at: Vec<i64> = shown.iter().flat_map(ticks).map(|(at, _)| at).collect();
    at.sort_unstable();
    for two in at.windows(2) {
        assert!(two[1] - two[0] >= 2_900, "{at:?}");
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn who_does_not_want_it_has_none_and_a_draft_has_it_too() {
    let world = World::with(
        Config::default(),
        &format!(
            "{}\n[answers]\nclock_s = 1\n",
            fast(&format!("batching = false\ndrafts = [{USER}]"))
        ),
    )
    .await;
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    uma.send_text(USER, "hang");
    let drafted = |v: &telexd_botapi::View| {
        let drafts = v.drafts(USER);
        drafts
            .into_iter()
            .rev()
            .find(|d| seconds(&d.text).is_some_and(|s| s >= 2))
    };
    let met = world.api.wait_for_some(DEADLINE, drafted).await;
    assert!(met.is_ok(), "{:#?}", world.api.view(|v| v.drafts(USER)));
    ada.send_text(ADMIN, "/config answers.clock_s 0");
    world.wait_told(ADMIN, "answers.clock_s").await;
    ada.send_text(ADMIN, "slow 100 x30");
    let shown = world
        .wait_chat(ADMIN, "the answer is there", |m| {
            m.iter()
                .any(|m| m.text.contains("piece 00030") && m.buttons.is_empty())
        })
        .await;
    for message in &shown {
        assert!(
            message.history.iter().all(|v| seconds(&v.text).is_none()),
            "{message:#?}"
        );
    }
    daemon.stop().await;
    world.end_all().await;
}
