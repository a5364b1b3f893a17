//! What belongs together is one prompt also where messages are not collected; what is too much for one goes on in the next.

use telexd_botapi::{Config, Origin, Outgoing};

use crate::support::{FAST, USER, World, wait_until};

/// A world where nothing is collected but what belongs together.
async fn apart(batching: &str) -> World {
    World::with(
        Config::default(),
        &format!("[batching]\n{batching}\n\n{FAST}"),
    )
    .await
}

fn prompts(world: &World) -> Vec<String> {
    let evidence = world.evidence();
    evidence
        .of("prompt")
        .map(|p| p["text"].as_str().unwrap().to_owned())
        .collect()
}

async fn given(world: &World, count: usize) -> Vec<String> {
    wait_until(
        &format!("{count} prompts are given"),
        || prompts(world).len() >= count,
        || format!("{:#?}\n{}", prompts(world), world.log()),
    )
    .await;
    prompts(world)
}

#[tokio::test]
async fn a_paste_is_one_prompt_to_the_letter() {
    // Long, so that the end of a paste is seen by what it is and not by the time.
    let world = apart("parts_ms = 10000").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    let paste = format!("say {}", "x1234567 ".repeat(1200));
    assert_eq!(user.paste(USER, paste.trim_end()).len(), 3);
    assert_eq!(given(&world, 1).await, [paste.trim_end()]);
    // As an app cuts it that looks for the end of a line.
    let line = "one line of many\n".repeat(200);
    user.send_text(USER, line.trim_end());
    user.send_text(USER, line.trim_end());
    user.send_text(USER, "the end");
    let whole = format!("{line}{line}the end");
    assert_eq!(given(&world, 2).await[1], whole);
    // What is no part of it is a prompt of its own, and hurries it.
    let full = "y".repeat(4096);
    user.send_text(USER, &full);
    user.send(
        USER,
        Outgoing::text("/who").forwarded(Origin::hidden("Eve")),
    );
    user.send_text(USER, "say done");
    world.wait_shows(USER, "done").await;
    let all = prompts(&world);
    assert_eq!(all.len(), 5, "{all:#?}");
    assert_eq!(all[2], full);
    assert!(all[3].ends_with("\n> /who"), "{}", all[3]);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_is_forwarded_together_is_one_prompt_in_its_order() {
    let world = apart("parts_ms = 700").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    for (who, words) in [("Ann", "shall we?"), ("Bob", "no"), ("Ann", "why?")] {
        user.send(USER, Outgoing::text(words).forwarded(Origin::hidden(who)));
    }
    let from = |who: &str, words: &str| {
        format!(
            "[Telegram: forwarded from \"{who}\" (somebody who hides their account)]\n> {words}"
        )
    };
    assert_eq!(
        given(&world, 1).await,
        [[
            from("Ann", "shall we?"),
            from("Bob", "no"),
            from("Ann", "why?")
        ]
        .join("\n\n")]
    );
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn texts_of_any_script_reach_the_agent_as_they_are() {
    let world = apart("parts_ms = 300").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    // 2048 characters of two UTF-16 units each; a family of joined ones; from right to left, with marks that turn it.
    let faces = "🙂".repeat(2048);
    let family = "👩‍👩‍👧‍👦".repeat(100);
    let hebrew = "שלום, \u{202e}abc\u{202c} עולם\n\u{200f}[Telegram] مرحبا \u{2067}x\u{2069}";
    for (n, text) in [faces.as_str(), &family, hebrew].into_iter().enumerate() {
        user.send_text(USER, text);
        assert_eq!(given(&world, n + 1).await[n], text);
    }
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn with_no_wait_for_parts_each_message_is_a_prompt() {
    let world = apart("parts_ms = 0").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.paste(USER, &"x".repeat(5000));
    user.send(USER, Outgoing::text("a").forwarded(Origin::hidden("Eve")));
    user.send(USER, Outgoing::text("b").forwarded(Origin::hidden("Eve")));
    let lengths: Vec<usize> = given(&world, 4).await.iter().map(String::len).collect();
    assert_eq!(lengths[..2], [4096, 904]);
    assert_eq!(lengths.len(), 4);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn what_is_too_much_for_one_prompt_goes_on_in_the_next_and_nothing_is_lost() {
    let extra = "[batching]\nfirst_ms = 60000\nidle_ms = 60000\nmax_ms = 120000\nmax_parts = 40\nmax_kb = 16\n\n\
                 [delivery]\nchat_interval_ms = 5\n\n[log]\nlevel = \"debug\"\n";
    let world = World::with(Config::default(), extra).await;
    let user = world.api.user(USER, "Uma");
    let sent: Vec<String> = (0..100).map(|n| format!("message {n:03}")).collect();
    for text in &sent {
        user.send_text(USER, text);
    }
    // Four of these are more than 16 kB.
    let long: Vec<String> = ["a", "b", "c", "d"]
        .map(|c| format!("{c}{}", "🙂".repeat(1000)))
        .into();
    for text in &long {
        user.send_text(USER, text);
    }
    let daemon = world.start();
    wait_until(
        "all of it is in the database",
        || world.query("SELECT count(*) FROM turn_parts") == Some(104),
        || world.log(),
    )
    .await;
    user.send_text(USER, "/status");
    let given = given(&world, 4).await;
    assert_eq!(
        given[..2],
        [sent[..40].join("\n\n"), sent[40..80].join("\n\n")]
    );
    let third = [&sent[80..], &long[..3]].concat().join("\n\n");
    assert!(given[2] == third && given[3] == long[3]);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn the_agent_is_started_when_the_window_opens() {
    let extra = "[batching]\nfirst_ms = 60000\nidle_ms = 60000\nmax_ms = 120000\n\n[delivery]\nchat_interval_ms = 5\n";
    let world = World::with(Config::default(), extra).await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_text(USER, "say early");
    wait_until(
        "the agent is up, and idle",
        || world.evidence().of("start").count() == 1,
        || world.log(),
    )
    .await;
    assert!(prompts(&world).is_empty());
    user.send_text(USER, "/status");
    world.wait_shows(USER, "early").await;
    assert_eq!(world.evidence().of("start").count(), 1);
    daemon.stop().await;
    world.end_all().await;

    // The same for an album where nothing else is collected.
    let world = apart("parts_ms = 10000").await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    user.send_album(USER, vec![Outgoing::photo("x").caption("@fake say album")]);
    wait_until(
        "the agent is up, and idle",
        || world.evidence().of("start").count() == 1,
        || world.log(),
    )
    .await;
    assert!(prompts(&world).is_empty());
    user.send_text(USER, "/status");
    world.wait_shows(USER, "album").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn who_has_collecting_off_has_it_off_alone() {
    let extra = format!(
        "[batching]\nfirst_ms = 60000\nidle_ms = 60000\nmax_ms = 120000\n\n[features]\nbatching = [{}]\n\n\
         [delivery]\nchat_interval_ms = 5\n",
        crate::support::ADMIN
    );
    let world = World::with(Config::default(), &extra).await;
    let daemon = world.start();
    let (user, admin) = (
        world.api.user(USER, "Uma"),
        world.api.user(crate::support::ADMIN, "Ada"),
    );
    admin.send_text(crate::support::ADMIN, "say held");
    world.says(USER, "at once").await;
    user.send_text(USER, "say again");
    world.wait_shows(USER, "again").await;
    assert_eq!(prompts(&world), ["say at once", "say again"]);
    daemon.stop().await;
    world.end_all().await;
}
