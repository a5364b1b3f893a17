//! The template for translations (`src/core/words/template.toml`) has every text that people can be told. `just words`
//! writes it anew.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Literal, TokenStream, TokenTree};

/// Macros whose first argument is a text for people, in English.
const MARKS: [&str; 3] = ["tr", "phrase", "english"];

const HEAD: &str = "\
# What telexd tells people, to be translated.
#
# Copy this file, name the language as in BCP 47 (\"de\", \"pt-BR\"), and write the translations between the quotes. What is
# left empty stays English. Parts in braces are filled in: they must all be there, in any order if they have names. Where a
# text depends on a number there is a form for each kind of number that the language has (zero, one, two, few, many);
# `other` must be there. Commands such as /queue and names of settings stay as they are.
#
# messages.translation in the configuration names the file; `telexd check` tells what is wrong with it.

language = \"\"

[texts]
";

/// Texts in their order; with what is said of several, where one depends on a number.
type Texts = Vec<(String, Option<String>)>;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

fn text(literal: &Literal) -> Option<String> {
    let literal: syn::Lit = syn::parse_str(&literal.to_string()).ok()?;
    match literal {
        syn::Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

fn collect(stream: TokenStream, file: &Path, found: &mut Texts) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            collect(group.stream(), file, found);
        }
        let TokenTree::Ident(name) = token else {
            continue;
        };
        let (Some(TokenTree::Punct(bang)), Some(TokenTree::Group(group))) =
            (tokens.get(at + 1), tokens.get(at + 2))
        else {
            continue;
        };
        if bang.as_char() != '!' || !MARKS.contains(&name.to_string().as_str()) {
            continue;
        }
        let arguments: Vec<TokenTree> = group.stream().into_iter().collect();
        let Some(TokenTree::Literal(literal)) = arguments.first() else {
            continue;
        };
        let english = text(literal).unwrap_or_else(|| panic!("{}: {literal}", file.display()));
        let several = match (arguments.get(1), arguments.get(2)) {
            (Some(TokenTree::Punct(bar)), Some(TokenTree::Literal(several)))
                if bar.as_char() == '|' =>
            {
                text(several)
            }
            _ => None,
        };
        found.push((english, several));
    }
}

/// The template as it should be.
fn template() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let mut out = HEAD.to_owned();
    let mut seen = BTreeMap::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        // Tests say what they like. Those in a file of their own are named anywhere.
        let tests = source
            .match_indices("\n#[cfg(test)]\nmod ")
            .find(|(at, mark)| {
                let name = source[at + mark.len()..].lines().next().unwrap();
                name.ends_with('{')
            });
        let source = &source[..tests.map_or(source.len(), |(at, _)| at)];
        let mut texts = Texts::new();
        collect(source.parse().unwrap(), &file, &mut texts);
        let mut first = true;
        for (english, several) in texts {
            if let Some(before) = seen.insert(english.clone(), several.clone()) {
                assert_eq!(
                    before, several,
                    "{english}: with different words for several"
                );
                continue;
            }
            if first {
                let name = file.strip_prefix(root).unwrap().display();
                writeln!(out, "\n# {name}").unwrap();
                first = false;
            }
            let english = quoted(&english);
            match several {
                None => writeln!(out, "{english} = \"\"").unwrap(),
                Some(several) => {
                    let several = quoted(&several);
                    writeln!(
                        out,
                        "# {several}\n{english} = {{ one = \"\", other = \"\" }}"
                    )
                    .unwrap();
                }
            }
        }
    }
    out
}

/// A basic string of TOML on one line.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => write!(out, "\\u{:04x}", c as u32).unwrap(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[test]
fn the_template_has_every_text() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core/words/template.toml");
    let template = template();
    if std::env::var_os("TELEXD_WRITE_TEMPLATE").is_some() {
        fs::write(&file, &template).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap();
    assert!(
        found == template,
        "{} is not what the sources say; run: just words",
        file.display()
    );
}
