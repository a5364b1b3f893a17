//! What a network can do to a call: each failure has its class and its cause, and there is a way around some.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use telexd::{
    core::{ip::IpVersion, trouble::CallClass},
    telegram::{
        BotToken,
        breakage::Breakage,
        client::{CallError, Client, ClientOptions, Proxy},
    },
};
use telexd_botapi::{Fault, FaultKind, Network};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpSocket, TcpStream},
    task::AbortHandle,
    time::Instant,
};

use crate::rig::{Rig, SystemClock};

fn options(url: &str) -> ClientOptions {
    let mut options = ClientOptions::new(url.parse().unwrap());
    options.poll_timeout = Duration::from_secs(1);
    options.call_timeout = Duration::from_secs(2);
    options.connect_timeout = Duration::from_secs(1);
    options
}

fn client(options: &ClientOptions) -> Client {
    let token = BotToken::new("4242:AAF-loopback-bot-token-35-characters").unwrap();
    Client::new(token, options, Arc::new(SystemClock)).unwrap()
}

async fn fails(options: &ClientOptions) -> CallError {
    client(options).get_me().await.unwrap_err()
}

/// A server that does the same to everybody.
struct Server {
    address: SocketAddr,
    met: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn new<F: Future<Output = ()> + Send + 'static>(
        act: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let met = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&met);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(act(stream));
            }
        });
        Self {
            address,
            met,
            task: task.abort_handle(),
        }
    }

    async fn that_answers(answer: &'static [u8]) -> Self {
        Self::new(move |mut stream| async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer).await;
        })
        .await
    }
}

#[tokio::test]
async fn each_failure_on_the_way_has_its_class_and_its_cause() {
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let rubbish = Server::that_answers(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    let cut = Server::that_answers(b"").await;
    let half = Server::that_answers(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"ok\":").await;
    let hole = Hole::at(0);
    let silent = Server::new(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let large = Server::new(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n";
        let _ = stream.write_all(head.as_bytes()).await;
        while stream.write_all(&[b' '; 65536]).await.is_ok() {}
    })
    .await;
    for (url, class, breakage) in [
        (
            format!("http://{nobody}"),
            CallClass::Safe,
            Breakage::Refused,
        ),
        (
            "http://telegram.invalid".to_owned(),
            CallClass::Safe,
            Breakage::Dns,
        ),
        // Something else than TLS answers, as where a portal catches all connections.
        (
            format!("https://{}", rubbish.address),
            CallClass::Safe,
            Breakage::Tls,
        ),
        (
            format!("https://{}", cut.address),
            CallClass::Safe,
            Breakage::Tls,
        ),
        (
            format!("http://[::1]:{}", hole.port),
            CallClass::Safe,
            Breakage::TimedOut,
        ),
        (
            format!("http://{}", rubbish.address),
            CallClass::Ambiguous,
            Breakage::NotHttp,
        ),
        (
            format!("http://{}", cut.address),
            CallClass::Ambiguous,
            Breakage::Cut,
        ),
        (
            format!("http://{}", half.address),
            CallClass::Ambiguous,
            Breakage::Cut,
        ),
        (
            format!("http://{}", silent.address),
            CallClass::Ambiguous,
            Breakage::TimedOut,
        ),
        (
            format!("http://{}", large.address),
            CallClass::Ambiguous,
            Breakage::TooLarge,
        ),
    ] {
        let error = fails(&options(&url)).await;
        assert_eq!(
            (&error.class, error.breakage),
            (&class, Some(breakage)),
            "{url}: {error}"
        );
        let told = format!("{error} {error:?}");
        assert!(!told.contains("AAF-"), "{told}");
    }
}

/// An address at which nobody answers, not even to refuse: a listener whose queue is full.
struct Hole {
    port: u16,
    _listener: TcpListener,
    _queued: Vec<std::net::TcpStream>,
}

impl Hole {
    fn at(port: u16) -> Self {
        let socket = TcpSocket::new_v6().unwrap();
        socket
            .bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port)))
            .unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) =
            std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300))
        {
            queued.push(stream);
        }
        Self {
            port: address.port(),
            _listener: listener,
            _queued: queued,
        }
    }
}

#[tokio::test]
async fn a_network_that_loses_ipv6_is_left_for_ipv4() {
    let rig = Rig::new().await;
    let server: url::Url = rig.api.url().parse().unwrap();
    let port = server.port().unwrap();
    let hole = Hole::at(port);
    let mut options = options(&format!("http://telegram.test:{port}"));
    options.call_timeout = Duration::from_secs(20);
    options.connect_timeout = Duration::from_secs(8);
    options.addresses = vec![
        SocketAddr::from((Ipv6Addr::LOCALHOST, hole.port)),
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
    ];
    let token = BotToken::new(rig.api.token()).unwrap();
    let both = Client::new(token.clone(), &options, Arc::new(SystemClock)).unwrap();
    let before = Instant::now();
    both.get_me().await.unwrap();
    assert!(
        before.elapsed() < Duration::from_secs(4),
        "{:?}",
        before.elapsed()
    );

    options.ip = IpVersion::Four;
    let four = Client::new(token.clone(), &options, Arc::new(SystemClock)).unwrap();
    four.get_me().await.unwrap();

    options.ip = IpVersion::Six;
    options.connect_timeout = Duration::from_secs(1);
    let six = Client::new(token, &options, Arc::new(SystemClock)).unwrap();
    let error = six.get_me().await.unwrap_err();
    assert_eq!(
        (error.class, error.breakage),
        (CallClass::Safe, Some(Breakage::TimedOut))
    );
}

#[tokio::test]
async fn new_connections_are_made_when_asked_for() {
    let met = Server::new(|mut stream| async move {
        let answer =
            b"HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n{\"ok\":true,\"result\":{\"id\":4242}}";
        while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
            let _ = stream.write_all(answer).await;
        }
    })
    .await;
    let client = client(&options(&format!("http://{}", met.address)));
    for _ in 0..3 {
        client.get_me().await.unwrap();
    }
    assert_eq!(met.met.load(Ordering::SeqCst), 1, "one is enough");
    client.renew().unwrap();
    client.get_me().await.unwrap();
    assert_eq!(met.met.load(Ordering::SeqCst), 2);
}

const LOGIN: (&str, &str) = ("ann", "s3cret-of-the-proxy");

fn proxied(url: &str, scheme: &str, proxy: SocketAddr, login: bool) -> ClientOptions {
    let mut options = options(url);
    options.proxy = Some(Proxy {
        address: format!("{scheme}://{proxy}").parse().unwrap(),
        login: login.then(|| (LOGIN.0.to_owned(), LOGIN.1.to_owned())),
    });
    options
}

/// A proxy that passes requests on where the login is right.
async fn http_proxy(heads: Arc<Mutex<Vec<String>>>, to: SocketAddr) -> Server {
    Server::new(move |mut stream| {
        let heads = Arc::clone(&heads);
        async move {
            let mut head = Vec::new();
            while !head.windows(4).any(|w| w == b"\r\n\r\n") {
                let mut byte = [0; 1];
                if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                    return;
                }
                head.push(byte[0]);
            }
            let text = String::from_utf8_lossy(&head).to_lowercase();
            heads.lock().unwrap().push(text.clone());
            // ann:s3cret-of-the-proxy
            if !text.contains("proxy-authorization: basic yw5uonmzy3jldc1vzi10agutchjvehk=") {
                let no = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                let _ = stream.write_all(no).await;
                return;
            }
            let mut there = TcpStream::connect(to).await.unwrap();
            if text.starts_with("connect ") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            } else {
                let _ = there.write_all(&head).await;
            }
            let _ = copy_bidirectional(&mut stream, &mut there).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_proxy_of_http_is_used_with_its_login_and_a_refusal_of_it_is_safe() {
    let rig = Rig::new().await;
    let server: url::Url = rig.api.url().parse().unwrap();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port().unwrap()));
    let heads = Arc::new(Mutex::new(Vec::new()));
    let proxy = http_proxy(Arc::clone(&heads), to).await;
    let token = BotToken::new(rig.api.token()).unwrap();
    // A loopback server as well: who sets a proxy means it.
    let options = proxied(&rig.api.url(), "http", proxy.address, true);
    let through = Client::new(token.clone(), &options, Arc::new(SystemClock)).unwrap();
    through.get_me().await.unwrap();
    assert!(heads.lock().unwrap()[0].contains("/getme"));

    let options = proxied(&rig.api.url(), "http", proxy.address, false);
    let error = Client::new(token, &options, Arc::new(SystemClock))
        .unwrap()
        .get_me()
        .await
        .unwrap_err();
    assert_eq!((error.class, error.http), (CallClass::Safe, Some(407)));

    // Over TLS it is asked for a tunnel; what it answers then is part of making the connection.
    for login in [true, false] {
        let options = proxied("https://telegram.test", "http", proxy.address, login);
        let error = fails(&options).await;
        assert_eq!(error.class, CallClass::Safe, "{error}");
        assert_ne!(error.breakage, Some(Breakage::Unknown), "{error}");
        let told = format!("{error} {error:?} {options:?}");
        assert!(!told.contains("s3cret") && !told.contains("AAF-"), "{told}");
    }
    assert!(
        heads
            .lock()
            .unwrap()
            .last()
            .unwrap()
            .starts_with("connect telegram.test:443 ")
    );
}

#[tokio::test]
async fn a_proxy_of_socks_is_used_with_its_login() {
    let rig = Rig::new().await;
    let server: url::Url = rig.api.url().parse().unwrap();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port().unwrap()));
    let logins = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&logins);
    let proxy = Server::new(move |mut stream| {
        let noted = Arc::clone(&noted);
        async move {
            socks(&mut stream, to, &noted).await.unwrap_or_default();
        }
    })
    .await;
    let token = BotToken::new(rig.api.token()).unwrap();
    // The name is known to the proxy alone.
    let url = format!("http://telegram.test:{}", to.port());
    let options = proxied(&url, "socks5h", proxy.address, true);
    let through = Client::new(token.clone(), &options, Arc::new(SystemClock)).unwrap();
    through.get_me().await.unwrap();
    assert_eq!(
        *logins.lock().unwrap(),
        [format!("{}:{} telegram.test", LOGIN.0, LOGIN.1)]
    );

    let options = proxied(&url, "socks5h", proxy.address, false);
    let without = Client::new(token, &options, Arc::new(SystemClock)).unwrap();
    let error = without.get_me().await.unwrap_err();
    assert_eq!(
        (&error.class, error.breakage),
        (&CallClass::Safe, Some(Breakage::Proxy)),
        "{error}"
    );
}

/// SOCKS 5 (RFC 1928) that wants a login (RFC 1929).
async fn socks(
    stream: &mut TcpStream,
    to: SocketAddr,
    noted: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let mut methods = vec![0; head[1].into()];
    stream.read_exact(&mut methods).await?;
    if !methods.contains(&2) {
        return stream.write_all(&[5, 0xff]).await;
    }
    stream.write_all(&[5, 2]).await?;
    let mut login = Vec::new();
    stream.read_exact(&mut head[..1]).await?;
    for _ in 0..2 {
        stream.read_exact(&mut head[..1]).await?;
        let mut word = vec![0; head[0].into()];
        stream.read_exact(&mut word).await?;
        login.push(String::from_utf8_lossy(&word).into_owned());
    }
    stream.write_all(&[1, 0]).await?;
    let mut request = [0; 5];
    stream.read_exact(&mut request).await?;
    let mut name = vec![0; usize::from(request[4]) + 2];
    stream.read_exact(&mut name).await?;
    name.truncate(name.len() - 2);
    noted.lock().unwrap().push(format!(
        "{} {}",
        login.join(":"),
        String::from_utf8_lossy(&name)
    ));
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    let mut there = TcpStream::connect(to).await?;
    copy_bidirectional(stream, &mut there).await.map(drop)
}

/// Bursts of a gateway's pages, resets, silence, an address that moves: a call made after it goes through.
#[tokio::test]
async fn a_call_after_any_of_it_goes_through() {
    let rig = Rig::that_gives_up_soon().await;
    for kind in [
        FaultKind::Html(502),
        FaultKind::Html(504),
        FaultKind::ResetBefore,
        FaultKind::TruncatedBody,
        FaultKind::Hang { taken: false },
        FaultKind::OversizedBody(6 << 20),
        FaultKind::Answer {
            status: 200,
            content_type: "text/html".into(),
            body: "<html><meta http-equiv=refresh content='0;url=http://portal/'></html>".into(),
        },
    ] {
        rig.api.fault(Fault::times("getMe", 2, kind.clone()));
        assert!(rig.client.get_me().await.is_err(), "{kind:?}");
        assert!(rig.client.get_me().await.is_err(), "{kind:?}");
        rig.client.get_me().await.unwrap();
    }
    for network in [Network::Refused, Network::Silent] {
        rig.api.network(network).await.unwrap();
        assert!(rig.client.get_me().await.is_err(), "{network:?}");
        rig.api.network(Network::Up).await.unwrap();
        rig.client.get_me().await.unwrap();
    }
}
