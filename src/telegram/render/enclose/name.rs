//! Names for files of code: as the agent named them, or by their language.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::build, Block};

/// Longest name, in characters.
const LONGEST: usize = 64;

/// Extensions by language; others are their own, where they look like one.
const EXTENSIONS: &[(&str, &str)] = &[
    ("bash", "sh"),
    ("c#", "cs"),
    ("c++", "cpp"),
    ("clojure", "clj"),
    ("cplusplus", "cpp"),
    ("csharp", "cs"),
    ("elixir", "ex"),
    ("erlang", "erl"),
    ("f#", "fs"),
    ("fsharp", "fs"),
    ("golang", "go"),
    ("haskell", "hs"),
    ("javascript", "js"),
    ("julia", "jl"),
    ("kotlin", "kt"),
    ("latex", "tex"),
    ("markdown", "md"),
    ("objective-c", "m"),
    ("objectivec", "m"),
    ("ocaml", "ml"),
    ("perl", "pl"),
    ("plain", "txt"),
    ("plaintext", "txt"),
    ("powershell", "ps1"),
    ("protobuf", "proto"),
    ("python", "py"),
    ("python3", "py"),
    ("ruby", "rb"),
    ("rust", "rs"),
    ("shell", "sh"),
    ("terraform", "tf"),
    ("text", "txt"),
    ("typescript", "ts"),
    ("yml", "yaml"),
    ("zsh", "sh"),
];

/// Names of files that have no extension.
const BARE: &[&str] = &[
    "Caddyfile",
    "Containerfile",
    "Dockerfile",
    "Gemfile",
    "Jenkinsfile",
    "Justfile",
    "LICENSE",
    "Makefile",
    "Procfile",
    "Rakefile",
    "README",
    "Vagrantfile",
    "justfile",
    "makefile",
];

/// A name for each block, no two alike, whatever apps make of capital letters.
pub(super) fn names<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Vec<String> {
    let mut given = Given::default();
    let names = blocks.into_iter();
    names
        .map(|block| given.next(named(block).unwrap_or_else(|| by_language(&block.info))))
        .collect()
}

/// Names that were given.
#[derive(Default)]
struct Given {
    /// In lower case.
    taken: BTreeSet<String>,
    /// By name in lower case the last number that was tried for it: none is tried twice, or thousands of blocks without
    /// a name of their own would take forever.
    last: BTreeMap<String, usize>,
}

impl Given {
    /// This name, or the first with a number that is free.
    fn next(&mut self, name: String) -> String {
        let last = self.last.entry(name.to_lowercase()).or_default();
        loop {
            *last += 1;
            let numbered = numbered(&name, *last);
            if self.taken.insert(numbered.to_lowercase()) {
                return numbered;
            }
        }
    }
}

/// `main.rs`, `main-2.rs`, ….
fn numbered(name: &str, number: usize) -> String {
    match (number, name.rsplit_once('.')) {
        (1, _) => name.to_owned(),
        (_, Some((stem, extension))) if !stem.is_empty() => format!("{stem}-{number}.{extension}"),
        _ => format!("{name}-{number}"),
    }
}

fn by_language(info: &str) -> String {
    let Some(language) = build::language(info).map(|language| language.to_lowercase()) else {
        return "code.txt".to_owned();
    };
    if language == "dockerfile" {
        return "Dockerfile".to_owned();
    }
    if language == "makefile" {
        return "Makefile".to_owned();
    }
    let extension = match EXTENSIONS.iter().find(|(of, _)| *of == language) {
        Some((_, extension)) => extension,
        None if is_extension(&language) => language.as_str(),
        None => "txt",
    };
    format!("code.{extension}")
}

/// The name that the agent gave: behind the fence, in the line before it, or in the first line of the code.
fn named(block: &Block) -> Option<String> {
    let words = block.info.split([' ', '\t', ',', '{', '}']);
    let of_info = words.filter(|word| !word.is_empty()).find_map(|word| {
        let value = word.split_once('=').map(|(key, value)| {
            matches!(key, "title" | "file" | "filename" | "name" | "path").then_some(value)
        });
        match value {
            Some(value) => safe(value?.trim_matches(['"', '\''])),
            // `rust:src/main.rs`, `12:15:src/main.rs`, `src/main.rs`.
            None => safe(word.rsplit(':').next()?),
        }
    });
    of_info
        .or_else(|| of_line(&block.before))
        .or_else(|| of_comment(block.code.lines().next()?))
}

/// The only thing in a line that looks like a name: marked as code, or all that the line says.
fn of_line(line: &[(bool, String)]) -> Option<String> {
    let mut codes = line.iter().filter(|(code, _)| *code);
    let mut found = codes.by_ref().filter_map(|(_, text)| safe(text));
    let (first, second) = (found.next(), found.next());
    if first.is_some() {
        return first.filter(|_| second.is_none());
    }
    let whole: String = line.iter().map(|(_, text)| text.as_str()).collect();
    safe(whole.trim().trim_end_matches(':').trim())
}

/// `// src/main.rs`, `# main.py`, `<!-- index.html -->` and the like, with nothing else.
fn of_comment(line: &str) -> Option<String> {
    let line = line.trim();
    let inner = ["//", "#", "--", ";", "%", "/*", "<!--"]
        .into_iter()
        .find_map(|sign| line.strip_prefix(sign))?;
    let inner = inner.trim_end_matches("*/").trim_end_matches("-->").trim();
    let inner = ["File:", "file:", "Filename:", "filename:"]
        .into_iter()
        .find_map(|word| inner.strip_prefix(word))
        .unwrap_or(inner);
    safe(inner.trim())
}

/// The last part of a path, if the whole looks like one of a file: no white space, a name of plain characters, with an
/// extension or one of those that have none.
fn safe(path: &str) -> Option<String> {
    if path.is_empty()
        || path.len() > 512
        || path.contains(char::is_whitespace)
        || path.contains("://")
    {
        return None;
    }
    let name = path.rsplit(['/', '\\']).next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    if name.chars().count() > LONGEST || !name.chars().all(plain) || name.contains("..") {
        return None;
    }
    if BARE.contains(&name) {
        return Some(name.to_owned());
    }
    let (stem, extension) = name.rsplit_once('.')?;
    // Nothing that an app would take for an option, or hide. `self.run` and `e.g` are no files, `src/a.xyz` is one.
    let begins = stem.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let known = is_known(extension) || (name.len() < path.len() && is_extension(extension));
    (begins && known).then(|| name.to_owned())
}

/// Whether this is a usual extension of a file that is text.
fn is_known(extension: &str) -> bool {
    const OTHERS: &str = "adoc asm astro bat bib c cabal cc cfg cjs cmake conf cpp css csv cxx d dart diff dockerfile el env \
        erb gd gleam glsl go gql gradle graphql groovy h hbs hcl hpp htm html hxx ini ipynb java jinja jl js json json5 \
        jsonl jsx just less lisp lock log lua m mdx mjs mk ml mli nim nix nu patch php pp properties psql pug pyi qml r \
        rst s scala scm scss service socket sol sql styl svelte svg swift tcl timer toml tpl ts tsx twig v vb vbs vhd \
        vhdl vim vue wat xml xsd xsl zig";
    let extension = extension.to_lowercase();
    EXTENSIONS.iter().any(|(_, of)| *of == extension)
        || OTHERS.split_whitespace().any(|of| of == extension)
}

/// Letters and digits, with a letter first.
fn is_extension(text: &str) -> bool {
    (1..=10).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(info: &str, before: &[(bool, &str)], code: &str) -> Block {
        Block {
            info: info.into(),
            code: code.into(),
            before: before
                .iter()
                .map(|(code, t)| (*code, (*t).into()))
                .collect(),
        }
    }

    #[test]
    fn as_the_agent_named_it_or_by_its_language() {
        for (info, before, code, name) in [
            ("rust", &[][..], "fn main() {}", "code.rs"),
            ("", &[], "x", "code.txt"),
            ("C++", &[], "x", "code.cpp"),
            ("zig", &[], "x", "code.zig"),
            ("some-odd-language", &[], "x", "code.txt"),
            ("dockerfile", &[], "x", "Dockerfile"),
            ("rust src/main.rs", &[], "x", "main.rs"),
            ("rust,ignore", &[], "x", "code.rs"),
            ("js title=\"app/index.js\"", &[], "x", "index.js"),
            ("py file=tools/make.py", &[], "x", "make.py"),
            ("rust:src/lib.rs", &[], "x", "lib.rs"),
            ("12:40:src/lib.rs", &[], "x", "lib.rs"),
            (
                "sh",
                &[(false, "The new "), (true, "bin/run.sh"), (false, ":")],
                "x",
                "run.sh",
            ),
            (
                "sh",
                &[(true, "a.sh"), (false, " calls "), (true, "b.sh")],
                "x",
                "code.sh",
            ),
            (
                "sh",
                &[(true, "foo()"), (false, " in "), (true, "b.sh")],
                "x",
                "b.sh",
            ),
            ("", &[(false, "src/util.ts:")], "x", "util.ts"),
            ("", &[(false, "Makefile")], "x", "Makefile"),
            ("", &[(false, "It is in a.rs and longer.")], "x", "code.txt"),
            ("rust", &[], "// src/core/mod.rs\nmod a;", "mod.rs"),
            ("html", &[], "<!-- index.html -->\n", "index.html"),
            ("py", &[], "# File: a/b.py\n", "b.py"),
            ("py", &[], "# a comment, not a name.py\n", "code.py"),
        ] {
            assert_eq!(
                names(&[block(info, before, code)]),
                [name],
                "{info} {before:?} {code}"
            );
        }
    }

    #[test]
    fn what_is_not_safe_is_no_name() {
        for odd in [
            "../../etc/passwd",
            "a/../..",
            ".bashrc",
            "-rf.sh",
            "a\u{202e}sr.rs",
            "ä.rs",
            "a b.rs",
            "https://example.org/a.rs",
            "a..rs",
            "",
            "/",
            "x.",
            "v1.2",
            "self.run",
            "e.g",
        ] {
            assert_eq!(safe(odd), None, "{odd}");
        }
        assert_eq!(safe("../../x.rs").as_deref(), Some("x.rs"));
        assert_eq!(safe("src/main.odd").as_deref(), Some("main.odd"));
        assert_eq!(safe("C:\\work\\x.cs").as_deref(), Some("x.cs"));
        assert_eq!(safe(&format!("{}.rs", "x".repeat(80))), None);
    }

    #[test]
    fn no_two_are_alike() {
        let same = block("rust main.rs", &[], "x");
        let bare = block("", &[(false, "Makefile")], "x");
        assert_eq!(
            names(&[
                same.clone(),
                block("Main.rs", &[], "x"),
                same,
                bare.clone(),
                bare
            ]),
            [
                "main.rs",
                "Main-2.rs",
                "main-3.rs",
                "Makefile",
                "Makefile-2"
            ]
        );
        let taken = ["a.rs", "a-2.rs", "A.rs", "a-2.rs", "a-2-2.rs", "a.rs"];
        assert_eq!(
            names(&taken.map(|name| block(name, &[], "x"))),
            [
                "a.rs",
                "a-2.rs",
                "A-3.rs",
                "a-2-2.rs",
                "a-2-2-2.rs",
                "a-4.rs"
            ]
        );
    }

    /// One by one they would be two hundred million tries.
    #[test]
    fn thousands_that_have_no_name_of_their_own_take_no_time() {
        let begun = std::time::Instant::now();
        let names = names(&vec![block("", &[], "x"); 20_000]);
        assert_eq!((names.len(), &*names[19_999]), (20_000, "code-20000.txt"));
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }
}
