//! What people and agents are told about files.

/// Why a file is not passed on: for the person, and as a clause for the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For the person.
    pub person: &'static str,
    /// For the agent.
    pub agent: &'static str,
}

/// It is larger than Telegram gives out.
pub const TOO_LARGE: Refused = Refused {
    person: "❌ That file is too large: Telegram lets bots take files of up to 20 MB only.",
    agent: "it is larger than 20 MB, the most that Telegram gives out",
};
/// It has no content.
pub const EMPTY: Refused = Refused {
    person: "❌ That file is empty (0 bytes), so there was nothing to pass on.",
    agent: "it is empty (0 bytes)",
};
/// Telegram does not have it any more.
pub const GONE: Refused = Refused {
    person: "❌ Telegram no longer has that file. Please send it again.",
    agent: "Telegram no longer had it",
};
/// It lies where it may not be read from.
pub const CLOSED: Refused = Refused {
    person: "❌ I may not read that file where the server keeps it. An administrator finds the reason in the server's journal.",
    agent: "it could not be read on the server",
};
/// It could not be fetched, time and again.
pub const NOT_FETCHED: Refused = Refused {
    person: "❌ I could not fetch that file from Telegram, though I tried many times. Please send it again.",
    agent: "it could not be fetched from Telegram",
};
/// It could not be written.
pub const NOT_WRITTEN: Refused = Refused {
    person: "❌ That file could not be stored on the server. An administrator finds the reason in the server's journal.",
    agent: "it could not be stored on the server",
};
/// One file alone is more than its conversation may have.
pub const OVER_QUOTA: Refused = Refused {
    person: "❌ There is no room for that file: the files of this conversation may take only so much on the server (`files.quota_mb`).",
    agent: "there was no room for it in the space of this conversation",
};

/// Files are switched off for this person: of a part of an album.
pub const OFF_IN_ALBUM: Refused = Refused {
    person: OFF,
    agent: "files are not passed on here",
};

/// Parts of an album that are not passed on: each by its number in the album, its name and a reason. `rest`: whether the
/// rest of it is.
#[must_use]
pub fn missing_parts<'a>(
    parts: impl IntoIterator<Item = (usize, &'a str, &'a str)>,
    rest: bool,
) -> String {
    /// So many are named.
    const MOST: usize = 10;
    let mut parts: Vec<_> = parts.into_iter().collect();
    let more = parts.len().saturating_sub(MOST);
    parts.truncate(MOST);
    let mut text = match (rest, parts.as_slice()) {
        (true, [(number, name, why)]) if more == 0 => {
            return format!(
                "❌ Part {number} of your album ({name}) is not passed on: {why}. The rest is."
            );
        }
        (true, _) => "❌ These parts of your album are not passed on; the rest is:".to_owned(),
        (false, _) => "❌ Nothing of your album could be passed on:".to_owned(),
    };
    for (number, name, why) in parts {
        text.push_str(&format!("\n{number}. {name}: {why}"));
    }
    if more > 0 {
        text.push_str("\n…");
    }
    text
}

/// What the agent is told of a file that was deleted meanwhile.
pub const DELETED: &str = "it was deleted from the server meanwhile";

/// Files are not taken: answer to one without text.
pub const OFF: &str = "I do not take files here. Please send it as text.";
/// Files are not taken: answer to one with a caption.
pub const OFF_TEXT_ONLY: &str = "I do not take files here, so I passed on your text only.";
/// A sticker, a place, a poll.
pub const NOT_A_FILE: &str =
    "I cannot pass that on: I take texts, photos, documents, voice, audio and video.";
/// The same with a text.
pub const NOT_A_FILE_TEXT_ONLY: &str = "I cannot pass that on, so I passed on your text only: I take texts, photos, documents, voice, audio and video.";

/// The disk is full: the file is fetched later.
pub const NO_ROOM: &str = "The server's disk is full. Your file is fetched, and your message runs, as soon as there is room.";

/// What was said, for the person who said it.
#[must_use]
pub fn transcript(words: &str) -> String {
    format!("🎤 I understood:\n\n{words}")
}

/// There is no transcriber.
pub const NO_TRANSCRIBER: &str = "🎤 I cannot turn voice into text here, so the agent gets the recording as a file. (`files.transcriber` names a program that can.)";
/// Voice is switched off for this person.
pub const VOICE_OFF: &str =
    "🎤 Voice is not turned into text for you here, so the agent gets the recording as a file.";
/// The transcriber took too long.
pub const VOICE_SLOW: &str =
    "🎤 Turning your voice into text took too long, so the agent gets the recording as a file.";
/// The transcriber failed.
pub const VOICE_FAILED: &str = "🎤 Your voice could not be turned into text, so the agent gets the recording as a file. An administrator finds the reason in the server's journal.";
/// The transcriber found nothing.
pub const VOICE_NO_WORDS: &str =
    "🎤 I found no words in your recording, so the agent gets it as a file.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_parts_are_missing() {
        let one = (2, "b.txt", EMPTY.agent);
        assert_eq!(
            missing_parts([one], true),
            "❌ Part 2 of your album (b.txt) is not passed on: it is empty (0 bytes). The rest is."
        );
        assert_eq!(
            missing_parts([one, (3, "c.zip", GONE.agent)], true),
            "❌ These parts of your album are not passed on; the rest is:\n2. b.txt: it is empty (0 bytes)\n\
             3. c.zip: Telegram no longer had it"
        );
        assert!(missing_parts([one], false).starts_with("❌ Nothing of your album"));
        let many = (1..=100).map(|n| (n, "x", GONE.agent));
        assert!(missing_parts(many, true).ends_with("10. x: Telegram no longer had it\n…"));
    }
}
