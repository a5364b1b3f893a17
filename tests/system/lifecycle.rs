//! The package in the life of a machine: upgrade, removal, purge; the token in an encrypted credential.
//!
//! Where an agent only has to be there, it is a unit of the shipped template that runs `sleep` in the place of the supervisor.

use crate::{
    host::{Host as _, Release},
    layers::package,
    machine::{Layer, Machine},
    on_each_release,
    server::Server,
    shared::{USER, texts},
};

on_each_release!(
    an_upgrade_in_mid_answer_keeps_the_agent_and_the_answer,
    an_upgrade_does_not_start_what_was_stopped,
    a_removal_ends_everything_and_keeps_what_was_written,
    a_purge_leaves_nothing_but_the_users,
    the_journal_explains_messages_as_long_as_the_package_is_there,
    the_token_may_be_encrypted_as_the_manual_page_says,
);

const AGENT: &str = "telexd-agent@abcdefgh22334455.service";
const TOKEN: &str = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsawX";

/// A machine with the package, a configuration and a token; nothing runs. Telegram is a closed port.
async fn configured(release: Release) -> Machine {
    let machine = Machine::boot(release, Layer::Installed).await;
    let settings = "[telegram]\napi_url = \"http://127.0.0.1:9/\"\n[access]\nadmins = [1001]\n[agent]\ndirectory = \"/srv\"\n";
    machine
        .put_file(
            "/etc/telexd/telexd.toml.d/test.toml",
            settings.as_bytes(),
            0o644,
            "root:root",
        )
        .await;
    machine
        .put_file("/etc/telexd/token", TOKEN.as_bytes(), 0o600, "root:root")
        .await;
    let sleeps = "[Service]\nExecStart=\nExecStart=/bin/sleep 1000\n";
    machine
        .put_file(
            "/etc/systemd/system/telexd-agent@.service.d/test.conf",
            sleeps.as_bytes(),
            0o644,
            "root:root",
        )
        .await;
    put_package(&machine).await;
    machine.ok("systemctl daemon-reload").await;
    machine
}

pub async fn put_package(machine: &Machine) {
    let bytes = std::fs::read(package()).unwrap();
    machine
        .put_file("/root/telexd.deb", &bytes, 0o644, "root:root")
        .await;
}

/// Makes of the package a newer one, and installs it as an administrator would.
pub async fn upgrade(machine: &Machine) -> String {
    let said = machine
        .ok("set -e; cd /root; dpkg-deb --raw-extract telexd.deb new; \
             sed -i 's/^Version: .*/Version: 999/' new/DEBIAN/control; \
             dpkg-deb --root-owner-group -Znone --build new new.deb >&2; \
             DEBIAN_FRONTEND=noninteractive apt-get install --yes ./new.deb 2>&1")
        .await;
    assert_eq!(
        machine
            .ok("dpkg-query --show -f '${Version} ${Status}' telexd")
            .await,
        "999 install ok installed"
    );
    said
}

async fn an_upgrade_in_mid_answer_keeps_the_agent_and_the_answer(release: Release) {
    let server = Server::new(release).await;
    let machine = &server.machine;
    put_package(machine).await;
    machine.ok("echo 'KEY=mine' >/etc/telexd/agent.env").await;
    machine.ok("echo '# mine' >>/etc/telexd/telexd.toml").await;
    machine.ok("systemctl enable --now telexd").await;
    // 20 s: longer than the upgrade takes.
    server.send("slow 200 x100");
    server
        .wait_chat(USER, "the answer has begun", |m| {
            m.iter().any(|m| m.history.len() > 2)
        })
        .await;
    let agents = async || {
        machine
            .ok(
                "systemctl list-units --plain --no-legend 'telexd-agent@*' | cut -d ' ' -f 1 | \
                 xargs -r systemctl show --property=Id,MainPID,ActiveState",
            )
            .await
    };
    let (daemon, before) = (server.pid().await, agents().await);
    assert!(before.contains("ActiveState=active"), "{before}");
    upgrade(machine).await;
    assert_eq!(agents().await, before);
    assert_ne!(server.pid().await, daemon);
    assert_eq!(machine.property("telexd", "ActiveState").await, "active");
    assert_eq!(machine.property("telexd", "NRestarts").await, "0");
    let whole: String = (1..=100).map(|i| format!("piece {i:05} ")).collect();
    let shown = server
        .wait_chat(USER, "the whole answer is there", |m| {
            m.iter()
                .any(|m| m.buttons.is_empty() && m.text == whole.trim_end())
        })
        .await;
    assert_eq!(texts(&shown).len(), 1, "{:#?}", texts(&shown));
    let kept = machine
        .ok("cat /etc/telexd/agent.env; tail -n 1 /etc/telexd/telexd.toml; stat -c '%U %a' /etc/telexd/agent.env")
        .await;
    assert_eq!(kept, "KEY=mine\n# mine\nroot 600");
    assert_eq!(machine.state().await, "running");
}

async fn an_upgrade_does_not_start_what_was_stopped(release: Release) {
    let machine = configured(release).await;
    machine.ok("systemctl enable telexd").await;
    let said = upgrade(&machine).await;
    assert_eq!(machine.property("telexd", "ActiveState").await, "inactive");
    assert!(said.contains("systemctl enable --now telexd"), "{said}");
    assert_eq!(machine.ok("systemctl is-enabled telexd").await, "enabled");
}

async fn a_removal_ends_everything_and_keeps_what_was_written(release: Release) {
    let machine = configured(release).await;
    let failing = "telexd-agent-strict@abcdefgh22334455.service";
    machine
        .ok(&format!(
            "systemctl enable --now telexd; systemctl start {AGENT}; \
             mkdir -p /run/systemd/system/{failing}.d; \
             printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >/run/systemd/system/{failing}.d/test.conf; \
             systemctl daemon-reload; systemctl start {failing} || true"
        ))
        .await;
    machine.wait_state(failing, "failed").await;
    machine
        .ok("echo session >/var/lib/telexd-agent/session")
        .await;
    machine
        .ok("DEBIAN_FRONTEND=noninteractive apt-get remove --yes telexd")
        .await;
    assert_eq!(machine.sh("pgrep -u telexd,telexd-agent").await.stdout, "");
    let units = machine
        // Neither active nor failed.
        .ok("systemctl list-units --no-legend --plain 'telexd*'")
        .await;
    assert_eq!(units, "");
    assert_eq!(machine.state().await, "running");
    let there = machine
        .ok("cd /; ls etc/telexd/token etc/telexd/telexd.toml etc/telexd/agent.env var/lib/telexd/telexd.db; \
             cat var/lib/telexd-agent/session; ls -d usr/bin/telexd usr/libexec/telexd usr/lib/systemd/system/telexd* \
             usr/share/polkit-1/rules.d/50-telexd.rules 2>/dev/null || true")
        .await;
    assert_eq!(
        there,
        "etc/telexd/agent.env\netc/telexd/telexd.toml\netc/telexd/token\nvar/lib/telexd/telexd.db\nsession"
    );
    // It comes back as it was.
    machine
        .ok("DEBIAN_FRONTEND=noninteractive apt-get install --yes /root/telexd.deb")
        .await;
    assert_eq!(machine.ok("systemctl is-enabled telexd").await, "enabled");
    machine.ok("systemctl start telexd").await;
}

async fn a_purge_leaves_nothing_but_the_users(release: Release) {
    let machine = configured(release).await;
    machine
        .ok(&format!(
            "systemctl enable --now telexd; systemctl start {AGENT}; \
             systemctl set-property telexd-agents.slice MemoryMax=1G; rm /root/telexd.deb"
        ))
        .await;
    machine
        .ok("DEBIAN_FRONTEND=noninteractive apt-get purge --yes telexd 2>&1")
        .await;
    // Not what systemd itself remembers of units until the next boot.
    let left = machine
        .ok(
            "find / -xdev -iname '*telexd*' -not -path '/proc/*' -not -path '/sys/*'; \
             find /run /tmp /var/tmp -iname '*telexd*' -not -path '/run/systemd/units/*'",
        )
        .await;
    assert_eq!(left, "");
    assert_eq!(machine.sh("pgrep -u telexd,telexd-agent").await.stdout, "");
    // Their ids must not go to somebody else, with the files that agents wrote.
    let users = machine
        .ok("getent passwd telexd telexd-agent | wc -l")
        .await;
    assert_eq!(users, "2");
    let units = machine
        .ok("systemctl list-unit-files --no-legend 'telexd*'; systemctl list-units --no-legend --all 'telexd*'")
        .await;
    assert_eq!(units, "");
    assert_eq!(machine.state().await, "running");
}

async fn the_journal_explains_messages_as_long_as_the_package_is_there(release: Release) {
    let machine = Machine::boot(release, Layer::Installed).await;
    let first = "grep -m 1 -oP '^-- \\K[0-9a-f]{32}$' /usr/lib/systemd/catalog/telexd.catalog";
    let id = machine.ok(first).await;
    let explain = format!("journalctl --dump-catalog {id}");
    let explained = machine.ok(&explain).await;
    assert!(explained.contains("Subject: "), "{explained}");
    machine
        .ok("DEBIAN_FRONTEND=noninteractive apt-get purge --yes telexd")
        .await;
    assert_ne!(machine.sh(&explain).await.code, 0);
}

async fn the_token_may_be_encrypted_as_the_manual_page_says(release: Release) {
    let machine = configured(release).await;
    let page = include_str!("../../docs/man/telexd.8");
    let commands = page.split(".Ss Credentials").nth(1).unwrap();
    let commands = commands.split(".Bd -literal").nth(1).unwrap();
    let (_, commands) = commands.split_once('\n').unwrap();
    let commands = commands.split(".Ed").next().unwrap().replace("\\e", "\\");
    assert!(commands.contains("systemd-creds encrypt"), "{commands}");
    let script = format!("set -e\n{commands}");
    let output = machine
        .run(&script, TOKEN.as_bytes(), crate::host::PATIENCE)
        .await;
    assert!(output.code == 0, "{output}\n{}", machine.tail().await);
    assert_eq!(machine.property("telexd", "ActiveState").await, "active");
    assert_eq!(
        machine
            .ok("cat /run/credentials/telexd.service/telegram-token; ls /etc/telexd")
            .await,
        format!("{TOKEN}agent.env\ntelexd.toml\ntelexd.toml.d\ntoken.cred")
    );
    assert_eq!(
        machine
            .sh(&format!("grep {} /etc/telexd/token.cred", &TOKEN[..9]))
            .await
            .code,
        1
    );
    // The unit that tells of failures has it, too.
    let alert = machine.ok("systemctl cat telexd-alert@x.service").await;
    assert!(
        alert.contains("LoadCredentialEncrypted=telegram-token:/etc/telexd/token.cred"),
        "{alert}"
    );
    // Without the file the daemon says so itself.
    machine
        .ok("rm /etc/telexd/token.cred; systemctl stop telexd")
        .await;
    assert_ne!(machine.sh("systemctl start telexd").await.code, 0);
    assert_eq!(machine.property("telexd", "ExecMainStatus").await, "78");
}
