use proptest::prelude::*;

use super::*;

fn file_with(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn the_last_newline_is_found_across_blocks() {
    let mut bytes = b"first\n".to_vec();
    bytes.resize(200_000, b'x');
    let file = file_with(&bytes);
    assert_eq!(whole_lines(&file, 200_000).unwrap(), 6);
    assert_eq!(last_newline(&file, 6, 200_000).unwrap(), 6);
    assert_eq!(whole_lines(&file, 5).unwrap(), 0);
    assert_eq!(whole_lines(&file_with(b""), 0).unwrap(), 0);
}

proptest! {
    #[test]
    fn whole_lines_end_behind_the_last_newline(text in "[ab\n]{0,40}") {
        let file = file_with(text.as_bytes());
        let expected = text.rfind('\n').map_or(0, |at| at + 1);
        prop_assert_eq!(whole_lines(&file, text.len() as u64).unwrap(), expected as u64);
    }
}
