//! What a stand-in has seen: one append-only file per session, one JSON object per line, kept under
//! `$HOME/.telexd-scripted-agent/`. It is at once the stand-in's memory (for `--resume`) and the evidence of tests:
//! how often each prompt reached an agent, and whether two live processes ever held one session.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use uuid::Uuid;

/// Directory of all sessions of a home.
#[must_use]
pub fn directory(home: &Path) -> PathBuf {
    home.join(".telexd-scripted-agent")
}

/// The file of one session, opened for appending, and the lock on the session.
#[derive(Debug)]
pub struct History {
    file: File,
    session: Uuid,
    past: Vec<Value>,
    _lock: File,
}

impl History {
    /// Opens the history of a session and takes its lock. Where another live process has the lock, that is noted in the
    /// file, and all goes on: the real program does not prevent it either.
    pub fn open(home: &Path, session: Uuid) -> io::Result<Self> {
        let directory = directory(home);
        fs::create_dir_all(&directory)?;
        let path = directory.join(format!("{session}.jsonl"));
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.with_extension("lock"))?;
        let locked = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(error),
        };
        let past = read(&path)?;
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let mut history = Self {
            file,
            session,
            past,
            _lock: lock,
        };
        if !locked {
            history.add(
                "violation",
                json!({"why": "another live process has this session"}),
            )?;
        }
        Ok(history)
    }

    /// Appends a line, in one write.
    pub fn add(&mut self, event: &str, mut more: Value) -> io::Result<()> {
        if let Some(map) = more.as_object_mut() {
            map.insert("event".to_owned(), event.into());
            map.insert("session".to_owned(), self.session.to_string().into());
            map.insert("pid".to_owned(), std::process::id().into());
            map.insert("at_ms".to_owned(), millis().into());
        }
        let mut line = more.to_string();
        line.push('\n');
        self.file.write_all(line.as_bytes())?;
        self.past.push(more);
        Ok(())
    }

    /// Whether there is a conversation to go on with. As with the real program, a process that never began a prompt
    /// leaves none, nor does one that was killed right after it began its first one: see [`Self::save`].
    pub fn exists(&self) -> bool {
        self.past.iter().any(|line| line["event"] == "saved")
    }

    /// Whether work on any prompt ever began.
    pub fn begun(&self) -> bool {
        self.past.iter().any(|line| line["event"] == "begun")
    }

    /// The conversation can be resumed from a tenth of a second on: the real program writes its transcript in batches,
    /// and a prompt that was begun, even one whose first tool already runs, may be missing in it after a SIGKILL.
    pub fn save(&mut self, at_once: bool) -> io::Result<()> {
        if self.exists() {
            return Ok(());
        }
        if at_once {
            return self.add("saved", json!({}));
        }
        let mut file = self.file.try_clone()?;
        let line = json!({"event": "saved", "session": self.session.to_string(), "pid": std::process::id()});
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            let _ = file.write_all(format!("{line}\n").as_bytes());
        });
        Ok(())
    }

    /// Cost so far, US dollars.
    pub fn cost(&self) -> f64 {
        self.past
            .iter()
            .rev()
            .find_map(|line| line["cost"].as_f64())
            .unwrap_or(0.0)
    }

    /// Number of answers so far.
    pub fn answers(&self) -> usize {
        self.past
            .iter()
            .filter(|line| line["event"] == "answer")
            .count()
    }

    /// Whether a process of this session already died in a prompt with this text.
    pub fn died_at(&self, text: &str) -> bool {
        self.past
            .iter()
            .any(|line| line["event"] == "died" && line["text"] == text)
    }
}

fn millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The whole lines of a file; none if it is not there. A half line at the end (a process was killed, a disk is full) is left out.
fn read(path: &Path) -> io::Result<Vec<Value>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(text
        .split_inclusive('\n')
        .filter_map(|line| serde_json::from_str(line.strip_suffix('\n')?).ok())
        .collect())
}

/// A prompt as it reached agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Session.
    pub session: Uuid,
    /// The uuid that the host gave it.
    pub uuid: Option<Uuid>,
    /// Its text.
    pub text: String,
    /// How often it was read from an input, over all processes of the session.
    pub times: u32,
    /// How often work on it began.
    pub begun: u32,
    /// How often it was answered to the end.
    pub answered: u32,
}

/// What all stand-ins of a home have seen.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// All lines of all sessions, each session's in order.
    pub lines: Vec<Value>,
}

impl Evidence {
    /// Reads the histories below a home. A home where no stand-in ran has none.
    pub fn read(home: &Path) -> io::Result<Self> {
        let entries = match fs::read_dir(directory(home)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut paths = entries
            .map(|e| e.map(|e| e.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        let mut lines = Vec::new();
        for path in paths
            .iter()
            .filter(|p| p.extension().is_some_and(|e| e == "jsonl"))
        {
            lines.extend(read(path)?);
        }
        Ok(Self { lines })
    }

    /// All lines of that kind (`start`, `prompt`, `begun`, `saved`, `answer`, `answered`, `died`, `stray`, `violation`, `end`).
    pub fn of<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Value> {
        self.lines.iter().filter(move |line| line["event"] == event)
    }

    /// Number of times that two live processes held one session.
    #[must_use]
    pub fn violations(&self) -> usize {
        self.of("violation").count()
    }

    /// Process ids of what `spawn` left behind.
    #[must_use]
    pub fn strays(&self) -> Vec<i32> {
        self.of("stray")
            .filter_map(|line| i32::try_from(line["stray"].as_i64()?).ok())
            .collect()
    }

    /// Every prompt that reached an agent.
    #[must_use]
    pub fn reached(&self) -> Vec<Reached> {
        let mut found: BTreeMap<(String, String, String), Reached> = BTreeMap::new();
        for line in &self.lines {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            let event = text("event");
            if !matches!(event.as_str(), "prompt" | "begun" | "answered") {
                continue;
            }
            let (session, uuid, prompt) = (text("session"), text("uuid"), text("text"));
            let entry = found
                .entry((session.clone(), uuid.clone(), prompt.clone()))
                .or_insert_with(|| Reached {
                    session: Uuid::try_parse(&session).unwrap_or_default(),
                    uuid: Uuid::try_parse(&uuid).ok(),
                    text: prompt,
                    times: 0,
                    begun: 0,
                    answered: 0,
                });
            match event.as_str() {
                "prompt" => entry.times += 1,
                "begun" => entry.begun += 1,
                _ => entry.answered += 1,
            }
        }
        found.into_values().collect()
    }
}
