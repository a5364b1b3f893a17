//! Agents as units: the whole daemon with the launcher that asks systemd, and a stand-in for systemd.

mod faces;
pub mod fake;

use std::{fs, path::Path};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use self::fake::{Mood, Systemd, wait_units};
use crate::bus::{
    client,
    orders::{list, of},
};
use crate::support::{ADMIN, Daemon, USER, World, shows, talk, wait_until};

/// A world whose agents are started by the stand-in.
async fn world() -> (World, Systemd) {
    let world = World::new().await;
    world.drop_in("launcher", "[agent]\nlauncher = \"systemd\"\n");
    let systemd = Systemd::start(&world).await;
    // The daemon's file is of no use here; the unit's credential is what counts.
    let credentials = world.path("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::copy(world.path("agent.env"), credentials.join("agent-env")).unwrap();
    fs::remove_file(world.path("agent.env")).unwrap();
    systemd.credentials(&credentials);
    (world, systemd)
}

fn start(world: &World, systemd: &Systemd) -> Daemon {
    world.start_with(&[("DBUS_SYSTEM_BUS_ADDRESS", &systemd.address())])
}

fn say(world: &World, text: &str) {
    world.api.user(USER, "Uma").send_text(USER, text);
}

/// The only unit that runs.
async fn unit(systemd: &Systemd) -> String {
    wait_units(systemd, "one unit runs", |s| s.running().len() == 1).await;
    systemd.running().remove(0)
}

#[tokio::test]
async fn a_message_goes_through_a_unit_and_nothing_of_it_stays() {
    for pidfd in [true, false] {
        let (world, systemd) = world().await;
        if !pidfd {
            systemd.without_pidfd();
        }
        let daemon = start(&world, &systemd);
        world.says(USER, "hello").await;
        let name = unit(&systemd).await;
        assert!(
            name.starts_with("telexd-agent@") && name.ends_with(".service"),
            "{name}"
        );
        // The interface names it, too.
        let runs = list(&client(&systemd).await, "ListRuns").await;
        assert_eq!(of::<String>(&runs[0], "unit"), name);
        // Everybody may connect; who gets a run is another matter.
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(world.path("state/handoff.sock"))
                .unwrap()
                .permissions(),
        );
        assert_eq!(mode & 0o777, 0o666);
        say(&world, "/clear");
        wait_units(&systemd, "the unit has ended", |s| s.running().is_empty()).await;
        daemon.stop().await;
        world.end_all().await;
    }
}

#[tokio::test]
async fn a_daemon_that_is_killed_takes_the_unit_up_again_and_the_answer_comes_once() {
    let (world, systemd) = world().await;
    let daemon = start(&world, &systemd);
    say(&world, "slow 30 x100");
    world.wait_told(USER, "piece 00002").await;
    let name = unit(&systemd).await;
    let pid = systemd.units()[&name].pid;
    daemon.kill();
    let daemon = start(&world, &systemd);
    daemon.kill();
    let daemon = start(&world, &systemd);
    let shown = world
        .wait_chat(USER, "the whole answer", |m| {
            m.iter().any(|m| m.text.contains("100"))
        })
        .await;
    assert_eq!(talk(&shown).len(), 1, "{shown:#?}");
    assert_eq!(systemd.units()[&name].pid, pid, "the same process");
    assert_eq!(world.evidence().violations(), 0);
    daemon.stop().await;
    assert_eq!(systemd.running(), [name]);
    world.end_all().await;
}

#[tokio::test]
async fn what_ended_an_agent_is_told_as_what_it_is() {
    let (world, systemd) = world().await;
    let daemon = start(&world, &systemd);
    for (act, sentence) in [
        (
            Box::new(|s: &Systemd, u: &str| s.out_of_memory(u, 1 << 30))
                as Box<dyn Fn(&Systemd, &str)>,
            "The agent used more than 1 GB of memory and was ended.",
        ),
        (
            Box::new(|s: &Systemd, u: &str| s.out_of_time(u, 1_000)),
            "The agent ran for more than 0 s and was ended.",
        ),
        (
            Box::new(|s: &Systemd, u: &str| s.stop(u)),
            "The agent was stopped by an administrator",
        ),
    ] {
        let before = world.api.view(|v| v.bot_messages(USER)).len();
        say(&world, "hang");
        world
            .wait_chat(USER, "it has begun", |m| m.len() > before)
            .await;
        // An agent that was killed early has left a session behind, and the next one needs a second start.
        begun(&world, u32::try_from(before).unwrap() + 1).await;
        let name = unit(&systemd).await;
        act(&systemd, &name);
        world.wait_told(USER, sentence).await;
        wait_units(&systemd, "nothing failed is left", |s| {
            s.units().values().all(|u| u.active == "inactive")
        })
        .await;
    }
    say(&world, "die SEGV");
    world
        .wait_told(USER, "The agent crashed (signal SEGV)")
        .await;
    world.says(USER, "well again").await;
    daemon.stop().await;
    world.end_all().await;
}

/// Waits until agents have looked at this many prompts that hang.
async fn begun(world: &World, times: u32) {
    wait_until(
        "the agent has begun",
        || world.reached("hang") >= times,
        || world.log(),
    )
    .await;
}

#[tokio::test]
async fn what_keeps_agents_from_starting_is_told_with_file_and_command() {
    let (world, systemd) = world().await;
    let daemon = start(&world, &systemd);
    for (mood, sentence, words) in [
        (
            Mood::Load("masked"),
            "its service is switched off (masked)",
            "systemctl unmask telexd-agent@.service",
        ),
        (
            Mood::Load("not-found"),
            "its service is not installed",
            "apt install --reinstall telexd",
        ),
        (
            Mood::Load("bad-setting"),
            "the configuration of its service cannot be used",
            "/etc/systemd/system/telexd-agent@.service.d/override.conf",
        ),
        (
            Mood::Error(
                "InteractiveAuthorizationRequired",
                "Interactive authentication required.",
            ),
            "I am not allowed to start it",
            "/usr/share/polkit-1/rules.d/50-telexd.rules",
        ),
        (
            Mood::Error("AccessDenied", "Access denied"),
            "I am not allowed to start it",
            "apt install polkitd",
        ),
        (
            Mood::Exit(217),
            "the user that it is to run as does not exist",
            "systemd-sysusers",
        ),
        (
            Mood::Exit(243),
            "the file with its keys is missing",
            "/etc/telexd/agent.env",
        ),
        (
            Mood::Exit(226),
            "its sandbox cannot be set up",
            "ReadWritePaths=",
        ),
    ] {
        systemd.mood(mood.clone());
        let before = world.api.view(|v| v.bot_messages(USER)).len();
        let log = world.log().len();
        say(&world, "say never");
        let shown = world
            .wait_chat(USER, sentence, |m| {
                m.len() > before && m[before].text.contains(sentence)
            })
            .await;
        assert_eq!(shown.len(), before + 1, "{shown:#?}");
        let said = world.log()[log..].to_owned();
        assert!(said.contains(words), "{mood:?}: {words}: {said}");
        assert_eq!(said.matches(" ERROR ").count(), 1, "{said}");
    }
    assert_eq!(world.reached("say never"), 0);
    systemd.mood(Mood::Well);
    world.says(USER, "mended").await;
    wait_units(&systemd, "nothing failed is left", |s| {
        s.units().values().all(|u| u.active != "failed")
    })
    .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn the_bus_may_go_and_come_and_no_run_is_lost() {
    let (world, systemd) = world().await;
    // With the administrative interface on the bus it would end with it.
    world.drop_in("dbus", "[dbus]\nbus = \"off\"\n");
    let daemon = start(&world, &systemd);
    say(&world, "slow 20 x100");
    world.wait_told(USER, "piece 00002").await;
    let name = unit(&systemd).await;
    systemd.bus_down();
    world
        .wait_chat(USER, "the whole answer", |m| {
            m.iter().any(|m| m.text.contains("100"))
        })
        .await;
    // The process is warm and needs no bus.
    world.says(USER, "still warm").await;
    // A new one does.
    say(&world, "/clear");
    wait_units(&systemd, "the unit has ended", |s| s.running().is_empty()).await;
    say(&world, "say lost");
    world.wait_told(USER, "systemd cannot be reached").await;
    world.wait_log("apt install dbus").await;
    systemd.bus_up().await;
    world.says(USER, "back").await;
    assert_ne!(unit(&systemd).await, name);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn units_of_which_nothing_is_known_are_ended_at_the_start() {
    let (world, systemd) = world().await;
    let name = "telexd-agent-open@aaaaaaaaaaaaaaaa.service";
    let pid = systemd.stranger(name).await;
    let other = systemd
        .stranger("telexd-agent@bbbbbbbbbbbbbbbb.service")
        .await;
    let _ = kill(Pid::from_raw(other), Signal::SIGKILL);
    wait_units(&systemd, "one is failed", |s| {
        s.units().values().any(|u| u.active == "failed")
    })
    .await;
    let daemon = start(&world, &systemd);
    world.says(USER, "hello").await;
    wait_units(&systemd, "both are gone", |s| {
        s.running().len() == 1 && s.units().values().all(|u| u.active != "failed")
    })
    .await;
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert_ne!(unit(&systemd).await, name);
    world
        .wait_log("an agent of which nothing is known is ended")
        .await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn another_unit_does_not_get_the_run() {
    let (world, systemd) = world().await;
    let daemon = start(&world, &systemd);
    world.says(USER, "hello").await;
    let name = unit(&systemd).await;
    let run = name.split(['@', '.']).nth(1).unwrap().to_owned();
    // By hand, outside of any unit.
    let socket = world.path("state/handoff.sock");
    let output = tokio::task::spawn_blocking(move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_telexd-run"))
            .arg(run)
            .arg(socket)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("refused: not allowed"), "{words}");
    world.wait_log("is of no unit").await;
    world.says(USER, "undisturbed").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn profiles_lead_to_their_templates() {
    let (world, systemd) = world().await;
    world.drop_in(
        "profiles",
        &format!("[access.profiles]\n{USER} = \"strict\"\n"),
    );
    let daemon = start(&world, &systemd);
    world.says(USER, "hello").await;
    let name = unit(&systemd).await;
    assert!(name.starts_with("telexd-agent-strict@"), "{name}");
    // A later configuration does not change what runs.
    daemon.kill();
    world.drop_in("profiles", "[agent]\nprofile = \"open\"\n");
    let daemon = start(&world, &systemd);
    world.says(USER, "again").await;
    assert_eq!(unit(&systemd).await, name);
    say(&world, "/clear");
    wait_units(&systemd, "it has ended", |s| s.running().is_empty()).await;
    world.says(USER, "anew").await;
    let name = unit(&systemd).await;
    assert!(name.starts_with("telexd-agent-open@"), "{name}");
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn rules_of_a_profile_are_for_those_whose_agents_have_it() {
    let (world, systemd) = world().await;
    world.drop_in(
        "rules",
        &format!(
            "[access.profiles]\n{USER} = \"strict\"\n\
             [approvals.profiles.strict]\nallow = [\"Bash(mv:*)\"]\ndeny = [\"Bash(rm:*)\"]\n"
        ),
    );
    let daemon = start(&world, &systemd);
    let run = |command: &str| {
        let steps = serde_json::json!([
            {"tool": "Bash", "input": {"command": command}}, {"text": format!("{command}: {{outcome}}.")},
        ]);
        format!("@fake {steps}")
    };
    say(&world, &run("mv a b"));
    world.wait_shows(USER, "mv a b: allowed.").await;
    say(&world, &run("rm a"));
    world.wait_shows(USER, "rm a: denied.").await;
    // Somebody else's agent has another profile.
    world
        .api
        .user(ADMIN, "Ada")
        .send_text(ADMIN, &run("mv a b"));
    world.wait_told(ADMIN, "May the agent use Bash?").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_profile_without_systemd_runs_nothing() {
    let world = World::new().await;
    world.drop_in("profiles", "[agent]\nprofile = \"strict\"\n");
    let daemon = world.start();
    say(&world, "say never");
    world.wait_told(USER, "its service is not installed").await;
    world.wait_log("the profile strict needs systemd").await;
    assert_eq!(world.reached("say never"), 0);
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_supervisor_that_cannot_obey_is_killed_with_all_it_has() {
    let (world, systemd) = world().await;
    let daemon = start(&world, &systemd);
    say(&world, "hang");
    let name = unit(&systemd).await;
    begun(&world, 1).await;
    let pid = systemd.units()[&name].pid.unwrap();
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    let before = world.api.view(|v| v.bot_messages(USER));
    assert!(!shows(&before, "never"));
    say(&world, "/interrupt");
    wait_units(&systemd, "it is gone", |s| s.running().is_empty()).await;
    world.wait_told(USER, "Interrupted").await;
    daemon.stop().await;
    world.end_all().await;
}

#[tokio::test]
async fn a_mistake_in_the_agents_variables_leads_to_the_administrators_file() {
    let (world, systemd) = world().await;
    fs::write(world.path("credentials/agent-env"), "A=1\nhunter2\n").unwrap();
    let daemon = start(&world, &systemd);
    say(&world, "say never");
    world
        .wait_told(USER, "The agent could not be started.")
        .await;
    world.wait_log("/etc/telexd/agent.env").await;
    world.wait_log("line 2").await;
    assert_eq!(world.logged("hunter2"), 0);
    daemon.stop().await;
    world.end_all().await;
}
