//! Bodies and connections that can break on purpose.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The connection is to be reset instead of answered.
#[derive(Debug)]
pub(crate) struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("reset by an injected fault")
    }
}

impl std::error::Error for Reset {}

/// A body that may promise more than it holds.
pub(crate) struct Made {
    parts: VecDeque<Bytes>,
    promised: u64,
    /// Whether the parts were given time to leave before the break.
    flushed: bool,
}

impl Made {
    /// These bytes.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            promised: bytes.len() as u64,
            parts: VecDeque::from([bytes]),
            flushed: false,
        }
    }

    /// The first half of these bytes under the length of all of them.
    pub(crate) fn cut(bytes: &Bytes) -> Self {
        Self {
            promised: bytes.len() as u64,
            parts: VecDeque::from([bytes.slice(..bytes.len() / 2)]),
            flushed: false,
        }
    }

    /// JSON of this many bytes.
    pub(crate) fn oversized(size: u64) -> Self {
        const HEAD: &[u8] = br#"{"ok":true,"result":true,"padding":""#;
        const TAIL: &[u8] = br#""}"#;
        let chunk = Bytes::from(vec![b'x'; 64 << 10]);
        let mut left = usize::try_from(size)
            .unwrap_or(usize::MAX)
            .saturating_sub(HEAD.len() + TAIL.len());
        let mut parts = VecDeque::from([Bytes::from_static(HEAD)]);
        while left > 0 {
            let take = left.min(chunk.len());
            parts.push_back(chunk.slice(..take));
            left -= take;
        }
        parts.push_back(Bytes::from_static(TAIL));
        let promised = parts.iter().map(|p| p.len() as u64).sum();
        Self {
            parts,
            promised,
            flushed: false,
        }
    }
}

impl Body for Made {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        match self.parts.pop_front() {
            Some(part) => {
                self.promised = self.promised.saturating_sub(part.len() as u64);
                Poll::Ready(Some(Ok(Frame::data(part))))
            }
            None if self.promised > 0 && !self.flushed => {
                // What is given in one go with the error never leaves.
                self.flushed = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None if self.promised > 0 => Poll::Ready(Some(Err(Reset))),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty() && self.promised == 0
    }
}

/// A connection that can be closed by RST instead of FIN.
pub(crate) struct Tracked {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Tracked {
    /// The flag decides when the connection is dropped.
    pub(crate) fn new(stream: TcpStream, reset: Arc<AtomicBool>) -> Self {
        Self { stream, reset }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Tracked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::SeqCst) {
            // No FIN before the RST.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
