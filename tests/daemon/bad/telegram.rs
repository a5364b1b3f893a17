//! Telegram itself: a refused token, another program with the same token, a webhook, outages.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use telexd_botapi::{Call, Fault, FaultKind, Network, Outcome};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::{
    rig::{everything, wait_long},
    support::{ADMIN, USER, World, shows, talk, texts, wait_until},
};

fn polls(world: &World) -> Vec<Call> {
    // Another poller asks for no kinds of updates.
    world
        .api
        .view(|v| v.calls_of("getUpdates"))
        .into_iter()
        .filter(|c| c.params.get("allowed_updates").is_some())
        .collect()
}

#[tokio::test]
async fn a_refused_token_is_told_once_tried_slowly_and_works_when_it_is_accepted() {
    let world = World::new().await;
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say before");
    let fault = world
        .api
        .fault(everything(FaultKind::refused(401, "Unauthorized")));
    let mut daemon = world.start();
    world
        .wait_log("Telegram does not accept the bot's token")
        .await;
    user.send_text(USER, "say during");
    world.api.cancel_fault(fault);
    let answered = || {
        let shown = world.api.view(|v| v.bot_messages(USER));
        shows(&shown, "before") && shows(&shown, "during")
    };
    wait_long("all is answered", answered, || world.log()).await;
    assert!(daemon.ended().is_none(), "{}", world.log());
    let at: Vec<i64> = polls(&world).iter().map(|c| c.at).collect();
    assert!(at[1] - at[0] >= 20_000, "tried slowly: {at:?}");
    let asked = world.api.view(|v| v.calls_of("getMe"));
    assert!(asked.len() <= 2, "tried slowly: {} times", asked.len());
    assert_eq!(
        world.logged("Telegram does not accept the bot's token"),
        1,
        "{}",
        world.log()
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_second_poller_is_told_of_once_and_costs_nothing() {
    let world = World::new().await;
    // So long it is no news: it might be a poll of the daemon's own earlier life.
    world.drop_in("20-poll", "[telegram]\npoll_timeout_s = 2\n");
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    world.says(USER, "before").await;
    // It polls again at once whenever it is thrown out, and never confirms anything.
    let address = format!("{}/bot{}/getUpdates", world.api.url(), world.api.token());
    let rival = tokio::spawn(async move {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        loop {
            let _ = http
                .post(&address)
                .json(&json!({"timeout": 50}))
                .send()
                .await;
            tokio::task::yield_now().await;
        }
    });
    let refused = || {
        polls(&world)
            .iter()
            .filter(|c| matches!(&c.outcome, Outcome::Refused(409, _)))
            .count()
    };
    wait_long(
        "the daemon was thrown out twice",
        || refused() >= 2,
        || world.log(),
    )
    .await;
    rival.abort();
    assert!(rival.await.unwrap_err().is_cancelled());
    user.send_text(USER, "say after");
    wait_long(
        "it is answered",
        || shows(&world.api.view(|v| v.bot_messages(USER)), "after"),
        || world.log(),
    )
    .await;
    assert_eq!(
        world.logged("another program polls with this bot's token"),
        1,
        "{}",
        world.log()
    );
    assert_eq!(world.reached("say after"), 1);
    let at: Vec<i64> = polls(&world)
        .iter()
        .filter(|c| matches!(&c.outcome, Outcome::Refused(409, _)))
        .map(|c| c.at)
        .collect();
    assert!(at[1] - at[0] >= 3_000, "no fight: {at:?}");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_second_daemon_with_the_same_token_ends_and_disturbs_nobody() {
    let world = World::new().await;
    let daemon = world.start_ready().await;
    world.says(USER, "before").await;
    // Another state, no bus: nothing but the token is the same.
    let other = World::new().await;
    assert_eq!(other.api.token(), world.api.token());
    let server = format!("[telegram]\napi_url = \"{}\"\n", world.api.url());
    other.drop_in("90-same", &server);
    let (code, said) = other.start_fails().await;
    assert_eq!(code, 78, "{said}");
    let words = format!("has bot 4242 already (process {} of user", daemon.pid());
    assert!(said.contains(&words), "{said}");
    world.says(USER, "undisturbed").await;
    assert_eq!(world.logged("another program polls"), 0, "{}", world.log());
    // And once the first has gone, the way is free.
    daemon.stop().await;
    let second = other.start_ready().await;
    second.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_webhook_that_was_left_is_removed_and_what_waits_is_kept() {
    let world = World::new().await;
    world.api.user(USER, "Uma").send_text(USER, "say waited");
    let address = format!("{}/bot{}/setWebhook", world.api.url(), world.api.token());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let set = http
        .post(&address)
        .json(&json!({"url": "https://example.com/hook"}))
        .send()
        .await
        .unwrap();
    assert!(set.status().is_success());
    let daemon = world.start();
    world.wait_shows(USER, "waited").await;
    let removed = world.api.view(|v| v.calls_of("deleteWebhook"));
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].params["drop_pending_updates"], json!(false));
    assert_eq!(world.logged("removed a webhook"), 1, "{}", world.log());
    daemon.stop().await;
    world.end_all().await;
}

/// An outage in the middle of work: an answer goes on, another chat writes, the daemon may even be started anew.
async fn outage(kind: Network, restart: bool) {
    let world = World::new().await;
    let mut daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "slow 20 x50");
    world
        .wait_chat(USER, "the answer has begun", |m| {
            m.iter().any(|m| m.text.contains("piece 00002"))
        })
        .await;
    world.api.network(kind).await.unwrap();
    world.api.user(ADMIN, "Ada").send_text(ADMIN, "say one");
    user.send_text(USER, "say two");
    wait_until(
        "the agent has ended its answer alone",
        || world.evidence().reached().iter().any(|r| r.answered == 1),
        || world.log(),
    )
    .await;
    if kind == Network::Refused {
        world.wait_log("no updates come in").await;
    }
    if restart {
        daemon.kill();
        daemon = world.start_ready().await;
    }
    assert!(daemon.ended().is_none());
    world.api.network(Network::Up).await.unwrap();
    let whole: String = (1..=50).map(|n| format!("piece {n:05} ")).collect();
    world
        .wait_chat(USER, "both answers are there", |m| {
            m.iter()
                .any(|m| m.text == whole.trim_end() && m.buttons.is_empty())
                && shows(m, "two")
        })
        .await;
    world.wait_shows(ADMIN, "one").await;
    assert!(
        world.evidence().reached().iter().all(|r| r.times == 1),
        "{:#?}",
        world.evidence().reached()
    );
    let unmarked: Vec<String> = talk(&world.api.view(|v| v.bot_messages(USER)))
        .into_iter()
        .filter(|t| !t.contains("(may be a repeat)"))
        .collect();
    assert_eq!(unmarked.len(), 2, "{unmarked:#?}");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn an_outage_with_refused_connections() {
    outage(Network::Refused, false).await;
}

#[tokio::test]
async fn an_outage_with_silence() {
    outage(Network::Silent, false).await;
}

#[tokio::test]
async fn an_outage_over_a_restart() {
    outage(Network::Refused, true).await;
}

#[tokio::test]
async fn polls_that_fail_in_odd_ways_lose_nothing() {
    let world = World::new().await;
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say one");
    user.send_text(USER, "say two");
    // Each costs a wait of seconds, so one of each kind that is read differently.
    for kind in [
        FaultKind::TruncatedBody,
        FaultKind::Delay(Duration::from_millis(50)),
        FaultKind::Html(502),
    ] {
        world.api.fault(Fault::once("getUpdates", kind));
    }
    let daemon = world.start();
    wait_long(
        "both are answered",
        || texts(&world.api.view(|v| v.bot_messages(USER))) == ["one", "two"],
        || world.log(),
    )
    .await;
    assert_eq!(world.reached("say one") + world.reached("say two"), 2);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn telegram_is_reached_by_a_proxy_with_its_login_which_is_nowhere() {
    const PASSWORD: &str = "s3cret-of-the-proxy";
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let behind = world.api.url().trim_start_matches("http://").to_owned();
    let (met, known) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&met), Arc::clone(&known));
    let proxy = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (behind, counts) = (behind.clone(), counts.clone());
            tokio::spawn(async move {
                let mut bytes = vec![0; 16 * 1024];
                let read = stream.read(&mut bytes).await.unwrap_or(0);
                // One that is kept in store and never used says nothing.
                if read == 0 {
                    return;
                }
                let head = String::from_utf8_lossy(&bytes[..read]).to_lowercase();
                counts.0.fetch_add(1, Ordering::SeqCst);
                // ann:s3cret-of-the-proxy
                if head.contains("proxy-authorization: basic yw5uonmzy3jldc1vzi10agutchjvehk=") {
                    counts.1.fetch_add(1, Ordering::SeqCst);
                }
                let mut there = TcpStream::connect(&behind).await.unwrap();
                let _ = there.write_all(&bytes[..read]).await;
                let _ = copy_bidirectional(&mut stream, &mut there).await;
            });
        }
    });
    let login = world.path("proxy-login");
    std::fs::write(&login, format!("ann:{PASSWORD}\n")).unwrap();
    world.drop_in(
        "30-proxy",
        &format!(
            "[telegram]\nproxy = \"http://{address}\"\nproxy_login_file = \"{}\"\n[log]\nlevel = \"debug\"\n",
            login.display()
        ),
    );
    let daemon = world.start();
    world.says(USER, "by the proxy").await;
    daemon.stop().await;
    let (met, known) = (met.load(Ordering::SeqCst), known.load(Ordering::SeqCst));
    assert!(met >= 2 && met == known, "{known} of {met}");
    assert!(!world.log().contains(PASSWORD), "{}", world.log());
    proxy.abort();
    world.end_all().await;
}
