//! A file with the texts to people in another language.

use std::{collections::HashMap, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    inputs::read_text,
    problem::{Problem, quoted},
    reading::{broken, line_of},
    token::plain,
};
use crate::core::words::language::{Language, Said};

/// All texts that there are, in English, for those who translate them.
pub const TEMPLATE: &str = include_str!("../core/words/template.toml");

/// Most problems of one file that are told.
const MOST: usize = 20;

/// Reads a translation, and what is questionable about it.
///
/// # Errors
/// What is wrong with the file: up to twenty problems.
pub fn read(file: &Path) -> Result<(Language, Vec<Problem>), Vec<Problem>> {
    let (text, _) = read_text(file).map_err(|error| {
        let what = format!("cannot be read: {}", plain(&error));
        vec![Problem::of_file(
            file,
            what,
            "it must be a TOML file in UTF-8 that the daemon may read",
        )]
    })?;
    parse(file, &text)
}

fn parse(file: &Path, text: &str) -> Result<(Language, Vec<Problem>), Vec<Problem>> {
    let document = DeTable::parse(text).map_err(|error| vec![broken(file, text, &error)])?;
    let document = document.get_ref();
    let at = |spanned: &Spanned<DeValue<'_>>| line_of(text, spanned.span().start);
    let name = document.get("language");
    let Some(name) = name.and_then(|name| name.get_ref().as_str()) else {
        return Err(vec![Problem::of_file(
            file,
            "does not say which language it is",
            "begin it with a line like: language = \"de\"",
        )]);
    };
    let mut language = Language::new(name).map_err(|fault| {
        let remedy = "name it as in BCP 47, like \"de\" or \"pt-BR\"";
        vec![Problem::of_file(file, fault.to_string(), remedy)]
    })?;
    let Some(texts) = document
        .get("texts")
        .and_then(|texts| texts.get_ref().as_table())
    else {
        return Err(vec![Problem::of_file(
            file,
            "has no texts",
            "have the texts follow the line [texts], each as: \"English\" = \"translation\"",
        )]);
    };
    let known = template();
    let mut problems = Vec::new();
    let mut unknown = Vec::new();
    for (english, value) in texts {
        let english = english.get_ref().as_ref();
        let Some(by_number) = known.get(english) else {
            unknown.push((at(value), english));
            continue;
        };
        let learnt = match said(value.get_ref()) {
            Some(said) => language
                .learn(english, said, Some(*by_number))
                .map_err(|fault| fault.to_string()),
            None => Err("expected a text, or a table of plural forms".to_owned()),
        };
        if let Err(what) = learnt {
            let remedy = format!("mend the translation of {}", quoted(english));
            problems.push(Problem::of_file(file, what, remedy).at_line(at(value)));
        }
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.line);
        problems.truncate(MOST);
        return Err(problems);
    }
    Ok((language, doubts(file, unknown)))
}

/// What a file says that nobody asks for: of texts that an earlier version had, or misspelt.
fn doubts(file: &Path, mut unknown: Vec<(usize, &str)>) -> Vec<Problem> {
    unknown.sort_unstable();
    let Some((line, first)) = unknown.first() else {
        return Vec::new();
    };
    let what = match unknown.len() {
        1 => format!("telexd says nowhere {}", quoted(first)),
        n => format!(
            "telexd says {n} of these texts nowhere, the first of them {}",
            quoted(first)
        ),
    };
    let remedy = "take the texts as they stand in the template of this version";
    vec![Problem::of_file(file, what, remedy).at_line(*line)]
}

fn said(value: &DeValue<'_>) -> Option<Said> {
    if let Some(text) = value.as_str() {
        return Some(Said::Always(text.to_owned()));
    }
    let forms = value.as_table()?.iter().map(|(form, text)| {
        let text = text.get_ref().as_str()?;
        Some((form.get_ref().clone().into_owned(), text.to_owned()))
    });
    forms.collect::<Option<_>>().map(Said::ByNumber)
}

/// Each text that there is, and whether it depends on a number.
fn template() -> HashMap<String, bool> {
    // That it is right is tested.
    let Ok(template) = DeTable::parse(TEMPLATE) else {
        return HashMap::new();
    };
    let texts = template.get_ref().get("texts");
    let texts = texts.and_then(|texts| texts.get_ref().as_table());
    texts.map_or_else(HashMap::new, |texts| {
        let entry = |(english, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let english: &std::borrow::Cow<'_, str> = english.get_ref();
            (
                english.clone().into_owned(),
                value.get_ref().as_table().is_some(),
            )
        };
        texts.iter().map(entry).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<(usize, Vec<String>), Vec<String>> {
        let show =
            |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect::<Vec<_>>();
        match parse(Path::new("de.toml"), text) {
            Ok((language, doubts)) => Ok((language.len(), show(doubts))),
            Err(problems) => Err(show(problems)),
        }
    }

    #[test]
    fn a_translation_is_read() {
        let text = "language = \"de\"\n[texts]\n\"Stop\" = \"Anhalten\"\n\"Run\" = \"\"\n\
             \"1 message in line.\" = { one = \"1 Nachricht wartet.\", other = \"{n} Nachrichten warten.\" }\n";
        assert_eq!(told(text), Ok((2, Vec::new())));
    }

    #[test]
    fn the_template_itself_is_a_translation_that_says_nothing() {
        let text = TEMPLATE.replace("language = \"\"", "language = \"de\"");
        assert_eq!(told(&text), Ok((0, Vec::new())));
        assert!(template().len() > 200);
        assert!(template().values().any(|by_number| *by_number));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, problem) in [
            (
                "x",
                "de.toml:1:2: broken TOML: key with no value, expected `=`; mend the line `x`",
            ),
            (
                "[texts]\n",
                "de.toml: does not say which language it is; begin it with a line like: language = \"de\"",
            ),
            (
                "language = \"xx\"\n",
                "de.toml: there is no language `xx`; name it as in BCP 47, like \"de\" or \"pt-BR\"",
            ),
            (
                "language = \"de\"\n",
                "de.toml: has no texts; have the texts follow the line [texts], each as: \"English\" = \"translation\"",
            ),
            (
                "language = \"de\"\n[texts]\n\"Stop\" = \"{x}\"\n",
                "de.toml:3: the parts in braces are {x}, and those of the English text are none; mend the translation of `Stop`",
            ),
            (
                "language = \"de\"\n[texts]\n\"Stop\" = 7\n",
                "de.toml:3: expected a text, or a table of plural forms; mend the translation of `Stop`",
            ),
            (
                "language = \"de\"\n[texts]\n\"1 message in line.\" = \"eine\"\n",
                "de.toml:3: the English text depends on a number, this one does not; mend the translation of `1 message in line.`",
            ),
        ] {
            assert_eq!(told(text), Err(vec![problem.to_owned()]));
        }
        let text = "language = \"de\"\n[texts]\n\"Stop\" = \"Halt\"\n\"Stopp\" = \"Halt\"\n";
        let doubt = "de.toml:4: telexd says nowhere `Stopp`; take the texts as they stand in the template of this version";
        assert_eq!(told(text), Ok((1, vec![doubt.to_owned()])));
    }
}
