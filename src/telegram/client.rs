//! Calls to the Bot API.
//!
//! What is sent are the payload types of `teloxide-core`, as JSON; the HTTP requests are our own, because
//! its request path sleeps ten seconds on every 5xx, hides status and error code, and takes a message that
//! was sent but whose description it cannot parse for a failure. Of an answer only what is needed is read.

mod answer;
mod form;
mod ways;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use teloxide_core::payloads;
use url::Url;
use ways::Ways;

pub use super::call_error::CallError;
use super::{
    BotToken,
    breakage::Breakage,
    classify::Evidence,
    delivery::content::{DocumentFields, SendMessageDraft},
    inbound,
    tally::Tally,
};
use crate::{
    core::{ip::IpVersion, live::Live, tally::Tally as Counts},
    gateway::ports::Clock,
};

/// Largest answer that is read, in bytes. Telegram's own limit for a batch of updates is 4 MiB.
const ANSWER_BYTES: usize = 5 * 1024 * 1024;

/// Where and how to reach the Bot API.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Base address, with or without a path.
    pub api_url: Url,
    /// How long a poll may wait for updates at the server; Telegram cuts it to 50 s.
    pub poll_timeout: Duration,
    /// How long any other call may take, all in all.
    pub call_timeout: Duration,
    /// How long making a connection may take, DNS and TLS included.
    pub connect_timeout: Duration,
    /// By which proxy, if any.
    pub proxy: Option<Proxy>,
    /// Over which version of IP.
    pub ip: IpVersion,
    /// Addresses of the server, instead of what DNS says.
    pub addresses: Vec<SocketAddr>,
    /// Folder in which a server on this machine keeps its files, where it tells their paths in place of giving them out.
    pub local_files: Option<PathBuf>,
    /// Where calls are counted, beside [`Client::tally`].
    pub counts: Counts,
}

/// A proxy, with what it wants to know of who comes.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `http`, `socks5` (names are resolved here) or `socks5h` (by the proxy), with host and port.
    pub address: Url,
    /// User name and password.
    pub login: Option<(String, String)>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.address)
    }
}

impl ClientOptions {
    /// Usual times for a server at this address: polls of 30 s, calls of 20 s, connections within 8 s.
    #[must_use]
    pub fn new(api_url: Url) -> Self {
        Self {
            api_url,
            poll_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(8),
            proxy: None,
            ip: IpVersion::Any,
            addresses: Vec::new(),
            local_files: None,
            counts: Counts::default(),
        }
    }
}

/// How much longer than the poll itself the whole call may take.
const POLL_SLACK: Duration = Duration::from_secs(10);

/// What a download is called in errors and faults; it is no method of Telegram's.
pub(super) const DOWNLOAD: &str = "file";

/// How much longer than other calls an upload may take: what goes so has a megabyte at most.
const UPLOAD_SLACK: Duration = Duration::from_secs(60);

/// The method that brings updates.
const POLL: &str = "getUpdates";

/// The bot, as `getMe` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Me {
    /// Telegram user id.
    pub id: i64,
    /// User name, without `@`.
    #[serde(default)]
    pub username: Option<String>,
}

/// An update, not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polled {
    /// Its id, if it has one that fits.
    pub update_id: Option<i64>,
    /// Its JSON, to the letter.
    pub raw: String,
}

/// The HTTP clients could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up HTTP: {0}")]
pub struct ClientError(String);

/// Access to the Bot API for one bot. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    token: BotToken,
    /// `https://host/bot<token>`: secret.
    base: String,
    /// The same for the contents of files: secret.
    file_base: String,
    options: ClientOptions,
    ways: Live<Ways>,
    clock: Arc<dyn Clock>,
    tally: Tally,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.token).finish()
    }
}

impl Client {
    /// Makes the HTTP clients; connects nowhere yet.
    ///
    /// # Errors
    /// TLS could not be set up.
    pub fn new(
        token: BotToken,
        options: &ClientOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let server = options.api_url.as_str().trim_end_matches('/');
        let base = format!("{server}/bot{}", token.secret());
        let file_base = format!("{server}/file/bot{}", token.secret());
        Ok(Self(Arc::new(Inner {
            token,
            base,
            file_base,
            ways: Live::new(Ways::new(options)?),
            options: options.clone(),
            clock,
            tally: Tally::default(),
        })))
    }

    /// How long a poll takes at most, whatever the network does.
    #[must_use]
    pub fn longest_poll(&self) -> Duration {
        self.0.options.poll_timeout + POLL_SLACK
    }

    /// Folder in which a server on this machine keeps its files, where it tells their paths.
    #[must_use]
    pub fn local_files(&self) -> Option<&Path> {
        self.0.options.local_files.as_deref()
    }

    /// How long a poll waits for updates.
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        self.0.options.poll_timeout
    }

    /// Makes new connections from now on. Calls under way end as they will.
    ///
    /// # Errors
    /// TLS could not be set up; then all stays as it was.
    pub fn renew(&self) -> Result<(), ClientError> {
        self.0.ways.set(Ways::new(&self.0.options)?);
        Ok(())
    }

    /// How the calls of this client have gone so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// Telegram user id of the bot, from its token.
    #[must_use]
    pub fn bot_id(&self) -> i64 {
        self.0.token.bot_id()
    }

    /// Asks who the bot is.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn get_me(&self) -> Result<Me, CallError> {
        self.call("getMe", &payloads::GetMe::new()).await
    }

    /// Waits for updates from `offset` on (`None`: from the oldest that is kept), at most `limit` (1 to 100).
    /// Confirms everything before `offset`.
    ///
    /// # Errors
    /// Any [`CallError`]; one whose [`CallError::is_garbled`] holds may go away with a smaller `limit`.
    pub async fn get_updates(
        &self,
        offset: Option<i64>,
        limit: u8,
    ) -> Result<Vec<Polled>, CallError> {
        /// Our own, because the library's kinds of updates are a closed list.
        #[derive(Serialize)]
        struct GetUpdates {
            #[serde(skip_serializing_if = "Option::is_none")]
            offset: Option<i64>,
            limit: u8,
            timeout: u64,
            allowed_updates: &'static [&'static str],
        }
        let body = GetUpdates {
            offset,
            limit,
            timeout: self.0.options.poll_timeout.as_secs(),
            allowed_updates: inbound::ALLOWED_UPDATES,
        };
        let updates: Vec<Box<RawValue>> = self.send(&self.0.ways.get().polls, POLL, &body).await?;
        Ok(updates
            .into_iter()
            .map(|update| Polled {
                update_id: inbound::update_id(update.get()),
                raw: String::from(Box::<str>::from(update)),
            })
            .collect())
    }

    /// Removes a webhook that stands in the way of polling; waiting updates stay.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn delete_webhook(&self) -> Result<(), CallError> {
        let payload = payloads::DeleteWebhook {
            drop_pending_updates: Some(false),
        };
        self.call::<_, Anything>("deleteWebhook", &payload).await?;
        Ok(())
    }

    /// Sends a message; returns its id.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn send_message(&self, payload: &payloads::SendMessage) -> Result<i64, CallError> {
        let sent: Sent = self.call("sendMessage", payload).await?;
        Ok(sent.message_id)
    }

    /// Sends a file with this content; returns the id of its message. `fields`: what goes beside it.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn send_document(&self, document: &Document<'_>) -> Result<i64, CallError> {
        const METHOD: &str = "sendDocument";
        let fields = serde_json::to_value(document.fields)
            .ok()
            .and_then(|value| value.as_object().cloned())
            .unwrap_or_default();
        // In a form whatever is no text is JSON.
        let fields: Vec<(&str, String)> = fields
            .iter()
            .map(|(name, value)| match value.as_str() {
                Some(text) => (name.as_str(), text.to_owned()),
                None => (name.as_str(), value.to_string()),
            })
            .collect();
        let form::Form { content_type, body } = form::form(
            &fields,
            &form::Upload {
                field: "document",
                name: document.name,
                mime: "text/plain; charset=utf-8",
                bytes: document.bytes,
            },
        );
        let begun = Instant::now();
        let limit = self.0.options.call_timeout + UPLOAD_SLACK;
        let request = (self.0.ways.get().calls)
            .post(format!("{}/{METHOD}", self.0.base))
            .header(reqwest::header::CONTENT_TYPE, content_type)
            .timeout(limit)
            .body(body);
        let sent = self.exchange::<Sent>(request, METHOD).await;
        let class = sent.as_ref().err().map(|error| &error.class);
        self.0.options.counts.call(METHOD, class, begun.elapsed());
        sent.map(|sent| sent.message_id)
    }

    /// Edits a message.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn edit_message_text(
        &self,
        payload: &payloads::EditMessageText,
    ) -> Result<(), CallError> {
        self.call::<_, Anything>("editMessageText", payload).await?;
        Ok(())
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn delete_message(&self, payload: &payloads::DeleteMessage) -> Result<(), CallError> {
        self.call::<_, Anything>("deleteMessage", payload).await?;
        Ok(())
    }

    /// Answers the press of a button.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn answer_callback_query(
        &self,
        payload: &payloads::AnswerCallbackQuery,
    ) -> Result<(), CallError> {
        self.call::<_, Anything>("answerCallbackQuery", payload)
            .await?;
        Ok(())
    }

    /// Shows a message that is being written.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn send_message_draft(&self, payload: &SendMessageDraft) -> Result<(), CallError> {
        self.call::<_, Anything>("sendMessageDraft", payload)
            .await?;
        Ok(())
    }

    /// Shows "typing…" and the like.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn send_chat_action(
        &self,
        payload: &payloads::SendChatAction,
    ) -> Result<(), CallError> {
        self.call::<_, Anything>("sendChatAction", payload).await?;
        Ok(())
    }

    /// Sets the list of commands that the clients offer.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn set_my_commands(
        &self,
        payload: &payloads::SetMyCommands,
    ) -> Result<(), CallError> {
        self.call::<_, Anything>("setMyCommands", payload).await?;
        Ok(())
    }

    /// Takes a list of commands away.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn delete_my_commands(
        &self,
        payload: &payloads::DeleteMyCommands,
    ) -> Result<(), CallError> {
        self.call::<_, Anything>("deleteMyCommands", payload)
            .await?;
        Ok(())
    }

    /// Calls any method and reads its result.
    ///
    /// # Errors
    /// Any [`CallError`]. A result that does not read as `R` is ambiguous: the call was done.
    pub async fn call<P: Serialize + Sync, R: DeserializeOwned>(
        &self,
        method: &'static str,
        payload: &P,
    ) -> Result<R, CallError> {
        self.send(&self.0.ways.get().calls, method, payload).await
    }

    /// What these bytes mean as the answer to a call: its result or why it failed. `retry_after_s`: what a header says.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub fn understood(
        &self,
        status: u16,
        retry_after_s: Option<u64>,
        body: &[u8],
    ) -> Result<serde_json::Value, CallError> {
        self.read("(any)", status, retry_after_s, body)
    }

    /// The answer to a request for the content of a file at this path, or why there is none.
    pub(super) async fn open_file(&self, path: &str) -> Result<reqwest::Response, CallError> {
        let begun = Instant::now();
        let opened = self.open(path).await;
        let class = opened.as_ref().err().map(|error| &error.class);
        self.0.options.counts.call(DOWNLOAD, class, begun.elapsed());
        opened
    }

    async fn open(&self, path: &str) -> Result<reqwest::Response, CallError> {
        const METHOD: &str = DOWNLOAD;
        /// Nothing reads as this, so an answer that claims success is an error as well.
        #[derive(Deserialize)]
        enum Never {}
        let response = self
            .0
            .ways
            .get()
            .files
            .get(format!("{}/{path}", self.0.file_base))
            .send()
            .await
            .map_err(|error| self.broken(METHOD, error, None))?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let (retry_after_s, body) = self.body(METHOD, response).await?;
        match self.read::<Never>(METHOD, status, retry_after_s, &body) {
            Ok(never) => match never {},
            Err(error) => Err(error),
        }
    }

    async fn send<P: Serialize + Sync, R: DeserializeOwned>(
        &self,
        http: &reqwest::Client,
        method: &'static str,
        payload: &P,
    ) -> Result<R, CallError> {
        let begun = Instant::now();
        let request = http.post(format!("{}/{method}", self.0.base)).json(payload);
        let sent = self.exchange(request, method).await;
        let class = sent.as_ref().err().map(|error| &error.class);
        if method == POLL {
            self.0.options.counts.poll(class);
        } else {
            self.0.options.counts.call(method, class, begun.elapsed());
        }
        sent
    }

    async fn exchange<R: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        method: &'static str,
    ) -> Result<R, CallError> {
        let response = request
            .send()
            .await
            .map_err(|error| self.broken(method, error, None))?;
        let status = response.status().as_u16();
        let (retry_after_s, body) = self.body(method, response).await?;
        self.read(method, status, retry_after_s, &body)
    }

    /// The body of an answer, and the wait that its header asks for, in seconds.
    async fn body(
        &self,
        method: &'static str,
        mut response: reqwest::Response,
    ) -> Result<(Option<u64>, Vec<u8>), CallError> {
        let status = Some(response.status().as_u16());
        let retry_after_s = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        // The head was there; where the body breaks off the status is known, but not what was done.
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.broken(method, error, status))?
        {
            if body.len() + chunk.len() > ANSWER_BYTES {
                let evidence = Evidence {
                    http: status,
                    breakage: Some(Breakage::TooLarge),
                    retry_after_s,
                    ..Evidence::default()
                };
                let cause = format!("answer of more than {ANSWER_BYTES} bytes");
                return Err(self.error(method, &evidence, Some(cause)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((retry_after_s, body))
    }
}

/// A file to be sent.
pub struct Document<'a> {
    /// Where, and what goes beside it.
    pub fields: &'a DocumentFields,
    /// Its name.
    pub name: &'a str,
    /// Its content, never empty.
    pub bytes: &'a [u8],
}

/// A message that was sent. Nothing else of it is looked at, so nothing else can be misunderstood.
#[derive(Deserialize)]
struct Sent {
    message_id: i64,
}

/// A result that nobody needs: whatever it is, the call was done.
#[derive(Deserialize)]
#[serde(from = "serde::de::IgnoredAny")]
struct Anything;

impl From<serde::de::IgnoredAny> for Anything {
    fn from(_: serde::de::IgnoredAny) -> Self {
        Self
    }
}
