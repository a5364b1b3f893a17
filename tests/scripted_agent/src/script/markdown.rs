//! Text of a wanted length that exercises a Markdown renderer.

/// Exactly `n` characters of Markdown: headings, emphasis, lists, links, code with a language, and characters outside
/// the basic plane. The same `n` gives the same text.
#[must_use]
pub fn markdown(n: usize) -> String {
    let mut out = String::with_capacity(n);
    let mut len = 0;
    let mut section = 1_u32;
    while len < n {
        let next = self::section(section);
        for c in next.chars().take(n - len) {
            out.push(c);
            len += 1;
        }
        section += 1;
    }
    out
}

fn section(i: u32) -> String {
    match i % 4 {
        1 => format!(
            "## Part {i}\n\nThis is part {i} of a text of **some length**, with *emphasis*, `code` and a \
             [link](https://example.org/{i}). It goes on for a few lines, so that a message fills up and has to be split \
             somewhere that does not hurt: best between two paragraphs, else at the end of a line.\n\n"
        ),
        2 => format!(
            "- first point of part {i}\n- second point, with an emoji \u{1f980}\n  - a nested point\n- last point\n\n"
        ),
        3 => format!(
            "```rust\n/// Function number {i}.\nfn part_{i}(x: u64) -> u64 {{\n    x.wrapping_mul({i}) // < & > are plain here\n}}\n```\n\n"
        ),
        _ => format!(
            "> Quoted words of part {i}: 1 < 2 && 3 > 2.\n\n1. one\n2. two\n3. three ({i})\n\n"
        ),
    }
}
