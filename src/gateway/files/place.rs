//! Where the files of conversations are, on this machine and for the agent.
//!
//! ```text
//! <state>/files/              0700, the daemon's
//!     <conversation>/         0755
//!         <name>              0644, whole files only
//!         .new-<id>           0600, one that is being fetched
//! ```
//!
//! What is inside is readable by everybody who gets there, and nobody gets there but the daemon: the way is shut by
//! the outer directories. The supervisor of a run is handed the open directory of its conversation, and so reaches
//! exactly that one, as whatever user it runs, and copies what is new to where its agent sees it. No user needs a group
//! or a path of the daemon's for that.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{gateway::ports::InboxOf, store::rows::Conversation};

/// Mode of a conversation's directory, of a file in it.
const DIRECTORY: u32 = 0o755;
const FILE: u32 = 0o644;
/// What is being fetched begins with this.
const DRAFT: &str = ".new-";

/// Where inboxes are.
#[derive(Clone, Debug)]
pub struct Places {
    root: PathBuf,
    seen: Option<PathBuf>,
}

impl Places {
    /// Inboxes below this state directory. `seen`: below which directory agents see copies of them; without it they see
    /// the directories themselves, being of the daemon's own user.
    #[must_use]
    pub fn new(state: &Path, seen: Option<PathBuf>) -> Self {
        let root = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
        Self {
            root: root.join("files"),
            seen,
        }
    }

    /// Name of a conversation's directory. With the time at which it began, because another database may count its
    /// conversations anew, and nobody must find there what somebody else has sent.
    #[must_use]
    pub fn name(conversation: &Conversation) -> String {
        format!("{}-{:x}", conversation.id.0, conversation.created_at)
    }

    /// Both ends of a conversation's inbox; nothing is looked at.
    #[must_use]
    pub fn of(&self, conversation: &Conversation) -> InboxOf {
        let name = Self::name(conversation);
        let from = self.root.join(&name);
        InboxOf {
            to: self
                .seen
                .as_ref()
                .map_or_else(|| from.clone(), |seen| seen.join(&name)),
            from,
        }
    }

    /// Makes the directory of a conversation. Blocking, briefly.
    ///
    /// # Errors
    /// The system's.
    pub fn make(&self, conversation: &Conversation) -> io::Result<InboxOf> {
        let inbox = self.of(conversation);
        if inbox.from.is_dir() {
            return Ok(inbox);
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)?;
        match DirBuilder::new().mode(0o700).create(&inbox.from) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Whatever the umask.
        fs::set_permissions(&inbox.from, Permissions::from_mode(DIRECTORY))?;
        File::open(&self.root)?.sync_all()?;
        Ok(inbox)
    }

    /// Where a file is written before it is whole.
    #[must_use]
    pub fn draft(inbox: &InboxOf, id: i64) -> PathBuf {
        inbox.from.join(format!("{DRAFT}{id}"))
    }

    /// Gives a whole file, whose content is on the disk, its name. Durable on return. Blocking.
    ///
    /// # Errors
    /// The system's.
    pub fn settle(inbox: &InboxOf, draft: &Path, name: &str) -> io::Result<()> {
        fs::set_permissions(draft, Permissions::from_mode(FILE))?;
        fs::rename(draft, inbox.from.join(name))?;
        File::open(&inbox.from)?.sync_all()
    }

    /// Deletes a file. One that is not there is as good. Blocking, briefly.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(inbox: &InboxOf, name: &str) -> io::Result<()> {
        match fs::remove_file(inbox.from.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Names of the directories that are there. Blocking.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        fs::read_dir(&self.root)
            .map(|entries| {
                entries
                    .flatten()
                    .map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Deletes what is older than `age` and stands in no row: what a killed daemon was fetching, what a database that
    /// is not there any more knew. `known` tells the names of a directory's files, `None` for one that is unknown.
    /// Blocking.
    ///
    /// # Errors
    /// The system's, for the root.
    pub fn sweep(
        &self,
        age: Duration,
        known: impl Fn(&str) -> Option<Vec<String>>,
    ) -> io::Result<usize> {
        let old = |path: &Path| {
            fs::symlink_metadata(path)
                .and_then(|meta| meta.modified())
                .is_ok_and(|at| {
                    SystemTime::now()
                        .duration_since(at)
                        .is_ok_and(|passed| passed >= age)
                })
        };
        let mut removed = 0;
        let directories = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            other => other?,
        };
        for directory in directories.flatten() {
            let names = known(&directory.file_name().to_string_lossy());
            let is_known = names.is_some();
            let names = names.unwrap_or_default();
            let Ok(entries) = fs::read_dir(directory.path()) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if !names.contains(&name)
                    && old(&entry.path())
                    && fs::remove_file(entry.path()).is_ok()
                {
                    removed += 1;
                }
            }
            // Only an empty one goes. One of a conversation stays: a supervisor may hold it open.
            if !is_known && old(&directory.path()) && fs::remove_dir(directory.path()).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Id of the conversation that a directory belongs to.
#[must_use]
pub fn conversation_of(directory: &str) -> Option<i64> {
    directory.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::{ConversationId, ConversationKey};

    fn conversation(id: i64, created_at: i64) -> Conversation {
        Conversation {
            id: ConversationId(id),
            key: ConversationKey {
                bot_id: 1,
                chat_id: 2,
                thread_id: 0,
                user_id: 2,
            },
            created_at,
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_way_is_shut_and_what_is_inside_is_open() {
        let state = tempfile::tempdir().unwrap();
        let places = Places::new(state.path(), Some("/seen".into()));
        let inbox = places.make(&conversation(3, 255)).unwrap();
        assert_eq!(inbox.from, state.path().join("files/3-ff"));
        assert_eq!(inbox.to, Path::new("/seen/3-ff"));
        assert_eq!(conversation_of("3-ff"), Some(3));
        let draft = Places::draft(&inbox, 9);
        fs::write(&draft, "x").unwrap();
        Places::settle(&inbox, &draft, "9-a.txt").unwrap();
        assert_eq!(mode(&state.path().join("files")), 0o700);
        assert_eq!(mode(&inbox.from), DIRECTORY);
        assert_eq!(mode(&inbox.from.join("9-a.txt")), FILE);
        assert!(!draft.exists());
        Places::remove(&inbox, "9-a.txt").unwrap();
        Places::remove(&inbox, "9-a.txt").unwrap();
        assert_eq!(places.make(&conversation(3, 255)).unwrap(), inbox);
    }

    #[test]
    fn conversations_of_different_databases_never_share_a_directory() {
        let places = Places::new(Path::new("/s"), None);
        let (one, other) = (
            places.of(&conversation(1, 10)),
            places.of(&conversation(1, 11)),
        );
        assert_ne!(one.from, other.from);
        assert!(!one.is_copied());
    }

    #[test]
    fn what_nobody_knows_goes_by_its_age() {
        let state = tempfile::tempdir().unwrap();
        let places = Places::new(state.path(), None);
        assert_eq!(places.sweep(Duration::ZERO, |_| None).unwrap(), 0);
        let inbox = places.make(&conversation(3, 255)).unwrap();
        for name in ["1-kept", "2-lost", ".new-3"] {
            fs::write(inbox.from.join(name), "x").unwrap();
        }
        let known = |directory: &str| (directory == "3-ff").then(|| vec!["1-kept".to_owned()]);
        assert_eq!(places.sweep(Duration::from_secs(60), known).unwrap(), 0);
        assert_eq!(places.sweep(Duration::ZERO, known).unwrap(), 2);
        assert!(inbox.from.join("1-kept").exists());
        assert_eq!(places.sweep(Duration::ZERO, |_| None).unwrap(), 2);
        assert!(!inbox.from.exists());
    }
}
