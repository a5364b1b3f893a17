use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Instant,
};

use async_trait::async_trait;
use tempfile::TempDir;

use super::*;
use crate::{
    core::tally::Tally,
    health::{
        Limits, Polling, Readiness,
        conditions::{Judge, Rules},
    },
};

/// What there is to be seen, and how often somebody looked.
#[derive(Default)]
struct Stub {
    well: AtomicBool,
    dead: AtomicBool,
    looks: AtomicUsize,
    last: Mutex<Option<Arc<Report>>>,
}

#[async_trait]
impl Sight for Stub {
    async fn look(&self) -> Arc<Report> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        if let Some(last) = &*self.last.lock().unwrap() {
            return Arc::clone(last);
        }
        let s = Duration::from_secs;
        let readiness = Readiness {
            ready: true,
            polling: Polling {
                reached: true,
                completed: self.well.load(Ordering::Relaxed).then_some(s(1)),
                ..Polling::default()
            },
            up: s(1000),
            ..Readiness::default()
        };
        let rules = Rules {
            poll: s(70),
            watchdog: Limits::of(s(30)),
            answer: s(5),
            inbox: s(60),
            outbox: s(300),
            queue: s(1800),
            out_of_memory: 2,
            write: s(1),
            disk: 0,
        };
        Arc::new(Report {
            at: 5,
            serial: 1,
            conditions: Judge::default().judge(5, &readiness, &rules),
            readiness,
        })
    }

    fn alive(&self) -> Result<(), String> {
        if self.dead.load(Ordering::Relaxed) {
            Err("the runtime has not answered for 16.0 s".to_owned())
        } else {
            Ok(())
        }
    }
}

struct Place {
    dir: TempDir,
    stub: Arc<Stub>,
    _server: Server,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let stub = Arc::new(Stub::default());
    stub.well.store(true, Ordering::Relaxed);
    let socket = unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
    let server = Server::start(
        vec![Listener::Unix(socket)],
        Arc::clone(&stub) as _,
        Metrics::new(&Tally::default(), 0),
    )
    .unwrap();
    Place {
        dir,
        stub,
        _server: server,
    }
}

impl Place {
    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.dir.path().join("s")).unwrap();
        let long = Some(Duration::from_secs(30));
        stream.set_read_timeout(long).unwrap();
        stream.set_write_timeout(long).unwrap();
        stream
    }

    fn say(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A reset after the answer, for what was not read of the request, is none of our business.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn get(&self, path: &str) -> String {
        self.say(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
    }
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn what_is_asked_for_is_told() {
    let place = place();
    let ready = place.get("/readyz");
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    assert!(ready.contains("content-type: application/json\r\n"));
    let read: serde_json::Value = serde_json::from_str(body(&ready)).unwrap();
    assert_eq!(read["ready"], true);

    let metrics = place.get("/metrics");
    assert!(
        metrics
            .contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{metrics}"
    );
    assert!(body(&metrics).contains("\ntelexd_ready 1.0\n"), "{metrics}");
    assert!(body(&metrics).ends_with("# EOF\n"));

    assert_eq!(body(&place.get("/livez")), "ok\n");
    // A query changes nothing.
    assert!(place.get("/readyz?verbose").starts_with("HTTP/1.1 200 "));
    assert!(
        place
            .say(b"GET /livez HTTP/1.0\r\n\r\n")
            .starts_with("HTTP/1.0 200 ")
    );
}

#[test]
fn a_daemon_that_is_not_ready_is_503() {
    let place = place();
    place.stub.well.store(false, Ordering::Relaxed);
    let answer = place.get("/readyz");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let read: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(read["failing"], serde_json::json!(["telegram"]));
    // It is alive all the same, and tells its numbers.
    assert!(place.get("/livez").starts_with("HTTP/1.1 200 "));
    assert!(body(&place.get("/metrics")).contains("\ntelexd_ready 0.0\n"));

    place.stub.dead.store(true, Ordering::Relaxed);
    let answer = place.get("/livez");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(body(&answer), "the runtime has not answered for 16.0 s\n");
}

#[test]
fn only_what_there_is_and_only_to_read() {
    let place = place();
    let answer = place.say(b"HEAD /readyz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("content-length: ") && body(&answer).is_empty());
    for path in ["/", "/readyz/", "/metrics/x", "/../readyz", "*"] {
        assert!(place.get(path).starts_with("HTTP/1.1 404 "), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let answer = place.say(format!("{method} /readyz HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
        assert!(answer.contains("allow: GET, HEAD\r\n"), "{answer}");
    }
    assert_eq!(place.stub.looks.load(Ordering::Relaxed), 1, "for HEAD");
}

#[test]
fn nonsense_and_excess_are_refused() {
    let place = place();
    let answer = place.say(b"nonsense\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(place.say(&[0xff; 100_000]).find("200"), None);
    let mut long = b"GET /livez HTTP/1.1\r\nx: ".to_vec();
    long.resize(100_000, b'a');
    assert!(place.say(&long).starts_with("HTTP/1.1 431 "));
    let mut many = b"GET /livez HTTP/1.1\r\n".to_vec();
    for _ in 0..200 {
        many.extend_from_slice(b"a: b\r\n");
    }
    many.extend_from_slice(b"\r\n");
    assert!(place.say(&many).starts_with("HTTP/1.1 431 "));
    // It goes on.
    assert!(place.get("/livez").starts_with("HTTP/1.1 200 "));
}

#[test]
fn those_who_say_nothing_hold_up_nobody() {
    let place = place();
    // Far more than may be connected at once, all silent or half-way.
    let silent: Vec<UnixStream> = (0..3 * MOST)
        .map(|n| {
            let mut stream = place.connect();
            if n % 2 == 0 {
                // An early one may have had to go already.
                let _ = stream.write_all(b"GET /rea");
            }
            stream
        })
        .collect();
    let begun = Instant::now();
    assert!(place.get("/livez").starts_with("HTTP/1.1 200 "));
    assert!(begun.elapsed() < HEAD_WITHIN, "{:?}", begun.elapsed());
    // Each of them is let go in the end.
    for mut stream in silent {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(begun.elapsed() < WHOLE_WITHIN + HEAD_WITHIN);
}

#[test]
fn an_answer_is_made_once_for_each_report() {
    let place = place();
    // From now on everybody sees the same report.
    let report = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(place.stub.look());
    *place.stub.last.lock().unwrap() = Some(report);
    let desk = Desk {
        sight: Arc::clone(&place.stub) as _,
        metrics: Metrics::new(&Tally::default(), 0),
        answers: Mutex::default(),
    };
    let report = place.stub.last.lock().unwrap().clone().unwrap();
    let first = desk.answers(Arc::clone(&report)).unwrap();
    let second = desk.answers(Arc::clone(&report)).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let other = desk.answers(Arc::new(Report::default())).unwrap();
    assert!(!Arc::ptr_eq(&first, &other));
}

#[test]
fn the_end_frees_the_socket() {
    let place = place();
    let Place { dir, _server, .. } = place;
    drop(_server);
    let deadline = Instant::now() + Duration::from_secs(10);
    while UnixStream::connect(dir.path().join("s")).is_ok() {
        assert!(Instant::now() < deadline, "it still listens");
        std::thread::yield_now();
    }
}
