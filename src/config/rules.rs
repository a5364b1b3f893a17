//! Rules about what agents may do, as values of keys.

use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::core::{
    approval::rules::{Lists, Odd, Rule},
    profile::Profile,
};

use super::{
    kinds::{Kind, Mistake, nearest, toml_text},
    problem::quoted,
};

/// Most rules of one list, and their bytes: those that hold for one agent are an argument of its command line.
const MOST: usize = 100;
const MOST_BYTES: usize = 4_000;

/// Whether a list tells what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleList {
    /// What is done without a question.
    Allow,
    /// What is asked, or denied.
    Other,
}

impl Kind for Vec<Rule> {
    type Rule = RuleList;

    fn read(value: &DeValue<'_>, rule: &RuleList) -> Result<Self, Mistake> {
        let list = value
            .as_array()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let mut rules = Self::new();
        let mut bytes = 0;
        for entry in list {
            let Some(text) = entry.get_ref().as_str() else {
                return Err(Mistake::kind::<Self>(value, rule));
            };
            let refused =
                |odd: Odd| Mistake::new(format!("{} {}", quoted(text), odd.what), odd.remedy);
            let read = Rule::read(text).map_err(refused)?;
            if *rule == RuleList::Allow {
                read.may_allow().map_err(refused)?;
            }
            bytes += text.len();
            if !rules.contains(&read) {
                rules.push(read);
            }
        }
        if bytes > MOST_BYTES || rules.len() > MOST {
            return Err(Mistake::new(
                format!("there are {} rules with {bytes} bytes", rules.len()),
                format!("write at most {MOST} with {MOST_BYTES}, with * where several are alike"),
            ));
        }
        Ok(rules)
    }

    fn shown(&self) -> String {
        let all: Vec<String> = self.iter().map(|rule| toml_text(rule.text())).collect();
        format!("[{}]", all.join(", "))
    }

    fn allowed(_: &RuleList) -> String {
        "a list of rules, each in quotes".to_owned()
    }

    fn how(_: &RuleList) -> String {
        "write it like [\"Bash(git status:*)\", \"Read(/srv/project/**)\", \"WebSearch\"]"
            .to_owned()
    }
}

/// The three lists of a level.
impl Kind for Lists {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        const NAMES: [&str; 3] = ["allow", "ask", "deny"];
        let table = value
            .as_table()
            .ok_or_else(|| Mistake::kind::<Self>(value, rule))?;
        let mut lists = Self::default();
        for (key, value) in table {
            let name: &str = key.get_ref();
            let (list, rule) = match name {
                "allow" => (&mut lists.allow, RuleList::Allow),
                "ask" => (&mut lists.ask, RuleList::Other),
                "deny" => (&mut lists.deny, RuleList::Other),
                _ => {
                    let remedy = match nearest(name, NAMES) {
                        Some(meant) => format!("did you mean {meant}?"),
                        None => Self::how(&()),
                    };
                    return Err(Mistake::new(
                        format!("there is no list {}", quoted(name)),
                        remedy,
                    ));
                }
            };
            *list = Kind::read(value.get_ref(), &rule)?;
        }
        Ok(lists)
    }

    fn shown(&self) -> String {
        let lists = [
            ("allow", &self.allow),
            ("ask", &self.ask),
            ("deny", &self.deny),
        ];
        let said = lists.into_iter().filter(|(_, list)| !list.is_empty());
        let all: Vec<String> = said
            .map(|(name, list)| format!("{name} = {}", list.shown()))
            .collect();
        if all.is_empty() {
            return "{}".to_owned();
        }
        format!("{{ {} }}", all.join(", "))
    }

    fn allowed(_: &()) -> String {
        "a table of lists of rules: allow, ask, deny".to_owned()
    }

    fn how(_: &()) -> String {
        "write it like { deny = [\"Bash(git push:*)\"], ask = [\"Edit\"] }".to_owned()
    }
}

/// Reads rules by whatever they are for.
fn by<K: Ord>(
    value: &DeValue<'_>,
    whole: impl Fn() -> Mistake,
    key: impl Fn(&str) -> Option<K>,
    what: &str,
    how: &str,
) -> Result<BTreeMap<K, Lists>, Mistake> {
    let table = value.as_table().ok_or_else(whole)?;
    let mut all = BTreeMap::new();
    for (name, value) in table {
        let name: &str = name.get_ref();
        let Some(key) = key(name) else {
            return Err(Mistake::new(format!("{} is not {what}", quoted(name)), how));
        };
        let lists = Lists::read(value.get_ref(), &()).map_err(|mistake| Mistake {
            what: format!("{name}: {}", mistake.what),
            ..mistake
        })?;
        all.insert(key, lists);
    }
    Ok(all)
}

fn shown<'a>(all: impl Iterator<Item = (String, &'a Lists)>) -> String {
    let all: Vec<String> = all
        .map(|(key, lists)| format!("{} = {}", toml_text(&key), lists.shown()))
        .collect();
    if all.is_empty() {
        return "{}".to_owned();
    }
    format!("{{ {} }}", all.join(", "))
}

/// Rules by the id of a person or chat.
impl Kind for BTreeMap<i64, Lists> {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        by(
            value,
            || Mistake::kind::<Self>(value, rule),
            |text| {
                let id = text.parse::<i64>().ok().filter(|id| *id != 0);
                id.filter(|id| id.to_string() == text)
            },
            "the id of a person or chat",
            &Self::how(rule),
        )
    }

    fn shown(&self) -> String {
        shown(self.iter().map(|(id, lists)| (id.to_string(), lists)))
    }

    fn allowed(_: &()) -> String {
        "a table of ids of people and chats, each with lists of rules".to_owned()
    }

    fn how(_: &()) -> String {
        "write it below [approvals.people.1002], or as { \"1002\" = { deny = [\"WebFetch\"] } }"
            .to_owned()
    }
}

/// Rules by the profile of agents.
impl Kind for BTreeMap<Profile, Lists> {
    type Rule = ();

    fn read(value: &DeValue<'_>, rule: &()) -> Result<Self, Mistake> {
        by(
            value,
            || Mistake::kind::<Self>(value, rule),
            Profile::parse,
            "the name of a profile",
            &Self::how(rule),
        )
    }

    fn shown(&self) -> String {
        shown(
            self.iter()
                .map(|(profile, lists)| (profile.as_str().to_owned(), lists)),
        )
    }

    fn allowed(_: &()) -> String {
        "a table of profiles, each with lists of rules".to_owned()
    }

    fn how(_: &()) -> String {
        "write it below [approvals.profiles.strict], or as { \"strict\" = { deny = [\"WebFetch\"] } }".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Kind>(toml: &str, rule: &T::Rule) -> Result<T, String> {
        let value = DeValue::parse(toml).unwrap();
        T::read(value.get_ref(), rule)
            .map_err(|mistake| format!("{}; {}", mistake.what, mistake.remedy))
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for toml in [
            "{}",
            r#"{ "-7" = {}, "1002" = { allow = ['Bash(echo "x":*)'], ask = ["Edit"], deny = ["WebSearch", "Task"] } }"#,
        ] {
            let rules: BTreeMap<i64, Lists> = read(toml, &()).unwrap();
            assert_eq!(rules.shown(), toml);
        }
        let toml = r#"{ "" = { ask = ["Edit"] }, "strict" = { deny = ["Edit"] } }"#;
        let rules: BTreeMap<Profile, Lists> = read(toml, &()).unwrap();
        assert_eq!(rules.shown(), toml);
        let twice: Vec<Rule> = read(r#"["Edit", "Edit"]"#, &RuleList::Other).unwrap();
        assert_eq!(twice.shown(), r#"["Edit"]"#);
    }

    #[test]
    fn what_is_too_much_for_a_command_line_is_refused() {
        let rules = |number: usize, length: usize| {
            let all: Vec<String> = (0..number)
                .map(|n| format!("\"Bash({n:0length$})\""))
                .collect();
            read::<Vec<Rule>>(&format!("[{}]", all.join(",")), &RuleList::Other)
        };
        assert!(rules(100, 10).is_ok());
        for (number, length) in [(101, 10), (100, 100)] {
            assert!(
                rules(number, length)
                    .unwrap_err()
                    .contains("write at most 100 with 4000")
            );
        }
    }

    #[test]
    fn ids_are_written_as_telegram_does() {
        for odd in ["0", "01", "+1", "1.5", "x", ""] {
            let toml = format!("{{ \"{odd}\" = {{}} }}");
            assert!(read::<BTreeMap<i64, Lists>>(&toml, &()).is_err(), "{odd}");
        }
        assert!(read::<BTreeMap<i64, Lists>>("[]", &()).is_err());
        assert!(read::<Lists>("{ allow = 1 }", &()).is_err());
        assert!(read::<Lists>("{ allow = [\"AskUserQuestion\"] }", &()).is_err());
        assert!(read::<Lists>("{ deny = [\"AskUserQuestion\"] }", &()).is_ok());
    }
}
