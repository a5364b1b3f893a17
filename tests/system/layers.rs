//! Root file systems of containers: kept below `TELEXD_CACHE`, made once, shared by all machines.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use nix::{
    fcntl::{Flock, FlockArg},
    sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs},
    unistd::geteuid,
};

use crate::{
    host::{Host as _, Release},
    machine::{Machine, script},
};

/// Variable that names the package under test.
pub const PACKAGE: &str = "TELEXD_DEB";

/// Layers with a package that nobody has used for so long are removed.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// What a machine is laid over. As long as it is held, nobody removes it.
pub struct Layers {
    lower: Vec<PathBuf>,
    _locks: Vec<Flock<File>>,
}

impl Layers {
    /// As `lowerdir=` of an overlay has it: the uppermost first.
    pub fn lower(&self) -> String {
        let paths: Vec<_> = self.lower.iter().map(|p| p.to_str().unwrap()).collect();
        paths.join(":")
    }
}

/// A minimal Debian.
pub fn plain(release: Release) -> Layers {
    check();
    let output = Command::new(script("roots"))
        .arg(release.name())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "no root file system of {}: {}",
        release.name(),
        String::from_utf8_lossy(&output.stderr)
    );
    Layers {
        lower: vec![String::from_utf8(output.stdout).unwrap().trim().into()],
        _locks: Vec::new(),
    }
}

/// The package under test.
///
/// # Panics
/// Where none is named.
pub fn package() -> PathBuf {
    let path = env::var_os(PACKAGE).map(PathBuf::from);
    let Some(path) = path.filter(|path| path.is_file()) else {
        panic!(
            "{PACKAGE} must name a telexd_VERSION_amd64.deb; `just system` builds one and sets it"
        );
    };
    path
}

/// A Debian with the package installed, by apt as an administrator would.
pub async fn installed(release: Release) -> Layers {
    let mut layers = plain(release);
    let base = layers.lower[0].clone();
    let name = format!(
        "{}+{}",
        base.file_name().unwrap().to_str().unwrap(),
        sum(&package())
    );
    let (layer, mark) = (
        base.with_file_name(&name),
        base.with_file_name(format!("{name}.complete")),
    );
    let lock = || File::create(base.with_file_name(format!("{name}.lock"))).unwrap();
    // Whoever uses it holds the lock shared, whoever makes it holds it alone.
    let mut held = Flock::lock(lock(), FlockArg::LockShared).unwrap();
    while !mark.exists() {
        drop(held);
        let alone = Flock::lock(lock(), FlockArg::LockExclusive).unwrap();
        if !mark.exists() {
            let _ = fs::remove_dir_all(&layer);
            install(release, &layer).await;
            File::create(&mark).unwrap();
        }
        drop(alone);
        held = Flock::lock(lock(), FlockArg::LockShared).unwrap();
    }
    let _ = File::open(&mark).and_then(|f| f.set_modified(SystemTime::now()));
    layers.lower.insert(0, layer);
    layers._locks.push(held);
    layers
}

/// Installs the package in a machine and keeps what that has written.
async fn install(release: Release, layer: &Path) {
    forget_old(layer.parent().unwrap());
    let mut machine = Machine::prepare(release, plain(release), Vec::new());
    machine.start().await;
    let package = fs::read(package()).unwrap();
    machine
        .put_file("/root/telexd.deb", &package, 0o644, "root:root")
        .await;
    machine
        .ok("DEBIAN_FRONTEND=noninteractive apt-get install --yes /root/telexd.deb && rm /root/telexd.deb")
        .await;
    machine.power_off().await;
    let upper = machine.upper();
    // A machine on this layer begins a journal of its own.
    let journal = upper.join("var/log/journal");
    for entry in fs::read_dir(&journal).unwrap().flatten() {
        fs::remove_dir_all(entry.path()).unwrap();
    }
    let new = layer.with_extension("new");
    let _ = fs::remove_dir_all(&new);
    let copied = Command::new("cp")
        .arg("--archive")
        .arg(&upper)
        .arg(&new)
        .status()
        .unwrap();
    assert!(copied.success(), "copying {}", upper.display());
    fs::rename(&new, layer).unwrap();
}

/// Removes layers with packages of long ago.
fn forget_old(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let mark = entry.path();
        let name = entry.file_name().into_string().unwrap_or_default();
        let Some(name) = name.strip_suffix(".complete").filter(|n| n.contains('+')) else {
            continue;
        };
        let used = entry.metadata().and_then(|m| m.modified());
        if used.is_ok_and(|t| t.elapsed().is_ok_and(|age| age > FORGOTTEN)) {
            let Ok(lock) = File::create(folder.join(format!("{name}.lock"))) else {
                continue;
            };
            if let Ok(_alone) = Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
                let _ = fs::remove_file(&mark);
                let _ = fs::remove_dir_all(folder.join(name));
            }
        }
    }
}

fn sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    assert!(output.status.success(), "sha256sum {}", path.display());
    String::from_utf8(output.stdout).unwrap()[..12].to_owned()
}

/// Whether machines can run here at all.
///
/// # Panics
/// Where they cannot: with what is missing and what helps.
fn check() {
    let mut missing = Vec::new();
    if !geteuid().is_root() {
        missing.push("only root can run machines: run it as root".to_owned());
    }
    for (program, package) in [
        ("mmdebstrap", "mmdebstrap"),
        ("systemd-nspawn", "systemd-container"),
        ("nsenter", "util-linux"),
        ("ip", "iproute2"),
        ("journalctl", "systemd"),
    ] {
        let path = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&path).any(|folder| folder.join(program).exists()) {
            missing.push(format!("{program} is missing: apt-get install {package}"));
        }
    }
    let folder = env::temp_dir();
    if statfs(&folder).is_ok_and(|fs| fs.filesystem_type() == OVERLAYFS_SUPER_MAGIC) {
        missing.push(format!(
            "{} lies on an overlay, on which the kernel lays no other: set TMPDIR to a folder on a disk, or to /dev/shm",
            folder.display()
        ));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
