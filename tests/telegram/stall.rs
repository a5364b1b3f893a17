//! Polls that nobody answers, a machine that sleeps, answers that mean that something is set up wrongly.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use telexd::{
    core::{Millis, stall::StallRule, trouble::CallClass},
    gateway::ports::Clock,
    telegram::intake::{IntakeConfig, IntakeError, PollHealth, PollTrouble},
};
use telexd_botapi::{Fault, FaultKind, Outcome};
use tokio::{sync::watch, time::Instant};

use crate::rig::{DEADLINE, Gateway, Rig, client, eventually, now, quick_intake};

const QUICKLY: StallRule = StallRule {
    grace_ms: 0,
    after_ms: 100,
    renewals: 2,
};

fn quickly() -> IntakeConfig {
    IntakeConfig {
        stall: QUICKLY,
        ..quick_intake()
    }
}

/// A clock that is set while it runs.
#[derive(Default)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Millis {
        now() + self.0.load(Ordering::SeqCst)
    }
}

impl SetClock {
    fn set_by(&self, by: Duration, forward: bool) {
        let by = i64::try_from(by.as_millis()).unwrap();
        self.0
            .fetch_add(if forward { by } else { -by }, Ordering::SeqCst);
    }
}

async fn health_when(
    watched: &mut watch::Receiver<PollHealth>,
    what: impl FnMut(&PollHealth) -> bool,
) -> PollHealth {
    tokio::time::timeout(DEADLINE, watched.wait_for(what))
        .await
        .expect("health does not come to that")
        .unwrap()
        .clone()
}

#[tokio::test]
async fn polls_that_are_never_answered_end_it_where_telegram_answers_other_calls() {
    let rig = Rig::new().await;
    rig.api
        .fault(Fault::always("getUpdates", FaultKind::ResetBefore));
    let gateway = Arc::new(Gateway::default());
    let (intake, _health) = rig.take_in_by(
        &gateway,
        rig.client.clone(),
        Arc::new(crate::rig::SystemClock),
        quickly(),
    );
    let end = intake.end().await;
    assert!(matches!(end, Err(IntakeError::Stalled { .. })), "{end:?}");
    assert_eq!(rig.api.view(|v| v.calls_of("getMe").len()), 1);
}

#[tokio::test]
async fn an_outage_of_everything_ends_nothing_however_long() {
    let rig = Rig::new().await;
    let fault = rig
        .api
        .fault(Fault::always("", FaultKind::ResetBefore).any_method());
    let gateway = Arc::new(Gateway::default());
    let (intake, mut health) = rig.take_in_by(
        &gateway,
        rig.client.clone(),
        Arc::new(crate::rig::SystemClock),
        quickly(),
    );
    // It has asked whether Telegram answers anything else, more than once.
    rig.api
        .wait_for(DEADLINE, |v| v.calls_of("getMe").len() >= 3)
        .await
        .unwrap();
    rig.api.cancel_fault(fault);
    rig.api.user(1001, "Ann").send_text(1001, "after it");
    gateway.taken(1).await;
    health_when(&mut health, |h| h.trouble.is_none()).await;
    intake.stop().await;
}

#[tokio::test]
async fn answers_of_a_gateway_on_the_way_are_no_stall() {
    let rig = Rig::new().await;
    let fault = rig
        .api
        .fault(Fault::always("getUpdates", FaultKind::Html(502)));
    let gateway = Arc::new(Gateway::default());
    let (intake, _health) = rig.take_in_by(
        &gateway,
        rig.client.clone(),
        Arc::new(crate::rig::SystemClock),
        quickly(),
    );
    rig.api
        .wait_for(DEADLINE, |v| v.calls_of("getUpdates").len() >= 15)
        .await
        .unwrap();
    assert_eq!(rig.api.view(|v| v.calls_of("getMe").len()), 0);
    rig.api.cancel_fault(fault);
    rig.api.user(1001, "Ann").send_text(1001, "after it");
    gateway.taken(1).await;
    intake.stop().await;
}

#[tokio::test]
async fn after_a_sleep_the_poll_under_way_is_given_up_and_nothing_is_lost() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    // The connection is dead, and nobody says so.
    rig.api
        .fault(Fault::once("getUpdates", FaultKind::Hang { taken: false }));
    let clock = Arc::new(SetClock::default());
    let gateway = Arc::new(Gateway::default());
    let config = IntakeConfig {
        look_every: Duration::from_millis(20),
        ..quick_intake()
    };
    let shared: Arc<dyn Clock> = Arc::<SetClock>::clone(&clock);
    let (intake, health) = rig.take_in_by(&gateway, rig.client.clone(), shared, config);
    rig.api
        .wait_for(DEADLINE, |v| v.calls_of("getUpdates").len() == 1)
        .await
        .unwrap();
    ann.send_text(1001, "while it slept");
    let before = Instant::now();
    clock.set_by(Duration::from_secs(3600), true);
    gateway.taken(1).await;
    // The call itself would have gone on for fifteen seconds.
    assert!(before.elapsed() < Duration::from_secs(10));
    assert_eq!(health.borrow().failures, 0);

    // A clock that is set back changes nothing.
    clock.set_by(Duration::from_secs(24 * 3600), false);
    ann.send_text(1001, "yesterday");
    gateway.taken(2).await;
    assert_eq!(gateway.texts(), ["while it slept", "yesterday"]);
    assert_eq!(health.borrow().failures, 0);
    intake.stop().await;
}

#[tokio::test]
async fn a_sleep_cuts_a_wait_short() {
    let rig = Rig::new().await;
    let ann = rig.api.user(1001, "Ann");
    rig.api
        .fault(Fault::once("getUpdates", FaultKind::ResetBefore));
    let clock = Arc::new(SetClock::default());
    let gateway = Arc::new(Gateway::default());
    let mut config = quick_intake();
    config.look_every = Duration::from_millis(20);
    config.backoff.base_ms = 600_000;
    config.backoff.cap_ms = 600_000;
    let shared: Arc<dyn Clock> = Arc::<SetClock>::clone(&clock);
    let (intake, mut health) = rig.take_in_by(&gateway, rig.client.clone(), shared, config);
    health_when(&mut health, |h| h.failures == 1).await;
    ann.send_text(1001, "good morning");
    clock.set_by(Duration::from_secs(60), true);
    gateway.taken(1).await;
    intake.stop().await;
}

#[tokio::test]
async fn another_poller_is_news_only_after_a_poll_timeout() {
    let rig = Rig::new().await;
    let gateway = Arc::new(Gateway::default());
    let (intake, mut health) = rig.take_in(&gateway);
    let other = client(&rig.api, rig.api.token());
    // It polls again at once whenever it is thrown out.
    let rival = tokio::spawn(async move {
        loop {
            let _ = other.get_updates(None, 100).await;
            tokio::task::yield_now().await;
        }
    });
    let before = Instant::now();
    let first = health_when(&mut health, |h| h.trouble.is_some()).await;
    assert_eq!(first.trouble, Some(PollTrouble::Call(CallClass::Conflict)));
    assert!(!first.lasting);
    health_when(&mut health, |h| h.lasting).await;
    // The poll timeout of the rig, from the first time on.
    assert!(before.elapsed() >= Duration::from_secs(4));
    rival.abort();
    health_when(&mut health, |h| h.trouble.is_none() && !h.lasting).await;
    let refused = rig.api.view(|v| {
        let calls = v.calls_of("getUpdates");
        let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(409, _));
        calls.iter().filter(|call| refused(&call.outcome)).count()
    });
    assert!(refused >= 2, "{refused}");
    intake.stop().await;
}

#[tokio::test]
async fn a_server_that_is_none_of_the_bot_api_is_told_and_outlived() {
    let rig = Rig::new().await;
    let answer = |code: u16, text: &str| FaultKind::Answer {
        status: code,
        content_type: "application/json".into(),
        body: format!(r#"{{"ok":false,"error_code":{code},"description":"{text}"}}"#).into(),
    };
    for (code, text, class) in [
        (404, "Not Found: method not found", CallClass::Fatal),
        (405, "Method Not Allowed", CallClass::Fatal),
        (
            421,
            "Misdirected Request: unallowed token specified",
            CallClass::Unauthorized,
        ),
        (400, "Logged out", CallClass::Unauthorized),
    ] {
        let fault = rig
            .api
            .fault(Fault::always("getUpdates", answer(code, text)));
        let gateway = Arc::new(Gateway::default());
        let (intake, mut health) = rig.take_in(&gateway);
        let told = health_when(&mut health, |h| h.failures >= 3).await;
        assert_eq!(told.trouble, Some(PollTrouble::Call(class)), "{text}");
        assert!(told.lasting);
        rig.api.cancel_fault(fault);
        rig.api.user(1001, "Ann").send_text(1001, text);
        eventually(|| async { gateway.texts().contains(&text.to_owned()).then_some(()) }).await;
        health_when(&mut health, |h| h.trouble.is_none()).await;
        gateway.act(&rig).await;
        intake.stop().await;
    }
}

#[tokio::test]
async fn what_nobody_thought_of_is_counted() {
    let rig = Rig::new().await;
    assert_eq!(
        (rig.client.tally().well(), rig.client.tally().unknown()),
        (0, 0)
    );
    rig.client.get_me().await.unwrap();
    for (code, unknown) in [(400, 1), (777, 2), (500, 2)] {
        rig.api.fault(Fault::once(
            "getMe",
            FaultKind::Answer {
                status: 400,
                content_type: "application/json".into(),
                body: format!(r#"{{"ok":false,"error_code":{code},"description":"Bad Request: NEVER_HEARD_OF"}}"#)
                    .into(),
            },
        ));
        let error = rig.client.get_me().await.unwrap_err();
        assert_eq!(error.is_unknown(), code != 500, "{error}");
        assert_eq!(rig.client.tally().unknown(), unknown);
    }
    let failures = rig.client.tally().failures();
    let of = |class| failures.iter().find(|(name, _)| *name == class).unwrap().1;
    assert_eq!((of("rejected"), of("ambiguous"), of("safe")), (1, 2, 0));
    assert_eq!(rig.client.tally().well(), 1);
}
