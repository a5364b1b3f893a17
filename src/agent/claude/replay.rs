//! Transcripts of the real CLI, read by the codec and run through the turn: what a person would have seen at the end.

use std::{collections::VecDeque, path::Path};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use super::codec;
use crate::core::{
    event::{AgentEvent, PromptState},
    trouble::{Category, Trouble},
    turn::{Effect, Ending, Outcome, Turn},
};

#[derive(Deserialize)]
struct Entry<'a> {
    dir: Option<&'a str>,
    #[serde(borrow)]
    line: Option<&'a RawValue>,
}

/// What was left of one turn.
struct Told {
    answer: String,
    outcome: Outcome,
    tools: u32,
    statuses: Vec<String>,
    asked: usize,
    withdrawn: usize,
}

impl Told {
    /// `Completed "the answer"` and the like, the form of the table below.
    fn line(&self) -> String {
        let ending = match &self.outcome.ending {
            Ending::Completed => "Completed".to_owned(),
            Ending::Interrupted => "Interrupted".to_owned(),
            Ending::Failed(trouble) => trouble.sentence(),
        };
        format!("{ending} {:?}", self.answer)
    }
}

/// The daemon's side of a conversation: one turn at a time, those that nobody asked for included.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<Option<Uuid>>,
    turn: Option<Turn>,
    told: Vec<Told>,
    statuses: Vec<String>,
    asked: usize,
    withdrawn: usize,
}

impl Lane {
    fn prompt(&mut self, uuid: Option<Uuid>) {
        self.waiting.push_back(uuid);
        self.next();
    }

    fn next(&mut self) {
        if self.turn.is_none() {
            self.turn = self.waiting.pop_front().map(Turn::new);
        }
    }

    fn event(&mut self, event: &AgentEvent) {
        if self.turn.is_none() && matches!(event, AgentEvent::Init { .. }) {
            self.turn = Some(Turn::new(None));
        }
        let Some(turn) = &mut self.turn else { return };
        match event {
            // Folded into the turn that runs, or dropped before it began: no turn of its own.
            AgentEvent::Result(result) => self
                .waiting
                .retain(|uuid| uuid.is_none_or(|uuid| !result.prompts.contains(&uuid))),
            AgentEvent::Prompt {
                uuid,
                state: PromptState::Cancelled,
            } => self.waiting.retain(|waiting| waiting != &Some(*uuid)),
            _ => {}
        }
        let before = turn.view();
        let effects = turn.on(event);
        let changed = turn.view() != before;
        assert!(
            !changed || effects.contains(&Effect::Show),
            "a change that is not told: {event:?}"
        );
        if let Some(status) = turn.view().status
            && self.statuses.last() != Some(&status)
        {
            self.statuses.push(status);
        }
        for effect in effects {
            match effect {
                Effect::Ask(_) => self.asked += 1,
                Effect::Withdraw { .. } => self.withdrawn += 1,
                Effect::Show => {}
                Effect::Finished(outcome) => self.finish(outcome),
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        let turn = self.turn.take().unwrap();
        assert!(turn.finished());
        assert_eq!(turn.view().status, None);
        self.told.push(Told {
            answer: turn.view().answer,
            outcome,
            tools: turn.tools_begun(),
            statuses: std::mem::take(&mut self.statuses),
            asked: std::mem::take(&mut self.asked),
            withdrawn: std::mem::take(&mut self.withdrawn),
        });
        self.next();
    }
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/claude")
        .join(format!("{name}.jsonl"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn replay(name: &str) -> Vec<Told> {
    let text = fixture(name);
    let mut lane = Lane::default();
    for line in text.lines() {
        let entry: Entry<'_> = serde_json::from_str(line).unwrap();
        let Some(line) = entry.line else { continue };
        match entry.dir {
            Some("in") => {
                let line: Value = serde_json::from_str(line.get()).unwrap();
                if line["type"] == "user" {
                    lane.prompt(line["uuid"].as_str().and_then(|u| u.parse().ok()));
                } else if line["request"]["subtype"] == "interrupt"
                    && let Some(turn) = &mut lane.turn
                {
                    turn.interrupt();
                } else if line["type"] == "control_response"
                    && let Some(turn) = &mut lane.turn
                {
                    turn.answered(line["response"]["request_id"].as_str().unwrap());
                }
            }
            Some("out") => {
                for event in codec::decode(line.get().as_bytes()) {
                    assert!(!matches!(event, AgentEvent::Malformed(_)), "{event:?}");
                    lane.event(&event);
                }
            }
            _ => {}
        }
    }
    // What is still open is what the transcript breaks off in.
    if let Some(turn) = &mut lane.turn
        && let Some(outcome) = turn.process_gone(Trouble::new(Category::Generic))
    {
        lane.finish(outcome);
    }
    lane.told
}

#[test]
fn the_status_tells_what_goes_on() {
    let told = replay("02-bidi-permission").pop().unwrap();
    assert_eq!(
        told.statuses,
        [
            "Starting…",
            "Thinking…",
            "Writing…",
            "Thinking…",
            "Writing a file…",
            "Writing /w/b/x.txt",
            "Waiting for your approval",
            "Writing /w/b/x.txt",
            "Thinking…",
            "Running a command…",
            "Running: cat x.txt; touch y · 2 tools",
            "Waiting for your approval · 2 tools",
            "Running: cat x.txt; touch y · 2 tools",
            "Thinking… · 2 tools",
            "Writing… · 2 tools",
            "Thinking… · 2 tools",
        ]
    );
    assert_eq!((told.tools, told.asked, told.withdrawn), (2, 2, 0));
    assert_eq!(told.outcome.total_cost_usd, Some(0.00176));
    assert_eq!(told.outcome.duration_ms, Some(541));
    assert!(told.outcome.session_id.is_some());
}

#[test]
fn a_question_that_the_agent_takes_back_is_withdrawn_once() {
    let told = replay("23-interrupt-permission").remove(0);
    assert_eq!((told.tools, told.asked, told.withdrawn), (1, 1, 1));
    assert_eq!(told.statuses.last().unwrap(), "Stopping…");
}

#[test]
fn a_session_that_is_gone_can_be_told_apart() {
    let told = replay("41-startup-resume-unknown").remove(0);
    let Ending::Failed(trouble) = &told.outcome.ending else {
        panic!("{:?}", told.outcome);
    };
    assert!(trouble.is_unknown_session());
    assert_eq!(told.outcome.session_id, None);
}

/// Each transcript with the turns that are in it, as [`Told::line`] puts them.
macro_rules! transcripts {
    ($($test:ident $name:literal => $($line:literal),+;)+) => {
        $(#[test]
        fn $test() {
            let told: Vec<String> = replay($name).iter().map(Told::line).collect();
            assert_eq!(told, [$($line),+]);
        })+

        #[test]
        fn no_transcript_is_left_out() {
            let tested: std::collections::BTreeSet<String> =
                [$($name),+].iter().map(|name| format!("{name}.jsonl")).collect();
            let there = std::fs::read_dir(
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/claude"),
            )
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
            assert_eq!(tested, there);
        }
    };
}

transcripts! {
    t01_oneshot_partial "01-oneshot-partial" =>
        r#"Completed "Hello there, this is slow""#;
    t02_bidi_permission "02-bidi-permission" =>
        r#"Completed "echo: hello one""#,
        r#"Completed "I will write\n\nall done""#;
    t03_err_429_retry_ok "03-err-429-retry-ok" =>
        r#"Completed "ok after retry""#;
    t04_err_429_forever "04-err-429-forever" =>
        r#"⏸️ The model's service takes no more requests from this account for now. Please try again later. """#;
    t04b_err_429_60s "04b-err-429-60s" =>
        r#"Completed "ok""#;
    t05_err_529_forever "05-err-529-forever" =>
        r#"🤖 The model's service is overloaded. Please try again in a few minutes. """#;
    t05b_err_529_default "05b-err-529-default" =>
        r#"🤖 The model's service is overloaded. Please try again in a few minutes. """#;
    t06_err_401 "06-err-401" =>
        r#"🔒 The agent is not logged in on the server. An administrator must run `claude /login` or set a key. """#;
    t06b_err_401_noretry "06b-err-401-noretry" =>
        r#"🔒 The agent is not logged in on the server. An administrator must run `claude /login` or set a key. """#;
    t06c_err_403 "06c-err-403" =>
        r#"🔒 The model's service does not allow this to the agent's account. An administrator must check its login or key. """#;
    t07_err_500_forever "07-err-500-forever" =>
        r#"🤖 The model's service has a fault (HTTP 500). Please try again in a few minutes. """#;
    t08_err_400 "08-err-400" =>
        r#"❌ The model's service refused the request (HTTP 400): “API Error: 400 bad thing” """#;
    t09_err_reset_headers "09-err-reset-headers" =>
        r#"Completed "ok after reset""#;
    t10_err_reset_mid "10-err-reset-mid" =>
        r#"Completed "ok after reset mid""#;
    t11_err_eof_mid "11-err-eof-mid" =>
        r#"Completed "ok after eof mid""#;
    t12_err_sse_overloaded "12-err-sse-overloaded" =>
        r#"Completed "ok after sse err""#;
    t13_stop_max_tokens "13-stop-max-tokens" =>
        r#"Completed "cut\n\necho: Output token limit hit. Resume directly — no apology, no recap of what you were doing. Pick up mid-thought if that is where the cut happened. Break remaining work into smaller pieces.""#;
    t14_stop_refusal "14-stop-refusal" =>
        r#"Completed "no\n\necho: Your response above was stopped by a safety classifier — this is not a tool or API error. The rest of it was withheld, and tool calls in it that had not finished did not run. Do not produce that conte""#;
    t15_err_402_billing "15-err-402-billing" =>
        r#"🤖 The account that pays for the agent has no credit left. An administrator must top it up. """#;
    t16_err_413_toolong "16-err-413-toolong" =>
        r#"❌ This conversation has become too long for the model. Send /clear to start a new one. """#;
    t17_err_404_model "17-err-404-model" =>
        r#"🤖 The model that is set does not exist, or the agent's account may not use it. An administrator must set another one. """#;
    t18_err_429_retryafter_long "18-err-429-retryafter-long" =>
        r#"⏸️ The model's service takes no more requests from this account for now. Please try again later. """#;
    t19_hang_headers "19-hang-headers" =>
        r#"Completed "ok after hang""#;
    t19b_hang_headers_default "19b-hang-headers-default" =>
        r#"Completed "ok after hang""#;
    t20_hang_mid "20-hang-mid" =>
        r#"Completed "ok after hang mid""#;
    t20b_hang_mid_default "20b-hang-mid-default" =>
        r#"Completed "ok after hang mid""#;
    t20c_hang_mid_byte_watchdog "20c-hang-mid-byte-watchdog" =>
        r#"Completed "ok after hang mid""#;
    t21_interrupt_midstream "21-interrupt-midstream" =>
        r#"Interrupted "word word word word word word word word ""#,
        r#"Completed "echo: [Request interrupted by user]  second question""#;
    t22_interrupt_bash "22-interrupt-bash" =>
        r#"Interrupted """#;
    t23_interrupt_permission "23-interrupt-permission" =>
        r#"Interrupted """#;
    t24_interrupt_queued "24-interrupt-queued" =>
        r#"Interrupted "word word word word word word word word word word word word word ""#,
        r#"Completed "echo: [Request interrupted by user]  queued B queued C""#;
    t25_interrupt_cancel_queued "25-interrupt-cancel-queued" =>
        r#"Interrupted "word word word word word word word word word word word word word word word ""#;
    t26_control_requests "26-control-requests" =>
        r#"Completed "echo: hello""#,
        r#"Completed "echo: <local-command-caveat>The command below was run directly in Claude Code, not sent to you as a request, and its output goes straight to the user. It's recorded here as context for later messages.</loca""#;
    t27_resume_after_ask_sigkill "27-resume-after-ask-SIGKILL" =>
        r#"Completed "echo: are you back?""#;
    t27_resume_after_bash_sigkill "27-resume-after-bash-SIGKILL" =>
        r#"Completed "echo: are you back?""#;
    t27_resume_after_bash_sigterm "27-resume-after-bash-SIGTERM" =>
        r#"Completed "echo: are you back?""#;
    t27_resume_after_sent_sigkill "27-resume-after-sent-SIGKILL" =>
        r#"Completed "echo: are you back?""#;
    t27_resume_after_stream_sigkill "27-resume-after-stream-SIGKILL" =>
        r#"Completed "echo: are you back?""#;
    t27_resume_after_stream_sigterm "27-resume-after-stream-SIGTERM" =>
        r#"Completed "echo: are you back?""#;
    t28_images_slash_mentions "28-images-slash-mentions" =>
        r#"Completed "echo: what is this?  [Image: source: /tmp/claude-UID/-w-s/00000000-0000-4000-8000-000000000001/images/1.png]""#,
        r#"Completed "echo: jpeg?  [Image: source: /tmp/claude-UID/-w-s/00000000-0000-4000-8000-000000000001/images/2.png]""#,
        r#"Completed "echo: big?  [Image: source: /tmp/claude-UID/-w-s/00000000-0000-4000-8000-000000000001/images/3.png, original 5000x4000, displayed at 2000x1600. Multiply coordinates by 2.50 to map to origina""#,
        r#"Completed "echo: [Image could not be processed: Unable to resize image — image processing is unavailable and dimensions could not be read from the file header. Please convert the image to PNG, JPEG, GIF, or WebP.] bro""#,
        r#"Completed "echo: tiff?  [Image: source: /tmp/claude-UID/-w-s/00000000-0000-4000-8000-000000000001/images/4.png]""#,
        r#"❌ An error occurred. Please try again. """#;
    t29_ask_user_question "29-ask-user-question" =>
        r#"Completed "after""#;
    t30_exit_plan_mode "30-exit-plan-mode" =>
        r#"Completed "after plan""#;
    t31_permissions "31-permissions" =>
        r#"Completed "after""#,
        r#"Completed "after""#,
        r#"Interrupted """#,
        r#"❌ An error occurred. Please try again. "after""#;
    t32_background_bash "32-background-bash" =>
        r#"Completed "started""#,
        r#"Completed "done""#;
    t33_subagent "33-subagent" =>
        r#"Completed "main done""#,
        r#"Completed "done""#;
    t34_message_during_tool "34-message-during-tool" =>
        r#"Completed "first done""#;
    t35_rate_limit_api_key "35-rate-limit-api-key" =>
        r#"Completed "hi""#,
        r#"❌ An error occurred. Please try again. """#;
    t35_rate_limit_oauth_token "35-rate-limit-oauth-token" =>
        r#"Completed "hi""#,
        r#"⏸️ The usage limit of the agent's account is reached. It is lifted at 2026-11-21 18:43 UTC. """#;
    t36_tool_progress "36-tool-progress" =>
        r#"Completed "x""#;
    t37_recommended_launch "37-recommended-launch" =>
        r#"Completed "echo: hello""#;
    t38_error_max_turns "38-error-max-turns" =>
        r#"🤖 The agent stopped because it had made as many steps as one message allows. Write “continue” to let it go on. """#;
    t39_error_max_budget "39-error-max-budget" =>
        r#"🤖 The budget of this session is used up. Send /clear to start a new one, or ask an administrator to raise it. "x""#;
    t40_startup_bypass_root "40-startup-bypass-root" =>
        r#"🤖 The agent did not start because it never runs without permission checks as root. An administrator must give it another user or another permission mode. """#;
    t41_startup_resume_unknown "41-startup-resume-unknown" =>
        r#"🤖 The agent no longer knows this conversation, so a new one has to be started. Please send your message again. """#;
    t42_no_credentials "42-no-credentials" =>
        r#"🔒 The agent is not logged in on the server. An administrator must run `claude /login` or set a key. """#;
    t43_session_id_in_use "43-session-id-in-use" =>
        r#"❌ An error occurred. Please try again. """#;
    t44_mcp "44-mcp" =>
        r#"Completed "x""#;
}
