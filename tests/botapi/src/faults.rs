//! Faults on demand.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::observe::Call;

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// The request is taken after this time, then answered as usual.
    Delay(Duration),
    /// 429 without effect. `retry_after` in seconds goes into `parameters` where `parameters` is set, and into the
    /// header `Retry-After` where `header` is set; the description names it in any case.
    TooManyRequests {
        /// Seconds.
        retry_after: u64,
        /// Whether the body has `parameters`.
        parameters: bool,
        /// Whether there is a `Retry-After` header.
        header: bool,
    },
    /// A gateway's HTML page with this status, without effect.
    Html(u16),
    /// Any answer, without effect.
    Answer {
        /// HTTP status.
        status: u16,
        /// `Content-Type`.
        content_type: String,
        /// Body.
        body: Bytes,
    },
    /// The connection is reset before the request is taken: no effect.
    ResetBefore,
    /// The request is taken, then the connection is reset: the effect is there, the answer is lost.
    ResetAfter,
    /// No answer until the fault is cancelled (or the client goes). `taken`: whether the effect happens before the wait.
    Hang {
        /// Whether the request is taken before the wait.
        taken: bool,
    },
    /// The request is taken; half of the answer's body arrives, then the connection ends.
    TruncatedBody,
    /// The request is taken; the answer's body is this many bytes of well-formed but useless JSON.
    OversizedBody(u64),
}

impl FaultKind {
    /// The Bot API's own refusal with this code and description, without effect.
    #[must_use]
    pub fn refused(code: u16, description: &str) -> Self {
        let body = serde_json::json!({"ok": false, "error_code": code, "description": description});
        Self::Answer {
            status: code,
            content_type: "application/json".to_owned(),
            body: body.to_string().into(),
        }
    }
}

/// A condition on a call (its method and parameters).
pub type Condition = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// A fault to inject.
#[derive(Clone)]
pub struct Fault {
    /// Method that it hits, in any case of letters; `None`: every method. `"file"` is the file download.
    pub method: Option<String>,
    /// How often it still strikes; `None`: until it is cancelled.
    pub times: Option<u32>,
    /// Further condition.
    pub when: Option<Condition>,
    /// What goes wrong.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault that strikes the next call of a method once.
    #[must_use]
    pub fn once(method: &str, kind: FaultKind) -> Self {
        Self {
            method: Some(method.to_owned()),
            times: Some(1),
            when: None,
            kind,
        }
    }

    /// A fault that strikes the next `times` calls of a method.
    #[must_use]
    pub fn times(method: &str, times: u32, kind: FaultKind) -> Self {
        Self {
            times: Some(times),
            ..Self::once(method, kind)
        }
    }

    /// A fault that strikes every call of a method until it is cancelled.
    #[must_use]
    pub fn always(method: &str, kind: FaultKind) -> Self {
        Self {
            times: None,
            ..Self::once(method, kind)
        }
    }

    /// The same for calls of any method.
    #[must_use]
    pub fn any_method(mut self) -> Self {
        self.method = None;
        self
    }

    /// The same only for calls that satisfy the condition.
    #[must_use]
    pub fn when(mut self, condition: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(condition));
        self
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("method", &self.method)
            .field("times", &self.times)
            .field("conditional", &self.when.is_some())
            .field("kind", &self.kind)
            .finish()
    }
}

/// Handle of an injected fault, for [`crate::BotApi::cancel_fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(pub u64);

/// Faults that wait, and those that hold a request.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    next: u64,
    armed: Vec<(FaultId, Fault)>,
    /// Spent faults whose requests still hang.
    holding: Vec<FaultId>,
    struck: u64,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) -> FaultId {
        self.next += 1;
        let id = FaultId(self.next);
        self.armed.push((id, fault));
        id
    }

    pub(crate) fn cancel(&mut self, id: FaultId) {
        self.armed.retain(|(other, _)| *other != id);
        self.holding.retain(|other| *other != id);
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
        self.holding.clear();
    }

    /// The first fault that hits this call; counts it.
    pub(crate) fn strike(&mut self, call: &Call) -> Option<(FaultId, FaultKind)> {
        let at = self.armed.iter().position(|(_, fault)| {
            fault.times != Some(0)
                && fault
                    .method
                    .as_ref()
                    .is_none_or(|m| m.eq_ignore_ascii_case(&call.method))
                && fault.when.as_ref().is_none_or(|condition| condition(call))
        })?;
        let (id, fault) = &mut self.armed[at];
        let struck = (*id, fault.kind.clone());
        if let Some(times) = &mut fault.times {
            *times -= 1;
            if *times == 0 {
                self.armed.remove(at);
            }
        }
        if matches!(struck.1, FaultKind::Hang { .. }) {
            self.holding.push(struck.0);
        }
        self.struck += 1;
        Some(struck)
    }

    /// Whether a request that hangs by this fault still has to.
    pub(crate) fn holds(&self, id: FaultId) -> bool {
        self.holding.contains(&id)
    }

    pub(crate) fn armed(&self) -> usize {
        self.armed.len()
    }

    pub(crate) fn struck(&self) -> u64 {
        self.struck
    }
}
