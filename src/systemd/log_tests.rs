//! Events as they arrive at a journal of the test's own.

use std::{collections::BTreeMap, os::unix::net::UnixDatagram};

use tracing::{debug, error, info, info_span, warn};

use super::*;

const KINDS: Kinds = Kinds {
    id: |name| (name == "known").then_some(0xab),
    panic: "known",
};

struct Rig {
    dir: tempfile::TempDir,
    journal: UnixDatagram,
    log: Arc<Log>,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let sink = Sink::Journal(Journal::at(&path).unwrap());
        Self {
            dir,
            journal,
            log: Arc::new(Log::new(sink, KINDS)),
        }
    }

    /// Does something under this log and gives the entries that it made, and those that waited.
    fn entries(&self, act: impl FnOnce()) -> Vec<BTreeMap<String, String>> {
        let layer = Lines(Arc::clone(&self.log)).with_filter(targets(LevelFilter::DEBUG));
        let subscriber = tracing_subscriber::registry().with(layer);
        let journal = &self.journal;
        thread::scope(|scope| {
            // Read meanwhile: the socket holds only a few.
            let reader = scope.spawn(move || {
                let mut bytes = vec![0; 1 << 20];
                let mut entries = Vec::new();
                loop {
                    let n = journal.recv(&mut bytes).unwrap();
                    if n == 0 {
                        return entries;
                    }
                    entries.push(entry(&bytes[..n]));
                }
            });
            tracing::subscriber::with_default(subscriber, act);
            let end = UnixDatagram::unbound().unwrap();
            end.send_to(&[], self.dir.path().join("socket")).unwrap();
            reader.join().unwrap()
        })
    }
}

/// Reads the native format.
fn entry(mut bytes: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|b| *b == b'\n').unwrap();
        let line = std::str::from_utf8(&bytes[..end]).unwrap();
        bytes = &bytes[end + 1..];
        if let Some((name, value)) = line.split_once('=') {
            fields.insert(name.to_owned(), value.to_owned());
        } else {
            let (length, rest) = bytes.split_at(8);
            let length = u64::from_le_bytes(length.try_into().unwrap());
            let (value, rest) = rest.split_at(usize::try_from(length).unwrap());
            fields.insert(
                line.to_owned(),
                String::from_utf8(value.to_owned()).unwrap(),
            );
            bytes = rest.strip_prefix(b"\n").unwrap();
        }
    }
    fields
}

#[test]
fn fields_and_priorities_are_what_they_should_be() {
    let rig = Rig::new();
    let cause = std::io::Error::other("no room\nleft");
    let entries = rig.entries(|| {
        error!(event = "known", run = "abc", chat = -5, priority = "x", MESSAGE_ID = "forged", %cause, "it fails");
        warn!(event = "unknown", unit = "telexd-agent-strict@abc.service", run = "abc", "two\nlines");
        info!("all is well");
        debug!(wait_ms = 5, path = "/a/file", "looked at /a/file");
    });
    let of = |n: usize, field: &str| entries[n].get(field).map(String::as_str);
    let priorities: Vec<_> = (0..4).map(|n| of(n, "PRIORITY").unwrap()).collect();
    assert_eq!(priorities, ["3", "4", "6", "7"]);
    assert_eq!(
        of(0, "MESSAGE"),
        Some("it fails: no room\\nleft (run=abc, chat=-5, priority=x, MESSAGE_ID=forged)")
    );
    assert_eq!(
        of(0, "MESSAGE_ID"),
        Some("000000000000000000000000000000ab")
    );
    assert_eq!(of(0, "TELEXD_RUN"), Some("abc"));
    assert_eq!(of(0, "TELEXD_CHAT"), Some("-5"));
    assert_eq!(of(0, "TELEXD_ERROR"), Some("no room\\nleft"));
    assert_eq!(of(0, "TELEXD_HANDLER"), Some("systemd"));
    assert_eq!(of(0, "UNIT"), Some("telexd-agent@abc.service"));
    assert_eq!(of(0, "SYSLOG_IDENTIFIER"), Some("telexd"));
    assert_eq!(of(0, "CODE_FILE"), Some(file!()));
    assert!(of(0, "CODE_LINE").unwrap().parse::<u32>().unwrap() > 60);
    let known = [
        "MESSAGE",
        "PRIORITY",
        "SYSLOG_IDENTIFIER",
        "MESSAGE_ID",
        "CODE_FILE",
        "CODE_LINE",
        "UNIT",
    ];
    for name in entries.iter().flat_map(BTreeMap::keys) {
        assert!(
            known.contains(&name.as_str()) || name.starts_with("TELEXD_"),
            "{name}"
        );
    }
    assert_eq!(of(1, "MESSAGE_ID"), None);
    assert_eq!(
        of(1, "MESSAGE"),
        Some("two\nlines (unit=telexd-agent-strict@abc.service, run=abc)")
    );
    assert_eq!(of(1, "UNIT"), Some("telexd-agent-strict@abc.service"));
    assert_eq!(of(3, "TELEXD_PATH"), Some("/a/file"));
    assert_eq!(of(3, "MESSAGE"), Some("looked at /a/file (wait_ms=5)"));
}

/// What `journalctl TELEXD_ERROR=…` finds, beside the reason.
#[test]
fn the_number_of_an_error_is_a_field_of_its_own_value() {
    let rig = Rig::new();
    let (theirs, path) = (&rig.journal, rig.dir.path().join("socket"));
    let log = Arc::clone(&rig.log);
    let layer = Lines(log).with_filter(targets(LevelFilter::DEBUG));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        error!(error_id = "1a2b3c4d", cause = "no room", "it fails");
    });
    assert!(path.exists());
    let mut bytes = vec![0; 1 << 16];
    let read = theirs.recv(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
    let values: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("TELEXD_ERROR="))
        .collect();
    assert_eq!(values, ["1a2b3c4d", "no room"]);
    assert!(
        text.contains("MESSAGE=it fails: no room (error_id=1a2b3c4d)\n"),
        "{text}"
    );
}

#[test]
fn values_of_spans_stand_once_and_the_inner_one_holds() {
    let rig = Rig::new();
    let entries = rig.entries(|| {
        let outer = info_span!(
            "outer",
            chat = 1,
            run = "outer",
            turn = tracing::field::Empty
        );
        let _outer = outer.enter();
        outer.record("turn", 7);
        let _inner = info_span!("inner", run = "inner").entered();
        info!(chat = 2, "x");
    });
    assert_eq!(entries[0]["MESSAGE"], "x (chat=2, run=inner, turn=7)");
    assert_eq!(entries[0]["TELEXD_CHAT"], "2");
    assert_eq!(entries[0]["TELEXD_RUN"], "inner");
}

#[test]
fn a_loop_that_fails_is_bounded_and_other_errors_are_not_hidden() {
    let rig = Rig::new();
    let entries = rig.entries(|| {
        for n in 0..100 {
            for error in ["disk full", "database locked"] {
                error!(error, update = n, "cannot act after {n} s");
            }
        }
        error!("something else");
    });
    let of = |error: &str| {
        entries
            .iter()
            .filter(|entry| entry.get("TELEXD_ERROR").is_some_and(|e| e == error))
            .count()
    };
    assert_eq!((of("disk full"), of("database locked")), (10, 10));
    assert_eq!(entries.len(), 21);
    let held = rig.log.limiter().finish();
    let told = rig.entries(|| rig.log.tell(&held));
    assert_eq!(told.len(), 2, "{told:?}");
    for entry in told {
        assert_eq!(entry["PRIORITY"], "3");
        assert_eq!(
            entry["MESSAGE"],
            "90 more messages like this: cannot act after 0 s"
        );
    }
}

#[test]
fn what_was_lost_is_told_when_the_journal_is_back() {
    let rig = Rig::new();
    let text = "x".repeat(1000);
    let mut sent = 0;
    // Until the socket is full, whatever its length.
    for n in 0..1000 {
        let line = Line::new(6, None, format!("{n} {text}"));
        rig.log.write(&line);
        sent += 1;
    }
    let arrived = rig.entries(|| {}).len();
    assert!(arrived < sent, "the socket never filled up");
    let after = rig.entries(|| info!("back"));
    let messages: Vec<_> = after.iter().map(|entry| entry["MESSAGE"].clone()).collect();
    let lost = sent - arrived;
    assert_eq!(
        messages,
        [
            "back".to_owned(),
            format!("{lost} messages are lost: the journal did not take them")
        ]
    );
}

#[test]
fn without_the_socket_each_line_has_its_priority() {
    let line = Line::new(3, None, "one\ntwo".to_owned());
    assert_eq!(line.prefixed(), "<3>one\n<3>two\n");
    assert_eq!(line.plain("T", false), "T ERROR one\ntwo\n");
    assert!(line.plain("T", true).contains("\x1b[31mERROR\x1b[0m one"));
}

#[test]
fn a_panic_does_not_quote_what_somebody_wrote() {
    let text = "aü secret".to_owned();
    let panic = std::panic::catch_unwind(|| text[..2].len()).unwrap_err();
    let payload = panic.downcast_ref::<String>().unwrap();
    assert!(!said(payload).contains("secret"), "{payload}");
    assert_eq!(said("no such key `x`"), "no such key `x`");
}
