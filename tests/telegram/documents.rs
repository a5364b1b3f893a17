//! Texts that go as files.

use telexd::{
    core::text::{Enclosed, Formatted, Shown},
    store::rows::{OutState, Slot, Urgency},
};
use telexd_botapi::{Fault, FaultKind, ShownMessage};

use crate::rig::{Rig, eventually, shown};

fn code() -> String {
    (0..400)
        .map(|i| format!("let line_{i} = \"ä😀 {i}\";\n"))
        .collect()
}

fn file(name: &str) -> Shown {
    Shown {
        body: Formatted::plain(format!("{name} (400 lines)")),
        file: Some(Enclosed {
            name: name.to_owned(),
            language: Some("rust".to_owned()),
            text: code(),
        }),
        ..Shown::default()
    }
}

fn there(rig: &Rig) -> Vec<ShownMessage> {
    rig.api.view(|v| v.bot_messages(1001))
}

/// The words of the code, put together from messages, each of which says of which file it is and which part.
fn joined(name: &str, messages: &[ShownMessage]) -> String {
    let of = messages.len();
    let texts = messages.iter().enumerate().map(|(number, message)| {
        let line = format!("{name}, {} of {of}\n", number + 1);
        message.text.strip_prefix(&line).expect(&message.text)
    });
    texts.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_file_goes_in_its_place_with_all_that_belongs_to_it() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let first = rig
        .show(1001, None, Urgency::Message, shown("before"))
        .await;
    let wanted = Shown {
        reply_to: Some(1),
        ..file("main.rs")
    };
    let row = rig.show(1001, None, Urgency::Message, wanted).await;
    let last = rig.show(1001, None, Urgency::Message, shown("after")).await;
    let delivery = rig.deliver();
    for row in [first, row, last] {
        rig.done(row).await;
    }
    let there = there(&rig);
    let texts: Vec<&str> = there.iter().map(|m| m.text.as_str()).collect();
    assert_eq!(texts, ["before", "main.rs (400 lines)", "after"]);
    assert_eq!(there[1].reply_to, Some(1));
    let sent = there[1].file.clone().unwrap();
    assert_eq!(
        (sent.kind.as_str(), sent.name.as_deref()),
        ("document", Some("main.rs"))
    );
    let bytes = rig.api.file(&sent.file_id).unwrap();
    assert_eq!(String::from_utf8(bytes.to_vec()).unwrap(), code());
    delivery.stop().await;
}

#[tokio::test]
async fn one_that_may_have_arrived_comes_again_with_the_mark() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.api
        .fault(Fault::once("sendDocument", FaultKind::ResetAfter));
    let row = rig
        .show(1001, None, Urgency::Message, file("main.rs"))
        .await;
    let delivery = rig.deliver();
    let row = rig.done(row).await;
    assert_eq!(row.ambiguous, 1);
    let there = there(&rig);
    let texts: Vec<&str> = there.iter().map(|m| m.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "main.rs (400 lines)",
            "(may be a repeat)\nmain.rs (400 lines)"
        ]
    );
    assert!(there.iter().all(|m| m.file.is_some()));
    delivery.stop().await;
}

#[tokio::test]
async fn what_telegram_takes_as_no_file_comes_as_messages_in_its_place() {
    for (code_of, description) in [
        (413, "Request Entity Too Large"),
        (
            400,
            "Bad Request: not enough rights to send documents to the chat",
        ),
        (400, "Bad Request: something new"),
        (400, "Bad Request: message caption is too long"),
    ] {
        let rig = Rig::new().await;
        rig.acquainted(1001);
        rig.api.fault(Fault::always(
            "sendDocument",
            FaultKind::refused(code_of, description),
        ));
        let before = rig
            .show(1001, None, Urgency::Message, shown("before"))
            .await;
        let row = rig
            .show(1001, None, Urgency::Message, file("main.rs"))
            .await;
        let delivery = rig.deliver();
        rig.done(before).await;
        let row = rig.done(row).await;
        assert_eq!(row.ambiguous, 0, "{description}");
        let parts = eventually(async || {
            let there = there(&rig);
            there
                .last()
                .is_some_and(|m| m.text.contains("let line_399 "))
                .then_some(there)
        })
        .await;
        assert_eq!(parts[0].text, "before");
        assert!(parts.len() > 2 && parts.iter().all(|m| m.file.is_none()));
        assert_eq!(joined("main.rs", &parts[1..]), code().trim_end());
        assert_eq!(rig.api.view(|v| v.count_of("sendDocument")), 1);
        delivery.stop().await;
    }
}

#[tokio::test]
async fn files_of_one_answer_that_come_as_messages_are_not_mixed_up() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let slot = rig.slot(1001).await;
    for (number, name) in (Slot::FILE..).zip(["a.rs", "b.rs"]) {
        let slot = Some(Slot { number, ..slot });
        rig.show(1001, slot, Urgency::Message, file(name)).await;
    }
    let refused = FaultKind::refused(400, "Bad Request: something new");
    rig.api.fault(Fault::always("sendDocument", refused));
    let delivery = rig.deliver();
    let parts = eventually(async || {
        let there = there(&rig);
        let last = |m: &&ShownMessage| m.text.contains("let line_399 ");
        (there.iter().filter(last).count() == 2).then_some(there)
    })
    .await;
    let (a, b) = parts.split_at(parts.len() / 2);
    assert_eq!(joined("a.rs", a), code().trim_end());
    assert_eq!(joined("b.rs", b), code().trim_end());
    delivery.stop().await;
}

#[tokio::test]
async fn a_way_that_breaks_every_upload_keeps_nothing_back() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.api
        .fault(Fault::always("sendDocument", FaultKind::ResetBefore));
    let row = rig
        .show(1001, None, Urgency::Message, file("main.rs"))
        .await;
    let after = rig.show(1001, None, Urgency::Message, shown("after")).await;
    let delivery = rig.deliver();
    let row = rig.done(row).await;
    assert_eq!(row.ambiguous, 2);
    rig.done(after).await;
    let parts = eventually(async || {
        let there = there(&rig);
        there
            .iter()
            .any(|m| m.text.contains("let line_399 "))
            .then_some(there)
    })
    .await;
    // Its text has no room for the mark.
    assert!(parts[0].text.starts_with("main.rs, 1 of "));
    assert_eq!(parts[0].buttons[0][0].text, "(may be a repeat)");
    delivery.stop().await;
}

#[tokio::test]
async fn what_something_on_the_way_refuses_comes_as_messages() {
    for fault in [
        FaultKind::Html(403),
        FaultKind::refused(405, "Method Not Allowed"),
    ] {
        let rig = Rig::new().await;
        rig.acquainted(1001);
        rig.api.fault(Fault::always("sendDocument", fault));
        let row = rig
            .show(1001, None, Urgency::Message, file("main.rs"))
            .await;
        let after = rig.show(1001, None, Urgency::Message, shown("after")).await;
        let delivery = rig.deliver();
        // Nothing was done, so nothing is marked.
        assert_eq!(rig.done(row).await.ambiguous, 0);
        rig.done(after).await;
        assert!(there(&rig)[0].text.starts_with("main.rs"));
        assert_eq!(rig.api.view(|v| v.count_of("sendDocument")), 3);
        delivery.stop().await;
    }
}

#[tokio::test]
async fn an_outage_of_everything_makes_no_messages_of_a_file() {
    for (fault, ambiguous) in [(FaultKind::Html(502), 6), (FaultKind::Html(403), 0)] {
        let rig = Rig::new().await;
        rig.acquainted(1001);
        rig.api
            .fault(Fault::times("sendDocument", 6, fault.clone()));
        rig.api.fault(Fault::always("sendChatAction", fault));
        let row = rig
            .show(1001, None, Urgency::Message, file("main.rs"))
            .await;
        let delivery = rig.deliver();
        assert_eq!(rig.done(row).await.ambiguous, ambiguous);
        let there = there(&rig);
        assert!(there.len() == 1 && there[0].file.is_some(), "{there:?}");
        delivery.stop().await;
    }
}

#[tokio::test]
async fn who_blocked_the_bot_gets_neither() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let refused = FaultKind::refused(403, "Forbidden: bot was blocked by the user");
    rig.api.fault(Fault::always("sendDocument", refused));
    let row = rig
        .show(1001, None, Urgency::Message, file("main.rs"))
        .await;
    let delivery = rig.deliver();
    rig.row_when(row, |row| row.state == OutState::Rejected)
        .await;
    assert_eq!(there(&rig), []);
    delivery.stop().await;
}

#[tokio::test]
async fn a_deadline_of_telegrams_is_kept() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    let flood = FaultKind::TooManyRequests {
        retry_after: 1,
        parameters: true,
        header: false,
    };
    rig.api.fault(Fault::once("sendDocument", flood));
    let row = rig
        .show(1001, None, Urgency::Message, file("main.rs"))
        .await;
    let delivery = rig.deliver();
    let row = rig.done(row).await;
    assert_eq!(row.ambiguous, 0);
    let calls = rig.api.calls();
    let sent: Vec<i64> = calls
        .iter()
        .filter(|c| c.method == "sendDocument")
        .map(|c| c.at)
        .collect();
    assert!(sent.len() == 2 && sent[1] - sent[0] >= 1_000, "{sent:?}");
    assert_eq!(there(&rig).len(), 1);
    delivery.stop().await;
}
