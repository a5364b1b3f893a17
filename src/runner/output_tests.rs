use std::{fs::OpenOptions, io::Write};

use proptest::prelude::*;

use super::*;

struct Rig {
    _dir: tempfile::TempDir,
    path: std::path::PathBuf,
    writer: File,
}

fn rig() -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("output");
    let writer = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap();
    Rig {
        _dir: dir,
        path,
        writer,
    }
}

fn line(end: u64, text: &str) -> Line {
    Line {
        end,
        bytes: text.as_bytes().to_vec(),
    }
}

#[test]
fn only_whole_lines_come() {
    let mut rig = rig();
    let mut output = Output::open(&rig.path, 0).unwrap();
    assert_eq!(output.step().unwrap(), Step::Nothing);
    rig.writer.write_all(b"one\n\nth").unwrap();
    let expected = Step::Lines(vec![line(4, "one"), line(5, "")]);
    assert_eq!(output.step().unwrap(), expected);
    assert_eq!(output.taken(), 5);
    assert_eq!(output.step().unwrap(), Step::Nothing);
    rig.writer.write_all(b"r").unwrap();
    assert_eq!(output.step().unwrap(), Step::More);
    rig.writer.write_all(b"ee\n").unwrap();
    assert_eq!(output.step().unwrap(), Step::Lines(vec![line(11, "three")]));
    assert_eq!(output.rest(), None);
    rig.writer.write_all(b"no end").unwrap();
    assert_eq!(output.step().unwrap(), Step::More);
    assert_eq!(output.rest(), Some(line(17, "no end")));
    assert_eq!(output.rest(), None);
}

#[test]
fn reading_begins_at_the_offset() {
    let mut rig = rig();
    rig.writer.write_all(b"one\ntwo\n").unwrap();
    let mut output = Output::open(&rig.path, 4).unwrap();
    assert_eq!(output.step().unwrap(), Step::Lines(vec![line(8, "two")]));
    let mut beyond = Output::open(&rig.path, 9).unwrap();
    assert_eq!(beyond.step().unwrap(), Step::Shorter { size: 8 });
}

#[test]
fn a_cut_file_is_seen_also_within_a_line() {
    let mut rig = rig();
    rig.writer.write_all(b"one\nhalf").unwrap();
    let mut output = Output::open(&rig.path, 0).unwrap();
    output.step().unwrap();
    rig.writer.set_len(6).unwrap();
    assert_eq!(output.step().unwrap(), Step::Shorter { size: 6 });
}

fn everything(output: &mut Output) -> Vec<Line> {
    let mut all = Vec::new();
    loop {
        match output.step().unwrap() {
            Step::Lines(lines) => all.extend(lines),
            Step::More => {}
            Step::Nothing => break,
            Step::Shorter { .. } => panic!("nobody cut it"),
        }
    }
    all
}

#[test]
fn a_line_at_the_limit_comes_and_one_beyond_leaves_a_mark() {
    for (length, kept) in [(99, true), (100, true), (101, false), (5000, false)] {
        let mut rig = rig();
        let long = "x".repeat(length);
        rig.writer
            .write_all(format!("a\n{long}\nb\n{long}").as_bytes())
            .unwrap();
        let mut output = Output::with_limit(&rig.path, 0, 100).unwrap();
        let lines = everything(&mut output);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].end, 2 + length as u64 + 1);
        assert_eq!(lines[2].bytes, b"b");
        let last = output.rest().unwrap();
        assert_eq!(last.end, 2 * length as u64 + 5);
        for line in [&lines[1], &last] {
            if kept {
                assert_eq!(line.bytes, long.as_bytes());
            } else {
                let text = String::from_utf8(line.bytes.clone()).unwrap();
                assert!(text.contains(&length.to_string()), "{text}");
                assert!(serde_json::from_str::<serde_json::Value>(&text).is_err());
            }
        }
    }
}

proptest! {
    /// However the writes and looks fall, each line comes once, in order, and the offsets meet.
    #[test]
    fn nothing_is_lost_or_doubled(
        lines in prop::collection::vec("[a-z]{0,20}", 0..20),
        cuts in prop::collection::vec(1usize..12, 1..60),
        restart in 0usize..20,
    ) {
        let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
        let mut rig = rig();
        let mut output = Output::open(&rig.path, 0).unwrap();
        let mut got: Vec<Line> = Vec::new();
        let mut rest = text.as_bytes();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            rig.writer.write_all(now).unwrap();
            rest = later;
            if let Step::Lines(lines) = output.step().unwrap() {
                got.extend(lines);
            }
            if got.len() == restart {
                output = Output::open(&rig.path, got.last().map_or(0, |l| l.end)).unwrap();
            }
        }
        got.extend(everything(&mut output));
        let mut end = 0;
        for (line, expected) in got.iter().zip(&lines) {
            end += expected.len() as u64 + 1;
            prop_assert_eq!(&line.bytes, expected.as_bytes());
            prop_assert_eq!(line.end, end);
        }
        prop_assert_eq!(got.len(), lines.len());
    }
}
