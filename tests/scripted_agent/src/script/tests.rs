use super::*;

fn only_answer(prompt: &str) -> Answer {
    match Script::parse(prompt).step(0, 0) {
        Step::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn text_of(answer: &Answer) -> &str {
    match &answer.blocks[0] {
        Block::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ordinary_prompts_are_echoed() {
    for prompt in [
        "hello",
        "ask me",
        "long ago",
        "slow down",
        "die hard",
        "tools",
        "error in line 3",
        "hang on",
        "say",
    ] {
        assert!(!Script::is_directive(prompt), "{prompt}");
        assert_eq!(text_of(&only_answer(prompt)), format!("echo: {prompt}"));
    }
}

#[test]
fn directives() {
    assert_eq!(text_of(&only_answer("say hello there")), "hello there");
    assert_eq!(
        text_of(&only_answer("context first\n@fake say hello\nmore")),
        "hello"
    );
    assert_eq!(text_of(&only_answer("long 500")).chars().count(), 500);
    let slow = only_answer("slow 20 x3");
    assert_eq!((slow.delay_ms, slow.pieces(text_of(&slow)).len()), (20, 3));
    let tools = Script::parse("tools 2");
    assert_eq!(tools.steps.len(), 3);
    assert!(matches!(tools.step(1, 0), Step::Answer(a) if a.stop_reason() == "tool_use"));
    assert!(matches!(tools.step(2, 0), Step::Answer(a) if a.stop_reason() == "end_turn"));
}

#[test]
fn faults_are_served_as_often_as_asked() {
    let script = Script::parse(
        r#"@fake [{"error":429,"retry_after":1,"times":2},{"reset":"mid","text":"x","times":1},{"text":"ok"},{"text":"two"}]"#,
    );
    for failed in 0..2 {
        assert!(matches!(
            script.step(0, failed),
            Step::Fault(
                Trouble::Http {
                    status: 429,
                    retry_after: Some(1),
                    ..
                },
                Some(2)
            )
        ));
    }
    assert!(matches!(
        script.step(0, 2),
        Step::Fault(Trouble::Mid(_, Cut::Reset), Some(1))
    ));
    assert!(matches!(script.step(0, 3), Step::Answer(a) if text_of(&a) == "ok"));
    assert!(matches!(script.step(1, 0), Step::Answer(a) if text_of(&a) == "two"));
    assert!(matches!(script.step(2, 0), Step::Answer(a) if text_of(&a) == "done"));
    let forever = Script::parse("error 500");
    assert!(matches!(
        forever.step(0, 1000),
        Step::Fault(Trouble::Http { status: 500, .. }, None)
    ));
}

#[test]
fn mistakes_are_told() {
    for (prompt, part) in [
        (r#"@fake {"txet":"x"}"#, "unknown key txet"),
        (r#"@fake {"error":200}"#, "400 to 599"),
        (r#"@fake [{"text":1}]"#, "text is not a text"),
        ("@fake [", "EOF"),
        ("@fake jump", "no such directive"),
        (r#"@fake {"die":"soon"}"#, "neither an exit code"),
    ] {
        let Step::Fault(
            Trouble::Http {
                status: 400,
                message,
                ..
            },
            None,
        ) = Script::parse(prompt).step(0, 0)
        else {
            panic!("{prompt}");
        };
        assert!(message.contains(part), "{prompt}: {message}");
    }
}

#[test]
fn deaths() {
    assert!(matches!(
        Script::parse("die 3").step(0, 0),
        Step::Fault(
            Trouble::Mid(
                _,
                Cut::Die {
                    how: Death::Code(3),
                    once: false
                }
            ),
            Some(1)
        )
    ));
    assert!(
        matches!(Script::parse("die SIGKILL once").step(0, 0), Step::Fault(Trouble::Mid(_, Cut::Die { how: Death::Signal(s), once: true }), Some(1)) if s == "KILL")
    );
}

#[test]
fn markdown_has_the_wanted_length() {
    for n in [0, 1, 99, 4096, 20_000] {
        assert_eq!(markdown(n).chars().count(), n);
    }
    assert_eq!(markdown(5000), markdown(5000));
    assert!(markdown(9000).starts_with(&markdown(5000)));
}
