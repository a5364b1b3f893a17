//! Why no answer came. Pure.
//!
//! An error of the HTTP library wraps what really happened several times over: the library's own, the connection's, TLS',
//! the system's. All of the chain is looked through, by types, and by words only where there is no type; the innermost
//! cause that is known decides.

use std::{error::Error, io};

/// What kept an answer from coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Breakage {
    /// The name of the server could not be resolved.
    Dns,
    /// The server's machine takes no connections.
    Refused,
    /// There is no way there: no network, no route.
    Unreachable,
    /// Time ran out.
    TimedOut,
    /// The connection ended: reset, closed, in the middle of an answer.
    Cut,
    /// The certificate is not valid at this time: it has expired, or the clock of this machine is wrong.
    CertificateTime,
    /// The certificate is somebody else's, or nobody vouches for it: something stands in between.
    Certificate,
    /// TLS failed otherwise.
    Tls,
    /// The proxy did not let it through.
    Proxy,
    /// What came is not HTTP, or broken.
    NotHttp,
    /// The answer is larger than any that is taken.
    TooLarge,
    /// Something on this machine: too many open files, no address or port left, not allowed.
    Local,
    /// The request could not be made at all.
    Unmade,
    /// Nothing of the above.
    Unknown,
}

impl Breakage {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Dns,
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::Cut,
        Self::CertificateTime,
        Self::Certificate,
        Self::Tls,
        Self::Proxy,
        Self::NotHttp,
        Self::TooLarge,
        Self::Local,
        Self::Unmade,
        Self::Unknown,
    ];

    /// A word or two for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Refused => "connection refused",
            Self::Unreachable => "no network",
            Self::TimedOut => "no answer in time",
            Self::Cut => "connection cut",
            Self::CertificateTime => "TLS certificate not valid now; is the clock right?",
            Self::Certificate => "TLS certificate",
            Self::Tls => "TLS",
            Self::Proxy => "the proxy",
            Self::NotHttp => "an answer that is not HTTP",
            Self::TooLarge => "an answer that is too large",
            Self::Local => "this machine",
            Self::Unmade => "the request cannot be made",
            Self::Unknown => "an unknown cause",
        }
    }
}

/// What an error is about, by all that led to it.
#[must_use]
pub fn of(error: &(dyn Error + 'static)) -> Breakage {
    let mut found = None;
    let mut next = Some(error);
    while let Some(cause) = next {
        found = one(cause).or(found);
        next = cause.source();
        // The source of an `io::Error` is that of what it wraps, which itself would be passed over.
        if let Some(inner) = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            next = Some(inner);
        }
    }
    found.unwrap_or(Breakage::Unknown)
}

fn one(cause: &(dyn Error + 'static)) -> Option<Breakage> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return of_system(error);
    }
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(of_tls(error));
    }
    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        return of_http(error);
    }
    if let Some(error) = cause.downcast_ref::<reqwest::Error>()
        && error.is_builder()
    {
        return Some(Breakage::Unmade);
    }
    of_words(&cause.to_string())
}

/// `None` for kinds that say nothing by themselves.
fn of_system(error: &io::Error) -> Option<Breakage> {
    use io::ErrorKind as Kind;
    Some(match error.kind() {
        Kind::ConnectionRefused => Breakage::Refused,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
            Breakage::Unreachable
        }
        Kind::TimedOut | Kind::WouldBlock => Breakage::TimedOut,
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::NotConnected
        | Kind::BrokenPipe
        | Kind::UnexpectedEof
        | Kind::WriteZero
        | Kind::Interrupted => Breakage::Cut,
        Kind::AddrInUse
        | Kind::AddrNotAvailable
        | Kind::PermissionDenied
        | Kind::OutOfMemory
        | Kind::ResourceBusy
        | Kind::QuotaExceeded
        | Kind::StorageFull
        | Kind::FileTooLarge
        | Kind::ReadOnlyFilesystem
        | Kind::Unsupported
        | Kind::InvalidInput
        | Kind::NotFound => Breakage::Local,
        Kind::InvalidData => Breakage::NotHttp,
        _ => match error.raw_os_error() {
            // Too many open files, of this process or of all; no memory for a buffer.
            Some(nix::libc::EMFILE | nix::libc::ENFILE | nix::libc::ENOBUFS) => Breakage::Local,
            Some(nix::libc::ENONET | nix::libc::EHOSTDOWN | nix::libc::EPROTO) => {
                Breakage::Unreachable
            }
            _ => return of_words(&error.to_string()),
        },
    })
}

fn of_tls(error: &rustls::Error) -> Breakage {
    use rustls::CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. },
        ) => Breakage::CertificateTime,
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::UnsupportedNameType => Breakage::Certificate,
        _ => Breakage::Tls,
    }
}

fn of_http(error: &hyper::Error) -> Option<Breakage> {
    if error.is_timeout() {
        Some(Breakage::TimedOut)
    } else if error.is_parse() {
        Some(Breakage::NotHttp)
    } else if error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || error.is_body_write_aborted()
    {
        Some(Breakage::Cut)
    } else {
        None
    }
}

/// Where a library has no type to go by.
fn of_words(text: &str) -> Option<Breakage> {
    let lower = text.to_ascii_lowercase();
    [
        ("dns error", Breakage::Dns),
        ("lookup address", Breakage::Dns),
        ("name or service not known", Breakage::Dns),
        ("tunnel", Breakage::Proxy),
        ("proxy", Breakage::Proxy),
        ("socks", Breakage::Proxy),
        ("timed out", Breakage::TimedOut),
        ("deadline has elapsed", Breakage::TimedOut),
        ("connection closed", Breakage::Cut),
        ("connection reset", Breakage::Cut),
        ("unexpected eof", Breakage::Cut),
        ("end of file", Breakage::Cut),
        ("certificate", Breakage::Certificate),
        ("tls handshake", Breakage::Tls),
    ]
    .into_iter()
    .find(|(part, _)| lower.contains(part))
    .map(|(_, breakage)| breakage)
}

#[cfg(test)]
mod tests;
