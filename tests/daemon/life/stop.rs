//! Stops: by the button, the command, a word; whatever the agent and Telegram do.

use std::time::Duration;

use telexd_botapi::{Config, Fault, FaultKind, Network, ShownMessage};

use crate::support::{ADMIN, MARK, USER, World, fast, shows, wait_until};

const GUEST: i64 = 1003;
const INTERRUPTED: &str = "words of an answer that never ends\n\n— Interrupted";

async fn running(world: &World, chat: i64) -> ShownMessage {
    let is_it = |m: &ShownMessage| m.text.contains("words of an answer") && !m.buttons.is_empty();
    let shown = world
        .wait_chat(chat, "it is running", |m| m.iter().any(is_it))
        .await;
    shown.into_iter().rfind(is_it).unwrap()
}

async fn press(world: &World, person: i64, message: &ShownMessage, label: &str) -> String {
    let user = world.api.user(person, "Person");
    let id = user
        .press_labelled(message.chat_id, message.message_id, label)
        .unwrap();
    world.press_answer(&id).await.unwrap()
}

/// How often an agent's turn was broken off.
fn aborted(world: &World) -> usize {
    let evidence = world.evidence();
    let reasons = evidence
        .of("answer")
        .map(|a| a["terminal_reason"].to_string());
    reasons.filter(|reason| reason.contains("aborted")).count()
}

#[tokio::test]
async fn an_interrupt_that_comes_with_its_prompt_stops_it() {
    let world = World::new().await;
    let daemon = world.start();
    // An agent waits, so that the prompt is given to it at once.
    world.says(USER, "before").await;
    world.api.network(Network::Refused).await.unwrap();
    world.wait_log("no updates come in").await;
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "hang");
    user.send_text(USER, "/interrupt");
    world.api.network(Network::Up).await.unwrap();
    world.wait_told(USER, "— Interrupted").await;
    assert_eq!(
        world.query("SELECT count(*) FROM turns WHERE ended_at IS NULL"),
        Some(0)
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_stop_works_while_telegram_limits_the_chat() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 30 x10000");
    let shown = world
        .wait_chat(USER, "it is running", |m| {
            m.iter()
                .any(|m| m.text.contains("piece 00002") && !m.buttons.is_empty())
        })
        .await;
    let flood = || FaultKind::TooManyRequests {
        retry_after: 3,
        parameters: true,
        header: true,
    };
    for method in ["editMessageText", "sendMessage"] {
        world
            .api
            .fault(Fault::once(method, flood()).when(|call| call.params["chat_id"] == USER));
    }
    wait_until(
        "Telegram limits the chat",
        || world.api.view(|v| v.faults_struck()) > 0,
        || world.log(),
    )
    .await;
    let before = world.writes(USER).len();
    assert_eq!(press(&world, USER, &shown[0], "Stop").await, "Stopping…");
    wait_until(
        "the agent has stopped",
        || aborted(&world) == 1,
        || world.log(),
    )
    .await;
    // All of that before Telegram takes anything for this chat again; and then the answer is marked.
    assert_eq!(world.writes(USER).len(), before);
    world
        .wait_chat(USER, "the answer is marked", |m| {
            m.iter()
                .any(|m| m.text.ends_with("\n\n— Interrupted") && m.buttons.is_empty())
        })
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_agent_that_does_not_listen_is_ended_and_what_waited_is_kept() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "hang");
    let shown = running(&world, USER).await;
    user.send_text(USER, "say one");
    world.wait_shows(USER, "In line: number 2.").await;
    // Frozen: it reads no interrupt.
    let agent = world
        .processes()
        .into_iter()
        .find(|(_, line)| line.contains("--input-format"))
        .unwrap()
        .0;
    let agent = nix::unistd::Pid::from_raw(agent);
    nix::sys::signal::kill(agent, nix::sys::signal::Signal::SIGSTOP).unwrap();
    assert_eq!(press(&world, USER, &shown, "Stop").await, "Stopping…");
    world.wait_shows(USER, INTERRUPTED).await;
    world.wait_told(USER, "1 message is kept").await;
    world.says(USER, "new").await;
    assert_eq!(world.reached("say one"), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_waits_for_a_place_is_stopped_before_it_begins() {
    let world = World::new().await;
    world.drop_in("one", "[agent]\nmax_processes = 1\n");
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    ada.send_text(ADMIN, "hang");
    running(&world, ADMIN).await;
    uma.send_text(USER, "say one");
    let busy = "The one agent is busy; yours is next.";
    let shown = world.wait_shows(USER, busy).await;
    uma.send_text(USER, "say two");
    let second = world.wait_shows(USER, "In line: number 2.").await;
    // Whoever is next is told so, and only they.
    assert_eq!(
        press(&world, USER, &second[1], "Run next").await,
        "It runs next."
    );
    world
        .wait_chat(USER, "the other is next", |m| {
            m.len() == 2 && m[1].text == busy && m[0].text == "In line: number 2."
        })
        .await;
    assert_eq!(
        press(&world, USER, &shown[0], "Cancel").await,
        "Dropped: it was not run."
    );
    uma.send_text(USER, "/interrupt");
    world
        .wait_shows(
            USER,
            "Nothing is running; what waited is kept until you say so.",
        )
        .await;
    world.wait_told(USER, "1 message is kept and waits").await;
    ada.send_text(ADMIN, "/interrupt");
    world.wait_told(ADMIN, "— Interrupted").await;
    world.says(USER, "three").await;
    assert_eq!((world.reached("say one"), world.reached("say two")), (0, 0));
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn the_button_is_there_from_the_first_moment_and_stops_what_has_not_begun() {
    let world = World::new().await;
    let daemon = world.start_ready().await;
    let user = world.api.user(USER, "Uma");
    // A prompt that waits for its file; another one behind it.
    world.api.fault(Fault::once(
        "getFile",
        FaultKind::Delay(Duration::from_secs(5)),
    ));
    user.send_document(USER, "a.txt", "text/plain", "words", "say one");
    let shown = world
        .wait_chat(USER, "there is a placeholder", |m| !m.is_empty())
        .await;
    assert_eq!(shown[0].text, "Fetching your file…");
    user.send_text(USER, "say two");
    world.wait_shows(USER, "In line: number 2.").await;
    let told = press(&world, USER, &shown[0], "Stop").await;
    assert_eq!(told, "Stopped before it began.");
    world.wait_shows(USER, "— Interrupted").await;
    world.wait_told(USER, "1 message is kept").await;
    world.says(USER, "three").await;
    assert_eq!(world.evidence().reached().len(), 1);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_stop_while_the_agent_starts_is_a_stop() {
    let world = World::new().await;
    let daemon = world.start_with(&[("TELEXD_STALL_AT", "lane-launch:1500")]);
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "hang");
    let shown = world
        .wait_chat(USER, "there is a placeholder", |m| !m.is_empty())
        .await;
    let told = press(&world, USER, &shown[0], "Stop").await;
    assert!(told.starts_with("Stop"), "{told}");
    world.wait_told(USER, "— Interrupted").await;
    world.says(USER, "two").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_word_stops_only_where_something_is_to_be_stopped_and_waits_in_no_window() {
    let window = "[batching]\nfirst_ms = 60000\nidle_ms = 60000\nmax_ms = 120000\n";
    let rest = fast("stop_button = true");
    let world = World::with(Config::default(), &format!("{window}\n{rest}")).await;
    world.drop_in("word", "[conversation]\nstop_word = \"Halt ein\"\n");
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    // Nothing to stop: words like any other.
    user.send_text(USER, "halt ein");
    user.send_text(USER, "/status");
    world.wait_shows(USER, "echo: halt ein").await;
    user.send_text(USER, "hang");
    user.send_text(USER, "/status");
    running(&world, USER).await;
    // Not alone in its message, or edited into one: no stop.
    let other = user.send_text(USER, "please halt ein");
    user.edit(USER, other, "halt ein");
    user.send_text(USER, " HALT EIN\n");
    world.wait_shows(USER, INTERRUPTED).await;
    world.wait_shows(USER, "Stopping…").await;
    // What was being collected is kept, too.
    world
        .wait_told(USER, "1 message is kept and waits for your word:")
        .await;
    assert_eq!(world.reached(" HALT EIN\n"), 0);
    assert_eq!(world.evidence().of("prompt").count(), 2);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn in_a_group_the_word_is_for_whoever_says_it() {
    let world = World::new().await;
    let group = -1_000_000_000_777;
    world.drop_in(
        "word",
        &format!("[conversation]\nstop_word = \"stop\"\n[access]\nusers = [{USER}, {GUEST}]\n"),
    );
    let daemon = world.start();
    let (uma, gus) = (world.api.user(USER, "Uma"), world.api.user(GUEST, "Gus"));
    uma.send_group(group, "hang");
    running(&world, group).await;
    gus.send_group(group, "stop");
    world.wait_shows(group, "echo: stop").await;
    assert_eq!(aborted(&world), 0);
    let said = uma.send_group(group, "Stop");
    let shown = world.wait_shows(group, "Stopping…").await;
    let answer = shown.iter().find(|m| m.text == "Stopping…").unwrap();
    assert_eq!(answer.reply_to, Some(said));
    world.wait_shows(group, INTERRUPTED).await;
    daemon.stop().await;
    world.end_all().await;
}

/// Killed between what is recorded of a stop, or of an order about the queue, and what follows from it.
#[tokio::test]
async fn a_stop_and_an_order_hold_over_a_kill_right_after_they_are_recorded() {
    let world = World::new().await;
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "lane-stopping:1")]);
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "hang");
    let shown = running(&world, USER).await;
    for (place, text) in [(2, "say one"), (3, "say two")] {
        user.send_text(USER, text);
        world
            .wait_shows(USER, &format!("In line: number {place}."))
            .await;
    }
    let stop = shown.buttons[0][0].data.clone().unwrap();
    user.press(USER, shown.message_id, &stop).unwrap();
    daemon.wait().await;
    assert_eq!(aborted(&world), 0, "the agent was not told yet");
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "press-committed:1")]);
    world.wait_shows(USER, INTERRUPTED).await;
    let is_list = |m: &ShownMessage| m.text.starts_with("2 messages are kept");
    let shown = world
        .wait_chat(USER, "they are kept", |m| m.iter().any(is_list))
        .await;
    let listed = shown.into_iter().find(is_list).unwrap();
    let next = listed.buttons[1][0].data.clone().unwrap();
    user.press(USER, listed.message_id, &next).unwrap();
    daemon.wait().await;
    let daemon = world.start();
    // Where it was on its way when the daemon died, what came before may be of use no more, and this comes as new.
    let answered = |m: &[ShownMessage]| shows(m, "two") || shows(m, &format!("{MARK}\ntwo"));
    world.wait_chat(USER, "two", answered).await;
    world.wait_told(USER, "1 message is kept").await;
    assert_eq!(world.reached("hang"), 1);
    assert_eq!((world.reached("say one"), world.reached("say two")), (0, 1));
    daemon.stop().await;
    world.end_all().await;
}

/// One press, killed before it is recorded: it is looked at again, and what was sent after it is not kept by it.
#[tokio::test]
async fn a_stop_that_is_looked_at_again_keeps_only_what_was_sent_before_it() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "hang");
    running(&world, USER).await;
    user.send_text(USER, "say before");
    world.wait_shows(USER, "In line: number 2.").await;
    daemon.kill();
    user.send_text(USER, "/interrupt");
    user.send_text(USER, "say after");
    let mut daemon = world.start_with(&[("TELEXD_KILL_AT", "intake-accepted:1")]);
    daemon.wait().await;
    let daemon = world.start();
    world.wait_shows(USER, "after").await;
    world.wait_told(USER, "1 message is kept").await;
    assert_eq!(world.reached("say before"), 0);
    tokio::time::timeout(Duration::from_secs(15), daemon.stop())
        .await
        .unwrap();
    world.end_all().await;
}
