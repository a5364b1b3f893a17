//! Signs of life.

use std::{sync::Arc, time::Duration};

use telexd::{gateway::ports::Presence, telegram::presence};
use telexd_botapi::{Fault, FaultKind};

use crate::rig::{DEADLINE, Rig, SystemClock};

#[tokio::test]
async fn each_chat_shows_it_once_in_a_while() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.acquainted(1002);
    let (presence, task) = presence::spawn(
        rig.client.clone(),
        Arc::new(SystemClock),
        Duration::from_secs(3600),
    );
    for _ in 0..10 {
        presence.typing(1001, 0);
        presence.typing(1002, 0);
    }
    rig.api
        .wait_for(DEADLINE, |v| {
            v.chat_actions(1001).len() == 1 && v.chat_actions(1002).len() == 1
        })
        .await
        .unwrap();
    drop(presence);
    task.await.unwrap();
    assert_eq!(rig.api.view(|v| v.count_of("sendChatAction")), 2);
    assert_eq!(rig.api.chat_actions(1001)[0].action, "typing");
}

#[tokio::test]
async fn it_comes_again_and_survives_failures() {
    let rig = Rig::new().await;
    rig.acquainted(1001);
    rig.api
        .fault(Fault::once("sendChatAction", FaultKind::Html(502)));
    let (presence, _task) = presence::spawn(
        rig.client.clone(),
        Arc::new(SystemClock),
        Duration::from_millis(30),
    );
    let again = async {
        loop {
            presence.typing(1001, 0);
            tokio::time::sleep(Duration::from_millis(5)).await;
            if rig.api.chat_actions(1001).len() >= 3 {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, again).await.unwrap();
}

#[tokio::test]
async fn it_never_blocks_and_drops_when_busy() {
    let rig = Rig::new().await;
    let hang = rig.api.fault(Fault::always(
        "sendChatAction",
        FaultKind::Hang { taken: false },
    ));
    let (presence, _task) = presence::spawn(
        rig.client.clone(),
        Arc::new(SystemClock),
        Duration::from_secs(4),
    );
    for chat in 0..10_000 {
        presence.typing(chat, 0);
    }
    rig.api
        .wait_for(DEADLINE, |v| v.count_of("sendChatAction") == 8)
        .await
        .unwrap();
    rig.api.cancel_fault(hang);
}
