//! Files that people send: their names lead nowhere, their heads are read without being unpacked.

use telexd::core::{
    files::{self, Told},
    inbound::Attachment,
};

/// The first line is what the sender calls the file, the rest is what is in it.
pub fn holds(data: &[u8]) {
    let (name, content) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &data[..0]),
    };
    let given = String::from_utf8_lossy(name).into_owned();
    let attachment = Attachment {
        kind: "document".to_owned(),
        file_id: "x".to_owned(),
        file_name: Some(given.clone()),
        mime: Some(given.clone()),
        size: None,
    };
    for unique in [i64::MIN, -1, 0, i64::MAX] {
        is_a_name(&files::safe_name(unique, &attachment));
    }
    if let Some(image) = files::image(content)
        && image.is_presentable()
    {
        assert!(image.width <= 8000 && image.height <= 8000);
        assert!(u64::from(image.width) * u64::from(image.height) <= 40_000_000);
    }
    // Neither the media type nor the name ends the note that is added to a prompt.
    let safe = files::safe_name(1, &attachment);
    let note = files::prompt(
        "",
        &[Told::Saved {
            path: &safe,
            kind: "document",
            mime: Some(&given),
            size: 1,
            shown: false,
        }],
    );
    assert_eq!(note.lines().count(), 2, "{note}");
    assert_eq!(note.matches(']').count(), 1, "{note}");
}

/// Fails unless it names one file in a folder: no path, no option, not hidden, not too long for any file system.
pub fn is_a_name(name: &str) {
    assert!(name.starts_with(|c: char| c.is_ascii_digit()), "{name:?}");
    assert!(name.len() <= 150, "{} bytes", name.len());
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    assert!(name.chars().all(plain), "{name:?}");
    assert!(!name.contains(".."), "{name:?}");
}
