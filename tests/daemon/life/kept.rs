//! What came too fast, and what its person then says.

use telexd_botapi::{Clock, Config, ManualClock};

use crate::support::{USER, World, texts};

const GROUP: i64 = -1_000_000_000_777;
const TOO_FAST: &str = "⏸️ That is more than I take within a minute.";

/// The dates of messages are what counts, so these move by hand.
async fn world() -> (World, ManualClock) {
    let clock = ManualClock::new(Clock::System.now_ms() - 100_000);
    let config = Config {
        clock: Clock::Manual(clock.clone()),
        ..Config::default()
    };
    let world = World::with(config, "[messages]\nper_minute = 30\n\n").await;
    (world, clock)
}

#[tokio::test]
async fn each_conversation_says_so_and_once_its_person_has_decided_what_comes_runs() {
    let (world, clock) = world().await;
    let daemon = world.start_ready().await;
    let uma = world.api.user(USER, "Uma");
    for n in 1..=32 {
        uma.send_text(USER, &format!("say number {n}"));
    }
    world.wait_told(USER, TOO_FAST).await;
    uma.send_text(USER, "/queue");
    world
        .wait_told(USER, "2 messages are kept and wait for your word:")
        .await;
    // A list that is shown stays true.
    uma.send_text(USER, "say number 33");
    world
        .wait_told(USER, "3 messages are kept and wait for your word:")
        .await;
    // Another conversation has its own, and says it there.
    uma.send_group(GROUP, "say elsewhere");
    world.wait_told(GROUP, TOO_FAST).await;
    uma.send_text(USER, "/queue run");
    for n in 31..=33 {
        world.wait_shows(USER, &format!("number {n}")).await;
    }
    // Long before there is calm: all that was kept here is decided about.
    clock.advance_ms(3_000);
    uma.send_text(USER, "say more");
    world.wait_shows(USER, "more").await;
    assert_eq!(world.reached("say elsewhere"), 0, "nobody said so there");
    uma.send_group(GROUP, "/queue drop all");
    world.wait_told(GROUP, "ropped").await;
    clock.advance_ms(3_000);
    uma.send_group(GROUP, "say here");
    world.wait_shows(GROUP, "here").await;
    assert_eq!(world.reached("say elsewhere"), 0);
    for chat in [USER, GROUP] {
        let shown = world.api.view(|v| texts(&v.bot_messages(chat)));
        let told = shown.iter().filter(|text| text.starts_with(TOO_FAST));
        assert_eq!(told.count(), 1, "{shown:#?}");
    }
    daemon.stop().await;
    world.end_all().await;
}
