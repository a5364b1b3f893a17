//! Copies of the files that people sent, where the agent sees them.
//!
//! The daemon's directory is handed to us open: nobody but its holder gets there, and we need no path of the daemon's.
//! The copies belong to the agent's user. Under systemd they lie in the private `/var/tmp` of the unit, which no other
//! agent sees and which systemd deletes with it; each run of a conversation has them at the same path.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use nix::{libc, unistd::Uid};

use crate::runner::fds::reason;

/// What is being copied begins with this.
const DRAFT: &str = ".new-";

/// The files of a conversation.
pub(super) struct Inbox {
    /// Held, so that it cannot become another one.
    from: File,
    to: PathBuf,
    /// Whether it was said that it does not work.
    said: bool,
}

impl Inbox {
    pub(super) fn new(from: File, to: PathBuf) -> Self {
        Self {
            from,
            to,
            said: false,
        }
    }

    /// Copies what is new, deletes copies of what is gone. Where that fails the agent does not find the files that it is
    /// told of, and says so; why stands in its `stderr.log`.
    pub(super) fn refresh(&mut self) {
        match self.copy() {
            Ok(()) => self.said = false,
            Err(error) if !self.said => {
                self.said = true;
                super::complain(
                    &format!(
                        "cannot copy the files that people sent to {}: {}",
                        self.to.display(),
                        reason(&error)
                    ),
                    false,
                );
            }
            Err(_) => {}
        }
    }

    fn copy(&self) -> io::Result<()> {
        // Our own descriptor, whatever the path of the directory would ask for.
        let from = PathBuf::from(format!("/proc/self/fd/{}", self.from.as_raw_fd()));
        let wanted = names(&from)?;
        if wanted.is_empty() && !self.to.exists() {
            return Ok(());
        }
        self.make()?;
        let there = names(&self.to)?;
        for name in there.iter().filter(|name| !wanted.contains(name)) {
            fs::remove_file(self.to.join(name))?;
        }
        for name in wanted.iter().filter(|name| !there.contains(name)) {
            let draft = self.to.join(format!("{DRAFT}{name}"));
            let copied = copy_file(&from.join(name), &draft)
                .and_then(|()| fs::rename(&draft, self.to.join(name)));
            if let Err(error) = copied {
                let _ = fs::remove_file(&draft);
                // Deleted meanwhile.
                if error.kind() != io::ErrorKind::NotFound {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Makes the directory, which is ours alone: somebody else's, or one that others may write to, is not used.
    fn make(&self) -> io::Result<()> {
        let own = |path: &Path| -> io::Result<()> {
            match DirBuilder::new().mode(0o700).create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let meta = fs::symlink_metadata(path)?;
            let ours = meta.is_dir()
                && meta.uid() == Uid::effective().as_raw()
                && meta.mode() & 0o022 == 0;
            if ours {
                Ok(())
            } else {
                Err(io::Error::other("it is not a directory of this user alone"))
            }
        };
        if let Some(parent) = self.to.parent() {
            own(parent)?;
        }
        own(&self.to)
    }
}

/// Names of whole files: as the daemon makes them they begin with a digit.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let Ok(name) = entry?.file_name().into_string() else {
            continue;
        };
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(from)?;
    if !source.metadata()?.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut sink = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(to)?;
    io::copy(&mut source, &mut sink)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn rig() -> (tempfile::TempDir, PathBuf, Inbox) {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir(&from).unwrap();
        let inbox = Inbox::new(File::open(&from).unwrap(), dir.path().join("seen/1-a"));
        (dir, from, inbox)
    }

    #[test]
    fn copies_follow_what_is_there() {
        let (_dir, from, inbox) = rig();
        inbox.copy().unwrap();
        assert!(!inbox.to.exists(), "made for nothing");
        fs::write(from.join("1-a.txt"), "a").unwrap();
        fs::write(from.join(".new-2"), "half").unwrap();
        inbox.copy().unwrap();
        assert_eq!(names(&inbox.to).unwrap(), ["1-a.txt"]);
        assert_eq!(fs::read(inbox.to.join("1-a.txt")).unwrap(), b"a");
        assert_eq!(
            fs::metadata(inbox.to.join("1-a.txt")).unwrap().mode() & 0o777,
            0o600
        );
        // What the agent makes of its copy, or puts beside it, is its own matter.
        fs::write(inbox.to.join("1-a.txt"), "changed").unwrap();
        fs::write(inbox.to.join("notes"), "mine").unwrap();
        fs::write(from.join("2-b.txt"), "b").unwrap();
        fs::remove_file(from.join("1-a.txt")).unwrap();
        inbox.copy().unwrap();
        assert_eq!(names(&inbox.to).unwrap(), ["2-b.txt"]);
        assert!(inbox.to.join("notes").exists());
    }

    #[test]
    fn nothing_is_followed_and_nobody_elses_directory_is_used() {
        let (dir, from, inbox) = rig();
        symlink("/etc/passwd", from.join("1-link")).unwrap();
        assert!(inbox.copy().is_err());
        fs::remove_file(from.join("1-link")).unwrap();
        fs::write(from.join("1-a"), "a").unwrap();
        fs::remove_dir_all(dir.path().join("seen")).unwrap();
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        symlink(dir.path().join("elsewhere"), dir.path().join("seen")).unwrap();
        assert!(inbox.copy().is_err(), "followed a link");
        fs::remove_file(dir.path().join("seen")).unwrap();
        fs::create_dir(dir.path().join("seen")).unwrap();
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(dir.path().join("seen"), open).unwrap();
        assert!(inbox.copy().is_err(), "others may write there");
        let mut inbox = inbox;
        inbox.refresh();
        assert!(inbox.said);
    }
}
