//! What is promised (`dbus/org.telexd1.xml`) is what is there.

use std::{collections::BTreeMap, fs, path::Path};

use super::{PATH, call, up};
use crate::support::USER;

/// Members by interface, each with its arguments and annotations, in an order that does not matter.
fn members(xml: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut interface = String::new();
    for tag in xml.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap();
        let own = tag.trim_end_matches('/');
        let mut words = own.split_whitespace();
        let Some(kind) = words.next() else { continue };
        let mut attributes: Vec<&str> = words.collect();
        attributes.sort_unstable();
        let line = format!("{kind} {}", attributes.join(" "));
        match kind {
            "interface" => interface = line,
            "method" | "signal" | "property" => {
                found.entry(interface.clone()).or_default().push(line);
            }
            "arg" | "annotation" => {
                // Belongs to the member before it.
                let last = found
                    .get_mut(&interface)
                    .and_then(|all| all.last_mut())
                    .unwrap();
                *last = format!("{last}; {line}");
            }
            _ => {}
        }
    }
    found.values_mut().for_each(|all| all.sort());
    found
}

#[tokio::test]
async fn everything_that_is_promised_is_there_and_nothing_else() {
    let (world, _bus, daemon, client) = up().await;
    // An agent that lives, whose objects are among what is told.
    world.says(USER, "hello").await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("dbus/org.telexd1.xml");
    let promised = members(&fs::read_to_string(file).unwrap());
    let reply = call(
        &client,
        "org.freedesktop.DBus.Introspectable",
        "Introspect",
        &(),
    )
    .await
    .unwrap();
    let live: String = reply.body().deserialize().unwrap();
    let live: BTreeMap<_, _> = members(&live)
        .into_iter()
        .filter(|(interface, _)| !interface.contains("org.freedesktop.DBus."))
        .collect();
    assert!(!promised.is_empty(), "{PATH}");
    assert_eq!(live, promised);
    daemon.stop().await;
    world.end_all().await;
}
