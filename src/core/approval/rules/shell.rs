//! A command line of the shell, as far as it can be told without running it.
//!
//! This is no shell. What it does not know for certain it says: a word that is made only when the command runs is
//! [`Word::Unknown`], and where whole commands may be hidden the line is [`Line::opaque`].

/// Programs and words of the shell that run what stands behind them.
const WRAPPERS: &[&str] = &[
    "!",
    ".",
    "[[",
    "bash",
    "builtin",
    "busybox",
    "case",
    "chroot",
    "command",
    "coproc",
    "csh",
    "dash",
    "do",
    "doas",
    "elif",
    "else",
    "env",
    "esac",
    "eval",
    "exec",
    "fi",
    "find",
    "fish",
    "flock",
    "for",
    "function",
    "if",
    "ionice",
    "ksh",
    "nice",
    "noglob",
    "nohup",
    "nsenter",
    "parallel",
    "pkexec",
    "select",
    "setsid",
    "sh",
    "source",
    "ssh",
    "stdbuf",
    "strace",
    "su",
    "sudo",
    "systemd-run",
    "then",
    "time",
    "timeout",
    "trap",
    "unshare",
    "until",
    "watch",
    "while",
    "xargs",
    "zsh",
];

/// A command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// Its commands, in order.
    pub(super) commands: Vec<Vec<Word>>,
    /// Whether it may hold commands that are not among these.
    pub(super) opaque: bool,
    /// Whether it is one command, without redirections and without anything that the shell would put in its place but for
    /// names of files.
    pub(super) single: bool,
}

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// This one.
    Known(String),
    /// One that is made when the command runs, or several, or none.
    Unknown,
}

/// What is read of a word.
#[derive(Default)]
struct Reading {
    begun: bool,
    text: String,
    unknown: bool,
}

struct Reader {
    line: Line,
    word: Reading,
    words: Vec<Word>,
    // The next word is the target of a redirection.
    target: bool,
}

/// Longest line that is looked at, in bytes.
const LONGEST: usize = 100_000;

/// Looks at a command line.
#[allow(clippy::too_many_lines, reason = "one state machine")]
pub(super) fn look(text: &str) -> Line {
    if text.len() > LONGEST {
        return Line {
            opaque: true,
            ..Line::default()
        };
    }
    let mut reader = Reader {
        line: Line {
            single: true,
            ..Line::default()
        },
        word: Reading::default(),
        words: Vec::new(),
        target: false,
    };
    let mut chars = text.trim_matches([' ', '\t']).chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => reader.end_word(),
            '\'' => {
                reader.word.begun = true;
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => reader.word.text.push(c),
                        None => {
                            reader.hide();
                            break;
                        }
                    }
                }
            }
            '"' => {
                reader.word.begun = true;
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('$' | '`' | '"' | '\\')) => reader.word.text.push(c),
                            Some('\n') => reader.line.single = false,
                            Some(c) => reader.word.text.extend(['\\', c]),
                            None => reader.hide(),
                        },
                        Some('`') => reader.hide(),
                        Some('$') => reader.dollar(chars.peek().copied()),
                        Some(c) => reader.word.text.push(c),
                        None => {
                            reader.hide();
                            break;
                        }
                    }
                }
            }
            '\\' => {
                reader.word.begun = true;
                match chars.next() {
                    Some('\n') => reader.line.single = false,
                    Some(c) => reader.word.text.push(c),
                    None => reader.hide(),
                }
            }
            '$' => reader.dollar(chars.peek().copied()),
            '`' | '(' | ')' => {
                reader.hide();
                reader.end_command();
            }
            '<' | '>' => {
                if chars.peek() == Some(&'(') || (c == '<' && chars.peek() == Some(&'<')) {
                    reader.hide();
                }
                reader.redirection();
                while matches!(chars.peek(), Some('<' | '>' | '&' | '|')) {
                    chars.next();
                }
            }
            '&' if matches!(chars.peek(), Some('>')) => reader.line.single = false,
            ';' | '&' | '|' | '\n' | '\r' => {
                reader.line.single = false;
                reader.end_command();
            }
            '#' if !reader.word.begun => {
                // What a shell takes for a comment it may also take for words.
                reader.hide();
                for c in chars.by_ref() {
                    if c == '\n' {
                        reader.end_command();
                        break;
                    }
                }
            }
            '*' | '?' | '[' => {
                reader.word.begun = true;
                reader.word.unknown = true;
            }
            '~' if !reader.word.begun => {
                reader.word.begun = true;
                reader.word.unknown = true;
            }
            '{' | '}' => {
                reader.word.begun = true;
                reader.word.unknown = true;
                reader.line.single = false;
            }
            c => {
                reader.line.single &= !c.is_control();
                reader.word.begun = true;
                reader.word.text.push(c);
            }
        }
    }
    reader.end_command();
    let mut line = reader.line;
    line.single &= !line.opaque && line.commands.len() == 1;
    line
}

impl Reader {
    /// Something may be hidden here.
    fn hide(&mut self) {
        self.line.opaque = true;
    }

    /// Something is put in the place of what follows.
    fn dollar(&mut self, next: Option<char>) {
        self.word.begun = true;
        self.word.unknown = true;
        self.line.single = false;
        let name = next.is_some_and(|c| c.is_ascii_alphanumeric() || "_?#@*!-".contains(c));
        // Anything but a plain name may hold commands.
        if !name {
            self.hide();
        }
    }

    fn redirection(&mut self) {
        self.line.single = false;
        // A number right before it is no word.
        if self.word.begun && self.word.text.bytes().all(|b| b.is_ascii_digit()) {
            self.word = Reading::default();
        }
        self.end_word();
        self.target = true;
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        if !word.begun || std::mem::take(&mut self.target) {
            return;
        }
        self.words.push(if word.unknown {
            Word::Unknown
        } else {
            Word::Known(word.text)
        });
    }

    fn end_command(&mut self) {
        self.end_word();
        self.target = false;
        let words = std::mem::take(&mut self.words);
        if let Some(Word::Known(first)) = words.first()
            && is_assignment(first)
        {
            self.line.single = false;
        }
        if !words.is_empty() {
            self.line.commands.push(words);
        }
    }
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else {
        return false;
    };
    let name = name.trim_end_matches('+');
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// How many words of one command are looked at for another that it runs.
const DEEP: usize = 64;

/// Commands that the words of one may be: without what is set before it, and, where it runs another, that one. And whether
/// there may be others.
pub(super) fn readings(words: &[Word]) -> (Vec<&[Word]>, bool) {
    let set = words
        .iter()
        .take_while(|word| matches!(word, Word::Known(word) if is_assignment(word)));
    let words = &words[set.count()..];
    let wraps = program(words).is_some_and(|name| WRAPPERS.binary_search(&name).is_ok());
    let most = if wraps { DEEP } else { 1 };
    let starts = 0..words.len().min(most);
    (starts.map(|from| &words[from..]).collect(), wraps)
}

/// Name of the program that a command runs, without its directory.
pub(super) fn program(words: &[Word]) -> Option<&str> {
    match words.first()? {
        Word::Known(first) => first.rsplit('/').next(),
        Word::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_can_be_searched() {
        assert!(WRAPPERS.is_sorted());
    }

    fn words(text: &str) -> Vec<Word> {
        text.split(' ')
            .map(|word| match word {
                "?" => Word::Unknown,
                word => Word::Known(word.to_owned()),
            })
            .collect()
    }

    #[test]
    fn commands_are_told_apart() {
        for (text, commands, opaque, single) in [
            ("ls", &["ls"][..], false, true),
            ("  git  status\t-s ", &["git status -s"], false, true),
            ("ls 'a;b' \"c|d\" e\\;f", &["ls a;b c|d e;f"], false, true),
            ("ls *.rs ~/x", &["ls ? ?"], false, true),
            ("a; b", &["a", "b"], false, false),
            (
                "a&&b||c|d&e\nf",
                &["a", "b", "c", "d", "e", "f"],
                false,
                false,
            ),
            ("a\rb", &["a", "b"], false, false),
            ("a >x 2>&1 </y b", &["a b"], false, false),
            ("a &>x b", &["a b"], false, false),
            ("a >& x", &["a"], false, false),
            ("a 2 > x", &["a 2"], false, false),
            ("a $X \"b$Y\"", &["a ? ?"], false, false),
            ("a {b,c}", &["a ?"], false, false),
            ("X=1 a", &["X=1 a"], false, false),
            ("a \\\n b", &["a  b"], false, false),
            ("a \u{1} b", &["a \u{1} b"], false, false),
            ("a # b", &["a"], true, false),
            ("a $(b)", &["a ?", "b"], true, false),
            ("a `b`", &["a", "b"], true, false),
            ("a \"$(b)\"", &["a ?"], true, false),
            ("a ${X:-b}", &["a ?"], true, false),
            ("a <(b)", &["a", "b"], true, false),
            ("a <<X\nb", &["a", "b"], true, false),
            ("(a)", &["a"], true, false),
            ("a 'b", &["a b"], true, false),
            ("a $'b\\'c'", &["a ?"], true, false),
        ] {
            let line = look(text);
            let expected: Vec<_> = commands.iter().map(|text| words(text)).collect();
            if !opaque {
                assert_eq!(line.commands, expected, "{text:?}");
            }
            assert_eq!((line.opaque, line.single), (opaque, single), "{text:?}");
        }
    }
}
