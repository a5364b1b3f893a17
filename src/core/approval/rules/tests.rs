use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::core::event::Place;

fn rules(texts: &[&str]) -> Vec<Rule> {
    let read = |text: &&str| {
        let mut rule = Rule::read(text).unwrap_or_else(|odd| panic!("{text}: {odd:?}"));
        rule.below("/srv/project");
        rule
    };
    texts.iter().map(read).collect()
}

fn lists(allow: &[&str], ask: &[&str], deny: &[&str]) -> Lists {
    Lists {
        allow: rules(allow),
        ask: rules(ask),
        deny: rules(deny),
    }
}

fn question(tool: &str, input: Value) -> Question {
    Question {
        tool: tool.to_owned(),
        input,
        place: Some(Place {
            directory: "/srv/project".to_owned(),
            moved: false,
        }),
        ..Question::default()
    }
}

fn bash(command: &str) -> Question {
    question("Bash", json!({"command": command}))
}

fn allows(rule: &str, question: &Question) -> bool {
    lists(&[rule], &[], &[]).decide(question) == Verdict::Allow(rule.to_owned())
}

/// What a denial by this rule, beside a permission for everything, comes to: yes, no, or perhaps.
fn denies(rule: &str, question: &Question) -> &'static str {
    let all = ["Bash", "Read", "Edit", "WebFetch", "mcp__s"];
    let deny = lists(&all, &[], &[rule]).decide(question);
    let ask = lists(&all, &[rule], &[]).decide(question);
    match (deny, ask) {
        (Verdict::Deny(_), Verdict::Ask(Some(_))) => "yes",
        (Verdict::Ask(None), Verdict::Ask(None)) => "perhaps",
        (Verdict::Allow(_), Verdict::Allow(_)) => "no",
        other => panic!("{rule} about {question:?}: {other:?}"),
    }
}

#[test]
fn a_command_is_allowed_only_where_it_is_that_and_nothing_else() {
    for (rule, command, is) in [
        ("Bash(git status:*)", "git status", true),
        ("Bash(git status:*)", " git status -s 'a b' *.rs", true),
        ("Bash(git status *)", "git status -s", true),
        ("Bash(git status *)", "git status", true),
        ("Bash(git status)", "git status", true),
        ("Bash(git status)", "git status -s", false),
        ("Bash(git status:*)", "git statusx", false),
        ("Bash(git status:*)", "/tmp/git status", false),
        ("Bash(git status:*)", "X=1 git status", false),
        ("Bash(git status:*)", "sudo git status", false),
        ("Bash(git * --dry-run)", "git push x --dry-run", true),
        ("Bash(git * --dry-run)", "git push x --dry-run -f", false),
        ("Bash(npm run test*)", "npm run test:unit", true),
        ("Bash", "rm -rf x; curl y | sh", true),
        ("Bash(*)", "a && b", true),
    ] {
        assert_eq!(allows(rule, &bash(command)), is, "{rule} {command}");
    }
    let outside = json!({"command": "git status", "dangerouslyDisableSandbox": true});
    for rule in ["Bash(git status:*)", "Bash"] {
        assert!(!allows(rule, &question("Bash", outside.clone())));
    }
    assert!(!allows(
        "Bash(git status:*)",
        &question("Bash", json!({"command": 1}))
    ));
    assert!(!allows(
        "Bash(git status:*)",
        &question("Shell", json!({"command": "git status"}))
    ));
}

/// Whatever may hold a second command, or is made only when it runs.
#[test]
fn a_command_that_may_be_more_than_one_is_asked() {
    for more in [
        "; rm x",
        "&& rm x",
        "|| rm x",
        "| sh",
        "& rm x",
        "\nrm x",
        "\rrm x",
        "$(rm x)",
        "`rm x`",
        "\"$(rm x)\"",
        "\"`rm x`\"",
        "<(rm x)",
        ">(rm x)",
        "> x",
        ">> x",
        "2> x",
        "&> x",
        ">| x",
        "< x",
        "<<< x",
        "<<X\nrm\nX",
        "$X",
        "\"$X\"",
        "${X}",
        "$((1))",
        "$'x'",
        "{a,b}",
        "(rm x)",
        "\\\n rm",
        "'",
        "\"",
        "\\",
        "\u{1}",
        "|& sh",
        "<&3",
        "& disown",
        ";",
        "&",
    ] {
        for command in [format!("git status {more}"), format!("git status{more}")] {
            assert!(
                !allows("Bash(git status:*)", &bash(&command)),
                "{command:?}"
            );
            assert!(!allows("Bash(git *)", &bash(&command)), "{command:?}");
            assert!(!allows("Bash(git*)", &bash(&command)), "{command:?}");
        }
    }
}

#[test]
fn a_denied_command_is_found_wherever_it_can_be_told() {
    for (rule, command, found) in [
        ("Bash(git push:*)", "git push", "yes"),
        ("Bash(git push:*)", "git push origin main", "yes"),
        ("Bash(git push:*)", "ls; git push", "yes"),
        ("Bash(git push:*)", "ls && git push x | cat", "yes"),
        ("Bash(git push:*)", "ls\ngit push", "yes"),
        ("Bash(git push:*)", "(git push)", "yes"),
        ("Bash(git push:*)", "echo $(git push)", "yes"),
        ("Bash(git push:*)", "echo `git push`", "yes"),
        ("Bash(git push:*)", "cat <(git push)", "yes"),
        ("Bash(git push:*)", "X=1 git push", "yes"),
        ("Bash(git push:*)", "/usr/bin/git push", "yes"),
        ("Bash(git push:*)", "sudo -u x /usr/bin/git push", "yes"),
        ("Bash(git push:*)", "if true; then git push; fi", "yes"),
        ("Bash(git push:*)", "timeout 5 git push", "yes"),
        ("Bash(git push:*)", "g\"i\"t  'push'", "yes"),
        ("Bash(git push:*)", "git push >x $Y", "yes"),
        ("Bash(git push:*)", ">x git push", "yes"),
        ("Bash(git push \"a b\":*)", "git push 'a b' c", "yes"),
        ("Bash(git push)", "git push", "yes"),
        ("Bash(git push)", "git push x", "no"),
        ("Bash(git * main)", "git push main", "yes"),
        ("Bash(rm *)", "rm x", "yes"),
        ("Bash(rm *)", "rm", "yes"),
        ("Bash(git push:*)", "git status", "no"),
        ("Bash(git push:*)", "git pushx", "no"),
        ("Bash(git push:*)", "ls *.rs $HOME > x", "no"),
        ("Bash(git push:*)", "echo 'git push'", "no"),
        ("Bash(git push:*)", "git pus?", "perhaps"),
        ("Bash(git push:*)", "git {push,x}", "perhaps"),
        ("Bash(git push:*)", "$X", "perhaps"),
        ("Bash(git push:*)", "git $X", "perhaps"),
        ("Bash(git * main)", "git $X", "perhaps"),
        ("Bash(git push)", "git $X", "perhaps"),
        ("Bash(git push:*)", "sh -c 'git push'", "yes"),
        ("Bash(git push:*)", "eval \"git pu\"sh", "yes"),
        ("Bash(git push:*)", "sh -c 'ls; git push'", "perhaps"),
        ("Bash(git push:*)", "ls # 'x", "perhaps"),
        ("Bash(git push:*)", "ls \"", "perhaps"),
        ("Bash(git push:*)", "\"$(x)\"", "perhaps"),
        ("Bash(git push:*)", "{ git push; }", "perhaps"),
    ] {
        assert_eq!(denies(rule, &bash(command)), found, "{rule} {command:?}");
    }
    assert_eq!(
        denies("Bash(rm:*)", &question("Bash", json!({"command": ["rm"]}))),
        "perhaps"
    );
    assert_eq!(denies("Bash(rm:*)", &bash(&"x".repeat(200_000))), "perhaps");
    assert_eq!(denies("Bash", &bash("ls")), "yes");
    assert!(!allows("Bash(ls:*)", &bash("ls # x")));
}

#[test]
fn files_are_found_by_what_they_are_called() {
    let file = |path: &str| question("Write", json!({"file_path": path}));
    for (rule, path, is) in [
        ("Edit(/srv/project/**)", "/srv/project/a/b", true),
        ("Edit(//srv/project/**)", "/srv/project/a/b", true),
        ("Edit(/srv/project)", "/srv/project/a/b", true),
        ("Edit(/srv/project/)", "/srv/project/a", true),
        ("Edit(/srv/project/**)", "/srv/projectx/a", false),
        ("Edit(/srv/project/**)", "/srv/project/../x", false),
        (
            "Edit(/srv/project/**)",
            "/srv/project/a/../../../etc/x",
            false,
        ),
        ("Edit(/srv/project/**)", "/srv//project/./a/../b", true),
        ("Edit(/srv/*/a)", "/srv/x/a", true),
        ("Edit(/srv/*/a)", "/srv/x/y/a", false),
        ("Edit(/srv/**/a)", "/srv/x/y/a", true),
        ("Edit(/srv/**/a)", "/srv/a", true),
        ("Edit(/srv/?)", "/srv/x", true),
        ("Edit(/srv/?)", "/srv/xy", false),
        ("Edit(src/**)", "/srv/project/src/x", true),
        ("Edit(./src/**)", "src/x", true),
        ("Edit(src/**)", "/srv/project/a/src/x", false),
        ("Edit(*.md)", "/srv/project/a/x.md", true),
        ("Edit(*.md)", "/srv/x.md", false),
        ("Edit(/**)", "/x", true),
        ("Edit(/)", "/x", true),
        ("Edit", "/x", true),
    ] {
        assert_eq!(allows(rule, &file(path)), is, "{rule} {path}");
        assert_eq!(
            denies(rule, &file(path)),
            if is { "yes" } else { "no" },
            "{rule} {path}"
        );
    }
    // Every tool that changes files, and no other.
    for (tool, field) in [
        ("Edit", "file_path"),
        ("MultiEdit", "file_path"),
        ("NotebookEdit", "notebook_path"),
    ] {
        assert!(allows("Edit(/x)", &question(tool, json!({field: "/x"}))));
        assert!(allows("Edit", &question(tool, json!({field: "/x"}))));
    }
    assert!(!allows(
        "Edit(/x)",
        &question("Read", json!({"file_path": "/x"}))
    ));
    assert!(!allows("Read(/x)", &file("/x")));
}

#[test]
fn a_file_that_cannot_be_told_is_asked_about() {
    let moved = Question {
        place: Some(Place {
            directory: "/srv/project".to_owned(),
            moved: true,
        }),
        ..question("Write", json!({"file_path": "x"}))
    };
    let nowhere = Question {
        place: None,
        ..moved.clone()
    };
    let odd = |input: Value| question("Write", input);
    for asked in [
        moved,
        nowhere,
        odd(json!({})),
        odd(json!({"file_path": "~/x"})),
        odd(json!({"file_path": 1})),
        odd(json!({"file_path": "/srv/\u{0}"})),
        odd(Value::Null),
    ] {
        assert!(!allows("Edit(/srv/project/**)", &asked), "{asked:?}");
        assert_eq!(
            denies("Edit(/srv/project/x)", &asked),
            "perhaps",
            "{asked:?}"
        );
    }
}

#[test]
fn what_others_run_is_changed_by_name_only() {
    for path in [
        "/srv/project/.git/hooks/x",
        "/srv/project/.claude/settings.json",
        "/home/x/.BASHRC",
        "/srv/project/.mcp.json",
    ] {
        let file = question("Write", json!({"file_path": path}));
        for rule in [
            "Edit",
            "Edit(/**)",
            "Edit(/srv/project/**)",
            "Edit(/srv/project/.*)",
        ] {
            assert!(!allows(rule, &file), "{rule} {path}");
        }
        assert_eq!(denies("Edit", &file), "yes");
    }
    assert!(allows(
        "Edit(.git/**)",
        &question("Write", json!({"file_path": "/srv/project/.git/x"}))
    ));
}

#[test]
fn where_a_link_leads_counts_as_far_as_it_is_told() {
    let through = |target: &str| Question {
        blocked_path: Some(target.to_owned()),
        ..question("Write", json!({"file_path": "/srv/project/link/x"}))
    };
    assert!(allows("Edit(/srv/**)", &through("/srv/other/x")));
    assert!(!allows("Edit(/srv/project/**)", &through("/etc/x")));
    assert!(!allows("Edit(/etc/**)", &through("/etc/x")));
    assert!(!allows("Edit(/srv/project/**)", &through("x")));
    assert_eq!(denies("Edit(/etc/**)", &through("/etc/x")), "yes");
    assert_eq!(
        denies("Edit(/srv/project/link/**)", &through("/etc/x")),
        "yes"
    );
    assert_eq!(denies("Edit(/srv/project/a)", &through("/etc/x")), "no");
}

#[test]
fn what_the_agent_takes_for_dangerous_is_asked_unless_it_is_named() {
    let dangerous = |question: Question| Question {
        dangerous: true,
        ..question
    };
    let file = |path: &str| dangerous(question("Write", json!({"file_path": path})));
    assert!(!allows("Bash", &dangerous(bash("ls"))));
    assert!(!allows("Bash(ls)", &dangerous(bash("ls"))));
    assert!(!allows("Edit", &file("/srv/project/x")));
    assert!(!allows(
        "Edit(/srv/project/**)",
        &file("/srv/project/link/x")
    ));
    assert!(!allows("Edit(.git/**)", &file("/srv/project/link/x")));
    assert!(allows("Edit(.git/**)", &file("/srv/project/.git/x")));
}

#[test]
fn a_search_is_about_all_that_is_below() {
    let grep = |path: &str| question("Grep", json!({"pattern": "x", "path": path}));
    let glob = |pattern: &str| question("Glob", json!({"pattern": pattern}));
    assert!(allows("Read(/srv/project/**)", &grep("/srv/project")));
    assert!(allows(
        "Read(/srv/project/**)",
        &question("Grep", json!({"pattern": "x"}))
    ));
    assert!(!allows("Read(/srv/project/**)", &grep("/srv")));
    assert!(!allows("Read(/srv/project/*)", &grep("/srv/project")));
    assert!(allows("Read(/srv/project/**)", &glob("**/*.rs")));
    for out in ["/etc/*", "../*", "~/x"] {
        assert!(!allows("Read(/srv/project/**)", &glob(out)), "{out}");
        assert_eq!(denies("Read(/etc/**)", &glob(out)), "perhaps", "{out}");
    }
    for (rule, path, found) in [
        ("Read(/srv/project/secret/**)", "/srv/project", "perhaps"),
        ("Read(**/.env)", "/srv/project/a", "perhaps"),
        ("Read(/srv/project/secret/**)", "/srv/project/secret", "yes"),
        (
            "Read(/srv/project/secret/**)",
            "/srv/project/secret/a",
            "yes",
        ),
        ("Read(/srv/project/secret/**)", "/srv/project/src", "no"),
        ("Read(/srv/project/secret)", "/", "perhaps"),
    ] {
        assert_eq!(denies(rule, &grep(path)), found, "{rule} {path}");
    }
}

#[test]
fn hosts_and_tools_of_others() {
    let fetch = |url: &str| question("WebFetch", json!({"url": url}));
    for (url, is) in [
        ("https://example.org/x", true),
        ("http://EXAMPLE.org.:8080", true),
        ("https://example.org.evil.net/", false),
        ("https://www.example.org/", false),
        ("https://example.org\\@evil.net/", true),
    ] {
        assert_eq!(
            allows("WebFetch(domain:example.org)", &fetch(url)),
            is,
            "{url}"
        );
        let found = if is { "yes" } else { "no" };
        assert_eq!(
            denies("WebFetch(domain:example.org)", &fetch(url)),
            found,
            "{url}"
        );
    }
    for odd in [
        "https://example.org@evil.net/",
        "ftp://example.org/",
        "x",
        "",
    ] {
        assert!(
            !allows("WebFetch(domain:example.org)", &fetch(odd)),
            "{odd}"
        );
        assert_eq!(
            denies("WebFetch(domain:example.org)", &fetch(odd)),
            "perhaps",
            "{odd}"
        );
    }
    for (rule, tool, is) in [
        ("mcp__s", "mcp__s__get", true),
        ("mcp__s__*", "mcp__s__get", true),
        ("mcp__s__get", "mcp__s__get", true),
        ("mcp__s__g*", "mcp__s__get", true),
        ("mcp__s__get", "mcp__s__get_all", false),
        ("mcp__s", "mcp__s2__get", false),
        ("mcp__s__g*", "mcp__s__set", false),
    ] {
        assert_eq!(
            allows(rule, &question(tool, json!({}))),
            is,
            "{rule} {tool}"
        );
        if tool.starts_with("mcp__s__") {
            let found = if is { "yes" } else { "no" };
            assert_eq!(
                denies(rule, &question(tool, json!({}))),
                found,
                "{rule} {tool}"
            );
        }
    }
}

#[test]
fn what_is_no_rule_is_refused() {
    for odd in [
        "",
        " Bash",
        "Bash ",
        "Bash(",
        "Bash()",
        "Bash(ls",
        "Bash(ls) x",
        "Bash(a;b)",
        "Bash(a | b:*)",
        "Bash($(x))",
        "Bash(echo \"x)",
        "Bash(X=1 a)",
        "Bash(a > b)",
        "Bash(a\nb)",
        "Bash(:*:*)",
        "Bash(a:*b)",
        "Bash(a * :*)",
        "Bash(* x)",
        "Bash( a)",
        "Bash(a )",
        "bash",
        "Bahs",
        "Read(~/x)",
        "Read()",
        "Read(../x)",
        "Read(a/../b)",
        "Read(!x)",
        "Read([a])",
        "Edit({a,b})",
        "Edit(a\\b)",
        "Write(/x)",
        "MultiEdit(/x)",
        "Grep(/x)",
        "Glob(x)",
        "WebFetch(example.org)",
        "WebFetch(domain:)",
        "WebFetch(domain:*.example.org)",
        "WebFetch(domain:a/b)",
        "WebFetch(domain:a:1)",
        "WebSearch(x)",
        "Agent(x)",
        "mcp__",
        "mcp__*",
        "mcp__s*",
        "mcp__s(x)",
        "mcp__s__a b",
        "*",
        "Ba*",
        "1x",
        "a b",
        "webfetch",
    ] {
        let odd = Rule::read(odd).map(|rule| format!("{rule:?}"));
        assert!(odd.is_err(), "{odd:?}");
    }
    assert!(Rule::read(&format!("Bash({})", "x".repeat(300))).is_err());
    for (rule, remedy) in [
        ("Write(/x)", "write Edit(/x)"),
        ("webfetch", "did you mean WebFetch?"),
    ] {
        assert!(Rule::read(rule).unwrap_err().remedy.starts_with(remedy));
    }
    for good in ["Task", "LSP", "Whatever2", "mcp__a-b__c_d"] {
        assert!(Rule::read(good).is_ok(), "{good}");
    }
}

#[test]
fn questions_to_a_person_are_never_answered_by_a_rule() {
    for tool in [CHOICE, PLAN] {
        let rule = Rule::read(tool).unwrap();
        assert!(rule.may_allow().is_err());
        // Not even by one that got in.
        let lists = Lists {
            allow: vec![rule.clone()],
            ..Lists::default()
        };
        assert_eq!(lists.decide(&question(tool, json!({}))), Verdict::Unsaid);
        assert_eq!(denies(tool, &question(tool, json!({}))), "yes");
    }
}

#[test]
fn denials_go_before_questions_and_those_before_permissions() {
    let rules = Rules {
        all: lists(
            &["Bash(git:*)"],
            &["Bash(git commit:*)"],
            &["Bash(git push:*)"],
        ),
        profiles: [(
            Profile::parse("strict").unwrap(),
            lists(&[], &[], &["Bash(git log:*)"]),
        )]
        .into(),
        of: [
            (
                5,
                lists(
                    &["Bash(git push:*)", "Bash(git commit:*)", "WebSearch"],
                    &["Bash(git add:*)"],
                    &[],
                ),
            ),
            (-7, lists(&[], &[], &["WebSearch"])),
        ]
        .into(),
    };
    let (standard, strict) = (Profile::default(), Profile::parse("strict").unwrap());
    let says = |person, chat, profile: &Profile, question: &Question| {
        rules.of(person, chat, profile).decide(question)
    };
    let search = question("WebSearch", json!({}));
    let (deny, ask, allow) = (
        |rule: &str| Verdict::Deny(rule.to_owned()),
        |rule: &str| Verdict::Ask(Some(rule.to_owned())),
        |rule: &str| Verdict::Allow(rule.to_owned()),
    );
    for person in [5, 6] {
        assert_eq!(
            says(person, person, &standard, &bash("git push")),
            deny("Bash(git push:*)")
        );
        assert_eq!(
            says(person, person, &standard, &bash("git commit")),
            ask("Bash(git commit:*)")
        );
        assert_eq!(
            says(person, person, &standard, &bash("git log")),
            allow("Bash(git:*)")
        );
        assert_eq!(
            says(person, person, &strict, &bash("git log")),
            deny("Bash(git log:*)")
        );
        assert_eq!(says(person, -7, &standard, &search), deny("WebSearch"));
    }
    assert_eq!(
        says(5, 5, &standard, &bash("git add x")),
        ask("Bash(git add:*)")
    );
    assert_eq!(
        says(6, 6, &standard, &bash("git add x")),
        allow("Bash(git:*)")
    );
    assert_eq!(says(5, 5, &standard, &search), allow("WebSearch"));
    assert_eq!(says(6, 6, &standard, &search), Verdict::Unsaid);
    assert_eq!(
        says(5, -7, &standard, &bash("git push")),
        deny("Bash(git push:*)")
    );
}

#[test]
fn the_agent_is_told_them_in_its_own_terms() {
    for (rule, told) in [
        ("Bash(git push:*)", &["Bash(git push:*)"][..]),
        ("Read(/etc/**)", &["Read(//etc/**)"]),
        ("Read(//etc/**)", &["Read(//etc/**)"]),
        ("Edit(src/**)", &["Edit(//srv/project/src/**)"]),
        ("Edit(*.md)", &["Edit(//srv/project/**/*.md)"]),
        ("Edit(/)", &["Edit(//**)"]),
        ("Edit", &["Edit", "Write", "MultiEdit", "NotebookEdit"]),
        ("Read", &["Read", "Glob", "Grep", "LS", "NotebookRead"]),
        ("Write", &["Write"]),
        ("mcp__s", &["mcp__s"]),
        ("mcp__s__get", &["mcp__s__get"]),
        ("mcp__s__g*", &["mcp__s"]),
        (
            "WebFetch(domain:example.org)",
            &["WebFetch(domain:example.org)"],
        ),
    ] {
        let rule = &rules(&[rule])[0];
        assert_eq!(rule.for_agent(), told);
        assert_eq!(rule.is_exact_for_agent(), rule.text() != "mcp__s__g*");
    }
}

/// A pattern's match by trying everything.
fn slowly(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => true,
        Some((&"**", rest)) => (0..=path.len()).any(|n| slowly(rest, &path[n..])),
        Some((part, rest)) => {
            let like = |name: &str| match *part {
                "*" => true,
                "a*" => name.starts_with('a'),
                "?" => name.len() == 1,
                part => part == name,
            };
            path.first().is_some_and(|name| like(name)) && slowly(rest, &path[1..])
        }
    }
}

proptest! {
    #[test]
    fn a_path_matches_as_trying_everything_says(
        pattern in prop::collection::vec(prop::sample::select(vec!["**", "*", "a*", "?", "a", "ab"]), 1..6),
        path in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "ba"]), 1..6),
    ) {
        let rule = format!("Edit(/{})", pattern.join("/"));
        let file = question("Write", json!({"file_path": format!("/{}", path.join("/"))}));
        prop_assert_eq!(allows(&rule, &file), slowly(&pattern, &path));
    }

    #[test]
    fn no_file_above_an_allowed_folder_is_reached(parts in prop::collection::vec(prop::sample::select(vec!["..", ".", "", "a", "srv", "project"]), 0..8)) {
        let path = format!("/srv/project/{}", parts.join("/"));
        let mut real: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => { real.pop(); }
                part => real.push(part),
            }
        }
        let inside = real.starts_with(&["srv", "project"]);
        prop_assert_eq!(allows("Edit(/srv/project/**)", &question("Write", json!({"file_path": path}))), inside);
    }

    /// Whatever the text is: nothing panics, and what is denied or asked is never allowed.
    #[test]
    fn a_permission_never_opens_what_a_rule_closes(
        command in "[a-c $`'\"\\\\;&|<>(){}*?~#!=\n\t]{0,24}",
        allow in prop::sample::select(vec!["Bash", "Bash(a:*)", "Bash(a*)", "Bash(a b)"]),
        close in prop::sample::select(vec!["Bash(a:*)", "Bash(a b:*)", "Bash(a*)", "Bash(b)", "Bash"]),
    ) {
        let asked = bash(&command);
        let open = lists(&[allow], &[], &[]).decide(&asked);
        let closed = lists(&[], &[], &[close]).decide(&asked);
        let both = lists(&[allow], &[], &[close]).decide(&asked);
        match closed {
            Verdict::Unsaid => prop_assert_eq!(both, open),
            closed => prop_assert_eq!(both, closed),
        }
        let asks = lists(&[allow], &[close], &[]).decide(&asked);
        prop_assert!(!matches!(asks, Verdict::Deny(_)));
    }

    /// A command that is allowed by what it begins with has no second one: none of the characters by which a shell parts
    /// or replaces stands in it outside of quotes.
    #[test]
    fn what_is_allowed_is_one_command(rest in "[a-c $`'\"\\\\;&|<>(){}#\n]{0,24}") {
        let command = format!("a {rest}");
        if allows("Bash(a:*)", &bash(&command)) {
            let (mut single, mut double, mut escaped) = (false, false, false);
            for c in command.trim_matches([' ', '\t']).chars() {
                if escaped {
                    prop_assert!(c != '\n', "{:?}", command);
                    escaped = false;
                    continue;
                }
                match c {
                    '\'' if !double => single = !single,
                    '"' if !single => double = !double,
                    '\\' if !single => escaped = true,
                    '$' | '`' => prop_assert!(single, "{:?}", command),
                    ';' | '&' | '|' | '<' | '>' | '(' | ')' | '{' | '}' | '\n' =>
                        prop_assert!(single || double, "{:?}", command),
                    _ => {}
                }
            }
            prop_assert!(!single && !double && !escaped, "{:?}", command);
        }
    }

    /// A denied command that stands alone between others is found, whatever those are.
    #[test]
    fn a_plain_command_among_others_is_found(
        before in "[a-c \\*?~=]{0,12}", after in "[a-c $`'\"\\\\;&|<>(){}#\n]{0,12}",
        between in prop::sample::select(vec![";", "&&", "||", "|", "&", "\n"]),
    ) {
        let command = format!("{before}{between}git push{between}{after}");
        let found = lists(&[], &[], &["Bash(git push:*)"]).decide(&bash(&command));
        // A backslash before the separator makes it a letter.
        prop_assume!(!before.ends_with('\\'));
        prop_assert_eq!(found, Verdict::Deny("Bash(git push:*)".to_owned()));
    }

    #[test]
    fn any_text_is_a_rule_or_is_not(text in any::<String>(), inner in "[ -~]{0,20}") {
        for text in [text, format!("Bash({inner})"), format!("Edit({inner})"), format!("mcp__{inner}")] {
            if let Ok(rule) = Rule::read(&text) {
                prop_assert_eq!(rule.text(), text.as_str());
                let mut rule = rule;
                rule.below("/srv/project");
                prop_assert!(!rule.for_agent().is_empty());
            }
        }
    }
}
