//! The server as a program: prints `{"url":…,"token":…}` as one line and serves until it is interrupted or its standard
//! input ends. People and faults are played under `/sim/`.

use std::io::{Read, Write};

use telexd_botapi::{BotApi, Config};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let api = BotApi::start(Config {
        sim_routes: true,
        ..Config::default()
    })
    .await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut out = std::io::stdout();
    // Both are of a loopback bot that exists nowhere else: no secrets.
    writeln!(
        out,
        r#"{{"url":"{}","token":"{}"}}"#,
        api.url(),
        api.token()
    )?;
    out.flush()?;
    tokio::select! {
        _ = input_end() => {}
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    api.shutdown().await;
    Ok(())
}

/// Tells when standard input ends, that is when the starter is gone: no server is left behind.
fn input_end() -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    // A thread of its own, since a read from a terminal cannot be taken back; it ends with the process.
    std::thread::spawn(move || {
        let mut ignored = [0; 256];
        while matches!(std::io::stdin().read(&mut ignored), Ok(1..)) {}
        let _ = ended.send(());
    });
    end
}
