//! The one way into every object: how much a caller may ask at once, and what polkit says to it.
//!
//! [`Guarded`] stands around an interface. Whatever comes to it from the bus passes the gate first, before anything of
//! the message is read but its header; so no member can be forgotten. What is too much is answered at once, without a
//! look at who sent it, and is not kept in memory.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::Notify;
use zbus::{
    BoxDBusError, Connection, ObjectServer, fdo,
    message::{Header, Message},
    names::{InterfaceName, MemberName},
    object_server::{DispatchResult, Interface, SignalEmitter},
    wire::{OwnedVariant, Variant},
};

use super::{
    caller::{Asking, Authority, Caller, Trust},
    error::Error,
    refusals::Refusals,
};

/// Longest message, in bytes of its body: room for a prompt of 4096 characters.
const LONGEST: usize = 20 * 1024;
/// Most open calls of one connection.
const OF_ONE: usize = 16;
/// Most open calls of all.
const OF_ALL: usize = 256;

/// What polkit is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To see how it stands.
    Inspect,
    /// To start, stop and change what goes on.
    Control,
    /// To change settings.
    Configure,
    /// To answer for people: questions of agents, who may talk to the bot.
    Approve,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Inspect, Self::Control, Self::Configure, Self::Approve];

    /// Its id, as `dbus/org.telexd1.policy` has it.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Inspect => "org.telexd1.inspect",
            Self::Control => "org.telexd1.control",
            Self::Configure => "org.telexd1.configure",
            Self::Approve => "org.telexd1.approve",
        }
    }
}

/// An interface whose members each need one action. Reading properties is [`Action::Inspect`] everywhere.
pub(super) trait Ruled: Interface {
    /// What calling this method needs; `None`: there is no such method.
    fn to_call(method: &str) -> Option<Action>;

    /// What setting this property needs; `None`: it cannot be set.
    fn to_set(property: &str) -> Option<Action> {
        let _ = property;
        None
    }
}

impl Ruled for fdo::ObjectManager {
    fn to_call(method: &str) -> Option<Action> {
        (method == "GetManagedObjects").then_some(Action::Inspect)
    }
}

/// Counts what is open, and asks who may.
pub(super) struct Gate {
    authority: Authority,
    /// What was refused by [`Gate::check`].
    pub(super) refusals: Refusals,
    open: Mutex<Open>,
    /// No call is open any more. For one waiter.
    left: Notify,
}

#[derive(Default)]
struct Open {
    all: usize,
    of: HashMap<String, usize>,
}

impl Gate {
    pub(super) fn new(trust: Trust) -> Arc<Self> {
        Arc::new(Self {
            authority: Authority::new(trust),
            refusals: Refusals::default(),
            open: Mutex::default(),
            left: Notify::new(),
        })
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
        self.authority.caller(connection, header).await
    }

    /// Returns where the sender may do this; what they may not is noted, as `interface.member`.
    ///
    /// # Errors
    /// [`Error::NotAllowed`], [`Error::NoPolkit`], [`Error::TooManyCalls`].
    async fn check(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        action: Action,
        asking: Asking,
        (interface, member): (&InterfaceName<'_>, &str),
    ) -> Result<(), Error> {
        // Who is gone by now is told nothing, and nothing of them.
        let caller = self.authority.caller(connection, header).await?;
        let checked = self
            .authority
            .check(connection, header, caller, action, asking)
            .await;
        if let Err(why) = &checked {
            let interface = interface.as_str();
            let short = interface.rsplit('.').next().unwrap_or(interface);
            let call = format!("{short}.{member}");
            self.refusals
                .add(caller.uid, call, why.refusal(), || caller.actor());
        }
        checked
    }

    /// Lets a call in, as far as its size and the number of calls go. Does not wait.
    fn enter(self: &Arc<Self>, sender: Option<&str>, bytes: usize) -> Result<Inside, Error> {
        if bytes > LONGEST {
            return Err(Error::InvalidArgument(format!(
                "the arguments are longer than {LONGEST} bytes together; make them shorter"
            )));
        }
        let sender = sender.unwrap_or_default().to_owned();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= OF_ALL {
            return Err(Error::TooManyCalls(format!(
                "{OF_ALL} calls are open; try again in a moment"
            )));
        }
        let own = open.of.entry(sender.clone()).or_default();
        if *own >= OF_ONE {
            return Err(Error::TooManyCalls(format!(
                "you have {OF_ONE} calls open; wait for an answer before the next one"
            )));
        }
        *own += 1;
        open.all += 1;
        Ok(Inside {
            gate: Arc::clone(self),
            sender,
        })
    }

    /// Returns when no call is open.
    pub(super) async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.open.lock().unwrap_or_else(PoisonError::into_inner).all == 0 {
                return;
            }
            left.await;
        }
    }

    fn leave(&self, sender: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if open.all == 0 {
            self.left.notify_one();
        }
        if let Some(own) = open.of.get_mut(sender) {
            *own -= 1;
            if *own == 0 {
                open.of.remove(sender);
            }
        }
    }

    /// Of the reading of properties: the object server waits for it with a lock in its hand, so nobody is asked for a
    /// password meanwhile.
    async fn may_read(
        self: &Arc<Self>,
        connection: &Connection,
        header: Option<&Header<'_>>,
        interface: InterfaceName<'_>,
    ) -> Result<Option<Inside>, Error> {
        // Not from the bus: the object server itself looks.
        let Some(header) = header else {
            return Ok(None);
        };
        let inside = self.enter(header.sender().map(|s| s.as_str()), 0)?;
        let (action, asking) = (Action::Inspect, Asking::Nobody);
        // Whether there is a property of that name is not known here, so the name is theirs.
        self.check(connection, header, action, asking, (&interface, "Get"))
            .await?;
        Ok(Some(inside))
    }
}

/// A call that is open.
struct Inside {
    gate: Arc<Gate>,
    sender: String,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.gate.leave(&self.sender);
    }
}

/// An interface with the gate in front of it.
pub(super) struct Guarded<I> {
    inner: I,
    gate: Arc<Gate>,
}

impl<I> Guarded<I> {
    pub(super) fn new(inner: I, gate: &Arc<Gate>) -> Self {
        Self {
            inner,
            gate: Arc::clone(gate),
        }
    }
}

#[async_trait]
impl<I: Ruled> Interface for Guarded<I> {
    fn name() -> InterfaceName<'static> {
        I::name()
    }

    async fn get(
        &self,
        property_name: &str,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<Result<OwnedVariant, BoxDBusError>> {
        let _inside = match self.gate.may_read(connection, header, I::name()).await {
            Ok(inside) => inside,
            Err(refused) => return Some(Err(Box::new(refused))),
        };
        self.inner
            .get(property_name, server, connection, header, emitter)
            .await
    }

    async fn get_all(
        &self,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> fdo::Result<HashMap<String, OwnedVariant>> {
        let _inside = self
            .gate
            .may_read(connection, header, I::name())
            .await
            // This one answer of the library's has no room for names of our own.
            .map_err(|refused| fdo::Error::AccessDenied(refused.to_string()))?;
        self.inner
            .get_all(server, connection, header, emitter)
            .await
    }

    fn set<'call>(
        &'call self,
        property_name: &'call str,
        value: &'call Variant<'_>,
        server: &'call ObjectServer,
        connection: &'call Connection,
        header: Option<&'call Header<'_>>,
        emitter: &'call SignalEmitter<'_>,
    ) -> DispatchResult<'call> {
        let (Some(action), Some(header)) = (I::to_set(property_name), header) else {
            return self
                .inner
                .set(property_name, value, server, connection, header, emitter);
        };
        DispatchResult::Async(Box::pin(async move {
            let _inside = self.gate.enter(header.sender().map(|s| s.as_str()), 0)?;
            let what = (&I::name(), property_name);
            self.gate
                .check(connection, header, action, Asking::Nobody, what)
                .await?;
            match self.inner.set(
                property_name,
                value,
                server,
                connection,
                Some(header),
                emitter,
            ) {
                DispatchResult::Async(set) => set.await,
                // Setters here take `&self`.
                _ => Err(fdo::Error::UnknownProperty(property_name.to_owned()).into()),
            }
        }))
    }

    async fn set_mut(
        &mut self,
        _: &str,
        _: &Variant<'_>,
        _: &ObjectServer,
        _: &Connection,
        _: Option<&Header<'_>>,
        _: &SignalEmitter<'_>,
    ) -> Option<Result<(), BoxDBusError>> {
        None
    }

    fn call<'call>(
        &'call self,
        server: &'call ObjectServer,
        connection: &'call Connection,
        msg: &'call Message,
        name: MemberName<'call>,
    ) -> DispatchResult<'call> {
        let Some(action) = I::to_call(name.as_str()) else {
            return DispatchResult::NotFound;
        };
        let header = msg.header();
        let entered = self
            .gate
            .enter(header.sender().map(|s| s.as_str()), msg.body().len());
        let inside = match entered {
            Ok(inside) => inside,
            Err(refused) => {
                return DispatchResult::Async(Box::pin(std::future::ready(Err(
                    Box::new(refused) as BoxDBusError
                ))));
            }
        };
        let member = name.to_string();
        match self.inner.call(server, connection, msg, name) {
            // Nothing of it has happened yet: it is a future.
            DispatchResult::Async(run) => DispatchResult::Async(Box::pin(async move {
                let _inside = inside;
                let (header, what) = (msg.header(), (&I::name(), &*member));
                self.gate
                    .check(connection, &header, action, Asking::People, what)
                    .await?;
                run.await
            })),
            other => other,
        }
    }

    fn call_mut<'call>(
        &'call mut self,
        _: &'call ObjectServer,
        _: &'call Connection,
        _: &'call Message,
        _: MemberName<'call>,
    ) -> DispatchResult<'call> {
        DispatchResult::NotFound
    }

    fn introspect_to_writer(&self, writer: &mut dyn fmt::Write, level: usize) {
        self.inner.introspect_to_writer(writer, level);
    }
}

impl From<Error> for BoxDBusError {
    fn from(error: Error) -> Self {
        Box::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_has_so_many_calls_open_and_does_not_take_the_places_of_others() {
        let gate = Gate::new(Trust::Polkit);
        let mut inside: Vec<_> = (0..OF_ONE)
            .map(|_| gate.enter(Some(":1.1"), 0).ok().unwrap())
            .collect();
        let refused = |entered: Result<Inside, Error>| match entered.err() {
            Some(Error::TooManyCalls(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(refused(gate.enter(Some(":1.1"), 0)).contains("you have 16 calls open"));
        inside.push(gate.enter(Some(":1.2"), 0).ok().unwrap());
        inside.remove(0);
        inside.push(gate.enter(Some(":1.1"), 0).ok().unwrap());
        for caller in 0.. {
            match gate.enter(Some(&format!(":2.{caller}")), 0) {
                Ok(one) => inside.push(one),
                Err(_) => break,
            }
        }
        assert_eq!(inside.len(), OF_ALL);
        assert!(refused(gate.enter(Some(":3.1"), 0)).contains("256 calls are open"));
        drop(inside);
        let open = gate.open.lock().unwrap();
        assert_eq!((open.all, open.of.len()), (0, 0));
    }

    #[test]
    fn what_is_too_long_does_not_come_in() {
        let gate = Gate::new(Trust::Polkit);
        assert!(gate.enter(None, LONGEST).is_ok());
        assert!(matches!(
            gate.enter(None, LONGEST + 1).err(),
            Some(Error::InvalidArgument(_))
        ));
    }
}
