//! The language in which people are told something: English, or what a translation makes of it.
//!
//! One language for a daemon, set once and before anything is said. A translation says for each English text, as it stands in
//! the sources, what is said instead; a text that it does not have stays English. Which form a number takes is told by the
//! plural rules of Unicode's CLDR.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use intl_pluralrules::{PluralCategory, PluralRuleType, PluralRules};
use unic_langid::LanguageIdentifier;

/// Names of the plural forms, as translations write them.
pub const FORMS: [&str; 6] = ["zero", "one", "two", "few", "many", "other"];
/// The form that every number has that has no other.
const OTHER: &str = "other";
/// How a text names the number that its form depends on.
const NUMBER: &str = "n";

/// What is said instead of an English text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// This.
    Always(String),
    /// One of these, by the form ([`FORMS`]) that a number takes.
    ByNumber(BTreeMap<String, String>),
}

/// Why a translation cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The name of the language is none, or no rules for its plurals are known.
    #[error("there is no language `{0}`")]
    Language(String),
    /// A form that there is not.
    #[error("there is no plural form `{0}`")]
    Form(String),
    /// The form that is needed for all other numbers is not there.
    #[error("the plural form `other` is missing")]
    NoOther,
    /// A text of one form, where the English one depends on a number, or the other way round.
    #[error("{}", if *.0 { "the English text depends on a number, this one does not" } else { "the English text depends on no number" })]
    Number(bool),
    /// The variable parts are not those of the English text.
    #[error("the parts in braces are {found}, and those of the English text are {wanted}")]
    Parts {
        /// Those that it has.
        found: String,
        /// Those that it should have.
        wanted: String,
    },
}

/// A translation.
pub struct Language {
    name: LanguageIdentifier,
    plurals: PluralRules,
    texts: HashMap<String, Said>,
}

impl Language {
    /// A language without texts, by its name in BCP 47, such as `de` or `pt-BR`.
    ///
    /// # Errors
    /// [`Fault::Language`].
    pub fn new(name: &str) -> Result<Self, Fault> {
        let unknown = || Fault::Language(name.chars().take(40).collect());
        let id: LanguageIdentifier = name.parse().map_err(|_| unknown())?;
        // The rules are listed for most languages without a region.
        let plurals = PluralRules::create(id.clone(), PluralRuleType::CARDINAL)
            .or_else(|_| {
                let alone = LanguageIdentifier::from_parts(id.language, None, None, &[]);
                PluralRules::create(alone, PluralRuleType::CARDINAL)
            })
            .map_err(|_| unknown())?;
        Ok(Self {
            name: id,
            plurals,
            texts: HashMap::new(),
        })
    }

    /// Takes what is said instead of an English text. `by_number`: whether that depends on a number, where it is known.
    /// An empty text is one that nobody has translated yet.
    ///
    /// # Errors
    /// It cannot be used: then it stays English.
    pub fn learn(
        &mut self,
        english: &str,
        said: Said,
        by_number: Option<bool>,
    ) -> Result<(), Fault> {
        match &said {
            Said::Always(text) if text.is_empty() => return Ok(()),
            Said::Always(text) => {
                if by_number == Some(true) {
                    return Err(Fault::Number(true));
                }
                same_parts(&parts(text), &parts(english))?;
            }
            Said::ByNumber(forms) if forms.values().all(String::is_empty) => return Ok(()),
            Said::ByNumber(forms) => {
                if by_number == Some(false) {
                    return Err(Fault::Number(false));
                }
                if let Some(form) = forms.keys().find(|form| !FORMS.contains(&form.as_str())) {
                    return Err(Fault::Form(form.chars().take(40).collect()));
                }
                if forms.get(OTHER).is_none_or(String::is_empty) {
                    return Err(Fault::NoOther);
                }
                // A form for one thing need not say the number, and English does not.
                let without_number = |text| {
                    let mut parts = parts(text);
                    parts.retain(|part| part != NUMBER);
                    parts
                };
                for text in forms.values().filter(|text| !text.is_empty()) {
                    same_parts(&without_number(text), &without_number(english))?;
                }
            }
        }
        self.texts.insert(english.to_owned(), said);
        Ok(())
    }

    /// How many texts it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Everything that is said from now on in this process is said in this language. To be called before anything is.
    pub fn speak(self: Arc<Self>) {
        tr::set_translator!(self);
    }

    fn form(&self, number: u64) -> &'static str {
        match self.plurals.select(number) {
            Ok(PluralCategory::ZERO) => "zero",
            Ok(PluralCategory::ONE) => "one",
            Ok(PluralCategory::TWO) => "two",
            Ok(PluralCategory::FEW) => "few",
            Ok(PluralCategory::MANY) => "many",
            Ok(PluralCategory::OTHER) | Err(_) => OTHER,
        }
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Language({}, {} texts)", self.name, self.texts.len())
    }
}

impl tr::Translator for Language {
    fn translate<'a>(&'a self, english: &'a str, _: Option<&'a str>) -> Cow<'a, str> {
        match self.texts.get(english) {
            Some(Said::Always(text)) => Cow::Borrowed(text),
            _ => Cow::Borrowed(english),
        }
    }

    fn ntranslate<'a>(
        &'a self,
        number: u64,
        one: &'a str,
        several: &'a str,
        _: Option<&'a str>,
    ) -> Cow<'a, str> {
        let Some(Said::ByNumber(forms)) = self.texts.get(one) else {
            return Cow::Borrowed(if number == 1 { one } else { several });
        };
        let of = |form: &str| forms.get(form).filter(|text| !text.is_empty());
        // `learn` refuses what has no `other`.
        Cow::Borrowed(
            of(self.form(number))
                .or_else(|| of(OTHER))
                .map_or(several, String::as_str),
        )
    }
}

/// The variable parts of a text, sorted: their names, and nothing for one without.
fn parts(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    // Two braces stand for one that is meant.
    let text = text.replace("{{", "").replace("}}", "");
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            found.push("{".to_owned());
            break;
        };
        found.push(name.trim().to_owned());
        rest = after;
    }
    found.sort();
    found
}

fn same_parts(found: &[String], wanted: &[String]) -> Result<(), Fault> {
    let shown = |parts: &[String]| {
        if parts.is_empty() {
            return "none".to_owned();
        }
        let parts: Vec<String> = parts.iter().map(|part| format!("{{{part}}}")).collect();
        parts.join(" ").chars().take(200).collect()
    };
    if found == wanted {
        Ok(())
    } else {
        Err(Fault::Parts {
            found: shown(found),
            wanted: shown(wanted),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tr::Translator as _;

    use super::*;

    fn forms(forms: &[(&str, &str)]) -> Said {
        let owned = |(form, text): &(&str, &str)| ((*form).to_owned(), (*text).to_owned());
        Said::ByNumber(forms.iter().map(owned).collect())
    }

    fn always(text: &str) -> Said {
        Said::Always(text.to_owned())
    }

    #[test]
    fn what_it_has_is_said_and_the_rest_is_english() {
        let mut polish = Language::new("pl-PL").unwrap();
        polish
            .learn("Stop", always("Zatrzymaj"), Some(false))
            .unwrap();
        polish.learn("Send now", always(""), Some(false)).unwrap();
        let one = "1 message in line.";
        let several = "{n} messages in line.";
        let said = forms(&[
            ("one", "1 wiadomość czeka."),
            ("few", "{n} wiadomości czekają."),
            ("other", "{n} wiadomości czeka."),
        ]);
        polish.learn(one, said, Some(true)).unwrap();
        assert_eq!(polish.len(), 2);
        assert_eq!(polish.translate("Stop", None), "Zatrzymaj");
        assert_eq!(polish.translate("Send now", None), "Send now");
        for (number, text) in [
            (1, "1 wiadomość czeka."),
            (3, "{n} wiadomości czekają."),
            (5, "{n} wiadomości czeka."),
            (22, "{n} wiadomości czekają."),
        ] {
            assert_eq!(polish.ntranslate(number, one, several, None), text);
        }
        assert_eq!(polish.ntranslate(1, "1 file", "{n} files", None), "1 file");
        assert_eq!(
            polish.ntranslate(2, "1 file", "{n} files", None),
            "{n} files"
        );
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for name in ["", "english", "xx", "de_", "-"] {
            let told = Language::new(name).unwrap_err().to_string();
            assert_eq!(told, format!("there is no language `{name}`"));
        }
        let mut german = Language::new("de").unwrap();
        for (english, said, by_number, told) in [
            (
                "{a} for {b}",
                always("{a}"),
                None,
                "the parts in braces are {a}, and those of the English text are {a} {b}",
            ),
            (
                "plain",
                always("{"),
                None,
                "the parts in braces are {{}, and those of the English text are none",
            ),
            (
                "one",
                always("eins"),
                Some(true),
                "the English text depends on a number, this one does not",
            ),
            (
                "one",
                forms(&[("other", "eins")]),
                Some(false),
                "the English text depends on no number",
            ),
            (
                "one",
                forms(&[("one", "eins")]),
                Some(true),
                "the plural form `other` is missing",
            ),
            (
                "one",
                forms(&[("other", "eins"), ("dual", "zwei")]),
                None,
                "there is no plural form `dual`",
            ),
        ] {
            let fault = german.learn(english, said, by_number).unwrap_err();
            assert_eq!(fault.to_string(), told);
        }
        assert!(german.is_empty());
    }

    proptest! {
        #[test]
        fn no_text_and_no_name_does_harm(name in ".{0,12}", english in any::<String>(), text in any::<String>(), number in any::<u64>()) {
            if let Ok(mut language) = Language::new(&name) {
                let _ = language.learn(&english, always(&text), None);
                let _ = language.learn(&english, forms(&[("other", &text)]), None);
                language.ntranslate(number, &english, &text, None);
                language.translate(&english, None);
            }
        }

        #[test]
        fn a_text_has_the_parts_that_it_is_made_of(names in prop::collection::vec("[a-z]{0,3}", 0..5), between in "[^{}]{0,5}") {
            let text: String = names.iter().map(|name| format!("{between}{{{name}}}")).collect();
            let mut sorted = names;
            sorted.sort();
            prop_assert_eq!(parts(&text), sorted);
        }
    }
}
