//! The files of the store: names, the lock, setting aside, backups.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::error::OpenError;

/// Name of the database in the state directory.
pub(super) const DATABASE: &str = "telexd.db";

/// Name of the lock in the state directory.
const LOCK: &str = "telexd.lock";

/// How many backups are kept.
const BACKUPS: usize = 5;

/// How long a lock that is held is tried. A child that a killed daemon had just forked holds its descriptors until it
/// has started its program, and systemd may start the next daemon sooner.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// The right to work on a state directory. Ends with the value, or with the process.
pub(super) struct Lock(
    // Never read: it is there to be dropped.
    #[allow(dead_code)] Flock<File>,
);

impl Lock {
    /// Takes the lock, which also shows that the directory is there and can be written.
    pub(super) fn take(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.to_owned();
        let no_directory = match fs::metadata(directory) {
            Ok(found) => !found.is_dir(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(cause) => return Err(OpenError::NotWritable { path, cause }),
        };
        if no_directory {
            return Err(OpenError::NoDirectory { path });
        }
        let file = private(&directory.join(LOCK)).map_err(|cause| {
            if is_full(&cause) {
                OpenError::Full { path: path.clone() }
            } else {
                OpenError::NotWritable {
                    path: path.clone(),
                    cause,
                }
            }
        })?;
        let mut file = file;
        let until = Instant::now() + LOCK_PATIENCE;
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(held) => return Ok(Self(held)),
                Err((back, Errno::EWOULDBLOCK)) if Instant::now() < until => {
                    file = back;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err((_, Errno::EWOULDBLOCK)) => return Err(OpenError::Locked { path }),
                Err((_, errno)) => {
                    return Err(OpenError::NotWritable {
                        path,
                        cause: errno.into(),
                    });
                }
            }
        }
    }
}

/// Opens or creates a file that only its owner may read: it holds what people wrote.
pub(super) fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Whether an error means that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Size in bytes, 0 where there is no such file.
pub(super) fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// The path with something behind its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// A path that is not in use: `base`, or `base-2`, `base-3`, …
fn unused(base: PathBuf) -> PathBuf {
    let mut path = base.clone();
    let mut number = 2;
    while path.symlink_metadata().is_ok() {
        path = with_suffix(&base, &format!("-{number}"));
        number += 1;
    }
    path
}

/// Moves a damaged database and the files beside it aside; returns the new path of the database. Never overwrites.
///
/// The database goes first: a database without its log could look whole and would have lost its newest commits,
/// a log without its database is recognised at the next start.
pub(super) fn set_aside(directory: &Path, stamp: &str) -> io::Result<PathBuf> {
    let database = directory.join(DATABASE);
    let kept = unused(with_suffix(&database, &format!(".corrupt-{stamp}")));
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let from = with_suffix(&database, suffix);
        match fs::rename(&from, with_suffix(&kept, suffix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    sync_directory(directory)?;
    Ok(kept)
}

/// Where a backup of this schema goes, at this time.
pub(super) fn backup_path(directory: &Path, version: u32, stamp: &str) -> PathBuf {
    unused(directory.join(format!("{DATABASE}.backup-v{version}-{stamp}")))
}

/// Deletes all but the newest backups, and parts of backups that were never finished. Newer is who has the later
/// second in the name and then, since a name may be given again within that second, the later time of change.
pub(super) fn prune_backups(directory: &Path) -> io::Result<()> {
    let prefix = format!("{DATABASE}.backup-v");
    let mut backups = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        // A digit: the version. What others named similarly is not ours to delete.
        let Some(rest) = name
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix))
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        else {
            continue;
        };
        if rest.ends_with(".part") {
            fs::remove_file(entry.path())?;
        } else if let Some((_, stamp)) = rest.split_once('-') {
            let second = stamp.split('-').next().unwrap_or(stamp).to_owned();
            backups.push((second, entry.metadata()?.modified()?, entry.path()));
        }
    }
    backups.sort();
    backups.reverse();
    for (_, _, path) in backups.into_iter().skip(BACKUPS) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// The present time as `20261105T101500Z`.
pub(super) fn stamp_now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    stamp(seconds)
}

/// Seconds since the Unix epoch as `20261105T101500Z`. Sorts by time.
///
/// The calendar is the one of H. Hinnant's "chrono-compatible low-level date algorithms" (`civil_from_days`),
/// for times from 1970 on.
pub(super) fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}
