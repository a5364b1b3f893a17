//! Who may do what. What is not allowed here is denied.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    command::Command,
    inbound::{ChatKind, Message, Person, Press},
};

/// Ids under which Telegram itself speaks for somebody unnamed: the service account that forwards a channel's posts
/// into its group, anonymous group admins, and people who write as a channel. Never a person, whatever a list says.
pub const NOT_PEOPLE: [i64; 3] = [777_000, 1_087_968_824, 136_817_688];

/// What somebody is to this daemon; later ones may do all that earlier ones may.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Nothing is run for them and nothing is revealed.
    #[default]
    Nobody,
    /// May talk to the agent.
    User,
    /// May also do what touches others.
    Admin,
}

/// Who is what. Empty lists: nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    admins: BTreeSet<i64>,
    users: BTreeSet<i64>,
    paired: BTreeSet<i64>,
}

/// By what somebody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The settings list them.
    Listed,
    /// An administrator accepted them while the daemon ran.
    Paired,
}

impl Access {
    /// From Telegram user ids; who is in both lists is an admin.
    pub fn new(
        admins: impl IntoIterator<Item = i64>,
        users: impl IntoIterator<Item = i64>,
    ) -> Self {
        Self {
            admins: admins.into_iter().collect(),
            users: users.into_iter().collect(),
            paired: BTreeSet::new(),
        }
    }

    /// The same with these people, by Telegram user id, who were let in beside the lists. They are users, never admins.
    #[must_use]
    pub fn with_paired(self, paired: BTreeSet<i64>) -> Self {
        Self { paired, ..self }
    }

    /// Telegram user ids of those who were let in beside the lists, whether or not they are listed by now.
    pub fn paired(&self) -> impl Iterator<Item = i64> + '_ {
        self.paired.iter().copied()
    }

    /// By what somebody is let in; `None` for whoever is not.
    #[must_use]
    pub fn source(&self, id: i64) -> Option<Source> {
        (self.role_of_id(id) != Role::Nobody).then(|| {
            if self.admins.contains(&id) || self.users.contains(&id) {
                Source::Listed
            } else {
                Source::Paired
            }
        })
    }

    /// Telegram user ids of the admins.
    pub fn admins(&self) -> impl Iterator<Item = i64> + '_ {
        self.admins.iter().copied()
    }

    /// Telegram user ids of the users in the list, without the admins.
    pub fn users(&self) -> impl Iterator<Item = i64> + '_ {
        self.users.difference(&self.admins).copied()
    }

    /// Role of a user id alone, for what does not come from a chat.
    #[must_use]
    pub fn role_of_id(&self, id: i64) -> Role {
        // User ids are positive; groups and channels have negative ids.
        if id <= 0 || NOT_PEOPLE.contains(&id) {
            Role::Nobody
        } else if self.admins.contains(&id) {
            Role::Admin
        } else if self.users.contains(&id) || self.paired.contains(&id) {
            Role::User
        } else {
            Role::Nobody
        }
    }

    /// Role of somebody in a chat of this kind. Bots, unnamed senders, and everybody in channels and in chats of a kind
    /// that this version does not know are nobody.
    #[must_use]
    pub fn role(&self, from: Option<&Person>, kind: ChatKind) -> Role {
        match (from, kind) {
            (Some(person), ChatKind::Private | ChatKind::Group) if !person.is_bot => {
                self.role_of_id(person.id)
            }
            _ => Role::Nobody,
        }
    }

    /// Role of who wrote a message.
    #[must_use]
    pub fn role_of_message(&self, message: &Message) -> Role {
        self.role(message.from.as_ref(), message.place.kind)
    }

    /// Role of who pressed a button. A press that names no chat is not of a button of ours: nobody.
    #[must_use]
    pub fn role_of_press(&self, press: &Press) -> Role {
        press.place.map_or(Role::Nobody, |place| {
            self.role(Some(&press.from), place.kind)
        })
    }
}

/// Why something is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The person has no role here. They are told nothing.
    #[error("not a known person")]
    Nobody,
    /// Only admins may.
    #[error("only admins may do this")]
    AdminsOnly,
    /// Only the person whose conversation it is may, and admins.
    #[error("this belongs to another person's conversation")]
    NotYours,
}

/// Who may answer an agent's question whether it may use a tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approvers {
    /// Admins, and the person whose prompt it was.
    #[default]
    AdminOrAuthor,
    /// Admins.
    Admin,
}

/// Whether somebody may give the agent a prompt.
///
/// # Errors
/// Why not.
pub fn may_prompt(role: Role) -> Result<(), Denied> {
    at_least(role, Role::User)
}

/// Whether somebody may run a command. An unknown command may be given by whoever has a role: they are told that it
/// is not known.
///
/// # Errors
/// Why not.
pub fn may_run(role: Role, command: &Command) -> Result<(), Denied> {
    at_least(
        role,
        command.info().map_or(Role::User, |info| info.least_role),
    )
}

/// Whether somebody may press a button that acts on a conversation (Stop, Run, Discard): the conversation's own person
/// and admins. `presser` and `owner` are Telegram user ids.
///
/// # Errors
/// Why not.
pub fn may_press(role: Role, presser: i64, owner: i64) -> Result<(), Denied> {
    match role {
        Role::Admin => Ok(()),
        Role::User if presser == owner => Ok(()),
        Role::User => Err(Denied::NotYours),
        Role::Nobody => Err(Denied::Nobody),
    }
}

/// Whether somebody may answer an agent's question. `presser` is their Telegram user id, `author` that of the person
/// whose turn it is; an author who lost the role may not any more.
///
/// # Errors
/// Why not.
pub fn may_approve(
    role: Role,
    presser: i64,
    author: i64,
    approvers: Approvers,
) -> Result<(), Denied> {
    match approvers {
        Approvers::Admin => at_least(role, Role::Admin),
        Approvers::AdminOrAuthor => may_press(role, presser, author),
    }
}

fn at_least(role: Role, least: Role) -> Result<(), Denied> {
    if role == Role::Nobody {
        Err(Denied::Nobody)
    } else if role < least {
        Err(Denied::AdminsOnly)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::inbound::Place;

    const ADMIN: i64 = 1001;
    const USER: i64 = 1002;
    const STRANGER: i64 = 1003;

    fn access() -> Access {
        Access::new([ADMIN], [USER])
    }

    fn person(id: i64, is_bot: bool) -> Person {
        Person {
            id,
            name: "x".to_owned(),
            is_bot,
        }
    }

    fn kinds() -> impl Strategy<Value = ChatKind> {
        prop_oneof![
            Just(ChatKind::Private),
            Just(ChatKind::Group),
            Just(ChatKind::Channel),
            Just(ChatKind::Other)
        ]
    }

    #[test]
    fn roles() {
        use ChatKind::{Channel, Group, Other, Private};
        use Role::{Admin, Nobody, User};
        for (id, is_bot, kind, role) in [
            (ADMIN, false, Private, Admin),
            (ADMIN, false, Group, Admin),
            (ADMIN, false, Channel, Nobody),
            (ADMIN, false, Other, Nobody),
            (ADMIN, true, Private, Nobody),
            (ADMIN, true, Group, Nobody),
            (USER, false, Private, User),
            (USER, false, Group, User),
            (USER, false, Channel, Nobody),
            (USER, false, Other, Nobody),
            (USER, true, Private, Nobody),
            (USER, true, Group, Nobody),
            (STRANGER, false, Private, Nobody),
            (STRANGER, false, Group, Nobody),
            (0, false, Private, Nobody),
            (-ADMIN, false, Private, Nobody),
        ] {
            assert_eq!(
                access().role(Some(&person(id, is_bot)), kind),
                role,
                "{id} {is_bot} {kind:?}"
            );
        }
        for kind in [Private, Group, Channel, Other] {
            assert_eq!(access().role(None, kind), Nobody);
        }
    }

    #[test]
    fn an_admin_who_is_also_a_user_is_an_admin() {
        let access = Access::new([1, 2], [2, 3]);
        assert_eq!(access.role_of_id(2), Role::Admin);
        assert_eq!(access.users().collect::<Vec<_>>(), [3]);
        assert_eq!(access.admins().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn who_was_let_in_beside_the_lists_is_a_user_and_never_more() {
        let access = access().with_paired(BTreeSet::from([ADMIN, USER, STRANGER, 0, -7]));
        for (id, role, source) in [
            (ADMIN, Role::Admin, Some(Source::Listed)),
            (USER, Role::User, Some(Source::Listed)),
            (STRANGER, Role::User, Some(Source::Paired)),
            (0, Role::Nobody, None),
            (-7, Role::Nobody, None),
            (9, Role::Nobody, None),
        ] {
            assert_eq!((access.role_of_id(id), access.source(id)), (role, source));
        }
        let bot = person(STRANGER, true);
        assert_eq!(access.role(Some(&bot), ChatKind::Private), Role::Nobody);
        assert_eq!(
            access.role(Some(&person(STRANGER, false)), ChatKind::Group),
            Role::User
        );
        let none = Access::new([], []).with_paired(NOT_PEOPLE.into());
        for id in NOT_PEOPLE {
            assert_eq!(none.role_of_id(id), Role::Nobody);
        }
    }

    #[test]
    fn telegrams_own_accounts_are_nobody_even_when_listed() {
        let access = Access::new(NOT_PEOPLE, [-5, 0]);
        for id in NOT_PEOPLE.into_iter().chain([-5, 0]) {
            assert_eq!(access.role_of_id(id), Role::Nobody);
        }
    }

    #[test]
    fn messages_and_presses() {
        let place = Place {
            chat_id: -7,
            thread_id: 0,
            kind: ChatKind::Group,
        };
        let mut message = Message {
            place,
            from: Some(person(USER, false)),
            message_id: 1,
            date: 0,
            text: String::new(),
            attachments: Vec::new(),
            album: None,
            forwarded: None,
            reply: None,
            edited: false,
        };
        assert_eq!(access().role_of_message(&message), Role::User);
        message.from = None;
        assert_eq!(access().role_of_message(&message), Role::Nobody);
        let mut press = Press {
            callback_id: "c".to_owned(),
            from: person(ADMIN, false),
            place: Some(place),
            message_id: Some(1),
            data: "d".to_owned(),
        };
        assert_eq!(access().role_of_press(&press), Role::Admin);
        press.place = None;
        assert_eq!(access().role_of_press(&press), Role::Nobody);
    }

    #[test]
    fn prompts_and_commands() {
        assert_eq!(may_prompt(Role::Nobody), Err(Denied::Nobody));
        assert_eq!(may_prompt(Role::User), Ok(()));
        assert_eq!(may_prompt(Role::Admin), Ok(()));
        let unknown = Command::Unknown("x".to_owned());
        for command in Command::KNOWN.iter().chain([&unknown]) {
            assert_eq!(may_run(Role::Nobody, command), Err(Denied::Nobody));
            let least = command.info().map_or(Role::User, |info| info.least_role);
            let user = match least {
                Role::Admin => Err(Denied::AdminsOnly),
                _ => Ok(()),
            };
            assert_eq!(may_run(Role::User, command), user);
            assert_eq!(may_run(Role::Admin, command), Ok(()));
        }
        assert!(may_run(Role::User, &Command::Pause).is_err());
    }

    #[test]
    fn presses_and_approvals() {
        use Approvers::{Admin as A, AdminOrAuthor as Aa};
        use Denied::{AdminsOnly, Nobody, NotYours};
        // role, is the author, what a press gives, what an approval gives per setting
        for (role, own, press, aa, a) in [
            (Role::Nobody, true, Err(Nobody), Err(Nobody), Err(Nobody)),
            (Role::Nobody, false, Err(Nobody), Err(Nobody), Err(Nobody)),
            (Role::User, true, Ok(()), Ok(()), Err(AdminsOnly)),
            (
                Role::User,
                false,
                Err(NotYours),
                Err(NotYours),
                Err(AdminsOnly),
            ),
            (Role::Admin, true, Ok(()), Ok(()), Ok(())),
            (Role::Admin, false, Ok(()), Ok(()), Ok(())),
        ] {
            let author = if own { 5 } else { 6 };
            assert_eq!(may_press(role, 5, author), press, "{role:?} {own}");
            assert_eq!(may_approve(role, 5, author, Aa), aa, "{role:?} {own}");
            assert_eq!(may_approve(role, 5, author, A), a, "{role:?} {own}");
        }
    }

    proptest! {
        #[test]
        fn empty_lists_are_nobody(id: i64, is_bot: bool, kind in kinds()) {
            prop_assert_eq!(Access::default().role(Some(&person(id, is_bot)), kind), Role::Nobody);
        }

        #[test]
        fn who_is_not_listed_is_nobody(
            admins in prop::collection::btree_set(-3i64..9, 0..5),
            users in prop::collection::btree_set(-3i64..9, 0..5),
            id in -3i64..9, is_bot: bool, kind in kinds(),
        ) {
            let role = Access::new(admins.clone(), users.clone()).role(Some(&person(id, is_bot)), kind);
            if is_bot || !(admins.contains(&id) || users.contains(&id)) {
                prop_assert_eq!(role, Role::Nobody);
            }
            if role == Role::Admin {
                prop_assert!(admins.contains(&id));
            }
        }

        #[test]
        fn more_role_never_means_less_right(presser in 0i64..3, owner in 0i64..3, strict: bool) {
            let approvers = if strict { Approvers::Admin } else { Approvers::AdminOrAuthor };
            let roles = [Role::Nobody, Role::User, Role::Admin];
            for pair in roles.windows(2) {
                for may in [
                    |r, p, o, _| may_press(r, p, o),
                    may_approve,
                ] {
                    let less = may(pair[0], presser, owner, approvers).is_ok();
                    let more = may(pair[1], presser, owner, approvers).is_ok();
                    prop_assert!(!less || more);
                }
            }
        }
    }
}
