//! `/mode`: how much the agent asks before it acts.

use super::Desk;
use crate::{
    core::{
        ids::ConversationId,
        inbound::Press,
        mode::{Modes, PermissionMode},
        policy::{self, Approvers, Role},
        text::Button,
        words::{self, mode as said},
    },
    gateway::{
        lane::{self, Ack, Said},
        mode::{self, Chosen},
        show,
    },
    store::{StoreError, Tx},
};

/// Who chooses, and among what.
struct Chooser {
    modes: Modes,
    role: Role,
    person: i64,
    owner: i64,
    approvers: Approvers,
}

impl Chooser {
    fn may(&self, mode: PermissionMode) -> bool {
        let Self {
            modes,
            role,
            person,
            owner,
            approvers,
        } = self;
        // The one of the settings is what they have who choose nothing.
        let choice = if mode.acts_unasked() && mode != modes.standard {
            policy::may_approve(*role, *person, *owner, *approvers)
        } else {
            policy::may_press(*role, *person, *owner)
        };
        modes.offers(mode) && choice.is_ok()
    }

    /// A button for each mode but the present one.
    fn buttons(&self, conversation: ConversationId, now: PermissionMode) -> Vec<Vec<Button>> {
        PermissionMode::ALL
            .into_iter()
            .filter(|mode| *mode != now && self.may(*mode))
            .map(|mode| {
                let data = format!("m:{conversation}:{}", mode.as_str());
                vec![words::button(&said::label(mode), data)]
            })
            .collect()
    }

    fn choices(&self) -> Vec<PermissionMode> {
        let all = PermissionMode::ALL.into_iter();
        all.filter(|mode| self.may(*mode)).collect()
    }
}

/// The conversation and the mode that a button is about.
pub(super) fn wish(data: &str) -> Option<(ConversationId, PermissionMode)> {
    let (conversation, name) = data.strip_prefix("m:")?.split_once(':')?;
    let mode = PermissionMode::ALL
        .into_iter()
        .find(|mode| mode.as_str() == name)?;
    Some((ConversationId(conversation.parse().ok()?), mode))
}

fn effective(
    tx: &Tx<'_>,
    conversation: ConversationId,
    modes: &Modes,
) -> Result<(PermissionMode, Option<Chosen>), StoreError> {
    let chosen = mode::chosen(tx, conversation)?;
    let mode = modes.effective(chosen.as_ref().map(|chosen| chosen.mode));
    Ok((mode, chosen))
}

impl Desk<'_> {
    /// `/mode` shows it, `/mode NAME` changes it, in the conversation in which it is written.
    pub(super) async fn mode(
        &self,
        conversation: ConversationId,
        (person, role): (i64, Role),
        ack: Ack,
        args: &str,
    ) -> Result<(), StoreError> {
        let chooser = self.chooser((person, role), person);
        let wanted = PermissionMode::of_name(args).filter(|mode| chooser.may(*mode));
        if let Some(mode) = wanted {
            return self.choose(conversation, &chooser, ack, mode, None).await;
        }
        let (now, name) = (self.deps.clock.now(), args.to_owned());
        self.deps
            .store
            .tx(move |tx| {
                let on = format!("conversation {conversation}");
                let (mode, _) = effective(tx, conversation, &chooser.modes)?;
                let (text, result) = if name.is_empty() {
                    (said::is(mode), "ok")
                } else {
                    let text = said::no_such(&name, &chooser.choices());
                    (text, "refused: InvalidValue")
                };
                let said = Said {
                    action: "mode",
                    on: &on,
                    result,
                    text: &text,
                    buttons: chooser.buttons(conversation, mode),
                };
                match lane::acknowledge_by(tx, &ack, &said, now)? {
                    Some(message) => mode::offered(tx, conversation, message, now),
                    None => Ok(()),
                }
            })
            .await
    }

    /// A button below the answer to `/mode`.
    pub(super) async fn press_mode(
        &self,
        press: &Press,
        role: Role,
        ack: Ack,
        (conversation, mode): (ConversationId, PermissionMode),
    ) -> Result<(), StoreError> {
        let found = self
            .deps
            .store
            .tx(move |tx| tx.conversation(conversation))
            .await?;
        let place = press.place.map(|place| place.chat_id);
        // A button that stands in another chat than its conversation was never ours.
        let found = found
            .filter(|found| Some(found.key.chat_id) == place && found.key.bot_id == self.bot_id);
        let chooser = found.map(|found| self.chooser((press.from.id, role), found.key.user_id));
        let message = place.zip(press.message_id);
        match chooser {
            Some(chooser) if chooser.may(mode) => {
                self.choose(conversation, &chooser, ack, mode, message)
                    .await
            }
            Some(_) => {
                let text = words::NOT_YOURS.to_owned();
                self.answer(ack, "press-refused", text).await
            }
            None => {
                let text = words::OLD_BUTTON.to_owned();
                self.answer(ack, "press", text).await
            }
        }
    }

    fn chooser(&self, (person, role): (i64, Role), owner: i64) -> Chooser {
        let config = self.deps.config.get();
        Chooser {
            modes: config.modes.clone(),
            role,
            person,
            owner,
            approvers: config.approvers,
        }
    }

    /// `message`: chat and id of the message whose button was pressed; it shows the new mode.
    async fn choose(
        &self,
        conversation: ConversationId,
        chooser: &Chooser,
        ack: Ack,
        mode: PermissionMode,
        message: Option<(i64, i64)>,
    ) -> Result<(), StoreError> {
        let (now, request) = (self.deps.clock.now(), self.deps.dice.uuid().to_string());
        let modes = chooser.modes.clone();
        let buttons = chooser.buttons(conversation, mode);
        self.deps
            .store
            .tx(move |tx| {
                let (before, chosen) = effective(tx, conversation, &modes)?;
                // One that is on its way already is the same choice.
                let changes = before != mode || chosen.is_some_and(|c| c.mode != mode);
                let text = if changes {
                    // Whoever has an agent for this conversation tells it; the next one is started with it.
                    let chosen = Chosen::by_request(mode, request);
                    mode::choose(tx, conversation, &chosen, now)?;
                    said::set(mode)
                } else {
                    said::already(mode)
                };
                if let Some(message) = message
                    && let Some(row) = mode::offer(tx, conversation, message)?
                    && let crate::store::rows::Wanted::Show(shown) = &row.wanted
                {
                    let shown = show::note(said::is(mode), buttons, shown.reply_to);
                    tx.out_again(row.id, &shown, now)?;
                }
                let on = format!("conversation {conversation}: {}", mode.as_str());
                lane::acknowledge(tx, &ack, "mode", &on, &text, now)
            })
            .await?;
        fail::fail_point!("mode-committed");
        self.lanes.wake(conversation);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_button_carries_is_read_strictly() {
        assert_eq!(
            wish("m:7:acceptEdits"),
            Some((ConversationId(7), PermissionMode::AcceptEdits))
        );
        for foreign in [
            "",
            "m:",
            "m:7",
            "m:7:",
            "m:x:plan",
            "m:7:acceptedits",
            "m:7:plan:",
            "s:7:plan",
        ] {
            assert_eq!(wish(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn who_may_choose_what() {
        use PermissionMode::{AcceptEdits, BypassPermissions, Default, DontAsk, Plan};
        let chooser = |role, person, approvers, standard| Chooser {
            modes: Modes {
                standard,
                choices: vec![Default, AcceptEdits, Plan],
            },
            role,
            person,
            owner: 1,
            approvers,
        };
        let both = Approvers::AdminOrAuthor;
        for (role, person, approvers, standard, choices) in [
            (
                Role::User,
                1,
                both,
                Default,
                &[Default, AcceptEdits, Plan][..],
            ),
            (Role::User, 2, both, Default, &[]),
            (Role::Admin, 2, both, Default, &[Default, AcceptEdits, Plan]),
            // Who may not approve an edit may not approve all of them.
            (Role::User, 1, Approvers::Admin, Default, &[Default, Plan]),
            (
                Role::Admin,
                2,
                Approvers::Admin,
                Default,
                &[Default, AcceptEdits, Plan],
            ),
            // Back to what the settings say.
            (
                Role::User,
                1,
                Approvers::Admin,
                AcceptEdits,
                &[Default, AcceptEdits, Plan],
            ),
            (
                Role::User,
                1,
                both,
                DontAsk,
                &[Default, AcceptEdits, Plan, DontAsk],
            ),
            (
                Role::User,
                1,
                both,
                BypassPermissions,
                &[Default, AcceptEdits, Plan, BypassPermissions],
            ),
            (Role::Nobody, 1, both, Default, &[]),
        ] {
            let chooser = chooser(role, person, approvers, standard);
            assert_eq!(
                chooser.choices(),
                choices,
                "{role:?} {person} {approvers:?} {standard:?}"
            );
            let buttons = chooser.buttons(ConversationId(i64::MAX), Plan);
            assert_eq!(
                buttons.len(),
                choices.iter().filter(|mode| **mode != Plan).count()
            );
            for button in buttons.iter().flatten() {
                assert!(button.data.len() <= 64 && wish(&button.data).is_some());
            }
        }
    }
}
