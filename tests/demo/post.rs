//! Messages of people that are more than a text, and files of the bot for people.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use telexd_botapi::{BotApi, Origin, Outgoing, Person, ShownFile};

use super::{letter, town};

/// More of a file is not read: it is announced with its size, and nobody can have it from Telegram's Bot API.
const READ: u64 = 20 << 20;
/// Largest photo; what is larger goes as a document.
const PHOTO: usize = 10 << 20;
/// Longest caption, in UTF-16 units.
const CAPTION: usize = 1024;
/// Longest text, in UTF-16 units.
const TEXT: usize = 4096;
/// Messages of an album.
const ALBUM: std::ops::RangeInclusive<usize> = 2..=10;
/// Lines of a file that are shown.
const SHOWN: usize = 20;

/// A message, as the person describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Post {
    /// A file.
    File {
        /// Where it is.
        path: String,
        /// What is said with it.
        caption: String,
    },
    /// Several files that belong together.
    Album(Vec<String>),
    /// A recording.
    Voice(String),
    /// An answer.
    Reply {
        /// Message.
        to: i64,
        /// What is said.
        text: String,
    },
    /// Something of somebody else.
    Forward {
        /// Whose.
        from: String,
        /// What they said.
        text: String,
    },
    /// Several texts, one right after the other.
    Burst(Vec<String>),
}

impl Post {
    /// Sends it.
    ///
    /// # Errors
    /// A sentence: it cannot be sent.
    pub fn send(&self, person: &Person) -> Result<(), String> {
        let chat = person.id();
        match self {
            Self::File { path, caption } => {
                short(caption, CAPTION, "a caption")?;
                person.send(chat, file(path)?.caption(caption));
            }
            Self::Album(paths) => {
                if !ALBUM.contains(&paths.len()) {
                    return Err("an album has 2 to 10 files".to_owned());
                }
                let parts: Result<Vec<Outgoing>, String> = paths.iter().map(|p| file(p)).collect();
                person.send_album(chat, parts?);
            }
            Self::Voice(path) => {
                let (path, size) = regular(path)?;
                let voice = |bytes| Outgoing::file("voice", Some("audio/ogg"), bytes);
                let voice = match read(&path, size)? {
                    Some(bytes) => voice(bytes),
                    None => voice(Vec::new()).claiming(size),
                };
                person.send(chat, voice);
            }
            Self::Reply { to, text } => {
                short(text, TEXT, "a message")?;
                person.send(chat, Outgoing::text(text).reply_to(*to));
            }
            Self::Forward { from, text } => {
                short(text, TEXT, "a message")?;
                let known = town::PEOPLE
                    .iter()
                    .find(|(_, name, _)| name.eq_ignore_ascii_case(from));
                let origin = match known {
                    Some((id, name, _)) => Origin::user(*id, name),
                    None => Origin::hidden(from),
                };
                person.send(chat, Outgoing::text(text).forwarded(origin));
            }
            Self::Burst(texts) => {
                for text in texts {
                    person.paste(chat, text);
                }
            }
        }
        Ok(())
    }

    /// What was sent, for those who see no chat.
    pub fn told(&self) -> String {
        match self {
            Self::File { path, caption } if caption.is_empty() => format!("[file {path}]"),
            Self::File { path, caption } => format!("[file {path}] {caption}"),
            Self::Album(paths) => format!("[album {}]", paths.join(", ")),
            Self::Voice(path) => format!("[voice {path}]"),
            Self::Reply { text, .. } => format!("[reply] {text}"),
            Self::Forward { from, text } => format!("[forwarded from {from}] {text}"),
            Self::Burst(texts) => texts.join("\n"),
        }
    }
}

/// Refuses what Telegram's apps would not let one send.
///
/// # Errors
/// A sentence.
pub fn short(text: &str, most: usize, what: &str) -> Result<(), String> {
    match text.encode_utf16().count() {
        units if units > most => Err(format!("{what} has at most {most} characters, not {units}")),
        _ => Ok(()),
    }
}

/// Another text for a message of the person.
///
/// # Errors
/// A sentence: it cannot have that text.
pub fn edit(person: &Person, message: i64, text: &str) -> Result<(), String> {
    short(text, TEXT, "a message")?;
    person.edit(person.id(), message, text);
    Ok(())
}

fn file(path: &str) -> Result<Outgoing, String> {
    let (path, size) = regular(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mime = mime(&path);
    Ok(match read(&path, size)? {
        None => Outgoing::claimed_document(&name, mime, size),
        Some(bytes) if is_photo(&bytes) => Outgoing::photo(bytes),
        Some(bytes) => Outgoing::document(&name, mime, bytes),
    })
}

/// A path as a person writes it, of a file that can be read to its end, and its size.
fn regular(path: &str) -> Result<(PathBuf, u64), String> {
    let path = expanded(path);
    match fs::metadata(&path) {
        Ok(about) if about.is_file() => Ok((path, about.len())),
        Ok(_) => Err(format!("{} is no file", path.display())),
        Err(e) => Err(format!("cannot read {}: {e}", path.display())),
    }
}

/// With `~` in its beginning as shells have it.
fn expanded(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

/// Its content. `None`: it is too large to be of use to anybody.
fn read(path: &Path, size: u64) -> Result<Option<Vec<u8>>, String> {
    if size > READ {
        return Ok(None);
    }
    let content = fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    Ok(Some(content))
}

fn is_photo(bytes: &[u8]) -> bool {
    let known = bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(b"\xff\xd8\xff");
    known && bytes.len() <= PHOTO
}

fn mime(path: &Path) -> &'static str {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match extension.to_ascii_lowercase().as_str() {
        "txt" | "log" | "md" | "rs" | "py" | "toml" => "text/plain",
        "csv" => "text/csv",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

/// A file in one line.
pub fn line(file: &ShownFile) -> String {
    let name = file.name.as_deref().unwrap_or(&file.kind);
    format!("[file {name}, {} bytes]", file.size)
}

/// The beginning of a file of the bot.
///
/// # Errors
/// A sentence: it is not there.
pub fn look(api: &BotApi, file: &ShownFile) -> Result<String, String> {
    let bytes = content(api, file)?;
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Ok(format!("{}, which is no text", line(file)));
    };
    let all = text.lines().count();
    let mut shown: Vec<&str> = text.lines().take(SHOWN).collect();
    let more = format!("… and {} lines more", all.saturating_sub(SHOWN));
    if all > SHOWN {
        shown.push(&more);
    }
    // What it says is not for the terminal to obey.
    let shown = letter::clean(&shown.join("\n"));
    Ok(format!("{}\n{shown}", line(file)))
}

/// Stores a file of the bot, in the working directory unless told. Nothing that is there is written over.
///
/// # Errors
/// A sentence.
pub fn save(api: &BotApi, file: &ShownFile, to: Option<&str>) -> Result<String, String> {
    let bytes = content(api, file)?;
    // Nothing but a name: where it is stored is the person's choice.
    let name = file.name.as_deref().unwrap_or(&file.kind);
    let name = Path::new(name).file_name().unwrap_or("file".as_ref());
    let path = match to.map(expanded) {
        None => PathBuf::from(name),
        Some(path) if path.is_dir() => path.join(name),
        Some(path) => path,
    };
    fs::File::create_new(&path)
        .and_then(|mut new| new.write_all(&bytes))
        .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    Ok(format!("stored: {}, {} bytes", path.display(), bytes.len()))
}

fn content(api: &BotApi, file: &ShownFile) -> Result<impl std::ops::Deref<Target = [u8]>, String> {
    api.file(&file.file_id)
        .ok_or_else(|| "that file is gone".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{
        super::town::{ANN, Town},
        *,
    };

    /// What the chat shows of a message that was sent.
    async fn sent(post: Post) -> Result<Vec<telexd_botapi::ShownMessage>, String> {
        let town = Town::build().await.unwrap();
        let done = town.post(ANN, &post);
        let shown = town.api.messages(ANN);
        town.api.shutdown().await;
        done.map(|()| shown)
    }

    fn file_of(path: &Path, caption: &str) -> Post {
        Post::File {
            path: path.to_str().unwrap().to_owned(),
            caption: caption.to_owned(),
        }
    }

    #[tokio::test]
    async fn files_go_as_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let png = dir.path().join("a.dat");
        fs::write(&png, b"\x89PNG\r\n\x1a\n rest").unwrap();
        let text = dir.path().join("b.png");
        fs::write(&text, "no picture").unwrap();
        let huge = dir.path().join("c.bin");
        fs::File::create(&huge).unwrap().set_len(3 << 30).unwrap();
        for (path, kind, name, size) in [
            (&png, "photo", None, 13),
            (&text, "document", Some("b.png"), 10),
            (&huge, "document", Some("c.bin"), 3 << 30),
        ] {
            let shown = sent(file_of(path, "see")).await.unwrap();
            let file = shown[0].file.as_ref().unwrap();
            assert_eq!((file.kind.as_str(), file.name.as_deref()), (kind, name));
            assert_eq!((file.size, shown[0].text.as_str()), (size, "see"));
        }
        let both = [&png, &text].map(|p| p.to_str().unwrap().to_owned());
        let shown = sent(Post::Album(both.to_vec())).await.unwrap();
        assert_eq!(shown.len(), 2);
        let voice = Post::Voice(text.to_str().unwrap().to_owned());
        let shown = sent(voice).await.unwrap();
        assert_eq!(shown[0].file.as_ref().unwrap().kind, "voice");
    }

    #[tokio::test]
    async fn what_cannot_be_sent_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("none");
        let one = vec![none.to_str().unwrap().to_owned()];
        let long = "x".repeat(5000);
        let reply = Post::Reply {
            to: 1,
            text: long.clone(),
        };
        for (post, wanted) in [
            (file_of(&none, ""), "No such file"),
            (file_of(dir.path(), ""), "is no file"),
            (file_of(Path::new("/dev/null"), ""), "is no file"),
            (file_of(&none, &long), "a caption has at most 1024"),
            (Post::Voice(one[0].clone()), "No such file"),
            (Post::Album(one), "2 to 10"),
            (reply, "a message has at most 4096 characters, not 5000"),
        ] {
            let told = sent(post).await.unwrap_err();
            assert!(told.contains(wanted), "{told}");
        }
    }

    #[tokio::test]
    async fn a_file_of_the_bot_is_looked_at_and_stored_but_over_nothing() {
        let town = Town::build().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("out.txt");
        let text: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        fs::write(&source, &text).unwrap();
        town.post(ANN, &file_of(&source, "")).unwrap();
        // Whose it is makes no difference here.
        let file = town.api.messages(ANN)[0].file.clone().unwrap();
        let shown = look(&town.api, &file).unwrap();
        assert!(shown.starts_with(&format!("[file out.txt, {} bytes]\nline 1\n", text.len())));
        assert!(shown.ends_with("line 20\n… and 10 lines more"), "{shown}");
        let at = |path: &Path| save(&town.api, &file, Some(path.to_str().unwrap()));
        assert!(at(dir.path()).unwrap_err().contains("exists"));
        let copy = dir.path().join("copy.txt");
        assert!(at(&copy).unwrap().starts_with("stored: "));
        assert_eq!(fs::read_to_string(&copy).unwrap(), text);
        let gone = ShownFile {
            file_id: "none".to_owned(),
            ..file
        };
        assert_eq!(look(&town.api, &gone).unwrap_err(), "that file is gone");
        town.api.shutdown().await;
    }
}
