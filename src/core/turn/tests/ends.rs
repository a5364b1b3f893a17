use super::*;

#[test]
fn a_turn_ends_once_and_tells_what_it_cost() {
    let mut turn = turn();
    let effects = feed(
        &mut turn,
        &[
            prompt(PromptState::Started),
            init(),
            AgentEvent::Result(completed("x")),
        ],
    );
    assert_eq!(
        effects[effects.len() - 2..],
        [
            Effect::Show,
            Effect::Finished(Outcome {
                ending: Ending::Completed,
                total_cost_usd: Some(0.5),
                duration_ms: Some(12),
                session_id: Some(Uuid::from_u128(77)),
            })
        ]
    );
    assert!(turn.finished());
    let over = turn.clone();
    let more = [
        AgentEvent::Idle,
        AgentEvent::Result(completed("y")),
        text("m", "y"),
        asked("q", "Bash", "t"),
        prompt(PromptState::Cancelled),
    ];
    assert_eq!(feed(&mut turn, &more), []);
    assert_eq!(turn.process_gone(Trouble::new(Category::Generic)), None);
    assert_eq!(turn, over);
}

#[test]
fn the_session_is_the_one_that_was_told_last() {
    let mut turn = turn();
    let fresh = Uuid::from_u128(78);
    let reset = AgentEvent::SessionReset {
        session_id: Some(fresh),
    };
    let effects = feed(
        &mut turn,
        &[init(), reset, AgentEvent::Result(completed("x"))],
    );
    let Some(Effect::Finished(outcome)) = effects.last() else {
        panic!("{effects:?}");
    };
    assert_eq!(outcome.session_id, Some(fresh));
}

#[test]
fn an_aborted_turn_is_interrupted_whatever_else_it_is_called() {
    for (subtype, is_error, reason) in [
        ("error_during_execution", true, "aborted_streaming"),
        ("error_during_execution", true, "aborted_tools"),
        ("success", false, "aborted_tools"),
    ] {
        let result = TurnResult {
            is_error,
            text: Some(String::new()),
            errors: vec!["[ede_diagnostic] x".to_owned()],
            ..failed(subtype, Some(reason))
        };
        let mut turn = turn();
        let effects = feed(
            &mut turn,
            &[init(), text("m", "so far"), AgentEvent::Result(result)],
        );
        assert!(
            matches!(effects.last(), Some(Effect::Finished(o)) if o.ending == Ending::Interrupted)
        );
        assert_eq!(turn.view().answer, "so far");
    }
}

#[test]
fn results_that_are_errors_are_told_as_sentences() {
    let result = |subtype: &str, reason, fix: fn(&mut TurnResult)| {
        let mut result = failed(subtype, reason);
        fix(&mut result);
        sentence(ending(&[init(), AgentEvent::Result(result)]))
    };
    let table = [
        (
            result("success", Some("prompt_too_long"), |r| {
                r.api_error_status = Some(400);
            }),
            "❌ This conversation has become too long for the model. Send /clear to start a new one.",
        ),
        (
            result("error_max_turns", None, |_| {}),
            "🤖 The agent stopped because it had made as many steps as one message allows. Write “continue” to let it go on.",
        ),
        (
            result("error_max_budget_usd", Some("budget_exhausted"), |_| {}),
            "🤖 The budget of this session is used up. Send /clear to start a new one, or ask an administrator to raise it.",
        ),
        (
            result("error_during_execution", None, |r| {
                r.startup_failure_reason = Some("config_file_invalid".to_owned());
            }),
            "🤖 The agent did not start because its settings file `.claude.json` on the server is damaged. An administrator must repair or remove it.",
        ),
        (
            result("error_during_execution", None, |r| {
                r.startup_failure_reason = Some("new".to_owned());
                r.errors = vec!["No\nluck".to_owned()];
            }),
            "🤖 The agent did not start (new): “No luck”",
        ),
        (
            result("error_during_execution", Some("new"), |r| {
                r.errors = vec!["[ede_diagnostic] x".to_owned()];
            }),
            "🤖 Claude encountered an error. Please try again.",
        ),
        (
            result("success", Some("api_error"), |r| {
                r.api_error_status = Some(503);
                r.text = Some("API Error".to_owned());
            }),
            "🤖 The model's service has a fault (HTTP 503). Please try again in a few minutes.",
        ),
        (
            result("success", Some("api_error"), |r| {
                r.text = Some("API Error: Connection error.".to_owned());
            }),
            "⚠️ The agent cannot reach the model's service. Please try again in a moment.",
        ),
        (
            result("success", Some("api_error"), |r| {
                r.text = Some("API Error: Request timed out.".to_owned());
            }),
            "⏱️ The model's service did not answer in time. Please try again.",
        ),
        (
            result("success", Some("api_error"), |_| {}),
            "🤖 Claude encountered an error. Please try again.",
        ),
    ];
    for (told, expected) in table {
        assert_eq!(told, expected);
    }
    // Without the list of prompts, as it comes from a process that never read one.
    let mut unknown = failed("error_during_execution", None);
    unknown.prompts.clear();
    unknown.errors = vec![format!("No conversation found with session ID: {OTHER}")];
    let Ending::Failed(trouble) = ending(&[AgentEvent::Result(unknown)]) else {
        panic!("not failed");
    };
    assert!(trouble.is_unknown_session());
}

#[test]
fn errors_of_the_service_are_told_as_sentences_and_are_not_the_answer() {
    for (class, http, resets_at, expected) in [
        (
            "authentication_failed",
            None,
            None,
            "🔒 The agent is not logged in on the server. An administrator must run `claude /login` or set a key.",
        ),
        (
            "billing_error",
            Some(400),
            None,
            "🤖 The account that pays for the agent has no credit left. An administrator must top it up.",
        ),
        (
            "usage_limit_reached",
            Some(429),
            Some(1_795_286_636),
            "⏸️ The usage limit of the agent's account is reached. It is lifted at 2026-11-21 18:43 UTC.",
        ),
        (
            "usage_limit_reached",
            None,
            None,
            "⏸️ The usage limit of the agent's account is reached. Please try again later.",
        ),
        (
            "model_not_found",
            Some(404),
            None,
            "🤖 The model that is set does not exist, or the agent's account may not use it. An administrator must set another one.",
        ),
        (
            "invalid_request",
            Some(400),
            None,
            "❌ The model's service refused the request (HTTP 400): “the raw text”",
        ),
        (
            "unknown",
            None,
            None,
            "🤖 The agent could not answer: “the raw text”",
        ),
    ] {
        let error = AgentEvent::AssistantError {
            class: class.to_owned(),
            text: "the\nraw text".to_owned(),
            resets_at,
        };
        let result = TurnResult {
            api_error_status: http,
            text: Some("the\nraw text".to_owned()),
            ..failed("success", Some("api_error"))
        };
        let mut turn = turn();
        let effects = feed(
            &mut turn,
            &[init(), error.clone(), AgentEvent::Result(result)],
        );
        let Some(Effect::Finished(outcome)) = effects.last() else {
            panic!("{effects:?}");
        };
        assert_eq!(sentence(outcome.ending.clone()), expected);
        assert_eq!(turn.view().answer, "");

        let mut lost = Turn::new(Some(PROMPT));
        feed(&mut lost, &[init(), error]);
        let outcome = lost.process_gone(Trouble::new(Category::Generic)).unwrap();
        assert_ne!(
            outcome.ending,
            Ending::Failed(Trouble::new(Category::Generic)),
            "what the agent told is better than what is guessed"
        );
    }
}

#[test]
fn an_error_on_the_way_to_an_answer_is_forgotten() {
    let error = AgentEvent::AssistantError {
        class: "overloaded".to_owned(),
        text: "x".to_owned(),
        resets_at: None,
    };
    assert_eq!(
        ending(&[
            init(),
            error,
            text("m", "ok"),
            AgentEvent::Result(completed("ok"))
        ]),
        Ending::Completed
    );
}

#[test]
fn the_result_of_another_turn_does_not_end_this_one() {
    let of = |prompts: Vec<Uuid>| {
        AgentEvent::Result(TurnResult {
            prompts,
            ..completed("other")
        })
    };
    // The end of the turn before, whose words were shown as its own.
    let mut turn = turn();
    feed(
        &mut turn,
        &[text("m", "late words"), asked("q", "Bash", "t")],
    );
    let effects = turn.on(&of(vec![OTHER]));
    assert!(effects.contains(&Effect::Withdraw {
        request_id: "q".to_owned()
    }));
    assert!(!turn.finished() && !turn.begun());
    assert_eq!(turn.view().answer, "");
    feed(&mut turn, &[AgentEvent::Idle]);
    assert!(!turn.finished(), "the rest of the turn before");
    feed(
        &mut turn,
        &[
            prompt(PromptState::Queued),
            prompt(PromptState::Started),
            text("n", "mine"),
        ],
    );
    feed(&mut turn, &[of(vec![OTHER])]);
    assert!(!turn.finished());
    feed(&mut turn, &[of(vec![OTHER, PROMPT])]);
    assert!(turn.finished());
    assert_eq!(turn.view().answer, "mine\n\nother");

    // A report of background work, while our prompt waits: its words are kept.
    let report = AgentEvent::Result(TurnResult {
        prompts: vec![],
        ..completed("report")
    });
    let mut turn = Turn::new(Some(PROMPT));
    feed(
        &mut turn,
        &[
            prompt(PromptState::Queued),
            init(),
            text("m", "report"),
            report,
            AgentEvent::Idle,
        ],
    );
    assert!(!turn.finished());
    feed(
        &mut turn,
        &[prompt(PromptState::Started), text("n", "other"), of(vec![])],
    );
    assert!(turn.finished());
    assert_eq!(turn.view().answer, "report\n\nother");
}

#[test]
fn an_agent_that_tells_nothing_of_prompts_is_understood_when_it_rests() {
    let mut result = completed("x");
    result.prompts.clear();
    let mut turn = turn();
    feed(
        &mut turn,
        &[init(), text("m", "x"), AgentEvent::Result(result)],
    );
    assert!(!turn.finished());
    let effects = feed(&mut turn, &[AgentEvent::Idle]);
    assert!(
        matches!(effects.last(), Some(Effect::Finished(o)) if o.ending == Ending::Completed && o.total_cost_usd == Some(0.5))
    );
}

#[test]
fn a_turn_that_nobody_asked_for_ends_with_any_result() {
    let mut turn = Turn::new(None);
    feed(&mut turn, &[AgentEvent::Idle]);
    assert!(!turn.finished(), "the rest before it");
    let mut result = completed("report");
    result.prompts = vec![OTHER];
    feed(&mut turn, &[init(), AgentEvent::Result(result)]);
    assert!(turn.finished());
    assert_eq!(turn.view().answer, "report");
}

#[test]
fn a_prompt_that_was_cancelled_is_interrupted() {
    assert_eq!(
        ending(&[prompt(PromptState::Queued), prompt(PromptState::Cancelled)]),
        Ending::Interrupted
    );
    let begun = [
        prompt(PromptState::Started),
        init(),
        prompt(PromptState::Cancelled),
    ];
    let mut turn = turn();
    feed(&mut turn, &begun);
    assert!(!turn.finished(), "its result may be on the way");
    let effects = turn.on(&AgentEvent::Idle);
    assert!(matches!(effects.last(), Some(Effect::Finished(o)) if o.ending == Ending::Interrupted));

    let mut turn = Turn::new(Some(PROMPT));
    feed(&mut turn, &begun);
    assert_eq!(
        turn.process_gone(Trouble::new(Category::Agent))
            .unwrap()
            .ending,
        Ending::Interrupted
    );
}

#[test]
fn rest_without_a_result_ends_the_turn() {
    let mut before = turn();
    feed(&mut before, &[AgentEvent::Idle]);
    assert!(!before.finished(), "the rest of the turn before");
    assert_eq!(
        ending(&[
            prompt(PromptState::Started),
            text("m", "x"),
            AgentEvent::Idle
        ]),
        Ending::Completed
    );
    assert_eq!(
        sentence(ending(&[
            prompt(PromptState::Started),
            init(),
            AgentEvent::Idle
        ])),
        "🤖 The agent ended without an answer. Please try again."
    );
}

#[test]
fn a_process_that_is_gone_ends_the_turn() {
    let why = Trouble::with(Category::Agent, "Out of memory.");
    let gone = |events: &[AgentEvent], interrupt: bool| {
        let mut turn = turn();
        feed(&mut turn, events);
        if interrupt {
            turn.interrupt();
        }
        let outcome = turn.process_gone(why.clone()).unwrap();
        assert!(turn.finished());
        assert_eq!(turn.view().status, None);
        assert_eq!(turn.process_gone(why.clone()), None);
        outcome.ending
    };
    assert_eq!(gone(&[init()], false), Ending::Failed(why.clone()));
    assert_eq!(gone(&[init()], true), Ending::Interrupted);
    assert_eq!(
        gone(&[text("m", "x"), prompt(PromptState::Completed)], false),
        Ending::Completed
    );
    let mut result = completed("x");
    result.prompts.clear();
    assert_eq!(
        gone(&[init(), AgentEvent::Result(result)], false),
        Ending::Failed(why.clone()),
        "of a prompt that nobody took up nothing is known"
    );
}

/// A turn that came to a limit after these events.
fn over(events: &[AgentEvent], limit: Limit) -> Turn {
    let mut turn = turn();
    feed(&mut turn, events);
    turn.interrupt_over(Over {
        limit,
        after_ms: 60_000,
    });
    assert!(turn.interrupt_requested());
    turn
}

#[test]
fn a_turn_that_came_to_a_limit_says_so_however_it_ends() {
    let told = "⏱️ This took longer than 1 min, so I stopped it. The conversation goes on: write “continue” and the agent picks it up again.";
    let begun = [prompt(PromptState::Started), text("m", "so far")];
    let aborted = AgentEvent::Result(failed("error_during_execution", Some("aborted_streaming")));
    let error = AgentEvent::Result(TurnResult {
        api_error_status: Some(500),
        ..failed("success", Some("api_error"))
    });
    for last in [
        aborted,
        error,
        AgentEvent::Idle,
        prompt(PromptState::Cancelled),
    ] {
        let mut turn = over(&begun, Limit::Turn);
        // Also in the next life of the daemon.
        turn = serde_json::from_str(&serde_json::to_string(&turn).unwrap()).unwrap();
        let effects = feed(&mut turn, &[last.clone(), AgentEvent::Idle]);
        let Some(Effect::Finished(outcome)) = effects.last() else {
            panic!("{last:?}: {effects:?}");
        };
        assert_eq!(sentence(outcome.ending.clone()), told, "{last:?}");
        assert_eq!(turn.view().answer, "so far");
    }
    let gone = over(&begun, Limit::Turn)
        .process_gone(Trouble::new(Category::Generic))
        .unwrap();
    assert_eq!(sentence(gone.ending), told);
    let mut unread = over(&[], Limit::FirstOutput);
    let effects = feed(&mut unread, &[prompt(PromptState::Cancelled)]);
    assert!(matches!(
        effects.last(),
        Some(Effect::Finished(Outcome {
            ending: Ending::Failed(_),
            ..
        }))
    ));
    // One that was done in the same moment is done.
    let mut done = over(&begun, Limit::Turn);
    let effects = feed(&mut done, &[AgentEvent::Result(completed("so far"))]);
    assert!(matches!(effects.last(), Some(Effect::Finished(o)) if o.ending == Ending::Completed));
}

#[test]
fn an_agent_that_only_does_not_rest_has_given_its_answer() {
    let said = [text("m", "all"), prompt(PromptState::Completed)];
    let gone = over(&said, Limit::AfterResult).process_gone(Trouble::new(Category::Generic));
    assert_eq!(gone.unwrap().ending, Ending::Completed);
    let gone = over(&said[1..], Limit::AfterResult).process_gone(Trouble::new(Category::Generic));
    assert!(matches!(gone.unwrap().ending, Ending::Failed(_)));
}

#[test]
fn how_far_a_turn_is() {
    let mut result = completed("x");
    result.prompts.clear();
    for (events, stage) in [
        (&[][..], Stage::Starting),
        (&[prompt(PromptState::Queued)], Stage::Starting),
        (&[AgentEvent::Busy, AgentEvent::Ignored], Stage::Starting),
        (&[prompt(PromptState::Started)], Stage::Working),
        (&[init()], Stage::Working),
        (&[prompt(PromptState::Completed)], Stage::Resting),
        (&[AgentEvent::Result(result)], Stage::Resting),
    ] {
        let mut turn = turn();
        feed(&mut turn, events);
        assert_eq!(turn.stage(), stage, "{events:?}");
    }
}

#[test]
fn whatever_the_agent_says_by_itself_breaks_its_silence() {
    let reply = AgentEvent::Reply {
        request_id: "r".to_owned(),
        error: None,
        code: None,
    };
    for (event, breaks) in [
        (AgentEvent::Ignored, true),
        (delta(0, "x"), true),
        (retry(), true),
        (reply, false),
    ] {
        let mut turn = turn();
        turn.watch_mut().passes(90);
        turn.watch_mut().told(Limit::Silence);
        turn.on(&event);
        assert_eq!(turn.watch().shows_silence(), !breaks, "{event:?}");
    }
}
