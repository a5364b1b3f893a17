//! Tests of names, prompts and the heads of images.

use proptest::prelude::*;

use super::*;

fn sent(kind: &str, name: Option<&str>, mime: Option<&str>) -> Attachment {
    Attachment {
        kind: kind.to_owned(),
        file_id: "id".to_owned(),
        file_name: name.map(str::to_owned),
        mime: mime.map(str::to_owned),
        size: None,
    }
}

fn named(name: &str) -> String {
    safe_name(7, &sent("document", Some(name), None))
}

#[test]
fn names_are_made_safe() {
    for (given, safe) in [
        ("report.pdf", "7-report.pdf"),
        ("../../x", "7-x"),
        ("../../etc/passwd", "7-etc_passwd"),
        ("/etc/shadow", "7-etc_shadow"),
        ("..\\..\\boot.ini", "7-boot.ini"),
        ("-rf", "7-rf"),
        ("--output=x y", "7-output_x_y"),
        (".bashrc", "7-bashrc"),
        ("a\n\u{1b}[31m\0b.txt", "7-a_31m_b.txt"),
        ("\u{202e}gpj.exe", "7-gpj.exe"),
        ("$(reboot);`id`.sh", "7-reboot_id_.sh"),
        ("Übersicht 2026 – ende.odt", "7-Übersicht_2026_ende.odt"),
        ("报告.docx", "7-报告.docx"),
        ("...", "7-file"),
        ("", "7-file"),
        ("🙂", "7-file"),
    ] {
        assert_eq!(named(given), safe, "{given:?}");
    }
    assert_eq!(safe_name(3, &sent("photo", None, None)), "3-photo.jpg");
    assert_eq!(safe_name(3, &sent("voice", None, None)), "3-voice.ogg");
    assert_eq!(
        safe_name(3, &sent("video_note", None, None)),
        "3-video_note.mp4"
    );
    let long = named(&format!("{}.tar", "ä".repeat(500)));
    assert!(
        long.len() <= LONGEST_NAME + 2 && long.ends_with(".tar"),
        "{long}"
    );
}

proptest! {
    #[test]
    fn no_name_leads_anywhere_else(name in any::<String>(), unique in any::<i64>()) {
        let safe = safe_name(unique, &sent("document", Some(&name), None));
        prop_assert!(safe.len() <= LONGEST_NAME + 24);
        prop_assert!(safe.starts_with(|c: char| c.is_ascii_digit()));
        prop_assert!(safe.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')), "{safe}");
        prop_assert!(!safe.contains(".."));
    }

    #[test]
    fn no_bytes_are_too_odd_to_be_looked_at(mut bytes in prop::collection::vec(any::<u8>(), 0..200), head in 0usize..5) {
        let heads: [&[u8]; 5] = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 "];
        let mut all = heads[head].to_vec();
        all.append(&mut bytes);
        let _ = image(&all);
    }
}

#[test]
fn what_is_a_file() {
    assert!(is_file(&sent("document", None, None)));
    assert!(!is_file(&sent("sticker", None, None)));
    let mut place = sent("location", None, None);
    place.file_id.clear();
    assert!(!is_file(&place));
}

#[test]
fn odd_media_types_are_not_passed_on() {
    assert_eq!(safe_mime("image/svg+xml"), Some("image/svg+xml"));
    for odd in ["", "x", "a/b/c", "a/ b", "text/plain\n- /etc/x", "/x"] {
        assert_eq!(safe_mime(odd), None, "{odd:?}");
    }
}

#[test]
fn the_agent_is_told_by_path() {
    assert_eq!(prompt("Hello", &[]), "Hello");
    let saved = Told::Saved {
        path: "/in/7-a.pdf",
        kind: "document",
        mime: Some("application/pdf"),
        size: 12_345,
        shown: false,
    };
    let missing = Told::Missing {
        name: "8-b.zip",
        why: "it has no content",
    };
    assert_eq!(
        prompt("Read this", std::slice::from_ref(&saved)),
        "Read this\n\n[A file was sent with this message:\n- /in/7-a.pdf (document, application/pdf, 12.3 kB)]"
    );
    assert_eq!(
        prompt("", &[saved, missing]),
        "[Files were sent with this message:\n- /in/7-a.pdf (document, application/pdf, 12.3 kB)\n- 8-b.zip: not available, it has no content]"
    );
}

#[test]
fn images_are_known_by_their_heads() {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend(640u32.to_be_bytes());
    png.extend(480u32.to_be_bytes());
    let found = image(&png).unwrap();
    assert_eq!(
        (found.mime, found.width, found.height),
        ("image/png", 640, 480)
    );
    assert!(found.is_presentable());
    // An application segment, then a frame.
    let jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc2\x00\x11\x08\x01\x00\x02\x00\x03";
    let found = image(jpeg).unwrap();
    assert_eq!(
        (found.mime, found.width, found.height),
        ("image/jpeg", 512, 256)
    );
    let gif = b"GIF89a\x0a\x00\x14\x00";
    assert_eq!(image(gif).map(|i| (i.width, i.height)), Some((10, 20)));
    let webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x1f\0\0";
    assert_eq!(image(webp).map(|i| (i.width, i.height)), Some((16, 32)));
    let lossless = [
        b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f".as_slice(),
        &(9u32 | 19 << 14).to_le_bytes(),
    ]
    .concat();
    assert_eq!(
        image(&lossless).map(|i| (i.width, i.height)),
        Some((10, 20))
    );
    for none in [
        b"".as_slice(),
        b"%PDF-1.7",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xd9",
        b"<svg/>",
    ] {
        assert_eq!(image(none), None, "{none:?}");
    }
}

#[test]
fn a_bomb_is_no_picture() {
    for (width, height) in [(100_000, 100_000), (8001, 1), (8000, 8000), (0, 5)] {
        let bomb = Image {
            mime: "image/png",
            width,
            height,
        };
        assert!(!bomb.is_presentable(), "{width} x {height}");
    }
}
