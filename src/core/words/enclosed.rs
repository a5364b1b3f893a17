//! What people are told about code that stands as a file below its answer.

/// In place of the code, in the text.
#[must_use]
pub fn note(name: &str, lines: usize) -> String {
    format!("{name}: {}, as a file below", count(lines))
}

/// Below the file itself.
#[must_use]
pub fn caption(name: &str, lines: usize) -> String {
    format!("{name} ({})", count(lines))
}

fn count(lines: usize) -> String {
    if lines == 1 {
        "1 line".to_owned()
    } else {
        format!("{lines} lines")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_lines() {
        assert_eq!(note("a.rs", 1), "a.rs: 1 line, as a file below");
        assert_eq!(caption("a.rs", 412), "a.rs (412 lines)");
    }
}
