//! Health over HTTP, for probes and for Prometheus: `/livez`, `/readyz`, `/metrics`.
//!
//! On a thread of its own: whoever asks takes no time from the runtime in which messages travel, and is told when that
//! runtime stands still. Answers are made once for each [`Report`], so that a storm of probes costs next to nothing. A
//! client may be slow, or many: each has a few seconds, and of too many the one that has been there longest has to go.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt, io, net,
    os::unix,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, header::HeaderValue,
    server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, warn};

use super::{
    Report, Sight,
    metrics::{MEDIA_TYPE, Metrics},
};

/// Most connections at once at one socket.
const MOST: usize = 64;
/// How long a client may take to say what it wants.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection lasts at most, answer included.
const WHOLE_WITHIN: Duration = Duration::from_secs(10);
/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// Most headers in it.
const HEADERS: usize = 64;
/// Pause after a connection could not be taken, as when there are no descriptors left.
const AGAIN: Duration = Duration::from_millis(200);

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// In the file system.
    Unix(unix::net::UnixListener),
    /// On an address.
    Tcp(net::TcpListener),
}

impl fmt::Display for Listener {
    /// Where it listens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(socket) => match socket.local_addr() {
                Ok(address) => match address.as_pathname() {
                    Some(path) => write!(f, "unix:{}", path.display()),
                    None => f.write_str("an unnamed socket"),
                },
                Err(cause) => write!(f, "a socket ({cause})"),
            },
            Self::Tcp(socket) => match socket.local_addr() {
                Ok(address) => write!(f, "{address}"),
                Err(cause) => write!(f, "a socket ({cause})"),
            },
        }
    }
}

/// The server. Dropping it ends it.
#[derive(Debug)]
pub struct Server {
    _end: DropGuard,
}

impl Server {
    /// Serves at these sockets until it is dropped.
    ///
    /// # Errors
    /// There is no thread or no runtime for it.
    pub fn start(
        listeners: Vec<Listener>,
        sight: Arc<dyn Sight>,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let end = CancellationToken::new();
        let ended = end.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let desk = Arc::new(Desk {
            sight,
            metrics,
            answers: Mutex::default(),
        });
        std::thread::Builder::new()
            .name("telexd-health".to_owned())
            .spawn(move || {
                runtime.block_on(ended.run_until_cancelled(serve(listeners, desk)));
            })?;
        Ok(Self {
            _end: end.drop_guard(),
        })
    }
}

async fn serve(listeners: Vec<Listener>, desk: Arc<Desk>) {
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let told = listener.to_string();
        let desk = Arc::clone(&desk);
        let listens = match listener {
            Listener::Unix(socket) => socket
                .set_nonblocking(true)
                .and_then(|()| UnixListener::from_std(socket))
                .map(|socket| {
                    tasks.spawn(async move {
                        let mut guests = Guests::default();
                        loop {
                            let taken = socket.accept().await.map(|(stream, _)| stream);
                            guests.take(taken, &desk).await;
                        }
                    });
                }),
            Listener::Tcp(socket) => socket
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(socket))
                .map(|socket| {
                    tasks.spawn(async move {
                        let mut guests = Guests::default();
                        loop {
                            let taken = socket.accept().await.map(|(stream, _)| stream);
                            guests.take(taken, &desk).await;
                        }
                    });
                }),
        };
        if let Err(cause) = listens {
            warn!(%cause, "nobody can ask for the health at {told}");
        }
    }
    // They never end.
    while tasks.join_next().await.is_some() {}
}

/// Those who are connected, the longest first.
#[derive(Default)]
struct Guests(VecDeque<AbortHandle>);

impl Guests {
    async fn take<S>(&mut self, taken: io::Result<S>, desk: &Arc<Desk>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = match taken {
            Ok(stream) => stream,
            Err(cause) => {
                debug!(%cause, "a connection could not be taken");
                tokio::time::sleep(AGAIN).await;
                return;
            }
        };
        self.0.retain(|guest| !guest.is_finished());
        while self.0.len() >= MOST {
            if let Some(longest) = self.0.pop_front() {
                longest.abort();
            }
        }
        let desk = Arc::clone(desk);
        let task = tokio::spawn(async move { host(stream, desk).await });
        self.0.push_back(task.abort_handle());
    }
}

async fn host<S>(stream: S, desk: Arc<Desk>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong here is the client's.
    match tokio::time::timeout(WHOLE_WITHIN, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(cause)) => debug!(%cause, "a request for the health broke off"),
        Err(_) => debug!("a request for the health took too long"),
    }
}

/// The answers to one report.
struct Answers {
    report: Arc<Report>,
    document: Bytes,
    metrics: Bytes,
}

struct Desk {
    sight: Arc<dyn Sight>,
    metrics: Metrics,
    answers: Mutex<Option<Arc<Answers>>>,
}

impl Desk {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !matches!(path, "/livez" | "/readyz" | "/metrics") {
            return plain(
                StatusCode::NOT_FOUND,
                "there are /livez, /readyz and /metrics\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD will do\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(header::ALLOW, allowed);
            return refused;
        }
        if path == "/livez" {
            return match self.sight.alive() {
                Ok(()) => plain(StatusCode::OK, "ok\n"),
                Err(late) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{late}\n")),
            };
        }
        let report = self.sight.look().await;
        let Ok(answers) = self.answers(report) else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n");
        };
        if path == "/metrics" {
            return with(StatusCode::OK, MEDIA_TYPE, answers.metrics.clone());
        }
        let status = if answers.report.ready() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        with(status, "application/json", answers.document.clone())
    }

    fn answers(&self, report: Arc<Report>) -> Result<Arc<Answers>, fmt::Error> {
        let mut last = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answers) = last.as_ref().filter(|a| Arc::ptr_eq(&a.report, &report)) {
            return Ok(Arc::clone(answers));
        }
        let mut document = report.document();
        document.push('\n');
        let answers = Arc::new(Answers {
            document: document.into(),
            metrics: self.metrics.text(&report)?.into(),
            report,
        });
        *last = Some(Arc::clone(&answers));
        Ok(answers)
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    with(status, "text/plain; charset=utf-8", text.into())
}

fn with(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
