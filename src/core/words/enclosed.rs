//! What people are told about code that stands as a file below its answer.

use tr::tr;

/// In place of the code, in the text.
#[must_use]
pub fn note(name: &str, lines: usize) -> String {
    tr!(
        "{name}: {n} line, as a file below" | "{name}: {n} lines, as a file below" % count(lines),
        name
    )
}

/// Below the file itself.
#[must_use]
pub fn caption(name: &str, lines: usize) -> String {
    tr!(
        "{name} ({n} line)" | "{name} ({n} lines)" % count(lines),
        name
    )
}

/// Above each part of a file that comes as several messages.
#[must_use]
pub fn part(name: &str, part: usize, parts: usize) -> String {
    tr!("{name}, {part} of {parts}", name, part, parts)
}

fn count(lines: usize) -> u32 {
    u32::try_from(lines).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_lines() {
        assert_eq!(note("a.rs", 1), "a.rs: 1 line, as a file below");
        assert_eq!(caption("a.rs", 412), "a.rs (412 lines)");
        assert_eq!(part("a.rs", 2, 3), "a.rs, 2 of 3");
    }
}
