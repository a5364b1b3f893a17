//! Versions of the Internet Protocol.

/// Over which version Telegram is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpVersion {
    /// Whichever answers first.
    #[default]
    Any,
    /// 4 alone, for networks that lose what goes over 6.
    Four,
    /// 6 alone.
    Six,
}
