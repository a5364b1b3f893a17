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
