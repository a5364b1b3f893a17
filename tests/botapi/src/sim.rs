//! Playing people and faults over HTTP.

use hyper::Method;

use crate::shared::Shared;

/// Answers a request below `/sim/`: status and JSON.
pub(crate) fn handle(_: &Shared, _: &Method, _: &str, _: Option<&str>, _: &[u8]) -> (u16, String) {
    (404, r#"{"error":"no such route"}"#.to_owned())
}
