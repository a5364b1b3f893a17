//! Lines for the demo itself: those that begin with a colon.

use super::post::Post;

/// Every line: how it is written, and what it does.
const LINES: [(&str, &str); 17] = [
    (":help", "this list"),
    (":as NAME", "go on as somebody else"),
    (":press KEY", "press a button, by its number or its words"),
    (
        ":again",
        "press the last button once more, though it is gone",
    ),
    (
        ":file PATH [CAPTION]",
        "send a file of this machine; PNG and JPEG as photos",
    ),
    (":album PATH PATH…", "send 2 to 10 files as one album"),
    (":voice PATH", "send a file as a voice message"),
    (":edit TEXT", "change your newest message"),
    (":reply TEXT", "answer the bot's newest message"),
    (":forward NAME TEXT", "forward something that NAME wrote"),
    (":burst TEXT | TEXT…", "send several messages at once"),
    (":look", "show the newest file of the bot"),
    (":save [PATH]", "store the newest file of the bot"),
    (
        ":quick LINE",
        "do a line and go on without waiting (in a pipe)",
    ),
    (":wait TEXT", "wait until the bot shows that (in a pipe)"),
    (":kill", "kill -9 the daemon"),
    (":quit", "the end"),
];

/// A line for the demo itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// What lines there are.
    Help,
    /// Another person.
    As(String),
    /// A button, by key or label.
    Press(String),
    /// The button that was pressed last, gone or not.
    Again,
    /// A message that is more than a text.
    Post(Post),
    /// The person's newest message, with another text.
    Edit(String),
    /// An answer to the bot's newest message.
    Reply(String),
    /// The newest file of the bot, shown.
    Look,
    /// The newest file of the bot, stored there.
    Save(Option<String>),
    /// Until the bot shows a text.
    Wait(String),
    /// SIGKILL to the daemon.
    Kill,
    /// The end.
    Quit,
}

impl Local {
    /// Reads a line. `None`: it is a message.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(line: &str) -> Option<Result<Self, String>> {
        let rest = line.trim().strip_prefix(':')?;
        let (verb, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        Some(Self::read(verb, argument.trim()))
    }

    fn read(verb: &str, argument: &str) -> Result<Self, String> {
        let own = || argument.to_owned();
        let found = match (verb, argument.is_empty()) {
            ("help", true) => Self::Help,
            ("as", false) => Self::As(own()),
            ("press", false) => Self::Press(own()),
            ("again", true) => Self::Again,
            ("file", false) => {
                let (path, caption) = first_word(argument)?;
                let caption = caption.to_owned();
                Self::Post(Post::File { path, caption })
            }
            ("album", false) => Self::Post(Post::Album(all_words(argument)?)),
            ("voice", false) => match all_words(argument)?.as_slice() {
                [path] => Self::Post(Post::Voice(path.clone())),
                _ => return Err(usage(verb)),
            },
            ("edit", false) => Self::Edit(own()),
            ("reply", false) => Self::Reply(own()),
            ("forward", false) => match first_word(argument)? {
                (from, text) if !text.is_empty() => {
                    let text = text.to_owned();
                    Self::Post(Post::Forward { from, text })
                }
                _ => return Err(usage(verb)),
            },
            ("burst", false) => {
                let parts = argument.split('|').map(|part| part.trim().to_owned());
                Self::Post(Post::Burst(parts.filter(|part| !part.is_empty()).collect()))
            }
            ("look", true) => Self::Look,
            ("save", true) => Self::Save(None),
            ("save", false) => match all_words(argument)?.as_slice() {
                [path] => Self::Save(Some(path.clone())),
                _ => return Err(usage(verb)),
            },
            ("wait", false) => Self::Wait(own()),
            ("kill", true) => Self::Kill,
            ("quit", true) => Self::Quit,
            _ => return Err(usage(verb)),
        };
        Ok(found)
    }
}

/// A line without the word that it is not to be waited for; whether it is.
pub fn quick(line: &str) -> (&str, bool) {
    match line.trim().strip_prefix(":quick") {
        Some(rest) if rest.starts_with(char::is_whitespace) => (rest.trim(), false),
        _ => (line, true),
    }
}

/// Everything that can be written to the demo itself.
pub fn help() -> String {
    let lines: Vec<String> = LINES
        .iter()
        .map(|(line, what)| format!("{line:<22}{what}"))
        .collect();
    format!("Lines for the demo itself:\n{}", lines.join("\n"))
}

/// How a line is written, to somebody who wrote it otherwise.
fn usage(verb: &str) -> String {
    let is_it = |line: &str| line[1..].split(' ').next() == Some(verb);
    match LINES.iter().find(|(line, _)| is_it(line)) {
        Some((line, what)) => format!("write it as {line} ({what})"),
        None => format!("no such line: :{verb}; :help lists those that there are"),
    }
}

/// The first word and what comes after it. Quotes hold a word together, and a backslash takes the next character as it
/// is: so shells and terminals write names of files.
fn first_word(text: &str) -> Result<(String, &str), String> {
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (character, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => {
                let (_, next) = characters.next().ok_or("nothing comes after the \\")?;
                word.push(next);
            }
            ('"' | '\'', None) => quote = Some(character),
            (c, None) if c.is_whitespace() => return Ok((word, text[at..].trim())),
            (c, _) => word.push(c),
        }
    }
    match quote {
        Some(open) => Err(format!("a {open} is not closed")),
        None => Ok((word, "")),
    }
}

fn all_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, more) = first_word(rest)?;
        words.push(word);
        rest = more;
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Result<Local, String> {
        Local::parse(line).unwrap()
    }

    #[test]
    fn messages_are_none_of_them() {
        for line in ["hello", "/help", "12:30", " a :kill"] {
            assert_eq!(Local::parse(line), None, "{line}");
        }
    }

    #[test]
    fn lines_are_read() {
        assert_eq!(read(":kill"), Ok(Local::Kill));
        assert_eq!(read(" :as Ben "), Ok(Local::As("Ben".to_owned())));
        assert_eq!(
            read(r#":file "my file.png"  a caption "as it is" "#),
            Ok(Local::Post(Post::File {
                path: "my file.png".to_owned(),
                caption: "a caption \"as it is\"".to_owned(),
            }))
        );
        assert_eq!(
            read(r":album a\ b 'c d' e"),
            Ok(Local::Post(Post::Album(
                ["a b", "c d", "e"].map(str::to_owned).to_vec()
            )))
        );
        assert_eq!(
            read(":forward Ben look | at that"),
            Ok(Local::Post(Post::Forward {
                from: "Ben".to_owned(),
                text: "look | at that".to_owned(),
            }))
        );
        assert_eq!(
            read(":burst one | two||three"),
            Ok(Local::Post(Post::Burst(
                ["one", "two", "three"].map(str::to_owned).to_vec()
            )))
        );
        assert_eq!(read(":save"), Ok(Local::Save(None)));
        assert_eq!(read(":save /tmp"), Ok(Local::Save(Some("/tmp".to_owned()))));
    }

    #[test]
    fn mistakes_are_explained() {
        for (line, wanted) in [
            (":", "no such line: :; :help"),
            (":)", "no such line: :); :help"),
            (":fil x", "no such line: :fil"),
            (":file", "write it as :file PATH [CAPTION] ("),
            (":file \"x", "a \" is not closed"),
            (":file x\\", "nothing comes after the \\"),
            (":voice a b", "write it as :voice PATH ("),
            (":save a b", "write it as :save [PATH] ("),
            (":forward Ben", "write it as :forward NAME TEXT ("),
            (":kill it", "write it as :kill ("),
            (":quick", "write it as :quick LINE ("),
        ] {
            let told = read(line).unwrap_err();
            assert!(told.starts_with(wanted), "{line}: {told}");
        }
    }

    #[test]
    fn every_line_of_the_help_is_one() {
        for (line, what) in LINES {
            assert!(help().contains(line) && help().contains(what));
            let (bare, waits) = quick(line);
            assert_eq!(waits, !line.starts_with(":quick"));
            if waits {
                assert!(read(bare).is_ok(), "{line}");
            } else {
                assert_eq!(bare, "LINE");
            }
        }
    }

    proptest! {
        #[test]
        fn any_words_come_back_out_of_quotes(words in prop::collection::vec("[^']{1,8}", 1..5)) {
            let line: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            prop_assert_eq!(all_words(&line.join(" ")), Ok(words));
        }

        #[test]
        fn anything_may_be_written(line in any::<String>()) {
            let _ = Local::parse(&line);
        }
    }
}
