//! How long files are kept, and how many.

use rusqlite::Connection;

use super::{kept, prompts};
use crate::support::{USER, World, wait_until};

#[tokio::test]
async fn the_oldest_go_when_the_space_is_used_up() {
    let world = World::new().await;
    world.drop_in("20-files", "[files]\nquota_mb = 1\n");
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    for n in 1..=3 {
        user.send_document(
            USER,
            &format!("f{n}"),
            "x/y",
            vec![b'x'; 400_000],
            &format!("@fake say got {n}"),
        );
        world.wait_shows(USER, &format!("got {n}")).await;
    }
    let names: Vec<String> = kept(&world)
        .iter()
        .map(|p| p.to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names[0].ends_with("-f2") && names[1].ends_with("-f3"),
        "{names:?}"
    );
    // One alone that is too much.
    user.send_document(
        USER,
        "f4",
        "x/y",
        vec![b'x'; 1_500_000],
        "@fake say without",
    );
    world.wait_shows(USER, "without").await;
    world.wait_told(USER, "no room for that file").await;
    assert!(prompts(&world)[3].contains("not available, there was no room"));
    assert_eq!(kept(&world).len(), 2);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn old_files_are_deleted() {
    let world = World::new().await;
    let daemon = world.start();
    let user = world.api.user(USER, "Uma");
    for n in 1..=2 {
        user.send_document(USER, "f", "x/y", "content", &format!("@fake say got {n}"));
        world.wait_shows(USER, &format!("got {n}")).await;
    }
    daemon.stop().await;
    // The first came 31 days ago.
    let database = Connection::open(world.path("state/telexd.db")).unwrap();
    let aged = "UPDATE attachments SET done_at = done_at - 31 * 86400000 WHERE id = 1";
    assert_eq!(database.execute(aged, []).unwrap(), 1);
    drop(database);
    let daemon = world.start();
    wait_until(
        "the old one is gone",
        || kept(&world).len() == 1,
        || world.log(),
    )
    .await;
    assert_eq!(
        world.query("SELECT count(*) FROM attachments WHERE state = 'gone'"),
        Some(1)
    );
    daemon.stop().await;
    world.end_all().await;
}
