//! The server: connections, routes, faults on the wire.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    body::{Body, Frame, Incoming},
    header,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
    time::Sleep,
};

use crate::{
    conversation::Ask,
    reply::{self, Event},
    script::{Answer, Cut, Step, Trouble},
    state::{Request, State},
};

/// A running stand-in. It ends, with its thread and all connections, when it is dropped.
#[derive(Debug)]
pub struct MessagesApi {
    address: SocketAddr,
    state: State,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MessagesApi {
    /// Starts it on a free port of the loopback interface, on a thread of its own.
    ///
    /// # Panics
    /// Where no port can be had.
    #[must_use]
    #[allow(clippy::expect_used, reason = "for tests")]
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let address = listener.local_addr().expect("an address");
        let state = State::default();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let shared = state.clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Base URL, for `ANTHROPIC_BASE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests()
    }

    /// Decides replies in the test: `None` leaves it to an earlier handler, or to the script in the prompt.
    pub fn on(&self, handler: impl Fn(&Ask) -> Option<Step> + Send + 'static) {
        self.state.on(Box::new(handler));
    }

    /// Waits until the condition holds for the requests so far; it is asked again at every request. False after the deadline.
    pub async fn wait_for(
        &self,
        deadline: Duration,
        holds: impl FnMut(&[Request]) -> bool,
    ) -> bool {
        self.state.wait_for(deadline, holds).await
    }

    /// [`Self::wait_for`] outside of a runtime: blocks the thread.
    #[must_use]
    pub fn block_for(&self, deadline: Duration, holds: impl FnMut(&[Request]) -> bool) -> bool {
        self.state.block_for(deadline, holds)
    }

    /// Every prompt that reached the model, and how often it stands in the conversations. Repeats of a request do not
    /// count; a prompt that was given to an agent twice does.
    #[must_use]
    pub fn prompts_seen(&self) -> Vec<(String, usize)> {
        self.state.prompts_seen()
    }
}

impl Drop for MessagesApi {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener, state: State) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let numbers = Arc::new(AtomicU64::new(1));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(connection(stream, state.clone(), numbers.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, state: State, numbers: Arc<AtomicU64>) {
    let _ = stream.set_nodelay(true);
    // A second descriptor of the socket: the server owns the first one, and a reset is a property of the socket.
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else {
        return;
    };
    let socket = Arc::new(socket);
    let service = service_fn(move |request| {
        handle(
            request,
            state.clone(),
            socket.clone(),
            numbers.fetch_add(1, Ordering::Relaxed),
        )
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

fn broken() -> io::Error {
    io::Error::other("broken on purpose")
}

/// Makes the end of the connection a reset.
fn reset(socket: &OwnedFd) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

fn whole(status: StatusCode, number: u64, body: &Value) -> Reply {
    let body = Full::new(Bytes::from(body.to_string()))
        .map_err(|e: Infallible| match e {})
        .boxed_unsync();
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    set(reply.headers_mut(), "content-type", "application/json");
    set(
        reply.headers_mut(),
        "request-id",
        &format!("req_standin_{number}"),
    );
    reply
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = header::HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

async fn handle(
    request: hyper::Request<Incoming>,
    state: State,
    socket: Arc<OwnedFd>,
    number: u64,
) -> Result<Reply, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| {
            let secret = name == "x-api-key" || name == header::AUTHORIZATION;
            let value = if secret {
                "present".to_owned()
            } else {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            };
            (name.as_str().to_owned(), value)
        })
        .collect();
    let path = head.uri.path().to_owned();
    let mut record = Request {
        method: head.method.to_string(),
        path: path.clone(),
        headers,
        body,
        ask: None,
        fault: false,
    };
    match (&head.method, path.as_str()) {
        (&Method::POST, "/v1/messages") => {}
        (&Method::POST, "/v1/messages/count_tokens") => {
            let tokens = record.body.to_string().len() / 4;
            state.decide(record);
            return Ok(whole(
                StatusCode::OK,
                number,
                &json!({"input_tokens": tokens}),
            ));
        }
        (&Method::HEAD, "/api/hello") => {
            state.decide(record);
            return Ok(whole(StatusCode::OK, number, &Value::Null));
        }
        _ => {
            state.decide(record);
            return Ok(whole(
                StatusCode::NOT_FOUND,
                number,
                &reply::error("not_found_error", "Not found"),
            ));
        }
    }
    if !record.body["messages"].is_array() {
        state.decide(record);
        let error = reply::error("invalid_request_error", "messages: Field required");
        return Ok(whole(StatusCode::BAD_REQUEST, number, &error));
    }
    let session = record.header("x-claude-code-session-id").map(str::to_owned);
    let ask = Ask::read(&record.body, session);
    let (stream, model) = (ask.stream, ask.model.clone());
    record.ask = Some(ask);
    match state.decide(record) {
        Step::Answer(answer) if stream => Ok(streamed(&answer, number, &model, None, &socket)),
        Step::Answer(answer) => Ok(whole(
            StatusCode::OK,
            number,
            &reply::message(&answer, number, &model),
        )),
        Step::Fault(Trouble::Mid(answer, cut), _) if stream => {
            Ok(streamed(&answer, number, &model, Some(cut), &socket))
        }
        Step::Fault(trouble, _) => fault(trouble, number, &socket).await,
    }
}

/// A fault before the first byte of an answer.
async fn fault(trouble: Trouble, number: u64, socket: &OwnedFd) -> Result<Reply, io::Error> {
    match trouble {
        Trouble::Http {
            status,
            class,
            message,
            retry_after,
            should_retry,
        } => {
            let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut reply = whole(code, number, &reply::error(&class, &message));
            if let Some(seconds) = retry_after {
                set(reply.headers_mut(), "retry-after", &seconds.to_string());
            }
            if let Some(again) = should_retry {
                set(reply.headers_mut(), "x-should-retry", &again.to_string());
            }
            Ok(reply)
        }
        Trouble::HangAtOnce | Trouble::Mid(_, Cut::Hang) => std::future::pending().await,
        Trouble::ResetAtOnce | Trouble::Mid(..) => {
            reset(socket);
            Err(broken())
        }
    }
}

fn streamed(
    answer: &Answer,
    number: u64,
    model: &str,
    cut: Option<Cut>,
    socket: &Arc<OwnedFd>,
) -> Reply {
    let mut events: VecDeque<Event> = reply::events(answer, number, model, cut.is_some()).into();
    if let Some(Cut::SseError(class)) = &cut {
        events.push_back(Event {
            pause_ms: 0,
            data: reply::error(class, "scripted error event"),
        });
    }
    let body = Stream {
        events,
        pause: None,
        // What was sent is to be read before the connection breaks.
        break_ms: answer.delay_ms.max(50),
        cut,
        socket: socket.clone(),
    };
    let mut reply = Response::new(body.boxed_unsync());
    set(
        reply.headers_mut(),
        "content-type",
        "text/event-stream; charset=utf-8",
    );
    set(
        reply.headers_mut(),
        "request-id",
        &format!("req_standin_{number}"),
    );
    reply
}

/// The body of a streamed answer.
struct Stream {
    events: VecDeque<Event>,
    pause: Option<Pin<Box<Sleep>>>,
    /// Pause before the connection breaks, in milliseconds.
    break_ms: u64,
    cut: Option<Cut>,
    socket: Arc<OwnedFd>,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let pause_ms = match (self.events.front(), &self.cut) {
            (Some(next), _) => next.pause_ms,
            (None, None | Some(Cut::SseError(_))) => return Poll::Ready(None),
            // Nothing will wake it but the end of the connection.
            (None, Some(Cut::Hang)) => return Poll::Pending,
            (None, Some(Cut::Reset | Cut::Eof | Cut::Die { .. })) => self.break_ms,
        };
        if pause_ms > 0 {
            let pause = self.pause.get_or_insert_with(|| {
                Box::pin(tokio::time::sleep(Duration::from_millis(pause_ms)))
            });
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        if self.events.is_empty() {
            if self.cut != Some(Cut::Eof) {
                reset(&self.socket);
            }
            return Poll::Ready(Some(Err(broken())));
        }
        let frame = self
            .events
            .pop_front()
            .map(|event| event.frame())
            .unwrap_or_default();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(frame)))))
    }
}
