//! The network is cut where the kernel has it: a machine with a network of its own, one line to the Bot API, and a name that
//! is to be resolved. Telegram being away is told and mends itself; nothing is lost and nothing comes twice.

use std::{net::Ipv4Addr, path::Path, process::Command};

use telexd_botapi::{BotApi, Config, Network, ShownMessage};

use crate::{
    health::ask,
    host::{Host as _, Release},
    layers,
    machine::Machine,
    on_each_release,
    server::{AGENT, Server},
    shared::{ADMIN, USER, shows},
};

on_each_release!(
    a_link_that_is_down,
    a_black_hole,
    names_that_are_not_resolved,
);

/// As the machine knows the Bot API.
const NAME: &str = "telegram.test";
/// The machine's end of the line.
const INSIDE: &str = "telegram0";

/// How the network is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The interface has no link: whatever is sent fails at once.
    LinkDown,
    /// What is sent arrives nowhere, and nobody says so.
    BlackHole,
    /// No server of names answers, and connections from before are gone.
    NamesDead,
}

/// A line between this host and a machine. It ends with the machine's network.
struct Line {
    leader: i32,
    /// Address of its own network, which has eight of them.
    network: u32,
}

fn must(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

impl Line {
    fn lay(machine: &Machine) -> Self {
        let leader = machine.leader();
        // In a range that is for tests of networks, as far as there is room another one for each machine.
        let range = u32::from(Ipv4Addr::new(198, 18, 0, 0));
        let line = Self {
            leader,
            network: range + ((leader.unsigned_abs() & 0x3fff) << 3),
        };
        let name = format!("tx{leader}");
        let there = line.there();
        let ip = |words: &str| must(Command::new("ip").args(words.split(' ')));
        ip(&format!(
            "link add {name} type veth peer name {INSIDE} netns {leader}"
        ));
        ip(&format!("address add {}/29 dev {name}", line.here()));
        ip(&format!("link set {name} up"));
        line.inside(&format!("address add {there}/29 dev {INSIDE}"));
        line.inside(&format!("link set {INSIDE} up"));
        line
    }

    fn here(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.network + 1)
    }

    fn there(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.network + 2)
    }

    /// An address that nobody has.
    fn nobody(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.network + 6)
    }

    /// Changes the machine's network.
    fn inside(&self, words: &str) {
        must(
            Command::new("nsenter")
                .arg(format!("--target={}", self.leader))
                .args(["--net", "ip"])
                .args(words.split(' ')),
        );
    }

    async fn names(&self, machine: &Machine, known: bool) {
        let hosts = if known {
            format!("127.0.0.1 localhost\n{} {NAME}\n", self.here())
        } else {
            "127.0.0.1 localhost\n".to_owned()
        };
        let resolv = format!("nameserver {}\n", self.nobody());
        let files = [("/etc/hosts", hosts), ("/etc/resolv.conf", resolv)];
        for (path, text) in files {
            machine
                .put_file(path, text.as_bytes(), 0o644, "root:root")
                .await;
        }
    }

    async fn cut(&self, server: &Server<Machine>, cut: Cut) {
        match cut {
            Cut::LinkDown => self.inside(&format!("link set {INSIDE} down")),
            // Packets go to a card that is not there.
            Cut::BlackHole => self.inside(&format!(
                "neighbour replace {} lladdr 02:00:00:00:00:99 dev {INSIDE} nud permanent",
                self.here()
            )),
            Cut::NamesDead => {
                self.names(&server.machine, false).await;
                // Where connections stay, no name is asked for.
                server.api.network(Network::Up).await.unwrap();
            }
        }
    }

    async fn mend(&self, server: &Server<Machine>, cut: Cut) {
        match cut {
            Cut::LinkDown => self.inside(&format!("link set {INSIDE} up")),
            Cut::BlackHole => self.inside(&format!("neighbour del {} dev {INSIDE}", self.here())),
            Cut::NamesDead => self.names(&server.machine, true).await,
        }
    }
}

/// A server whose machine has no network but this line.
async fn wired(release: Release) -> (Server<Machine>, Line) {
    let program = telexd_scripted_agent::binary();
    let bind = |here: &Path, there: &str| format!("--bind-ro={}:{there}", here.display());
    let options = vec![bind(&program, AGENT), "--private-network".to_owned()];
    let mut machine = Machine::prepare(release, layers::installed(release).await, options);
    machine.start().await;
    let line = Line::lay(&machine);
    line.names(&machine, true).await;
    let api = BotApi::start(Config {
        address: line.here(),
        ..Config::default()
    })
    .await
    .unwrap();
    let server = Server { api, machine };
    server.install_token().await;
    server.install_config("").await;
    let url = server.api.url();
    let port = url.rsplit(':').next().unwrap();
    let telegram = format!("[telegram]\napi_url = \"http://{NAME}:{port}\"\npoll_timeout_s = 1\n");
    server.config("60-telegram", &telegram).await;
    server
        .machine
        .ok("systemctl enable telexd-health.socket")
        .await;
    server.start().await;
    (server, line)
}

async fn readiness(machine: &Machine) -> String {
    ask(machine, "/readyz").await.stdout
}

async fn is_cut(release: Release, cut: Cut) {
    let (server, line) = wired(release).await;
    let machine = &server.machine;
    server.says("say before", "before").await;
    let pid = server.pid().await;
    server.send("slow 100 x20");
    server
        .wait_chat(USER, "the answer has begun", |m| {
            m.iter().any(|m| m.text.contains("piece 00002"))
        })
        .await;
    line.cut(&server, cut).await;
    server.send("say after");
    server.send_as(ADMIN, "say other");
    machine
        .wait_until("the agent has ended its answer alone", async || {
            let reached = server.evidence().await.reached();
            reached
                .iter()
                .any(|r| r.text.starts_with("slow") && r.answered == 1)
        })
        .await;
    machine
        .wait_until("the status tells of it", async || {
            let status = machine.property("telexd", "StatusText").await;
            status.contains("Telegram unreachable")
        })
        .await;
    machine
        .wait_until("it is not ready", async || {
            let said = readiness(machine).await;
            said.starts_with("HTTP/1.0 503 ") && said.contains("\"trouble\":\"unreachable\"")
        })
        .await;
    assert_eq!(machine.property("telexd", "ActiveState").await, "active");
    line.mend(&server, cut).await;

    let whole: String = (1..=20).map(|n| format!("piece {n:05} ")).collect();
    let whole = whole.trim_end();
    server
        .wait_chat(USER, "all is answered", |m| {
            m.iter().any(|m| m.text == whole && m.buttons.is_empty()) && shows(m, "after")
        })
        .await;
    server
        .wait_chat(ADMIN, "somebody else, too", |m| shows(m, "other"))
        .await;
    machine
        .wait_until("it is ready", async || {
            readiness(machine).await.starts_with("HTTP/1.0 200 ")
        })
        .await;
    machine
        .wait_until("the status tells nothing of it any more", async || {
            let status = machine.property("telexd", "StatusText").await;
            !status.contains("unreachable")
        })
        .await;
    assert_eq!(server.pid().await, pid);
    assert_eq!(machine.property("telexd", "NRestarts").await, "0");
    let reached = server.evidence().await.reached();
    assert_eq!(reached.len(), 4, "{reached:#?}");
    assert!(reached.iter().all(|r| r.times == 1), "{reached:#?}");
    // Once each, but for what says of itself that it may be a repeat.
    let plain = |m: &ShownMessage| !m.text.contains("(may be a repeat)");
    let mut shown: Vec<String> = server.api.view(|v| {
        let all = v
            .bot_messages(USER)
            .into_iter()
            .chain(v.bot_messages(ADMIN));
        all.filter(plain).map(|m| m.text).collect()
    });
    shown.sort_unstable();
    shown.retain(|text| ["before", "after", "other", whole].contains(&text.as_str()));
    let mut once = shown.clone();
    once.dedup();
    assert_eq!(shown, once);
}

async fn a_link_that_is_down(release: Release) {
    is_cut(release, Cut::LinkDown).await;
}

async fn a_black_hole(release: Release) {
    is_cut(release, Cut::BlackHole).await;
}

async fn names_that_are_not_resolved(release: Release) {
    is_cut(release, Cut::NamesDead).await;
}
