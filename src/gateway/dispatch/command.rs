//! Slash commands: answered at once, past any lane.

use std::sync::Arc;

use super::{Desk, decide::By};
use crate::{
    core::{
        command::{self, Command, KeyValue},
        ids::ConversationId,
        inbound::{Message, Person},
        mode::PermissionMode,
        policy::{self, Role},
        turn::Turn,
        words::{self, pairing, queue as said},
    },
    gateway::{
        admin::{self, Admin, AdminError},
        lane::{self, Ack, LaneMsg, Reply, Said},
        mode,
        ports::SettingInfo,
        queue::{self, Queue},
    },
    store::{
        StoreError, Tx,
        rows::{Conversation, TurnState},
    },
};

impl Desk<'_> {
    pub(super) async fn command(
        &self,
        message: &Message,
        person: &Person,
        role: Role,
        command: &Command,
        args: &str,
    ) -> Result<(), StoreError> {
        let reply = Reply::Message {
            target: Self::target(message),
            reply_to: Self::reply_to(message),
        };
        let ack = Ack::update(self.id, person.id, reply);
        let conversation = self.conversation(message, person).await?;
        // A command never waits in the window, and what was collected so far goes its way. Whoever ends a pause does not
        // go before the others by that.
        if *command != Command::Resume {
            self.lanes.nudge(conversation.id, LaneMsg::CloseWindow);
        }
        if policy::may_run(role, command).is_err() {
            return self.refuse(ack, command.name()).await;
        }
        let admin = Admin::new(Arc::clone(self.deps), self.lanes.clone());
        match command {
            Command::Start => {
                // Who writes for the first time has a chat from now on, in which Telegram takes a menu.
                self.deps.newcomer.notify_one();
                self.answer(ack, "start", words::GREETING.to_owned()).await
            }
            Command::Help => {
                self.answer(ack, "help", words::help(command::commands_for(role)))
                    .await
            }
            Command::Unknown(name) => {
                let text = words::unknown_command(name, command::nearest(name, role));
                self.answer(ack, "unknown", text).await
            }
            Command::Status => {
                let text = self.status(conversation.id).await?;
                self.answer(ack, "status", text).await
            }
            Command::Interrupt => self.interrupt(&conversation, ack).await,
            Command::Longer => self.longer(&conversation, ack).await,
            Command::Queue => self.queue(&conversation, ack, args).await,
            Command::Clear => self.clear(conversation.id, ack).await,
            Command::Mode => {
                self.mode(conversation.id, (person.id, role), ack, args)
                    .await
            }
            Command::Allow => {
                self.decide(message, (person, role), ack, args, By::Allow)
                    .await
            }
            Command::Deny => {
                self.decide(message, (person, role), ack, args, By::Deny)
                    .await
            }
            Command::Answer => {
                self.decide(message, (person, role), ack, args, By::Answer)
                    .await
            }
            Command::Pause => admin::answered(admin.pause(ack, args).await),
            Command::Resume => admin::answered(admin.resume(ack).await),
            Command::Kill if args.is_empty() => {
                admin::answered(admin.kill_here(ack, conversation.id).await)
            }
            Command::Kill => admin::answered(admin.kill(ack, args).await),
            Command::KillAll => admin::answered(admin.ask_kill_all(ack).await),
            Command::Restart => admin::answered(admin.ask_restart(ack).await),
            Command::Config => self.config(&admin, ack, args).await,
            Command::Debug => self.debug(&admin, ack, args).await,
            Command::Ps => {
                let text = self.processes(&admin).await?;
                self.answer(ack, "ps", text).await
            }
            Command::Users if !args.is_empty() => self.remove(&admin, ack, args).await,
            Command::Pair => self.pair(&admin, ack, args).await,
            Command::Users => {
                let text = self.people(&admin).await?;
                self.answer(ack, "users", text).await
            }
        }
    }

    /// Which turn is meant is settled here; what it can be given, by its lane.
    async fn longer(&self, conversation: &Conversation, ack: Ack) -> Result<(), StoreError> {
        let (id, nothing, now) = (conversation.id, ack.clone(), self.deps.clock.now());
        let running = self
            .deps
            .store
            .tx(move |tx| {
                let open = tx.turns_open(id)?;
                let running = queue::newer::running(&open);
                if running.is_none() {
                    let text = words::NOTHING_RUNS.as_str();
                    lane::acknowledge(tx, &nothing, "longer", "", text, now)?;
                }
                Ok(running.map(|turn| turn.id))
            })
            .await?;
        if let Some(turn) = running {
            let limit = None;
            self.lanes
                .send(id, LaneMsg::Longer { turn, limit, ack })
                .await;
        }
        Ok(())
    }

    /// Which turn is meant is settled here, where updates are in order: one that a later message begins is not.
    pub(super) async fn interrupt(
        &self,
        conversation: &Conversation,
        ack: Ack,
    ) -> Result<(), StoreError> {
        let (now, inbox, nothing) = (self.deps.clock.now(), self.id, ack.clone());
        let (id, queue) = (conversation.id, Queue::of(self.deps, &conversation.key));
        let running = self
            .deps
            .store
            .tx(move |tx| {
                let open = tx.turns_open(id)?;
                // Where this is looked at again after a crash, a turn that was sent after it is not meant. When it was given to
                // an agent says nothing of that: both may have come with one poll.
                let running = queue::newer::running(&open)
                    .filter(|turn| queue::sent_before(turn, inbox))
                    .map(|turn| turn.id);
                if running.is_none() {
                    let waits = open.iter().any(|turn| queue::waited(turn, inbox));
                    let text = if waits {
                        said::KEPT.as_str()
                    } else {
                        words::NOTHING_RUNS.as_str()
                    };
                    lane::acknowledge(tx, &nothing, "interrupt", "", text, now)?;
                    queue.keep(tx, id, inbox, now)?;
                }
                Ok(running)
            })
            .await?;
        match running {
            Some(turn) => {
                self.lanes
                    .send(conversation.id, LaneMsg::Interrupt { ack, turn })
                    .await;
            }
            None => self.lanes.wake(conversation.id),
        }
        Ok(())
    }

    /// The session is forgotten here, before any later message is looked at. The lane, and after a crash the next
    /// one, sees that its process holds another session than the current one and ends what it does.
    async fn clear(&self, conversation: ConversationId, ack: Ack) -> Result<(), StoreError> {
        let now = self.deps.clock.now();
        self.deps
            .store
            .tx(move |tx| {
                if let Some(why) = admin::too_often(tx, &ack, "clear", now)? {
                    let text = words::admin::refused(&why.to_string(), &why.remedy());
                    let said = Said {
                        action: "clear",
                        on: &format!("conversation {conversation}"),
                        result: &format!("refused: {}", why.kind()),
                        text: &text,
                        buttons: Vec::new(),
                    };
                    return lane::acknowledge_as(tx, &ack, &said, now);
                }
                let running = tx
                    .turns_open(conversation)?
                    .iter()
                    .any(|t| t.state == TurnState::Submitted);
                tx.session_forget(conversation)?;
                let text = if running {
                    words::CLEARED_RUNNING.as_str()
                } else {
                    words::CLEARED.as_str()
                };
                lane::acknowledge(
                    tx,
                    &ack,
                    "clear",
                    &format!("conversation {conversation}"),
                    text,
                    now,
                )
            })
            .await?;
        self.lanes.wake(conversation);
        Ok(())
    }

    pub(super) async fn conversation(
        &self,
        message: &Message,
        person: &Person,
    ) -> Result<Conversation, StoreError> {
        let (key, now, person) = (
            self.key(message, person),
            self.deps.clock.now(),
            person.clone(),
        );
        self.deps
            .store
            .tx(move |tx| {
                tx.person_seen(person.id, &person.name, now)?;
                tx.conversation_open(&key, now)
            })
            .await
    }

    pub(super) async fn answer(
        &self,
        ack: Ack,
        action: &str,
        text: String,
    ) -> Result<(), StoreError> {
        let (now, action) = (self.deps.clock.now(), action.to_owned());
        self.deps
            .store
            .tx(move |tx| lane::acknowledge(tx, &ack, &action, "", &text, now))
            .await
    }

    async fn config(&self, admin: &Admin, ack: Ack, args: &str) -> Result<(), StoreError> {
        let done = match command::key_value(args) {
            KeyValue::All => {
                let all = admin::read(admin.config().await)?;
                let text = words::admin::settings(all.iter().map(told));
                return self.answer(ack, "config", text).await;
            }
            KeyValue::Show("reset") | KeyValue::NoKey => {
                let text = words::admin::WHICH_KEY.to_owned();
                return self.answer(ack, "config", text).await;
            }
            KeyValue::Show(key) => {
                return match admin.config_of(key).await {
                    Ok(setting) => {
                        let text = words::admin::setting(&told(&setting));
                        self.answer(ack, "config", text).await
                    }
                    Err(AdminError::Store(cause)) => Err(cause),
                    Err(why) => {
                        let text = words::admin::refused(&why.to_string(), &why.remedy());
                        self.answer(ack, "config", text).await
                    }
                };
            }
            KeyValue::Set("reset", key) => admin.reset_config(ack, key).await,
            KeyValue::Set(key, value) => admin.set_config(ack, key, value).await,
        };
        admin::answered(done)
    }

    async fn debug(&self, admin: &Admin, ack: Ack, args: &str) -> Result<(), StoreError> {
        let on = match args.to_ascii_lowercase().as_str() {
            "on" => true,
            "off" => false,
            odd => {
                let mut text = match admin.config_of("log.level").await {
                    Ok(level) => words::admin::setting(&told(&level)),
                    Err(AdminError::Store(cause)) => return Err(cause),
                    Err(why) => why.to_string(),
                };
                if !odd.is_empty() {
                    text = words::admin::ON_OR_OFF.to_owned();
                }
                return self.answer(ack, "debug", text).await;
            }
        };
        admin::answered(admin.debug(ack, on).await)
    }

    async fn processes(&self, admin: &Admin) -> Result<String, StoreError> {
        let now = self.deps.clock.now();
        let runs = admin::read(admin.runs().await)?;
        let processes = runs.iter().map(|run| words::admin::Process {
            run: run.id.short(),
            name: run.name.as_deref(),
            person: run.person,
            age: now.saturating_sub(run.started_at),
            works: run.turn.is_some(),
        });
        Ok(words::admin::processes(processes))
    }

    async fn people(&self, admin: &Admin) -> Result<String, StoreError> {
        let now = self.deps.clock.now();
        let people = admin::read(admin.people().await)?;
        let people = people.iter().map(|person| {
            let seen = person.last_seen.map(|at| now.saturating_sub(at));
            (
                person.name.as_deref(),
                person.id,
                person.role,
                person.source,
                seen,
            )
        });
        Ok(words::admin::people(people))
    }

    async fn remove(&self, admin: &Admin, ack: Ack, args: &str) -> Result<(), StoreError> {
        let mut words = args.split_whitespace();
        match (words.next(), words.next().map(str::parse), words.next()) {
            (Some("remove"), Some(Ok(person)), None) => {
                admin::answered(admin.remove_person(ack, person).await)
            }
            _ => {
                let text = pairing::HOW_TO_REMOVE.to_owned();
                self.answer(ack, "users", text).await
            }
        }
    }

    async fn pair(&self, admin: &Admin, ack: Ack, args: &str) -> Result<(), StoreError> {
        let (what, code) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
        match what {
            "accept" if !code.is_empty() => admin::answered(admin.accept(ack, code.trim()).await),
            "reject" if !code.is_empty() => admin::answered(admin.reject(ack, code.trim()).await),
            "" | "list" => {
                let now = self.deps.clock.now();
                let all = admin::read(admin.pairings().await)?;
                let text = if all.is_empty() && !self.deps.config.get().pairing {
                    pairing::OFF.to_owned()
                } else {
                    pairing::list(all.iter().map(|p| {
                        let left = p.expires_at.saturating_sub(now);
                        (&p.code, p.name.as_str(), p.person, left)
                    }))
                };
                self.answer(ack, "pair", text).await
            }
            _ => self.answer(ack, "pair", pairing::HOW.to_owned()).await,
        }
    }

    async fn refuse(&self, ack: Ack, action: &str) -> Result<(), StoreError> {
        let (now, action) = (self.deps.clock.now(), action.to_owned());
        let refusal = move |tx: &Tx<'_>| {
            let said = Said {
                action: &action,
                on: "",
                result: "refused: NotAllowed",
                text: words::NOT_YOURS.as_str(),
                buttons: Vec::new(),
            };
            lane::acknowledge_as(tx, &ack, &said, now)
        };
        self.deps.store.tx(refusal).await
    }

    async fn status(&self, conversation: ConversationId) -> Result<String, StoreError> {
        let now = self.deps.clock.now();
        let up = now.saturating_sub(self.deps.started_at);
        let pause = self.deps.gate.pause();
        let modes = self.deps.config.get().modes.clone();
        self.deps
            .store
            .tx(move |tx| {
                let open = tx.turns_open(conversation)?;
                let running = queue::newer::running(&open);
                let chosen = mode::chosen(tx, conversation)?.map(|chosen| chosen.mode);
                let mode = modes.effective(chosen);
                Ok(words::status(&words::Status {
                    running: running.map(|turn| {
                        let machine: Option<Turn> = turn
                            .machine
                            .as_deref()
                            .and_then(|json| serde_json::from_str(json).ok());
                        let what = machine.and_then(|m| m.view().status).unwrap_or_default();
                        (what, now.saturating_sub(turn.submitted_at.unwrap_or(now)))
                    }),
                    waiting: open
                        .iter()
                        .filter(|t| matches!(t.state, TurnState::Queued | TurnState::Collecting))
                        .count(),
                    kept: open.iter().filter(|t| t.state == TurnState::Held).count(),
                    last: tx
                        .turn_last_over(conversation)?
                        .map(|turn| (turn.duration_ms, turn.cost_usd)),
                    session: tx.session_current(conversation)?.map(|s| {
                        (
                            s.session_id.to_string().chars().take(8).collect(),
                            s.metadata.total_cost_usd,
                            s.metadata.model,
                        )
                    }),
                    // Who is asked first need not be told so.
                    mode: (mode != PermissionMode::Default).then(|| words::mode::status(mode)),
                    paused: pause.map(|pause| words::admin::is_paused(&pause)),
                    up,
                }))
            })
            .await
    }
}

fn told(setting: &SettingInfo) -> words::admin::Setting<'_> {
    words::admin::Setting {
        key: &setting.key,
        value: setting.value.as_deref(),
        source: &setting.source,
        default: setting.default.as_deref(),
        range: &setting.range,
        about: &setting.about,
        after_restart: setting.after_restart,
        files_only: setting.files_only,
    }
}
