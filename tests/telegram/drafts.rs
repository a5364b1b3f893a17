//! Running answers as drafts: beside what goes out as messages, never in its way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use telexd::{
    core::text::{Formatted, Look, Span},
    gateway::ports::{Clock, Draft, DraftPlace, Drafts},
    store::rows::Urgency,
    telegram::delivery::{DeliveryConfig, drafts::DraftBoard, pacing::PacingRule},
};
use telexd_botapi::{Fault, FaultKind, Outcome, ShownDraft};

use crate::rig::{DEADLINE, Rig, Running, SystemClock, now, quick, shown};

const ANN: i64 = 1001;

/// A clock that a test moves ahead.
#[derive(Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> i64 {
        now() + self.0.load(Ordering::SeqCst)
    }
}

struct Desk {
    rig: Rig,
    board: DraftBoard,
    clock: Arc<Ahead>,
    _delivery: Running,
}

impl Desk {
    async fn new() -> Self {
        Self::with(quick()).await
    }

    async fn with(config: DeliveryConfig) -> Self {
        let rig = Rig::new().await;
        rig.acquainted(ANN);
        let clock = Arc::new(Ahead::default());
        let board = DraftBoard::new(Arc::<Ahead>::clone(&clock));
        let delivery = rig.deliver_beside(board.clone(), Arc::<Ahead>::clone(&clock), config);
        Self {
            rig,
            board,
            clock,
            _delivery: delivery,
        }
    }

    fn open(&self, id: i64) -> Arc<dyn Draft> {
        self.board.open(place(id)).expect("drafts are to be had")
    }

    async fn until_drafts(&self, what: impl Fn(&[ShownDraft]) -> bool) -> Vec<ShownDraft> {
        let met = self
            .rig
            .api
            .wait_for(DEADLINE, |v| what(&v.drafts(ANN)))
            .await;
        let there = self.rig.api.view(|v| v.drafts(ANN));
        assert!(met.is_ok(), "waited in vain; there are {there:#?}");
        there
    }

    /// Has the delivery look around, by a message somewhere else.
    async fn wake(&self) {
        self.rig.acquainted(4004);
        let row = self.rig.say(4004, "wake up").await;
        self.rig.done(row).await;
    }
}

fn place(id: i64) -> DraftPlace {
    DraftPlace {
        chat_id: ANN,
        thread_id: 0,
        id,
        can_stop: true,
    }
}

fn words(text: &str) -> Formatted {
    Formatted::plain(text)
}

fn paced() -> DeliveryConfig {
    let config = quick();
    let slow = PacingRule {
        chat_interval_ms: 300,
        ..PacingRule::default()
    };
    DeliveryConfig {
        pacing: telexd::core::live::Live::new(slow),
        ..config
    }
}

async fn refused(draft: &dyn Draft) {
    tokio::time::timeout(DEADLINE, draft.refused())
        .await
        .expect("it is not refused");
    assert!(draft.is_refused());
}

#[tokio::test]
async fn a_draft_goes_out_as_it_is_wanted() {
    let desk = Desk::new().await;
    let draft = desk.open(77);
    let mut body = words("so far");
    body.spans.push(Span {
        offset: 0,
        length: 2,
        look: Look::Bold,
    });
    draft.show(body);
    let there = desk.until_drafts(|drafts| !drafts.is_empty()).await;
    assert_eq!((there[0].draft_id, &*there[0].text), (77, "so far"));
    assert_eq!(there[0].entities.len(), 1);
    assert!(there[0].can_stop && there[0].keep_on_stop);
    drop(draft);
    let thread = desk.board.open(DraftPlace {
        thread_id: 5,
        can_stop: false,
        ..place(78)
    });
    let thread = thread.unwrap();
    desk.rig.api.topic(ANN, 5);
    thread.show(words("in a topic"));
    let there = desk.until_drafts(|drafts| drafts.len() == 2).await;
    assert_eq!((there[1].thread_id, there[1].can_stop), (Some(5), false));
}

#[tokio::test]
async fn the_newest_goes_at_the_pace_of_the_chat() {
    let desk = Desk::with(paced()).await;
    let draft = desk.open(77);
    for n in 1..=200 {
        draft.show(words(&n.to_string()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let there = desk
        .until_drafts(|drafts| drafts.last().is_some_and(|d| d.text == "200"))
        .await;
    assert!((2..=8).contains(&there.len()), "{there:#?}");
    for two in there.windows(2) {
        assert!(two[1].at - two[0].at >= 200, "{two:#?}");
    }
}

#[tokio::test]
async fn a_draft_is_renewed_as_long_as_it_is_open() {
    let desk = Desk::new().await;
    let draft = desk.open(77);
    draft.show(words("a tool runs"));
    desk.until_drafts(|drafts| drafts.len() == 1).await;
    for renewed in 2..4 {
        desk.clock.0.fetch_add(19_000, Ordering::SeqCst);
        desk.wake().await;
        assert_eq!(desk.rig.api.view(|v| v.drafts(ANN).len()), renewed - 1);
        // The call may have ended after the clock was moved, so that it counts from there.
        desk.clock.0.fetch_add(20_500, Ordering::SeqCst);
        desk.wake().await;
        desk.until_drafts(|drafts| drafts.len() == renewed).await;
    }
    drop(draft);
    desk.clock.0.fetch_add(60_000, Ordering::SeqCst);
    desk.wake().await;
    assert_eq!(desk.rig.api.view(|v| v.drafts(ANN).len()), 3);
}

#[tokio::test]
async fn a_draft_that_a_message_has_covered_is_shown_again() {
    let desk = Desk::new().await;
    let draft = desk.open(77);
    draft.show(words("so far"));
    desk.until_drafts(|drafts| drafts.len() == 1).await;
    let question = desk.rig.say(ANN, "May I?").await;
    desk.rig.done(question).await;
    desk.until_drafts(|drafts| drafts.len() == 2).await;
    assert_eq!(desk.rig.api.draft(ANN).unwrap().text, "so far");
}

#[tokio::test]
async fn a_draft_that_hangs_holds_up_no_message() {
    let desk = Desk::new().await;
    desk.rig.api.fault(Fault::always(
        "sendMessageDraft",
        FaultKind::Hang { taken: true },
    ));
    let slot = desk.rig.slot(ANN).await;
    let draft = desk.open(slot.turn.0);
    draft.show(words("so far"));
    desk.rig
        .api
        .wait_for(DEADLINE, |v| v.count_of("sendMessageDraft") == 1)
        .await
        .unwrap();
    let begun = Instant::now();
    let note = desk.rig.say(ANN, "a note").await;
    desk.rig.done(note).await;
    assert!(begun.elapsed() < Duration::from_millis(1500));
    drop(draft);
    // The answer itself gives the draft a moment, not more.
    let answer = desk
        .rig
        .show(ANN, Some(slot), Urgency::Message, shown("the answer"))
        .await;
    desk.rig.done(answer).await;
    assert!(begun.elapsed() < Duration::from_millis(3000));
    assert_eq!(
        desk.rig.api.view(|v| v.bot_texts(ANN)),
        ["a note", "the answer"]
    );
}

#[tokio::test]
async fn an_answer_comes_behind_the_draft_that_is_under_way() {
    let desk = Desk::new().await;
    desk.rig.api.fault(Fault::always(
        "sendMessageDraft",
        FaultKind::Delay(Duration::from_millis(120)),
    ));
    for round in 0..5 {
        let slot = desk.rig.slot(ANN).await;
        let draft = desk.open(slot.turn.0);
        draft.show(words("so far"));
        desk.rig
            .api
            .wait_for(DEADLINE, |v| v.count_of("sendMessageDraft") == round + 1)
            .await
            .unwrap();
        drop(draft);
        let answer = desk
            .rig
            .show(ANN, Some(slot), Urgency::Message, shown("the answer"))
            .await;
        desk.rig.done(answer).await;
        let settled = |v: &telexd_botapi::View| {
            let mut drafts = v.calls_of("sendMessageDraft").into_iter();
            drafts.all(|call| call.outcome != Outcome::Open)
        };
        desk.rig.api.wait_for(DEADLINE, settled).await.unwrap();
        assert_eq!(desk.rig.api.draft(ANN), None, "nothing stands below it");
    }
}

#[tokio::test]
async fn messages_go_first_and_at_their_own_pace() {
    let desk = Desk::with(paced()).await;
    let draft = desk.open(77);
    draft.show(words("0"));
    desk.until_drafts(|drafts| drafts.len() == 1).await;
    // Three may come at once, the others follow one by one, and no draft comes in between.
    let mut rows = Vec::new();
    for n in 0..5 {
        rows.push(desk.rig.say(ANN, &n.to_string()).await);
    }
    draft.show(words("1"));
    for row in rows {
        desk.rig.done(row).await;
    }
    desk.until_drafts(|drafts| drafts.last().is_some_and(|d| d.text == "1"))
        .await;
    let order: Vec<_> = desk.rig.api.view(|v| {
        let calls = v.calls();
        calls.into_iter().map(|call| call.method).collect()
    });
    assert_eq!(
        order,
        [
            "sendMessageDraft",
            "sendMessage",
            "sendMessage",
            "sendMessage",
            "sendMessage",
            "sendMessage",
            "sendMessageDraft"
        ]
    );
}

#[tokio::test]
async fn a_deadline_of_the_chat_holds_for_drafts() {
    let desk = Desk::new().await;
    let until = now() + 600;
    desk.rig
        .tx(move |tx| tx.chat_limit_set(ANN, until, now()))
        .await;
    let draft = desk.open(77);
    draft.show(words("so far"));
    let there = desk.until_drafts(|drafts| drafts.len() == 1).await;
    assert!(there[0].at >= until - 1, "{} {until}", there[0].at);
}

#[tokio::test]
async fn what_telegram_refuses_is_handed_back() {
    let answer = |code: u16, description: &str| FaultKind::Answer {
        status: code,
        content_type: "application/json".to_owned(),
        body: format!(r#"{{"ok":false,"error_code":{code},"description":"{description}"}}"#).into(),
    };
    let too_many = FaultKind::TooManyRequests {
        retry_after: 60,
        parameters: true,
        header: false,
    };
    // The refusal, and whether the chat's next draft, and another chat's, may be tried.
    for (kind, again, elsewhere) in [
        (
            answer(400, "Bad Request: TEXTDRAFT_PEER_INVALID"),
            true,
            true,
        ),
        (answer(404, "Not Found: method not found"), false, false),
        (too_many, false, true),
    ] {
        let desk = Desk::new().await;
        desk.rig.api.fault(Fault::once("sendMessageDraft", kind));
        let draft = desk.open(77);
        draft.show(words("so far"));
        refused(&*draft).await;
        draft.show(words("further"));
        assert_eq!(desk.board.open(place(78)).is_some(), again);
        let other = DraftPlace {
            chat_id: 1002,
            ..place(79)
        };
        assert_eq!(desk.board.open(other).is_some(), elsewhere);
        // Messages are not held by that.
        let row = desk.rig.say(ANN, "as a message").await;
        desk.rig.done(row).await;
        assert_eq!(desk.rig.api.view(|v| v.count_of("sendMessageDraft")), 1);
        // In time it is tried again.
        desk.clock.0.fetch_add(3_700_000, Ordering::SeqCst);
        assert!(desk.board.open(place(80)).is_some());
    }
}

#[tokio::test]
async fn a_draft_that_fails_now_and_then_goes_on_and_one_that_always_does_is_given_up() {
    let desk = Desk::new().await;
    desk.rig
        .api
        .fault(Fault::times("sendMessageDraft", 2, FaultKind::Html(502)));
    let draft = desk.open(77);
    draft.show(words("so far"));
    desk.until_drafts(|drafts| drafts.len() == 1).await;
    assert!(!draft.is_refused());
    desk.rig
        .api
        .fault(Fault::always("sendMessageDraft", FaultKind::ResetBefore));
    draft.show(words("further"));
    refused(&*draft).await;
    assert_eq!(desk.rig.api.view(|v| v.count_of("sendMessageDraft")), 6);
}

#[tokio::test]
async fn ten_thousand_drafts_are_cheap_and_a_dropped_one_is_forgotten() {
    let board = DraftBoard::new(Arc::new(SystemClock));
    for id in 1..=10_000 {
        let draft = board.open(place(id)).unwrap();
        draft.show(words("x"));
    }
    let rig = Rig::new().await;
    rig.acquainted(ANN);
    let _delivery = rig.deliver_beside(board.clone(), Arc::new(SystemClock), quick());
    let row = rig.say(ANN, "hello").await;
    rig.done(row).await;
    assert_eq!(rig.api.view(|v| v.count_of("sendMessageDraft")), 0);
}
