//! A reboot and a power failure in mid-answer.

use telexd_botapi::ShownMessage;

use super::qemu::Vm;
use crate::{
    host::Host as _,
    server::Server,
    shared::{ADMIN, USER},
};

/// Pieces of the answer that is cut off, and their distance: about as long as the start of the machine takes.
const PIECES: u32 = 60;
const DISTANCE_MS: u32 = 400;
/// Before a message of which it is not known whether it arrived.
const MARK: &str = "(may be a repeat)\n";
const AGAIN: &str = "The server was restarted, so I am running your message again…";
const QUESTION: &str =
    "This was interrupted by a restart of the server, after 1 tool call. Continue?";
const LEFT: &str = "— Interrupted by a restart of the server; left as it is.";

#[tokio::test]
async fn a_reboot_and_a_power_failure_in_mid_answer_lose_nothing_and_double_nothing_unmarked() {
    let mut server = Server::emulated().await;
    server
        .machine
        .ok("systemctl --quiet enable telexd; sync")
        .await;
    server.start().await;

    begin(&server, "reboot").await;
    let (qemu, boot) = (server.machine.pid(), boot_id(&server).await);
    server.machine.reboot().await;
    assert_eq!(server.machine.pid(), qemu, "QEMU goes on over a reboot");
    assert_ne!(boot_id(&server).await, boot);
    ends_well(&server, "reboot").await;

    begin(&server, "failure").await;
    // What shows that it was a power failure: what was synced is there afterwards, what was not is not.
    server
        .machine
        .ok("cd /root; head -c 300000 /dev/urandom >synced; sha256sum synced >sum; sync; echo lost >not-synced; test -s not-synced")
        .await;
    server.machine.kill_hard().await;
    server.send("say sent while it was off");
    server.machine.start().await;
    server
        .machine
        .ok("cd /root; sha256sum --check sum; ! test -s not-synced")
        .await;
    ends_well(&server, "failure").await;
    once(&server, "sent while it was off").await;
}

async fn boot_id(server: &Server<Vm>) -> String {
    server
        .machine
        .ok("cat /proc/sys/kernel/random/boot_id")
        .await
}

/// The user has an answer that has begun and a message in line, the admin an answer that has begun after a tool.
async fn begin(server: &Server<Vm>, event: &str) {
    server.send(&format!("slow {DISTANCE_MS} x{PIECES}"));
    server.send_as(
        ADMIN,
        &format!(
            r#"@fake [{{"text":"a tool before the {event}","tool":"Bash","input":{{"command":"echo x"}}}},
            {{"text":"words ","repeat":{PIECES},"chunk":6,"delay_ms":{DISTANCE_MS}}}]"#
        ),
    );
    let running = |m: &[ShownMessage], part: &str| {
        m.iter()
            .any(|m| m.text.contains(part) && !m.buttons.is_empty())
    };
    server
        .wait_chat(USER, "the answer has begun", |m| running(m, "piece 00005"))
        .await;
    server
        .wait_chat(ADMIN, "the answer after the tool has begun", |m| {
            running(m, "words words words")
        })
        .await;
    server.send(&format!("say after the {event}"));
    server
        .wait_chat(USER, "the next message is in line", |m| {
            m.iter().any(|m| m.text == "In line: number 2.")
        })
        .await;
    let shown = server.api.view(|v| v.bot_messages(USER));
    assert!(
        running(&shown, "piece 00005"),
        "the answer is over already: {shown:#?}"
    );
}

/// All that [`begin`] left open comes to its end as the page on crashes has it.
async fn ends_well(server: &Server<Vm>, event: &str) {
    // No tool had begun: it runs again by itself, and says so meanwhile.
    let last = format!("piece {PIECES:05}");
    let over = |m: &ShownMessage| {
        m.text.contains("piece 00001") && m.text.contains(&last) && m.buttons.is_empty()
    };
    let so_far = usize::from(event != "reboot");
    let shown = server
        .wait_chat(USER, "the answer is whole", |m| {
            m.iter().filter(|m| over(m)).count() > so_far
        })
        .await;
    let whole: Vec<_> = shown
        .iter()
        .filter(|m| m.text.contains("piece 00001"))
        .collect();
    assert_eq!(
        whole.len(),
        so_far + 1,
        "one message per answer: {whole:#?}"
    );
    let answer = whole.last().unwrap();
    assert_eq!(
        answer.text.matches("piece 00001").count(),
        1,
        "{}",
        answer.text
    );
    assert!(
        answer.history.iter().any(|v| v.text.contains(AGAIN)),
        "nobody was told: {:#?}",
        answer.history
    );
    once(server, &format!("after the {event}")).await;
    // After a tool the person is asked.
    let shown = server
        .wait_chat(ADMIN, "the person is asked", |m| {
            m.iter()
                .any(|m| m.text.contains(QUESTION) && !m.buttons.is_empty())
        })
        .await;
    let asked: Vec<_> = shown
        .iter()
        .filter(|m| m.text.contains(QUESTION) && !m.buttons.is_empty())
        .collect();
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert_eq!(
        shown
            .iter()
            .filter(|m| m.text.contains(&format!("before the {event}")))
            .count(),
        1,
        "{shown:#?}"
    );
    let leave = asked[0]
        .buttons
        .iter()
        .flatten()
        .find(|b| b.text == "Leave it")
        .unwrap();
    server
        .api
        .user(ADMIN, "Ada")
        .press(ADMIN, asked[0].message_id, leave.data.as_deref().unwrap())
        .unwrap();
    let id = asked[0].message_id;
    server
        .wait_chat(ADMIN, "it is left", |m| {
            m.iter()
                .any(|m| m.message_id == id && m.text.contains(LEFT))
        })
        .await;
}

/// `say WORDS` reached an agent once and was answered once; of a message that may have come before, the other has the mark.
async fn once(server: &Server<Vm>, words: &str) {
    let is = |m: &ShownMessage| m.text.strip_prefix(MARK).unwrap_or(&m.text) == words;
    let shown = server.wait_chat(USER, words, |m| m.iter().any(is)).await;
    let plain = shown.iter().filter(|m| m.text == words).count();
    let marked = shown.iter().filter(|m| is(m)).count() - plain;
    assert!(
        plain <= 1 && marked <= 1,
        "{words}: {plain} without a mark, {marked} with one"
    );
    let prompt = format!("say {words}");
    let reached: u32 = server
        .evidence()
        .await
        .reached()
        .iter()
        .filter(|r| r.text == prompt)
        .map(|r| r.times)
        .sum();
    assert_eq!(reached, 1, "{prompt}");
}
