//! What people and agents are told about files.

use tr::tr;

use super::Phrase;

/// Why a file is not passed on: for the person, and as a clause for the agent.
#[derive(Debug)]
pub struct Refused {
    /// For the person.
    pub person: Phrase,
    /// For the agent.
    pub agent: &'static str,
}

/// It is larger than Telegram gives out.
pub static TOO_LARGE: Refused = Refused {
    person: phrase!(
        "❌ That file is too large: Telegram lets bots take files of up to 20 MB only."
    ),
    agent: "it is larger than 20 MB, the most that Telegram gives out",
};
/// It is larger than a Bot API server of one's own gives out.
pub static TOO_LARGE_LOCAL: Refused = Refused {
    person: phrase!("❌ That file is too large: I take files of up to 2000 MB only."),
    agent: "it is larger than 2000 MB, the most that is taken",
};
/// It has no content.
pub static EMPTY: Refused = Refused {
    person: phrase!("❌ That file is empty (0 bytes), so there was nothing to pass on."),
    agent: "it is empty (0 bytes)",
};
/// Telegram does not have it any more.
pub static GONE: Refused = Refused {
    person: phrase!("❌ Telegram no longer has that file. Please send it again."),
    agent: "Telegram no longer had it",
};
/// It lies where it may not be read from.
pub static CLOSED: Refused = Refused {
    person: phrase!(
        "❌ I may not read that file where the server keeps it. An administrator finds the reason in the server's journal."
    ),
    agent: "it could not be read on the server",
};
/// It could not be fetched, time and again.
pub static NOT_FETCHED: Refused = Refused {
    person: phrase!(
        "❌ I could not fetch that file from Telegram, though I tried many times. Please send it again."
    ),
    agent: "it could not be fetched from Telegram",
};
/// It could not be written.
pub static NOT_WRITTEN: Refused = Refused {
    person: phrase!(
        "❌ That file could not be stored on the server. An administrator finds the reason in the server's journal."
    ),
    agent: "it could not be stored on the server",
};
/// One file alone is more than its conversation may have.
pub static OVER_QUOTA: Refused = Refused {
    person: phrase!(
        "❌ There is no room for that file: the files of this conversation may take only so much on the server (`files.quota_mb`)."
    ),
    agent: "there was no room for it in the space of this conversation",
};

/// Files are switched off for this person: of a part of an album.
pub static OFF_IN_ALBUM: Refused = Refused {
    person: phrase!("I do not take files here. Please send it as text."),
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
            return tr!(
                "❌ Part {number} of your album ({name}) is not passed on: {why}. The rest is.",
                number,
                name,
                why
            );
        }
        (true, _) => tr!("❌ These parts of your album are not passed on; the rest is:"),
        (false, _) => tr!("❌ Nothing of your album could be passed on:"),
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
pub static OFF: Phrase = phrase!("I do not take files here. Please send it as text.");
/// Files are not taken: answer to one with a caption.
pub static OFF_TEXT_ONLY: Phrase =
    phrase!("I do not take files here, so I passed on your text only.");
/// A sticker, a place, a poll.
pub static NOT_A_FILE: Phrase =
    phrase!("I cannot pass that on: I take texts, photos, documents, voice, audio and video.");
/// The same with a text.
pub static NOT_A_FILE_TEXT_ONLY: Phrase = phrase!(
    "I cannot pass that on, so I passed on your text only: I take texts, photos, documents, voice, audio and video."
);

/// Placeholder of a turn that runs as soon as its files are here.
pub static FETCHING: Phrase = phrase!("Fetching your file…");
/// The disk is full: the file is fetched later.
pub static NO_ROOM: Phrase = phrase!(
    "The server's disk is full. Your file is fetched, and your message runs, as soon as there is room."
);

/// What was said, for the person who said it.
#[must_use]
pub fn transcript(words: &str) -> String {
    tr!("🎤 I understood:\n\n{words}", words)
}

/// There is no transcriber.
pub static NO_TRANSCRIBER: Phrase = phrase!(
    "🎤 I cannot turn voice into text here, so the agent gets the recording as a file. (`files.transcriber` names a program that can.)"
);
/// Voice is switched off for this person.
pub static VOICE_OFF: Phrase = phrase!(
    "🎤 Voice is not turned into text for you here, so the agent gets the recording as a file."
);
/// The transcriber took too long.
pub static VOICE_SLOW: Phrase = phrase!(
    "🎤 Turning your voice into text took too long, so the agent gets the recording as a file."
);
/// The transcriber failed.
pub static VOICE_FAILED: Phrase = phrase!(
    "🎤 Your voice could not be turned into text, so the agent gets the recording as a file. An administrator finds the reason in the server's journal."
);
/// The transcriber found nothing.
pub static VOICE_NO_WORDS: Phrase =
    phrase!("🎤 I found no words in your recording, so the agent gets it as a file.");

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
