//! What the agent thinks: shown to who wants it, while it thinks, and to nobody else in any way.

use std::{fs, io::ErrorKind};

use telexd_botapi::{Config, ShownMessage, View};

use crate::support::{ADMIN, DEADLINE, USER, World, fast, texts};

const SECRET: &str = "the secret thought";

/// Thinks for some time, and then answers; a tool and a further thought in between.
fn prompt(pieces: usize) -> String {
    format!(
        "@fake [{{\"thinking\": \"{SECRET} \", \"repeat\": {pieces}, \"chunk\": 19, \"delay_ms\": 20, \
         \"tool\": \"Bash\", \"input\": {{\"command\": \"echo 1 \"}}}}, \
         {{\"thinking\": \"again {SECRET}\", \"text\": \"That is it.\"}}]"
    )
}

async fn world(features: &str) -> World {
    let on = format!("batching = false\n{features}");
    World::with(Config::default(), &fast(&on)).await
}

/// Whether there is a thought in a file of the database. Of these the log of writes may be absent.
fn holds(world: &World, name: &str) -> bool {
    let bytes = match fs::read(world.path(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound && name.ends_with("-wal") => {
            return false;
        }
        read => read.unwrap(),
    };
    bytes
        .windows(SECRET.len())
        .any(|part| part == SECRET.as_bytes())
}

/// Calls that were ever made, and files of the database, that hold it.
fn leaked(world: &World) -> Vec<String> {
    let mut found: Vec<String> = world
        .api
        .calls()
        .into_iter()
        .filter(|call| call.params.to_string().contains("secret"))
        .map(|call| format!("{} {}", call.method, call.params))
        .collect();
    for name in ["state/telexd.db", "state/telexd.db-wal"] {
        if holds(world, name) {
            found.push(name.to_owned());
        }
    }
    found
}

fn quote(message: &ShownMessage) -> bool {
    message.history.iter().any(|version| {
        version.text.contains(SECRET)
            && version
                .entities
                .iter()
                .any(|e| e.kind == "expandable_blockquote")
    })
}

#[tokio::test]
async fn without_it_no_thought_ever_leaves() {
    // Also not in drafts, which the administrator has.
    let world = world(&format!("drafts = [{ADMIN}]\n")).await;
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    for (person, chat) in [(&uma, USER), (&ada, ADMIN)] {
        // Its own words hold none, so that what is found was thought.
        let said = prompt(20).replace("secret", "se\\u0063ret");
        person.send_text(chat, &said);
        world
            .wait_chat(chat, "the answer is there", |m| {
                m.iter()
                    .any(|m| m.text.ends_with("That is it.") && m.buttons.is_empty())
            })
            .await;
        // One that is stopped while it thinks.
        let before = world.api.view(|v| v.drafts(chat).len());
        person.send_text(chat, &said.replace("20,", "5000,"));
        let thinks = |v: &View| {
            let of_chat = v
                .messages(chat)
                .iter()
                .any(|m| !m.deleted && m.text.ends_with("Thinking…"));
            of_chat
                || v.drafts(chat)
                    .get(before..)
                    .and_then(|drafts| drafts.last())
                    .is_some_and(|d| d.text.ends_with("Thinking…"))
        };
        world.api.wait_for(DEADLINE, thinks).await.unwrap();
        person.send_text(chat, "/interrupt");
        world
            .wait_chat(chat, "it is interrupted", |m| {
                m.iter().any(|m| m.text.ends_with("— Interrupted"))
            })
            .await;
    }
    daemon.stop().await;
    assert_eq!(leaked(&world), Vec::<String>::new());
    world.end_all().await;
}

#[tokio::test]
async fn who_wants_it_sees_it_while_it_lasts_and_in_no_answer() {
    let world = world(&format!(
        "show_thinking = [{USER}, {ADMIN}]\ndrafts = [{ADMIN}]\n"
    ))
    .await;
    let daemon = world.start();
    let (uma, ada) = (world.api.user(USER, "Uma"), world.api.user(ADMIN, "Ada"));
    uma.send_text(USER, &prompt(60));
    ada.send_text(ADMIN, &prompt(60));
    for chat in [USER, ADMIN] {
        let shown = world
            .wait_chat(chat, "the answer is there", |m| {
                m.iter()
                    .any(|m| m.text.ends_with("That is it.") && m.buttons.is_empty())
            })
            .await;
        let of_bot: Vec<ShownMessage> = shown
            .into_iter()
            .filter(|m| m.from_bot && !m.deleted)
            .collect();
        assert_eq!(texts(&of_bot), ["That is it."]);
        assert!(of_bot[0].entities.is_empty());
        if chat == USER {
            assert!(quote(&of_bot[0]), "{:#?}", of_bot[0].history);
        }
    }
    let drafts = world.api.view(|v| v.drafts(ADMIN));
    assert!(
        drafts.iter().any(|d| d.text.contains(SECRET))
            && drafts.iter().all(|d| d.text.len() < 4096),
        "{drafts:#?}"
    );
    // Switched off in mid-thought, it goes.
    uma.send_text(USER, &prompt(3000));
    world.wait_told(USER, SECRET).await;
    ada.send_text(ADMIN, "/config features.show_thinking false");
    world
        .wait_chat(USER, "it is not shown any more", |m| {
            m.iter().all(|m| !m.from_bot || !m.text.contains(SECRET))
        })
        .await;
    uma.send_text(USER, "/interrupt");
    world
        .wait_chat(USER, "it is interrupted", |m| {
            m.iter().any(|m| m.text.ends_with("— Interrupted"))
        })
        .await;
    daemon.stop().await;
    // What finds it where it may not be, finds it here, where it is shown, and in what was written to the bot.
    let found = leaked(&world);
    assert!(
        ["sendMessage", "sendMessageDraft", "state/telexd.db"]
            .iter()
            .all(|place| found.iter().any(|found| found.starts_with(place))),
        "{found:#?}"
    );
    world.end_all().await;
}
