use serde_json::json;

use super::*;
use crate::core::turn::answer::ANSWER_BYTES;

#[test]
fn text_is_shown_as_it_comes_and_stands_once() {
    let mut turn = turn();
    assert_eq!(turn.view().answer, "");
    feed(&mut turn, &[message("m"), block(0)]);
    assert!(turn.on(&delta(0, "Hel")).contains(&Effect::Show));
    assert_eq!(turn.view().answer, "Hel");
    feed(&mut turn, &[delta(0, "lo"), text("m", "Hello")]);
    assert_eq!(turn.view().answer, "Hello");
    feed(&mut turn, &[AgentEvent::Result(completed("Hello"))]);
    assert_eq!(turn.view().answer, "Hello");
}

#[test]
fn blocks_stand_in_order_with_a_blank_line_between() {
    assert_eq!(
        answer(&[
            message("m1"),
            block(0),
            delta(0, "one\n"),
            text("m1", "one\n"),
            tool("t", "Read", json!({})),
            tool_result("t"),
            message("m2"),
            block(0),
            delta(0, "\n\ntwo"),
            text("m2", "\n\ntwo"),
            block(1),
            text("m2", "  "),
            block(2),
            delta(2, "    three"),
        ]),
        "one\n\ntwo\n\n    three"
    );
}

#[test]
fn a_whole_block_stands_instead_of_what_was_streamed_of_it() {
    let events = [
        message("m"),
        block(0),
        delta(0, "a"),
        block(1),
        delta(1, "b"),
        text("m", "A"),
        text("m", "B"),
    ];
    assert_eq!(answer(&events), "A\n\nB");
    let late = [message("m"), block(0), text("m", "whole"), delta(0, "le")];
    assert_eq!(answer(&late), "whole", "a part that comes after the whole");
}

#[test]
fn a_line_that_comes_twice_is_shown_once() {
    assert_eq!(answer(&[text("m", "a"), text("m", "a")]), "a");
    assert_eq!(answer(&[text("m", "a"), text("m", "b")]), "a\n\nb");
    assert_eq!(
        answer(&[
            message("m"),
            block(0),
            text("m", "a"),
            block(1),
            text("m", "a")
        ]),
        "a\n\na",
        "announced twice is said twice"
    );
    assert_eq!(answer(&[text("m1", "a"), text("m2", "a")]), "a\n\na");
}

#[test]
fn text_of_an_abandoned_message_is_thrown_away() {
    let broken = [
        text("m0", "kept"),
        message("m1"),
        block(0),
        delta(0, "partial"),
        abandoned("m1", 0),
    ];
    assert_eq!(answer(&broken), "kept");
    let mut again = broken.to_vec();
    again.push(text("m2", "not streamed"));
    assert_eq!(answer(&again), "kept\n\nnot streamed");
    assert_eq!(
        answer(&[
            message("m"),
            block(0),
            text("m", "whole"),
            block(1),
            delta(1, "part"),
            abandoned("m", 1)
        ]),
        "whole"
    );
    assert_eq!(
        answer(&[message("m"), block(0), delta(0, "x"), abandoned("other", 0)]),
        "x"
    );
    assert_eq!(
        answer(&[message("m"), block(0), delta(0, "x"), retry()]),
        "",
        "a request that is made again"
    );
}

#[test]
fn last_words_are_added_where_they_are_missing() {
    let result = |words: &str| AgentEvent::Result(completed(words));
    assert_eq!(answer(&[result("all of it")]), "all of it");
    assert_eq!(
        answer(&[text("m", "look at books"), result("ok")]),
        "look at books\n\nok",
        "being part of a word is not being there"
    );
    assert_eq!(
        answer(&[text("m", "the end"), text("n", " "), result("the end\n")]),
        "the end"
    );
    assert_eq!(
        answer(&[text("m", "said"), text("m", "then more"), result("said")]),
        "said\n\nthen more"
    );
    assert_eq!(answer(&[text("m", "long end"), result("end")]), "long end");
    assert_eq!(answer(&[text("m", "a"), result("")]), "a");
}

#[test]
fn an_answer_has_an_end() {
    let mut turn = turn();
    let part = "é".repeat(100_000);
    feed(&mut turn, &[message("m"), block(0)]);
    for _ in 0..20 {
        turn.on(&delta(0, &part));
    }
    let shown = turn.view().answer;
    assert!(
        shown.ends_with("é\n\n[The answer is longer than 1 MiB. What follows was left out here.]")
    );
    assert!(shown.len() < ANSWER_BYTES + 100, "{}", shown.len());
    assert!(shown.len() > ANSWER_BYTES - 10, "{}", shown.len());
    feed(&mut turn, &[text("m", "short after all")]);
    assert_eq!(turn.view().answer, "short after all");
    let long = "x".repeat(ANSWER_BYTES);
    feed(
        &mut turn,
        &[text("n", &long), AgentEvent::Result(completed(&long))],
    );
    let shown = turn.view().answer;
    assert!(shown.starts_with("short after all\n\nxxx"));
    assert!(shown.ends_with("left out here.]"));
    assert!(serde_json::to_string(&turn).unwrap().len() < ANSWER_BYTES + 2_000);
}

#[test]
fn many_blocks_do_not_make_the_state_grow() {
    let mut turn = turn();
    feed(&mut turn, &[message("m")]);
    for index in 0..50_000 {
        feed(&mut turn, &[block(index), text("m", "x")]);
        feed(
            &mut turn,
            &[tool(
                &index.to_string(),
                "Bash",
                json!({ "command": "y".repeat(500) }),
            )],
        );
    }
    assert_eq!(turn.tools_begun(), 50_000);
    assert_eq!(turn.view().answer.len(), 50_000 + 2 * 49_999);
    let size = serde_json::to_string(&turn).unwrap().len();
    assert!(size < 50_000 * 5 + 60_000, "{size}");
}
