//! HTTP: connections, routes, faults on the wire.

use std::{
    collections::VecDeque,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http_body_util::{BodyExt, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::{
    answer::ApiError,
    faults::{FaultId, FaultKind},
    methods,
    observe::{Call, Outcome},
    poll,
    request::Params,
    shared::Shared,
    sim,
    wire::{Made, Reset, Tracked},
};

/// Largest request body, in bytes.
const MAX_BODY: usize = 60 << 20;

/// Serves until told to stop; every connection ends with it.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection(Arc::clone(&shared), stream));
                }
                // Out of descriptors, most likely: other connections must end first, and nothing tells when one has.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

/// Takes connections and never reads from them.
pub(crate) async fn silence(listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let mut held: VecDeque<TcpStream> = VecDeque::new();
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if held.len() >= 1024 {
                        held.pop_front();
                    }
                    held.push_back(stream);
                }
                // As above.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let reset = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(Tracked::new(stream, Arc::clone(&reset)));
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        let reset = Arc::clone(&reset);
        async move {
            let answer = Box::pin(answer(&shared, request)).await;
            if answer.is_err() {
                reset.store(true, Ordering::SeqCst);
            }
            answer
        }
    });
    // Errors are the client's going away, or our own resets.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(io, service)
        .await;
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Response<Made>, Reset> {
    let path = unescape(request.uri().path());
    let query = request.uri().query().map(str::to_owned);
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let verb = request.method().clone();
    let body = match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(error(&ApiError::new(413, "Request Entity Too Large"))),
    };
    if shared.config.sim_routes
        && let Some(route) = path.strip_prefix("/sim/")
    {
        let (status, json) = sim::handle(shared, &verb, route, query.as_deref(), &body).await;
        return Ok(json_answer(status, json));
    }
    if let Some(rest) = path.strip_prefix("/file/bot") {
        return file(shared, rest).await;
    }
    if verb != hyper::Method::GET && verb != hyper::Method::POST {
        return Ok(error(&ApiError::new(
            405,
            "Method Not Allowed: HTTP method is not supported",
        )));
    }
    let Some((token, method)) = path
        .strip_prefix("/bot")
        .and_then(|rest| rest.split_once('/'))
    else {
        return Ok(error(&ApiError::new(404, "Not Found")));
    };
    if let Err(refusal) = check_token(shared, token) {
        return Ok(error(&refusal));
    }
    late(shared.config.late).await;
    let method = methods::spelling(method).map_or_else(|| method.to_owned(), str::to_owned);
    let params = Params::read(query.as_deref(), &content_type, body).await;
    let (params, refusal) = match params {
        Ok(params) => (params, None),
        Err(refusal) => (Params::default(), Some(refusal)),
    };
    let call = note(shared, &method, &params);
    let struck = shared.change(|state| state.faults.strike(&call));
    if let Some(refusal) = refusal {
        settle(
            shared,
            &call,
            Outcome::Refused(refusal.code, refusal.description.clone()),
        );
        return Ok(error(&refusal));
    }
    if let Some(early) = before(shared, &call, struck.as_ref()).await? {
        return Ok(early);
    }
    let result = if method == "getUpdates" {
        poll::get_updates(shared, &params).await
    } else {
        shared
            .change(|state| methods::run(state, &shared.config, &method, &params))
            .map(|v| v.to_string())
    };
    let outcome = match &result {
        Ok(_) => Outcome::Done,
        Err(refusal) => Outcome::Refused(refusal.code, refusal.description.clone()),
    };
    let (status, json) = match result {
        Ok(result) => (200, format!(r#"{{"ok":true,"result":{result}}}"#)),
        Err(refusal) => (refusal.code, refusal.body()),
    };
    let answer = after(shared, &call, struck, outcome, status, json).await;
    late(shared.config.late).await;
    answer
}

/// Lets a random time pass, up to this.
async fn late(most: Duration) {
    if most.is_zero() {
        return;
    }
    let random = RandomState::new().hash_one(());
    let share = u32::try_from(random % 1_000).unwrap_or_default();
    // It is what was asked for.
    tokio::time::sleep(most * share / 1_000).await;
}

/// Strikes that come before the request is taken.
async fn before(
    shared: &Shared,
    call: &Call,
    struck: Option<&(FaultId, FaultKind)>,
) -> Result<Option<Response<Made>>, Reset> {
    let Some((id, kind)) = struck else {
        return Ok(None);
    };
    let early = match kind {
        FaultKind::Delay(time) => {
            // It is the delay that was asked for.
            tokio::time::sleep(*time).await;
            return Ok(None);
        }
        FaultKind::Hang { taken: false } => {
            hang(shared, *id).await;
            return Ok(None);
        }
        FaultKind::ResetBefore => {
            settle(shared, call, Outcome::NotTaken);
            return Err(Reset);
        }
        FaultKind::TooManyRequests {
            retry_after,
            parameters,
            header,
        } => {
            let mut refusal = ApiError::too_many(*retry_after);
            if !parameters {
                refusal.retry_after = None;
            }
            let mut response = error(&refusal);
            if *header {
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from(*retry_after));
            }
            response
        }
        FaultKind::Html(status) => {
            let text = StatusCode::from_u16(*status)
                .ok()
                .and_then(|s| s.canonical_reason())
                .unwrap_or("Error");
            let page = format!(
                "<html>\r\n<head><title>{status} {text}</title></head>\r\n<body>\r\n<center><h1>{status} {text}</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"
            );
            respond(*status, "text/html", Made::whole(page.into()))
        }
        FaultKind::Answer {
            status,
            content_type,
            body,
        } => respond(*status, content_type, Made::whole(body.clone())),
        FaultKind::Hang { taken: true }
        | FaultKind::ResetAfter
        | FaultKind::TruncatedBody
        | FaultKind::OversizedBody(_) => return Ok(None),
    };
    settle(shared, call, Outcome::NotTaken);
    Ok(Some(early))
}

/// Strikes that come after the request was taken.
async fn after(
    shared: &Shared,
    call: &Call,
    struck: Option<(FaultId, FaultKind)>,
    outcome: Outcome,
    status: u16,
    json: String,
) -> Result<Response<Made>, Reset> {
    match struck {
        Some((_, FaultKind::ResetAfter)) => {
            settle(shared, call, Outcome::AnswerLost);
            Err(Reset)
        }
        Some((id, FaultKind::Hang { taken: true })) => {
            settle(shared, call, Outcome::AnswerLost);
            hang(shared, id).await;
            settle(shared, call, outcome);
            Ok(json_answer(status, json))
        }
        Some((_, FaultKind::TruncatedBody)) => {
            settle(shared, call, Outcome::AnswerLost);
            Ok(respond(status, "application/json", Made::cut(&json.into())))
        }
        Some((_, FaultKind::OversizedBody(size))) => {
            settle(shared, call, Outcome::AnswerLost);
            Ok(respond(200, "application/json", Made::oversized(size)))
        }
        _ => {
            settle(shared, call, outcome);
            Ok(json_answer(status, json))
        }
    }
}

/// Waits until the fault is cancelled.
async fn hang(shared: &Shared, id: FaultId) {
    let mut changed = shared.watch();
    while shared.look(|state| state.faults.holds(id)) {
        if changed.changed().await.is_err() {
            return;
        }
    }
}

fn note(shared: &Shared, method: &str, params: &Params) -> Call {
    let files = params
        .files
        .iter()
        .map(|(field, f)| (field.clone(), f.name.clone(), f.bytes.len() as u64))
        .collect();
    let mut call = Call {
        number: 0,
        method: method.to_owned(),
        params: Value::Object(params.values.clone()),
        files,
        at: shared.now_ms(),
        outcome: Outcome::Open,
    };
    call.number = shared.change(|state| state.note_call(call.clone()));
    if let Err(trouble) = shared.journal(&call) {
        shared.change(|state| state.calls_file_trouble = Some(trouble.to_string()));
    }
    call
}

fn settle(shared: &Shared, call: &Call, outcome: Outcome) {
    shared.change(|state| state.settle_call(call.number, outcome));
}

async fn file(shared: &Shared, rest: &str) -> Result<Response<Made>, Reset> {
    let Some((token, path)) = rest.split_once('/') else {
        return Ok(error(&ApiError::new(404, "Not Found")));
    };
    if let Err(refusal) = check_token(shared, token) {
        return Ok(error(&refusal));
    }
    let params = Params {
        values: serde_json::Map::from_iter([("path".to_owned(), Value::from(path))]),
        ..Params::default()
    };
    let call = note(shared, "file", &params);
    let struck = shared.change(|state| state.faults.strike(&call));
    if let Some(early) = before(shared, &call, struck.as_ref()).await? {
        return Ok(early);
    }
    let found = shared.look(|state| {
        state
            .files
            .values()
            .find(|f| f.path == path && f.size <= shared.config.max_download)
            .map(|f| f.bytes.clone())
    });
    let Some(bytes) = found else {
        settle(shared, &call, Outcome::Refused(404, "Not Found".to_owned()));
        return Ok(error(&ApiError::new(404, "Not Found")));
    };
    settle(shared, &call, Outcome::Done);
    match struck {
        Some((_, FaultKind::ResetAfter)) => Err(Reset),
        Some((id, FaultKind::Hang { taken: true })) => {
            hang(shared, id).await;
            Ok(respond(200, "application/octet-stream", Made::whole(bytes)))
        }
        Some((_, FaultKind::TruncatedBody)) => {
            Ok(respond(200, "application/octet-stream", Made::cut(&bytes)))
        }
        Some((_, FaultKind::OversizedBody(size))) => Ok(respond(
            200,
            "application/octet-stream",
            Made::oversized(size),
        )),
        _ => Ok(respond(200, "application/octet-stream", Made::whole(bytes))),
    }
}

/// A token of another bot is unauthorized; what is no token at all is not found.
fn check_token(shared: &Shared, token: &str) -> Result<(), ApiError> {
    if token == shared.config.token {
        return Ok(());
    }
    let looks_real = token.split_once(':').is_some_and(|(id, secret)| {
        !id.is_empty()
            && !id.starts_with('0')
            && id.bytes().all(|b| b.is_ascii_digit())
            && !secret.is_empty()
    });
    Err(if looks_real {
        ApiError::new(401, "Unauthorized")
    } else {
        ApiError::new(404, "Not Found")
    })
}

/// Undoes percent escapes.
fn unescape(path: &str) -> String {
    let plain = path
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    form_urlencoded::parse(plain.as_bytes())
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned())
}

fn error(error: &ApiError) -> Response<Made> {
    json_answer(error.code, error.body())
}

fn json_answer(status: u16, json: String) -> Response<Made> {
    respond(status, "application/json", Made::whole(json.into()))
}

fn respond(status: u16, content_type: &str, body: Made) -> Response<Made> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}
