//! A configuration that is wrong. The administrator is told on standard error, exit code 78 says that starting again
//! does not help, and nothing is written to the state directory.

use std::fs;

use crate::support::{USER, World};

/// `EX_CONFIG` of sysexits.
const CONFIG: i32 = 78;

fn nothing_written(world: &World) -> bool {
    fs::read_dir(world.path("state")).unwrap().next().is_none()
}

#[tokio::test]
async fn broken_files_and_unknown_keys_are_told_with_line_and_remedy() {
    let world = World::new().await;
    let file = world.path("telexd.toml");
    let good = fs::read_to_string(&file).unwrap();
    let line =
        |text: &str, needle: &str| 1 + text.lines().take_while(|l| !l.starts_with(needle)).count();
    let broken = good.replace("[access]", "[access");
    let unknown = good.replace("admins =", "admns =");
    let section = format!("{good}\n[acess]\n");
    let wrong = good.replace("launcher = \"direct\"", "launcher = 7");
    let cases = [
        (&broken, format!(":{}:", line(&broken, "[access")), ""),
        (&unknown, format!(":{}:", line(&unknown, "admns")), "admins"),
        (
            &section,
            format!(":{}:", line(&section, "[acess]")),
            "access",
        ),
        (&wrong, format!(":{}:", line(&wrong, "launcher")), "direct"),
    ];
    for (text, place, remedy) in cases {
        fs::write(&file, text).unwrap();
        let (code, said) = world.start_fails().await;
        assert_eq!(code, CONFIG, "{said}");
        let place = format!("{}{place}", file.display());
        assert!(said.contains(&place), "{place} in {said}");
        assert!(said.contains(remedy), "{remedy} in {said}");
        assert!(nothing_written(&world));
    }
    // A drop-in is named as such.
    fs::write(&file, &good).unwrap();
    world.drop_in("99-odd", "[agent]\nidle_timeout_s = 0\n");
    let (code, said) = world.start_fails().await;
    assert_eq!(code, CONFIG, "{said}");
    assert!(
        said.contains("99-odd.toml:2: agent.idle_timeout_s"),
        "{said}"
    );
    world.drop_in("99-odd", "[agent]\nidle_timeout_s = 60\n");

    let daemon = world.start();
    world.says(USER, "mended").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_token_that_is_missing_or_misshapen_is_told_and_never_shown() {
    const SECRET: &str = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX";
    let world = World::new().await;
    let file = world.path("token");
    let good = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let (code, said) = world.start_fails().await;
    assert_eq!(code, CONFIG, "{said}");
    assert!(
        said.contains(&format!("{}: telegram.token_file: ", file.display())),
        "{said}"
    );
    assert!(
        said.contains("no such file") && said.contains("@BotFather"),
        "{said}"
    );
    for (text, what) in [
        (String::new(), "is empty"),
        (format!("bot4242:{SECRET}"), "begins with `bot`"),
        (format!("\"4242:{SECRET}\""), "quotes"),
        (format!("TOKEN=4242:{SECRET}"), "assignment"),
        (SECRET.to_owned(), "no colon"),
        (
            format!("4242:{SECRET}\n4243:{SECRET}"),
            "more than one line",
        ),
        (format!("4242: {SECRET}"), "characters after the colon"),
        ("\u{1F511}".repeat(2000), "too long"),
    ] {
        fs::write(&file, text).unwrap();
        let (code, said) = world.start_fails().await;
        assert_eq!(code, CONFIG, "{said}");
        assert!(
            said.contains(what) && said.contains(&*file.to_string_lossy()),
            "{what}: {said}"
        );
        assert!(!said.contains(SECRET), "{said}");
    }
    assert!(nothing_written(&world));
    fs::write(&file, good).unwrap();
    let daemon = world.start();
    world.says(USER, "mended").await;
    daemon.stop().await;
    world.end_all().await;
}
