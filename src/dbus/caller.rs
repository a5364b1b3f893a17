//! Who calls, and whether they may: the bus says who it is, polkit decides.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use zbus::{
    Connection,
    message::{Flags, Header},
    wire::{OwnedVariant, Variant},
};

use super::{error::Error, gate::Action};
use crate::core::actor::Actor;

const BUS: (&str, &str, &str) = (
    "org.freedesktop.DBus",
    "/org/freedesktop/DBus",
    "org.freedesktop.DBus",
);
const POLKIT: (&str, &str, &str) = (
    "org.freedesktop.PolicyKit1",
    "/org/freedesktop/PolicyKit1/Authority",
    "org.freedesktop.PolicyKit1.Authority",
);

/// How long polkit may take where nobody is asked anything; it may have to be started first.
const PATIENCE: Duration = Duration::from_secs(10);
/// And where somebody may be typing a password.
const PATIENCE_WITH_PEOPLE: Duration = Duration::from_secs(120);
/// How many questions to polkit one user may have open.
const ASKED_AT_ONCE: usize = 8;
/// How many callers are remembered.
const REMEMBERED: usize = 256;

/// Somebody on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User, as the kernel told the bus when the connection was made.
    pub uid: u32,
    /// Process at that moment, for people; 0 where it is not known. Decides nothing.
    pub pid: u32,
}

impl Caller {
    /// As the audit has it.
    pub(super) fn actor(self) -> Actor {
        // In the service's sandbox processes of others cannot be seen. Only for people anyway: the number may be another
        // process' by now.
        let exe = std::fs::read_link(format!("/proc/{}/exe", self.pid)).ok();
        Actor::Bus {
            uid: self.uid,
            pid: self.pid,
            exe: exe.map(|path| path.to_string_lossy().into_owned()),
        }
    }
}

/// Who is believed to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// On the system bus: root, and whom polkit allows.
    Polkit,
    /// On a session bus, whose callers are all of one user: this one and root.
    Only(u32),
}

/// Whether to ask people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// A password may be asked for where the caller allows it.
    People,
    /// Nobody is asked.
    Nobody,
}

/// Knows callers and asks polkit about them.
pub(super) struct Authority {
    trust: Trust,
    /// Callers by unique name, which a bus gives once only.
    known: Mutex<HashMap<String, Caller>>,
    /// Open questions by user.
    asking: Mutex<HashMap<u32, usize>>,
    /// Makes the names by which questions are taken back.
    questions: AtomicU64,
}

impl Authority {
    pub(super) fn new(trust: Trust) -> Self {
        Self {
            trust,
            known: Mutex::default(),
            asking: Mutex::default(),
            questions: AtomicU64::new(0),
        }
    }

    /// Who sent this message.
    ///
    /// # Errors
    /// The bus does not say.
    pub(super) async fn caller(
        &self,
        connection: &Connection,
        header: &Header<'_>,
    ) -> Result<Caller, Error> {
        let Some(sender) = header.sender() else {
            return Err(Error::NotAllowed("the call has no sender".to_owned()));
        };
        let known = |all: &Mutex<HashMap<String, Caller>>| {
            let all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(sender.as_str()).copied()
        };
        if let Some(caller) = known(&self.known) {
            return Ok(caller);
        }
        let (service, path, interface) = BUS;
        let credentials = connection
            .call_method(
                Some(service),
                path,
                Some(interface),
                "GetConnectionCredentials",
                &(sender.as_str(),),
            )
            .await
            .and_then(|reply| reply.body().deserialize::<HashMap<String, OwnedVariant>>())
            .map_err(|_| gone())?;
        let number = |name: &str| -> Option<u32> {
            u32::try_from(credentials.get(name)?.try_clone().ok()?).ok()
        };
        let caller = Caller {
            uid: number("UnixUserID").ok_or_else(gone)?,
            pid: number("ProcessID").unwrap_or(0),
        };
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(sender.to_string(), caller);
        Ok(caller)
    }

    /// Returns where the sender may do this.
    ///
    /// # Errors
    /// [`Error::NotAllowed`], [`Error::NoPolkit`], [`Error::TooManyCalls`].
    pub(super) async fn check(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        caller: Caller,
        action: Action,
        asking: Asking,
    ) -> Result<(), Error> {
        match self.trust {
            // root could change every file that polkit reads, and must not need polkit to mend something.
            _ if caller.uid == 0 => Ok(()),
            Trust::Only(uid) if caller.uid == uid => Ok(()),
            Trust::Only(uid) => Err(Error::NotAllowed(format!(
                "on this bus telexd listens to user {uid} and root alone"
            ))),
            Trust::Polkit => {
                let _place = self.place(caller.uid)?;
                let people = asking == Asking::People
                    && header
                        .primary()
                        .flags()
                        .contains(Flags::ALLOW_INTERACTIVE_AUTH);
                self.ask_polkit(connection, header, action, people).await
            }
        }
    }

    /// A place among the open questions of a user.
    fn place(&self, uid: u32) -> Result<Place<'_>, Error> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let open = asking.entry(uid).or_default();
        if *open >= ASKED_AT_ONCE {
            return Err(Error::TooManyCalls(format!(
                "user {uid} has {ASKED_AT_ONCE} calls open whose permission is still being checked; wait for them"
            )));
        }
        *open += 1;
        Ok(Place {
            asking: &self.asking,
            uid,
        })
    }

    async fn ask_polkit(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        action: Action,
        people: bool,
    ) -> Result<(), Error> {
        let sender = header.sender().map_or("", |name| name.as_str());
        let subject = (
            "system-bus-name",
            HashMap::from([("name", Variant::from(sender))]),
        );
        let details: HashMap<&str, &str> = HashMap::new();
        let cancellation = format!("telexd-{}", self.questions.fetch_add(1, Ordering::Relaxed));
        let patience = if people {
            PATIENCE_WITH_PEOPLE
        } else {
            PATIENCE
        };
        let (service, path, interface) = POLKIT;
        let question = (
            subject,
            action.id(),
            details,
            u32::from(people),
            cancellation.as_str(),
        );
        let called = tokio::time::timeout(
            patience,
            connection.call_method(
                Some(service),
                path,
                Some(interface),
                "CheckAuthorization",
                &question,
            ),
        )
        .await;
        let Ok(called) = called else {
            let _ = connection
                .call_method(
                    Some(service),
                    path,
                    Some(interface),
                    "CancelCheckAuthorization",
                    &(cancellation.as_str(),),
                )
                .await;
            return Err(Error::NoPolkit(format!(
                "polkit did not answer within {} s; see systemctl status polkit",
                patience.as_secs()
            )));
        };
        let answer = called.and_then(|reply| {
            reply
                .body()
                .deserialize::<(bool, bool, HashMap<String, String>)>()
        });
        match answer {
            Ok((true, ..)) => Ok(()),
            Ok((false, challenge, _)) => Err(Error::NotAllowed(refusal(action, challenge, people))),
            Err(cause) => Err(Error::NoPolkit(no_polkit(action, &cause))),
        }
    }
}

fn gone() -> Error {
    Error::NotAllowed("the bus does not say who calls; connect again".to_owned())
}

fn refusal(action: Action, challenge: bool, people: bool) -> String {
    let action = action.id();
    if challenge && !people {
        return format!(
            "polkit would have to ask for a password for {action} and the call does not allow that; \
             become a member of the group telexd-admin (adduser NAME telexd-admin), or call as root"
        );
    }
    format!(
        "polkit does not allow you {action}; become a member of the group telexd-admin \
         (adduser NAME telexd-admin, then log in again), or call as root"
    )
}

fn no_polkit(action: Action, cause: &zbus::Error) -> String {
    let action = action.id();
    match cause {
        zbus::Error::MethodError(name, text, _)
            if name.starts_with("org.freedesktop.PolicyKit1.") =>
        {
            let text = text.as_deref().unwrap_or_default();
            format!(
                "polkit cannot decide about {action}: {text}; is /usr/share/polkit-1/actions/org.telexd1.policy in order? \
                 apt install --reinstall telexd puts it back"
            )
        }
        _ => format!(
            "polkit, which decides about {action}, is not there ({cause}); apt install polkitd and \
             systemctl start polkit, or call as root"
        ),
    }
}

struct Place<'a> {
    asking: &'a Mutex<HashMap<u32, usize>>,
    uid: u32,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = asking.get_mut(&self.uid) {
            *open -= 1;
            if *open == 0 {
                asking.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_has_so_many_questions_open_and_others_have_theirs() {
        let authority = Authority::new(Trust::Polkit);
        let mut places: Vec<_> = (0..ASKED_AT_ONCE)
            .map(|_| authority.place(1000).ok().unwrap())
            .collect();
        assert!(matches!(
            authority.place(1000).err(),
            Some(Error::TooManyCalls(_))
        ));
        let other = authority.place(1001).ok().unwrap();
        places.pop();
        places.push(authority.place(1000).ok().unwrap());
        drop((places, other));
        assert!(authority.asking.lock().unwrap().is_empty());
    }
}
