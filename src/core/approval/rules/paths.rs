//! Patterns of paths, as `.gitignore` has them: `*` and `?` within a name, `**` for any folders, and what is about a folder
//! is about all that is in it. Nothing here touches the disk: a link is not followed, and `..` is taken back by name.

use std::fmt;

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    // Names, without empty ones.
    parts: Vec<String>,
    // Where it is about files below a directory: whether in any folder of it.
    relative: Option<bool>,
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn read(text: &str) -> Self {
        let absolute = text.starts_with('/');
        let bare = text.strip_suffix('/').unwrap_or(text);
        Self {
            parts: names(text),
            relative: (!absolute).then(|| !bare.contains('/')),
        }
    }

    /// A relative pattern is one of what is below this directory.
    pub(super) fn below(&mut self, directory: &str) {
        if let Some(anywhere) = self.relative.take() {
            let mut parts = names(directory);
            parts.extend(anywhere.then(|| "**".to_owned()));
            parts.append(&mut self.parts);
            self.parts = parts;
        }
    }

    /// Whether it is about this path.
    pub(super) fn is_about(&self, path: &[String]) -> bool {
        self.states(path).is_some_and(|states| states.whole)
    }

    /// Whether it is about something below this path.
    pub(super) fn is_below(&self, path: &[String]) -> bool {
        self.states(path)
            .is_some_and(|states| states.whole || states.open)
    }

    /// Whether it says this name as it is.
    pub(super) fn names(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part == name)
    }

    fn states(&self, path: &[String]) -> Option<States> {
        if self.relative.is_some() {
            return None;
        }
        // Which beginnings of the path the parts so far are about.
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        let mut open = path.is_empty();
        for part in &self.parts {
            let mut next = vec![false; path.len() + 1];
            let mut earlier = false;
            for (at, here) in reached.iter().enumerate() {
                if part == "**" {
                    earlier |= here;
                    next[at] = earlier;
                } else if *here && path.get(at).is_some_and(|name| like(part, name)) {
                    next[at + 1] = true;
                }
            }
            reached = next;
            open |= reached[path.len()];
        }
        Some(States {
            whole: reached.contains(&true),
            open,
        })
    }
}

struct States {
    // It is about the path, or a folder in which that is.
    whole: bool,
    // Its beginning leads to the path.
    open: bool,
}

impl fmt::Display for Pattern {
    /// As an absolute path, which it is once it is [below](Self::below) something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.parts.is_empty() {
            return f.write_str("/**");
        }
        self.parts.iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

fn names(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .map(str::to_owned)
        .collect()
}

/// An absolute path as its names, without `..`; `None` for one that is relative or that no file can have.
pub(super) fn plain(path: &str) -> Option<Vec<String>> {
    if !path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let mut plain = Vec::new();
    for name in names(path) {
        if name == ".." {
            plain.pop();
        } else {
            plain.push(name);
        }
    }
    Some(plain)
}

/// Whether a text is like a pattern in which `*` stands for any characters and `?` for one.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut to) = (0, 0);
    // The last `*`, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while to < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, to));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[to] => {
                at += 1;
                to += 1;
            }
            _ => {
                let Some((begin, reach)) = &mut star else {
                    return false;
                };
                *reach += 1;
                (at, to) = (*begin + 1, *reach);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}
