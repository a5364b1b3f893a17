//! Remembers what was told, so that a failure that the service manager reports several times is told once.
//!
//! systemd 254 and later report each crash of a unit that is restarted, unless it says `RestartMode=direct`; then the same
//! failure comes again within the time in which the unit is given up.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// How long the same failure of a unit is not told again.
const QUIET: Duration = Duration::from_secs(60);

/// What was told of a unit.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// Seconds since the Unix epoch.
    at_s: u64,
    /// The failure.
    failure: String,
}

/// Where it is remembered that a failure was told.
#[derive(Debug)]
pub struct Stamp {
    path: Option<PathBuf>,
    failure: String,
}

impl Stamp {
    /// For a failure of a unit. `folder`: where to remember it; `None`: nowhere.
    #[must_use]
    pub fn new(folder: Option<&Path>, unit: &str, failure: &str) -> Self {
        let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
        let name: String = unit
            .chars()
            .map(|c| if safe(c) { c } else { '_' })
            .take(200)
            .collect();
        Self {
            path: folder.map(|folder| folder.join(format!("alert.{name}.json"))),
            failure: failure.to_owned(),
        }
    }

    /// Whether the same was told a moment ago. A clock that was set makes it tell rather than not.
    #[must_use]
    pub fn told_lately(&self, now: SystemTime) -> bool {
        let told = || -> Option<Told> {
            serde_json::from_slice(&fs::read(self.path.as_ref()?).ok()?).ok()
        };
        told().is_some_and(|told| {
            told.failure == self.failure && seconds(now).abs_diff(told.at_s) < QUIET.as_secs()
        })
    }

    /// Remembers that it was told now.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, now: SystemTime) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let told = Told {
            at_s: seconds(now),
            failure: self.failure.clone(),
        };
        // A file that is cut reads as none, and then the failure is told again.
        fs::write(path, serde_json::to_vec(&told)?)
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_told_once_in_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let at = |s: u64| UNIX_EPOCH + Duration::from_secs(1_000_000 + s);
        let stamp = |failure| Stamp::new(Some(dir.path()), "telexd.service", failure);
        assert!(!stamp("a").told_lately(at(0)));
        stamp("a").write(at(0)).unwrap();
        assert!(stamp("a").told_lately(at(59)));
        assert!(!stamp("a").told_lately(at(60)));
        assert!(!stamp("b").told_lately(at(1)), "another failure");
        assert!(!Stamp::new(Some(dir.path()), "x.service", "a").told_lately(at(1)));
        // The clock was set back by an hour.
        assert!(!stamp("a").told_lately(at(0) - Duration::from_secs(3600)));
    }

    #[test]
    fn damage_and_no_folder_make_it_tell() {
        let dir = tempfile::tempdir().unwrap();
        let stamp = Stamp::new(Some(dir.path()), "../../etc/x", "a");
        stamp.write(UNIX_EPOCH).unwrap();
        assert!(stamp.told_lately(UNIX_EPOCH));
        let file = dir.path().join("alert..._.._etc_x.json");
        fs::write(file, "{").unwrap();
        assert!(!stamp.told_lately(UNIX_EPOCH));
        let nowhere = Stamp::new(None, "x", "a");
        nowhere.write(UNIX_EPOCH).unwrap();
        assert!(!nowhere.told_lately(UNIX_EPOCH));
        let gone = Stamp::new(Some(Path::new("/nowhere/at/all")), "x", "a");
        assert!(gone.write(UNIX_EPOCH).is_err());
    }
}
