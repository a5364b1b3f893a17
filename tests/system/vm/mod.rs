//! What only a machine with a kernel of its own can show: limits of memory, tasks and processor time, a reboot, a power
//! failure. Everything in one boot where that is sound, for a boot takes 20 s.

use std::fs;

use telexd_botapi::{BotApi, Config};

use crate::{
    host::Host as _,
    server::{AGENT, Server},
};

mod limits;
mod line;
mod power;
mod qemu;
mod rig;

use qemu::Vm;

/// Settings under which tests need not wait, and no more said than an administrator would have it say.
const SETTINGS: &str = "[features]\nbatching = false\n\n[delivery]\nchat_interval_ms = 200\n";

impl Server<Vm> {
    /// An emulated machine with the package installed, a token, a configuration for the scripted agent; nothing started.
    async fn emulated() -> Self {
        let api = BotApi::start(Config::default()).await.unwrap();
        let machine = Vm::boot(port(&api)).await;
        let agent = fs::read(telexd_scripted_agent::binary()).unwrap();
        machine.put_file(AGENT, &agent, 0o755, "root:root").await;
        let server = Self { api, machine };
        server.install_token().await;
        server.install_config(SETTINGS).await;
        server
    }
}

/// The port of a server.
fn port(api: &BotApi) -> u16 {
    api.url().rsplit(':').next().unwrap().parse().unwrap()
}
