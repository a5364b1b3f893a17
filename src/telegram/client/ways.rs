//! The HTTP clients behind the calls.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use url::{Host, Url};

use super::{ClientError, ClientOptions, POLL_SLACK, answer::causes};
use crate::core::ip::IpVersion;

/// How long an unused connection is kept. Routers forget quiet connections without a word, and a message that is
/// written into one of those may or may not have arrived: rather a new handshake.
const IDLE_CONNECTION: Duration = Duration::from_secs(30);

/// How long a file may bring nothing new; how long it takes as a whole is not limited.
const FILE_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections. Polls have some of their own: a stalled one holds up nothing else.
pub(super) struct Ways {
    pub(super) polls: reqwest::Client,
    pub(super) calls: reqwest::Client,
    pub(super) files: reqwest::Client,
}

impl Ways {
    pub(super) fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        let build = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| ClientError(causes(&error.without_url())))
        };
        let longest_poll = options.poll_timeout + POLL_SLACK;
        Ok(Self {
            polls: build(builder(options)?.timeout(longest_poll))?,
            calls: build(builder(options)?.timeout(options.call_timeout))?,
            files: build(builder(options)?.read_timeout(FILE_READ_TIMEOUT))?,
        })
    }
}

/// What all connections have in common.
fn builder(options: &ClientOptions) -> Result<reqwest::ClientBuilder, ClientError> {
    let mut builder = reqwest::Client::builder()
        .use_rustls_tls()
        .http1_only()
        .user_agent(concat!("telexd/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false);
    // The other version is then not even tried. Without: both, the second 300 ms after the first.
    builder = match options.ip {
        IpVersion::Any => builder,
        IpVersion::Four => builder.local_address(IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        IpVersion::Six => builder.local_address(IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    };
    if let Some(Host::Domain(name)) = options.api_url.host()
        && !options.addresses.is_empty()
    {
        builder = builder.resolve_to_addrs(name, &options.addresses);
    }
    if let Some(proxy) = &options.proxy {
        let made = reqwest::Proxy::all(proxy.address.clone())
            .map_err(|error| ClientError(causes(&error.without_url())))?;
        return Ok(builder.proxy(match &proxy.login {
            Some((user, password)) => made.basic_auth(user, password),
            None => made,
        }));
    }
    // A server on this machine is never behind the proxy that the environment names.
    Ok(if is_loopback(&options.api_url) {
        builder.no_proxy()
    } else {
        builder
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
