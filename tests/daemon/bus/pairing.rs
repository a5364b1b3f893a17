//! People who ask to be let in, over the bus.

use super::{
    MANAGER, call, client, error, next,
    orders::{list, of},
    ready, signals, world,
};
use crate::support::{ADMIN, USER, wait_until};

#[tokio::test]
async fn who_asks_to_be_let_in_is_listed_decided_on_and_removed() {
    const STRANGER: i64 = 2001;
    let (world, bus) = world().await;
    world.drop_in("pairing", "[access]\npairing = true\n");
    let daemon = ready(&world, &bus).await;
    let client = client(&bus).await;
    let mut signals = signals(&client, MANAGER).await;
    assert!(list(&client, "ListPairings").await.is_empty());
    let on = async |method: &str, code: &str| {
        let reply = call(&client, MANAGER, method, &(code,)).await?;
        reply.body().deserialize::<String>()
    };
    let remove = async |person: i64| {
        let reply = call(&client, MANAGER, "RemovePerson", &(person,)).await?;
        reply.body().deserialize::<String>()
    };
    for (person, name) in [(STRANGER, "Eve\u{1b}[2J\n"), (2002, "Mal")] {
        world
            .api
            .user(person, name)
            .send_text(person, "secret words");
        let signal = next(&mut signals).await;
        let member = signal.header().member().unwrap().to_string();
        assert_eq!(member, "PairingRequested");
        assert_eq!(signal.body().deserialize::<i64>().unwrap(), person);
    }
    let asks = list(&client, "ListPairings").await;
    assert_eq!(asks.len(), 2);
    assert_eq!(of::<i64>(&asks[0], "person"), STRANGER);
    assert_eq!(of::<String>(&asks[0], "name"), "Eve\\u{1b}[2J");
    let (asked, expires): (u64, u64) = (of(&asks[0], "asked_at"), of(&asks[0], "expires_at"));
    assert_eq!(expires - asked, 3_600_000_000);
    let (eve, mal): (String, String) = (of(&asks[0], "code"), of(&asks[1], "code"));
    assert_eq!(
        on("AcceptPairing", &eve.to_lowercase()).await.unwrap(),
        "done"
    );
    assert_eq!(on("AcceptPairing", &eve).await.unwrap(), "no-change");
    assert_eq!(on("RejectPairing", &mal).await.unwrap(), "done");
    let (name, _) = error(call(&client, MANAGER, "AcceptPairing", &(&mal,)).await);
    assert_eq!(name, "org.telexd1.Error.Refused");
    assert!(list(&client, "ListPairings").await.is_empty());
    world.says(STRANGER, "in").await;
    let people = list(&client, "ListPeople").await;
    let person = |id: i64| {
        let found = people.iter().find(|dict| of::<i64>(dict, "person") == id);
        found.unwrap_or_else(|| panic!("{people:#?}"))
    };
    let told = |id: i64| {
        let role: String = of(person(id), "role");
        let source: String = of(person(id), "source");
        (role, source)
    };
    let owned = |role: &str, source: &str| (role.to_owned(), source.to_owned());
    assert_eq!(told(STRANGER), owned("user", "paired"));
    assert_eq!(told(USER), owned("user", "file"));
    assert_eq!(told(ADMIN), owned("admin", "file"));
    assert!(of::<String>(person(STRANGER), "accepted_by").starts_with("uid:"));
    assert!(people.iter().all(|dict| of::<i64>(dict, "person") != 2002));

    let (name, text) = error(call(&client, MANAGER, "RemovePerson", &(USER,)).await);
    assert_eq!(name, "org.telexd1.Error.Refused", "{text}");
    world.api.user(STRANGER, "Eve").send_text(STRANGER, "hang");
    wait_until(
        "the agent has begun",
        || world.reached("hang") == 1,
        || world.log(),
    )
    .await;
    assert_eq!(remove(STRANGER).await.unwrap(), "done");
    // Answered when the end of their agent is recorded.
    assert!(list(&client, "ListRuns").await.is_empty());
    assert_eq!(remove(STRANGER).await.unwrap(), "no-change");
    let people = list(&client, "ListPeople").await;
    let eve = people
        .iter()
        .find(|dict| of::<i64>(dict, "person") == STRANGER)
        .unwrap();
    assert_eq!(of::<String>(eve, "role"), "none");
    assert!(!eve.contains_key("source"));
    let audit = list(&client, "ListAudit").await;
    let acts: Vec<(String, String)> = audit
        .iter()
        .rev()
        .map(|line| (of(line, "action"), of(line, "result")))
        .collect();
    let expected = [
        ("pairing-accept", "done"),
        ("pairing-accept", "no-change"),
        ("pairing-reject", "done"),
        ("pairing-accept", "refused: Refused"),
        ("remove-person", "refused: Refused"),
        ("remove-person", "done"),
        ("remove-person", "no-change"),
    ];
    assert_eq!(acts, expected.map(|(a, r)| (a.to_owned(), r.to_owned())));
    daemon.stop().await;
    world.end_all().await;
}
