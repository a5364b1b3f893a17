use std::fmt;

use super::*;

/// A wrapper as libraries have them: it says something of its own and passes its cause on.
#[derive(Debug)]
struct Wrapped(Box<dyn Error + Send + Sync>);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("client error (Connect)")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

fn deep(error: impl Error + Send + Sync + 'static) -> [Breakage; 3] {
    let text = error.to_string();
    let direct = of(&error);
    let wrapped = Wrapped(Box::new(error));
    let once = of(&wrapped);
    // Of an `io::Error` the cause is within, not behind.
    let within = of(&Wrapped(Box::new(io::Error::other(Wrapped(Box::new(
        wrapped,
    ))))));
    assert_eq!([direct, once, within], [direct; 3], "{text}");
    [direct, once, within]
}

#[test]
fn every_kind_of_the_system() {
    use io::ErrorKind as Kind;
    for (kind, breakage) in [
        (Kind::ConnectionRefused, Breakage::Refused),
        (Kind::HostUnreachable, Breakage::Unreachable),
        (Kind::NetworkUnreachable, Breakage::Unreachable),
        (Kind::NetworkDown, Breakage::Unreachable),
        (Kind::TimedOut, Breakage::TimedOut),
        (Kind::WouldBlock, Breakage::TimedOut),
        (Kind::ConnectionReset, Breakage::Cut),
        (Kind::ConnectionAborted, Breakage::Cut),
        (Kind::NotConnected, Breakage::Cut),
        (Kind::BrokenPipe, Breakage::Cut),
        (Kind::UnexpectedEof, Breakage::Cut),
        (Kind::WriteZero, Breakage::Cut),
        (Kind::Interrupted, Breakage::Cut),
        (Kind::AddrInUse, Breakage::Local),
        (Kind::AddrNotAvailable, Breakage::Local),
        (Kind::PermissionDenied, Breakage::Local),
        (Kind::OutOfMemory, Breakage::Local),
        (Kind::ResourceBusy, Breakage::Local),
        (Kind::QuotaExceeded, Breakage::Local),
        (Kind::StorageFull, Breakage::Local),
        (Kind::FileTooLarge, Breakage::Local),
        (Kind::ReadOnlyFilesystem, Breakage::Local),
        (Kind::Unsupported, Breakage::Local),
        (Kind::InvalidInput, Breakage::Local),
        (Kind::NotFound, Breakage::Local),
        (Kind::InvalidData, Breakage::NotHttp),
        // What no socket says: known to be unknown.
        (Kind::AlreadyExists, Breakage::Unknown),
        (Kind::NotADirectory, Breakage::Unknown),
        (Kind::IsADirectory, Breakage::Unknown),
        (Kind::DirectoryNotEmpty, Breakage::Unknown),
        (Kind::StaleNetworkFileHandle, Breakage::Unknown),
        (Kind::NotSeekable, Breakage::Unknown),
        (Kind::ExecutableFileBusy, Breakage::Unknown),
        (Kind::Deadlock, Breakage::Unknown),
        (Kind::CrossesDevices, Breakage::Unknown),
        (Kind::TooManyLinks, Breakage::Unknown),
        (Kind::InvalidFilename, Breakage::Unknown),
        (Kind::ArgumentListTooLong, Breakage::Unknown),
        (Kind::Other, Breakage::Unknown),
    ] {
        assert_eq!(deep(io::Error::from(kind)), [breakage; 3], "{kind:?}");
    }
}

/// Every number that the kernel has: none panics, those of sockets are known.
#[test]
fn every_number_of_the_system() {
    for number in 0..200 {
        deep(io::Error::from_raw_os_error(number));
    }
    use nix::libc;
    for (number, breakage) in [
        (libc::ECONNREFUSED, Breakage::Refused),
        (libc::ECONNRESET, Breakage::Cut),
        (libc::ECONNABORTED, Breakage::Cut),
        (libc::EPIPE, Breakage::Cut),
        (libc::ETIMEDOUT, Breakage::TimedOut),
        (libc::EAGAIN, Breakage::TimedOut),
        (libc::EHOSTUNREACH, Breakage::Unreachable),
        (libc::ENETUNREACH, Breakage::Unreachable),
        (libc::ENETDOWN, Breakage::Unreachable),
        (libc::EHOSTDOWN, Breakage::Unreachable),
        (libc::ENONET, Breakage::Unreachable),
        (libc::EMFILE, Breakage::Local),
        (libc::ENFILE, Breakage::Local),
        (libc::ENOBUFS, Breakage::Local),
        (libc::ENOMEM, Breakage::Local),
        (libc::EADDRNOTAVAIL, Breakage::Local),
        (libc::EACCES, Breakage::Local),
        (libc::EPERM, Breakage::Local),
    ] {
        let error = io::Error::from_raw_os_error(number);
        assert_eq!(of(&error), breakage, "{number}");
    }
}

#[test]
fn names_that_are_not_resolved() {
    for text in [
        "dns error",
        "failed to lookup address information: Name or service not known",
        "failed to lookup address information: Temporary failure in name resolution",
        "failed to lookup address information: No address associated with hostname",
    ] {
        assert_eq!(deep(io::Error::other(text)), [Breakage::Dns; 3], "{text}");
    }
}

#[test]
fn every_failure_of_tls() {
    use rustls::{AlertDescription, CertificateError as Bad, Error as Tls};
    for (error, breakage) in [
        (
            Tls::InvalidCertificate(Bad::Expired),
            Breakage::CertificateTime,
        ),
        (
            Tls::InvalidCertificate(Bad::NotValidYet),
            Breakage::CertificateTime,
        ),
        (Tls::InvalidCertificate(Bad::Revoked), Breakage::Certificate),
        (
            Tls::InvalidCertificate(Bad::UnknownIssuer),
            Breakage::Certificate,
        ),
        (
            Tls::InvalidCertificate(Bad::NotValidForName),
            Breakage::Certificate,
        ),
        (
            Tls::InvalidCertificate(Bad::BadSignature),
            Breakage::Certificate,
        ),
        (
            Tls::InvalidCertificate(Bad::BadEncoding),
            Breakage::Certificate,
        ),
        (
            Tls::InvalidCertificate(Bad::InvalidPurpose),
            Breakage::Certificate,
        ),
        (Tls::NoCertificatesPresented, Breakage::Certificate),
        (Tls::UnsupportedNameType, Breakage::Certificate),
        (
            Tls::AlertReceived(AlertDescription::HandshakeFailure),
            Breakage::Tls,
        ),
        (Tls::DecryptError, Breakage::Tls),
        (Tls::EncryptError, Breakage::Tls),
        (Tls::HandshakeNotComplete, Breakage::Tls),
        (Tls::PeerSentOversizedRecord, Breakage::Tls),
        (Tls::FailedToGetCurrentTime, Breakage::Tls),
        (Tls::FailedToGetRandomBytes, Breakage::Tls),
        (Tls::BadMaxFragmentSize, Breakage::Tls),
        (Tls::NoApplicationProtocol, Breakage::Tls),
        (Tls::General("x".to_owned()), Breakage::Tls),
    ] {
        let text = error.to_string();
        assert_eq!(deep(error.clone()), [breakage; 3], "{text}");
        // As the TLS stream passes it on.
        let passed = io::Error::new(io::ErrorKind::InvalidData, error);
        assert_eq!(of(&Wrapped(Box::new(passed))), breakage, "{text}");
    }
}

#[test]
fn what_nobody_thought_of_is_unknown() {
    assert_eq!(deep(fmt::Error), [Breakage::Unknown; 3]);
}

#[test]
fn each_has_a_word_of_its_own() {
    let words: std::collections::BTreeSet<_> = Breakage::ALL.iter().map(|b| b.word()).collect();
    assert_eq!(words.len(), Breakage::ALL.len());
}
