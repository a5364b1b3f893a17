//! A machine that is emulated: QEMU with Debian's own kernel, for what a container cannot show.
//!
//! No KVM: QEMU translates every instruction, so all takes five to twenty times as long as on the host.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::time::timeout;

use super::line::{Line, listen};
use crate::{
    host::{Host, Output, PATIENCE, Release},
    layers,
    machine::script,
    shared::breathe,
};

/// The deadline for a start: 20 s on two idle cores, a minute beside a compiler.
const START: Duration = Duration::from_secs(180);
/// Memory of the machine.
const MEBIBYTES: u32 = 1536;

/// An emulated machine with two processors. Dropping it ends it.
pub struct Vm {
    image: PathBuf,
    folder: TempDir,
    port: u16,
    on: Option<On>,
}

struct On {
    qemu: Child,
    line: Line,
}

impl Vm {
    /// Boots a machine with the package installed that reaches this port of the host's loopback, and nothing else, as the same port of its own.
    ///
    /// # Panics
    /// Where machines cannot be run here, saying what is missing, or where it does not come up.
    pub async fn boot(port: u16) -> Self {
        let output = Command::new(script("vm/image"))
            .arg(layers::package())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "no image to boot from: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let image = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        let folder = tempfile::Builder::new()
            .prefix("telexd-vm-")
            .tempdir()
            .unwrap();
        let mut vm = Self {
            image,
            folder,
            port,
            on: None,
        };
        vm.make_disk();
        vm.start().await;
        vm
    }

    /// What the machine writes goes into a file of its own over the image, which stays as it is for others.
    fn make_disk(&self) {
        let status = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .arg(self.image.join("disk.raw"))
            .arg(self.path("disk.qcow2"))
            .stdin(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "qemu-img create");
    }

    /// Process id of QEMU.
    pub fn pid(&self) -> u32 {
        self.on.as_ref().unwrap().qemu.id()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let image = |name: &str| self.image.join(name);
        // A comma in a value of QEMU's is written twice; the command of `guestfwd` is taken apart as a shell would.
        let value = |path: &Path| path.to_str().unwrap().replace(',', ",,");
        let quoted = |path: &Path| format!("'{}'", value(path));
        let mut command = Command::new("setpriv");
        command
            // Also where the test is killed, nothing goes on.
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            // A plain old processor: what newer ones have is the slower to emulate the more of it programs use.
            .args([
                "-machine",
                "q35",
                "-accel",
                "tcg,thread=multi",
                "-cpu",
                "Nehalem",
            ])
            .args(["-smp", "2", "-m", &MEBIBYTES.to_string()])
            .arg("-kernel")
            .arg(image("vmlinux"))
            .arg("-initrd")
            .arg(image("initrd"))
            .arg("-append")
            .arg(format!(
                "root=/dev/vda console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on \
                 systemd.journald.forward_to_console=1 systemd.journald.max_level_console=info \
                 systemd.setenv=VM_PORT={}",
                self.port
            ))
            .arg("-serial")
            .arg(format!("file:{}", value(&self.path("console.log"))))
            // To be killed is the test. The machine sees a disk with a cache that it must flush, and QEMU keeps it so:
            // what was flushed is in the file, and of what was not, at least where the file had to grow for it (its tables
            // are written with the flush) nothing may be left. `unsafe` would promise less than a disk does;
            // `writethrough` and `directsync` more, for then nothing that was written could be lost.
            .arg("-drive")
            .arg(format!(
                "file={},if=none,id=disk,format=qcow2,cache=writeback",
                value(&self.path("disk.qcow2"))
            ))
            .args(["-device", "virtio-blk-pci,drive=disk"])
            .args(["-object", "rng-random,id=rng,filename=/dev/urandom"])
            .args(["-device", "virtio-rng-pci,rng=rng"])
            .args(["-device", "virtio-serial-pci", "-chardev"])
            .arg(format!("socket,id=line,path={}", value(&self.path("line"))))
            .args(["-device", "virtserialport,chardev=line,name=vm.guest"])
            // Not a packet leaves: one address leads to the test, all others nowhere.
            .arg("-netdev")
            .arg(format!(
                "user,id=net,restrict=on,guestfwd=tcp:10.0.2.100:8081-cmd:{} {}",
                quoted(&script("vm/way")),
                self.port
            ))
            .args(["-device", "virtio-net-pci,netdev=net,romfile="])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(
                fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(self.path("qemu.log"))
                    .unwrap(),
            );
        command
    }

    /// Waits until everything that starts by itself has.
    async fn up(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let output = self
            .run("systemctl is-system-running --wait", b"", left)
            .await;
        let state = output.stdout.trim();
        if state != "running" {
            let failed = self.sh("systemctl list-units --failed --no-legend").await;
            eprintln!("The machine is {state}: {}", failed.stdout);
        }
    }

    /// The end of what it said on its console.
    fn console(&self) -> String {
        let read = |name| fs::read(self.path(name)).unwrap_or_default();
        let console = read("console.log");
        let end = &console[console.len().saturating_sub(8192)..];
        format!(
            "{}{}",
            String::from_utf8_lossy(&read("qemu.log")),
            String::from_utf8_lossy(end)
        )
    }

    fn cut(&mut self) {
        if let Some(mut on) = self.on.take() {
            let _ = on.qemu.kill();
            on.qemu.wait().unwrap();
        }
    }
}

impl Host for Vm {
    fn release(&self) -> Release {
        Release::Bookworm
    }

    fn loopback(&self) -> &str {
        "127.0.0.1"
    }

    async fn run(&self, script: &str, input: &[u8], patience: Duration) -> Output {
        let line = &self.on.as_ref().expect("the machine is off").line;
        let words = ["env", "LC_ALL=C.UTF-8", "/bin/bash", "-c", script];
        match timeout(patience, line.run(&words, input)).await {
            Ok(Ok(output)) => output,
            Ok(Err(_)) => panic!("the machine went down during {script}\n{}", self.console()),
            Err(_) => panic!(
                "{script} takes longer than {patience:?}\n{}",
                self.console()
            ),
        }
    }

    async fn reboot(&mut self) {
        let line = &self.on.as_ref().expect("the machine is off").line;
        let (before, until) = (line.boots(), Instant::now() + START);
        // The answer may or may not come before it goes down.
        let order = line.run(&["systemctl", "reboot", "--no-block"], b"");
        let _ = timeout(PATIENCE, order).await;
        assert!(
            line.booted(before, START).await,
            "it does not come up again\n{}",
            self.console()
        );
        self.up(until).await;
    }

    async fn kill_hard(&mut self) {
        assert!(self.on.is_some(), "the machine is off");
        self.cut();
    }

    async fn start(&mut self) {
        assert!(self.on.is_none(), "the machine is on");
        let until = Instant::now() + START;
        let listener = listen(&self.path("line"));
        let qemu = self.command().spawn().unwrap();
        // From here on dropping it ends QEMU.
        let mut qemu = scopeguard(qemu);
        let line = loop {
            if let Ok(line) = timeout(Duration::from_millis(100), Line::accept(&listener)).await {
                break line.unwrap();
            }
            let ended = qemu.child().try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < until,
                "QEMU does not start: {}",
                self.console()
            );
            breathe().await;
        };
        let up = line.booted(0, START).await;
        assert!(up, "the machine does not come up\n{}", self.console());
        self.on = Some(On {
            qemu: qemu.keep(),
            line,
        });
        self.up(until).await;
    }

    async fn tail(&self) -> String {
        self.console()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.cut();
        if std::thread::panicking() {
            eprintln!("The machine's console:\n{}", self.console());
            if env::var_os("TELEXD_KEEP_VM").is_some() {
                self.folder.disable_cleanup(true);
                eprintln!("Its files are kept in {}", self.folder.path().display());
            }
        }
    }
}

/// A child that is killed when dropped, until it is taken out.
struct Guard(Option<Child>);

fn scopeguard(child: Child) -> Guard {
    Guard(Some(child))
}

impl Guard {
    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    fn keep(mut self) -> Child {
        self.0.take().unwrap()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
