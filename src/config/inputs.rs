//! The main file and its drop-ins, merged.

use std::{
    fs, io,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    fragments::Fragment,
    problem::Problem,
    reading::{self, Unclear},
    token::plain,
};

/// Most bytes that one file may have.
const MOST: u64 = 1 << 20;

/// What all files say together.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Everything that is said, over the defaults.
    pub merged: Fragment,
    /// Files that were found, in the order in which they hold: later over earlier.
    pub files: Vec<PathBuf>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is questionable.
    pub warnings: Vec<Problem>,
    /// What may have been meant by what is wrong.
    pub unclear: Vec<Unclear>,
}

impl Inputs {
    /// Whether what is wrong may be an attempt to set this key.
    #[must_use]
    pub fn may_mean(&self, section: &str, name: &str) -> bool {
        self.unclear
            .iter()
            .any(|unclear| unclear.covers(section, name))
    }
}

/// Directory of the drop-ins of a configuration file: its name with `.d`.
#[must_use]
pub fn drop_in_directory(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".d");
    name.into()
}

/// Reads the main file, which must be there, and the files `*.toml` of its drop-in directory, in the order of their
/// names; what a later one says about a key holds. Goes on after each problem.
#[must_use]
pub fn read(file: &Path) -> Inputs {
    let mut inputs = Inputs {
        merged: Fragment::defaults(),
        files: vec![file.to_owned()],
        ..Inputs::default()
    };
    match drop_ins(&drop_in_directory(file)) {
        Ok(found) => inputs.files.extend(found),
        Err(error) => {
            let problem = unreadable(&drop_in_directory(file), &error, false);
            inputs.problems.push(problem);
            inputs.unclear.push(Unclear::Everything);
        }
    }
    let mut merged = inputs.merged;
    for path in &inputs.files {
        match read_text(path) {
            Ok((text, mode)) => {
                let said = reading::read(path, &text);
                merged = merged.then(said.fragment);
                inputs.problems.extend(said.problems);
                inputs.unclear.extend(said.unclear);
                if mode & 0o002 != 0 {
                    inputs.warnings.push(Problem::of_file(
                        path,
                        "every user of this machine may change this file",
                        format!("run: chmod o-w {}", path.display()),
                    ));
                }
            }
            Err(error) => {
                let main = path == file;
                inputs.unclear.push(Unclear::Everything);
                inputs.problems.push(unreadable(path, &error, main));
            }
        }
    }
    inputs.merged = merged;
    inputs
}

fn drop_ins(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // Hidden files are editors' leftovers; `.toml` alone has no extension.
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden
            && path
                .extension()
                .is_some_and(|extension| extension == "toml")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Text and mode of a regular file. Others are refused before they are opened: a FIFO would hang the start.
pub(super) fn read_text(path: &Path) -> io::Result<(String, u32)> {
    let meta = fs::metadata(path)?;
    if !meta.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MOST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].split(|b| *b == b'\n').count();
        io::Error::other(format!("line {line} is not UTF-8"))
    })?;
    Ok((text, meta.permissions().mode()))
}

fn unreadable(path: &Path, error: &io::Error, main: bool) -> Problem {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound if main => {
            "create it, or name another with --config; at least [agent] directory must be set"
        }
        io::ErrorKind::NotFound => "mend or remove the symbolic link",
        io::ErrorKind::PermissionDenied => "let the user that runs telexd read it",
        _ => "it must be a TOML file in UTF-8",
    };
    Problem::of_file(path, format!("cannot be read: {}", plain(error)), remedy)
}
