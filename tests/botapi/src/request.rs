//! Parameters of a request, from query, JSON, form or multipart.

use std::{collections::BTreeMap, convert::Infallible};

use bytes::Bytes;
use http_body_util::{BodyDataStream, Full};
use serde_json::{Map, Value};

use crate::answer::ApiError;

/// An uploaded file.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub name: String,
    pub mime: Option<String>,
    pub bytes: Bytes,
}

/// Parameters that are JSON inside a form.
const JSON_FIELDS: &[&str] = &[
    "entities",
    "caption_entities",
    "reply_markup",
    "reply_parameters",
    "link_preview_options",
    "allowed_updates",
    "commands",
    "scope",
    "suggested_post_parameters",
];

/// Parameters of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    pub values: Map<String, Value>,
    pub files: BTreeMap<String, Upload>,
}

impl Params {
    /// Reads query and body.
    pub(crate) async fn read(
        query: Option<&str>,
        content_type: &str,
        body: Bytes,
    ) -> Result<Self, ApiError> {
        let mut params = Self::default();
        if let Some(query) = query {
            params.take_form(query.as_bytes());
        }
        let kind = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match kind.as_str() {
            _ if body.is_empty() => {}
            "application/json" => {
                let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(&body) else {
                    return Err(ApiError::bad_request("can't parse JSON object"));
                };
                for (name, value) in object {
                    // Null is as good as absent.
                    if !value.is_null() {
                        params.values.insert(name, value);
                    }
                }
            }
            "application/x-www-form-urlencoded" => params.take_form(&body),
            "multipart/form-data" => params.take_multipart(content_type, body).await?,
            _ => return Err(ApiError::bad_request("unsupported content-type")),
        }
        for name in JSON_FIELDS {
            if let Some(Value::String(text)) = params.values.get(*name)
                && let Ok(value) = serde_json::from_str::<Value>(text)
            {
                params.values.insert((*name).to_owned(), value);
            }
        }
        Ok(params)
    }

    fn take_form(&mut self, form: &[u8]) {
        for (name, value) in form_urlencoded::parse(form) {
            self.values
                .insert(name.into_owned(), Value::String(value.into_owned()));
        }
    }

    async fn take_multipart(&mut self, content_type: &str, body: Bytes) -> Result<(), ApiError> {
        let malformed = |_: multer::Error| ApiError::bad_request("can't parse multipart/form-data");
        let boundary = multer::parse_boundary(content_type).map_err(malformed)?;
        let stream = BodyDataStream::new(Full::<Bytes>::new(body));
        let mut parts = multer::Multipart::new::<_, Bytes, Infallible, _>(stream, boundary);
        while let Some(part) = parts.next_field().await.map_err(malformed)? {
            let name = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(str::to_owned);
            let mime = part.content_type().map(ToString::to_string);
            let bytes = part.bytes().await.map_err(malformed)?;
            if let Some(file_name) = file_name {
                self.files.insert(
                    name,
                    Upload {
                        name: file_name,
                        mime,
                        bytes,
                    },
                );
            } else {
                let text = String::from_utf8(bytes.to_vec())
                    .map_err(|_| ApiError::bad_request("strings must be encoded in UTF-8"))?;
                self.values.insert(name, Value::String(text));
            }
        }
        Ok(())
    }

    /// A string; numbers and truth values count as their text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.values.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// A string that is not empty.
    pub(crate) fn word(&self, name: &str) -> Option<String> {
        self.text(name).filter(|t| !t.is_empty())
    }

    /// A number, given as one or as text.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// A truth value: true, "true", "yes", "1", 1.
    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.values.get(name) {
            Some(Value::Bool(value)) => *value,
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            Some(Value::String(text)) => {
                matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "1")
            }
            _ => false,
        }
    }

    /// A structure.
    pub(crate) fn json(&self, name: &str) -> Option<&Value> {
        self.values
            .get(name)
            .filter(|v| !matches!(v, Value::String(text) if text.is_empty()))
    }
}
