//! Somebody writes more than is taken: the rest is kept, they are told once, and nobody else notices.

use telexd_botapi::{Clock, Config, ManualClock};

use crate::support::{ADMIN, USER, World, texts, wait_until};

const TOO_FAST: &str = "⏸️ That is more than I take within a minute.";

/// A world in which so many messages are taken within a minute. Their dates, which say what is fast, come from the clock: it
/// does not matter how long anything takes here. It begins a minute ago, because none may be later than now.
async fn world(per_minute: u32) -> (World, ManualClock) {
    let clock = ManualClock::new(Clock::System.now_ms() - 60_000);
    let config = Config {
        clock: Clock::Manual(clock.clone()),
        ..Config::default()
    };
    let world = World::with(config, "").await;
    world.drop_in(
        "10-pace",
        &format!("[messages]\nper_minute = {per_minute}\n"),
    );
    (world, clock)
}

fn send(world: &World, numbers: std::ops::RangeInclusive<u32>) {
    let uma = world.api.user(USER, "Uma");
    for n in numbers {
        uma.send_text(USER, &format!("say number {n}"));
    }
}

async fn wait_answered(world: &World, numbers: std::ops::RangeInclusive<u32>) {
    for n in numbers {
        world.wait_shows(USER, &format!("number {n}")).await;
    }
}

async fn wait_kept(world: &World, messages: i64) {
    let kept = "SELECT count(*) FROM turns WHERE state = 'held'";
    let are = || world.query(kept) == Some(messages);
    let what = format!("{messages} are kept");
    wait_until(&what, are, || world.log()).await;
}

/// The numbered messages that agents were given, in order.
fn given(world: &World) -> Vec<String> {
    let evidence = world.evidence();
    let all = evidence.of("prompt").map(|p| p["text"].as_str().unwrap());
    all.filter(|text| text.starts_with("say number"))
        .map(str::to_owned)
        .collect()
}

fn numbered(numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|n| format!("say number {n}")).collect()
}

#[track_caller]
fn is_told_once(world: &World) {
    let told = texts(&world.api.view(|v| v.bot_messages(USER)));
    let times = told.iter().filter(|t| t.starts_with(TOO_FAST)).count();
    assert_eq!(times, 1, "{told:#?}");
}

#[tokio::test]
async fn what_comes_too_fast_is_kept_in_its_order_and_told_once() {
    let (world, clock) = world(2).await;
    let daemon = world.start();
    clock.advance_ms(60_000);
    send(&world, 1..=2);
    wait_answered(&world, 1..=2).await;
    // What an earlier life knew of a flow that ended long ago is forgotten at the start, so these are of now.
    let now = Clock::System.now_ms();
    clock.advance_ms(now - Clock::Manual(clock.clone()).now_ms());
    send(&world, 3..=5);
    world.wait_told(USER, TOO_FAST).await;
    wait_kept(&world, 3).await;
    world.wait_sent().await;
    // It is known over a kill: what follows is kept, too, without another word.
    daemon.kill();
    let daemon = world.start_ready().await;
    send(&world, 6..=6);
    wait_kept(&world, 4).await;
    // Commands are no prompts, and others have their own pace.
    world.says(ADMIN, "meanwhile").await;
    let uma = world.api.user(USER, "Uma");
    uma.send_text(USER, "/queue");
    world
        .wait_told(USER, "4 messages are kept and wait for your word:")
        .await;
    assert_eq!(given(&world), numbered(1..=2));
    uma.send_text(USER, "/queue run");
    wait_answered(&world, 3..=6).await;
    assert_eq!(given(&world), numbered(1..=6));
    is_told_once(&world);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn after_ten_seconds_of_calm_it_goes_on_by_itself() {
    let (world, clock) = world(5).await;
    let daemon = world.start();
    send(&world, 1..=8);
    world.wait_told(USER, TOO_FAST).await;
    wait_answered(&world, 1..=5).await;
    wait_kept(&world, 3).await;
    // Nine seconds are no calm.
    clock.advance_ms(9_000);
    send(&world, 9..=9);
    wait_kept(&world, 4).await;
    assert_eq!(given(&world), numbered(1..=5));
    world.api.user(USER, "Uma").send_text(USER, "/queue run");
    wait_answered(&world, 6..=9).await;
    // By now a minute has room for one more, too.
    clock.advance_ms(10_000);
    send(&world, 10..=10);
    wait_answered(&world, 10..=10).await;
    wait_kept(&world, 0).await;
    assert_eq!(given(&world), numbered(1..=10));
    is_told_once(&world);
    daemon.stop().await;
    world.end_all().await;
}
