use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::core::turn::answer::ANSWER_BYTES;

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        60 => Just(String::new()),
        60 => Just("\n".to_owned()),
        240 => "[a-c é\n]{0,6}",
        1 => Just("x".repeat(400_000)),
    ]
}

fn ids() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => "[a-c]",
        1 => Just("long ".repeat(100)),
    ]
}

fn uuids() -> impl Strategy<Value = Uuid> {
    prop_oneof![3 => Just(PROMPT), 1 => Just(OTHER)]
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Bash".to_owned()),
        Just("Read".to_owned()),
        Just("mcp__a__b".to_owned()),
        ".{0,5}"
    ]
}

fn any_block() -> impl Strategy<Value = Block> {
    prop_oneof![
        3 => Just(Block::Text),
        1 => Just(Block::Thinking),
        1 => Just(Block::Other),
        1 => (ids(), names()).prop_map(|(id, name)| Block::Tool { id, name }),
    ]
}

fn any_result() -> impl Strategy<Value = AgentEvent> {
    (
        prop_oneof![
            Just("success"),
            Just("error_during_execution"),
            Just("error_max_turns"),
            Just("")
        ],
        any::<bool>(),
        prop_oneof![
            Just(None),
            Just(Some("completed")),
            Just(Some("api_error")),
            Just(Some("aborted_tools")),
            Just(Some("new"))
        ],
        proptest::option::of(words()),
        proptest::option::of(prop_oneof![Just("config_file_invalid"), Just("new")]),
        proptest::option::of(any::<u16>()),
        proptest::collection::vec(uuids(), 0..3),
    )
        .prop_map(
            |(subtype, is_error, reason, text, startup, status, prompts)| {
                AgentEvent::Result(TurnResult {
                    subtype: subtype.to_owned(),
                    is_error,
                    terminal_reason: reason.map(str::to_owned),
                    text,
                    errors: vec![],
                    startup_failure_reason: startup.map(str::to_owned),
                    api_error_status: status,
                    total_cost_usd: Some(0.25),
                    duration_ms: Some(3),
                    prompts,
                    session_id: Some(OTHER),
                    denials: vec![],
                })
            },
        )
}

fn any_event() -> impl Strategy<Value = AgentEvent> {
    let states = prop_oneof![
        Just(PromptState::Queued),
        Just(PromptState::Started),
        Just(PromptState::Completed),
        Just(PromptState::Cancelled)
    ];
    prop_oneof![
        1 => proptest::option::of(uuids()).prop_map(|session_id| AgentEvent::Init { session_id, model: None, version: None, directory: None }),
        1 => (uuids(), states).prop_map(|(uuid, state)| AgentEvent::Prompt { uuid, state }),
        1 => Just(AgentEvent::Idle),
        1 => Just(AgentEvent::Busy),
        2 => ids().prop_map(|message_id| AgentEvent::MessageStart { message_id }),
        2 => (0..4_u32, any_block()).prop_map(|(index, block)| AgentEvent::BlockStart { index, block }),
        4 => (0..4_u32, words()).prop_map(|(index, text)| AgentEvent::TextDelta { index, text }),
        1 => (ids(), 0..4_u32).prop_map(|(message_id, from_index)| AgentEvent::Abandoned { message_id, from_index }),
        3 => (ids(), words()).prop_map(|(message_id, text)| AgentEvent::Text { message_id, text }),
        2 => (ids(), names(), words()).prop_map(|(id, name, argument)| tool(&id, &name, json!({ "command": argument, "file_path": argument }))),
        1 => (ids(), words(), any::<Option<i64>>()).prop_map(|(class, text, resets_at)| AgentEvent::AssistantError { class, text, resets_at }),
        2 => (ids(), any::<bool>()).prop_map(|(id, is_error)| AgentEvent::ToolResult { id, is_error }),
        1 => (any::<u32>(), any::<u32>(), any::<u64>(), any::<Option<u16>>(), words()).prop_map(|(attempt, max, delay_ms, status, error)| AgentEvent::Retry { attempt, max, delay_ms, status, error }),
        2 => (ids(), names(), ids()).prop_map(|(id, name, call)| asked(&id, &name, &call)),
        1 => ids().prop_map(|request_id| AgentEvent::Withdrawn { request_id }),
        1 => Just(AgentEvent::Compacting),
        1 => proptest::option::of(uuids()).prop_map(|session_id| AgentEvent::SessionReset { session_id }),
        1 => any_result(),
        1 => Just(AgentEvent::Malformed("x".to_owned())),
    ]
}

/// An event, or a press of Stop (`None`).
fn any_step() -> impl Strategy<Value = Option<AgentEvent>> {
    prop_oneof![19 => any_event().prop_map(Some), 1 => Just(None)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever comes: one end, no way back, nothing unbounded, every change told, and no difference whether the
    /// state was stored and loaded on the way.
    #[test]
    fn any_sequence_is_taken(
        asked_for in any::<bool>(),
        steps in proptest::collection::vec(any_step(), 0..60),
    ) {
        let mut turn = Turn::new(asked_for.then_some(PROMPT));
        let mut stored = turn.clone();
        let mut ends = 0;
        for step in steps {
            let Some(event) = step else {
                for turn in [&mut turn, &mut stored] {
                    turn.interrupt();
                    turn.watch_mut().passes(7);
                }
                continue;
            };
            let before = turn.view();
            let was_over = turn.finished();
            let tools = turn.tools_begun();
            let effects = turn.on(&event);

            let json = serde_json::to_string(&stored).unwrap();
            prop_assert!(json.len() < 3 * ANSWER_BYTES, "{}", json.len());
            stored = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&stored.on(&event), &effects);
            prop_assert_eq!(&stored, &turn);

            if was_over {
                prop_assert!(effects.is_empty());
            }
            if turn.view() != before {
                prop_assert!(effects.contains(&Effect::Show), "{:?}", event);
            }
            let finished = effects.iter().filter(|e| matches!(e, Effect::Finished(_))).count();
            ends += finished;
            prop_assert!(ends <= 1);
            prop_assert_eq!(turn.finished(), ends == 1);
            if finished == 1 {
                prop_assert!(matches!(effects.last(), Some(Effect::Finished(_))));
            }
            prop_assert!(turn.tools_begun() >= tools);
            let view = turn.view();
            prop_assert_eq!(view.status.is_none(), turn.finished());
            prop_assert!(view.answer.len() <= ANSWER_BYTES + 100);
            if let Some(status) = view.status {
                prop_assert!(!status.trim().is_empty());
                prop_assert!(status.chars().count() <= 120 && !status.contains('\n'), "{}", status);
            }
        }
        let gone = turn.process_gone(Trouble::new(Category::Generic));
        prop_assert_eq!(gone.is_some(), ends == 0);
        prop_assert!(turn.finished());
    }

    /// A turn as the agent streams it, with breaks and repetitions: each block stands in the answer once, in order.
    #[test]
    fn what_is_said_is_shown_once_and_in_order(
        messages in proptest::collection::vec(
            // Blocks of the message, how each is cut into deltas, whether it is streamed, and whether a first try breaks.
            (proptest::collection::vec(("[a-z]{1,12}", 1..5_usize), 1..4), any::<bool>(), any::<bool>()),
            1..6,
        ),
    ) {
        let mut turn = turn();
        let mut expected = Vec::new();
        let mut last = String::new();
        feed(&mut turn, &[prompt(PromptState::Started), init()]);
        for (number, (blocks, streamed, breaks)) in messages.iter().enumerate() {
            if *breaks {
                let id = format!("broken{number}");
                feed(&mut turn, &[message(&id), block(0), delta(0, "rubbish"), abandoned(&id, 0), retry()]);
            }
            let id = format!("m{number}");
            if *streamed {
                feed(&mut turn, &[message(&id)]);
            }
            for (index, (body, cuts)) in (0_u32..).zip(blocks) {
                // Made unlike its neighbours, so that "once" can be counted.
                let body = format!("{number}.{index} {body}");
                if *streamed {
                    feed(&mut turn, &[block(index)]);
                    let chars: Vec<char> = body.chars().collect();
                    for part in chars.chunks(chars.len().div_ceil(*cuts)) {
                        feed(&mut turn, &[delta(index, &part.iter().collect::<String>())]);
                    }
                }
                feed(&mut turn, &[text(&id, &body), text(&id, &body)]);
                last.clone_from(&body);
                expected.push(body);
                prop_assert_eq!(turn.view().answer, expected.join("\n\n"));
            }
        }
        feed(&mut turn, &[AgentEvent::Result(completed(&last))]);
        prop_assert_eq!(turn.view().answer, expected.join("\n\n"));
        prop_assert!(turn.finished());
    }
}
