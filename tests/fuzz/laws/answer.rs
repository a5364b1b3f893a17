//! Answers of the Bot API, of a gateway on the way, or of anybody: each is a result or a failure of a known class, and
//! neither holds the token. The same for lines of a log that leave the machine.

use std::sync::{Arc, OnceLock};

use telexd::{
    alert::scrub::scrub,
    core::{Millis, trouble::CallClass},
    gateway::ports::Clock,
    telegram::{
        BotToken,
        client::{Client, ClientOptions},
    },
};

const TOKEN: &str = "4242:loopback-bot-token-of-35-characters";
const SECRET: &str = "loopback-bot-token-of-35-characters";
const NOW: Millis = 1_700_000_000_000;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Millis {
        NOW
    }
}

/// Two bytes of status, one of the header `Retry-After`, then the body. `@@` in it is the token.
pub fn holds(data: &[u8]) {
    let Some(([high, low, wait], body)) = data.split_first_chunk::<3>() else {
        return;
    };
    let body = String::from_utf8_lossy(body).replace("@@", TOKEN);
    let status = u16::from_be_bytes([*high, *low]) % 600;
    let wait = (*wait > 0).then(|| u64::from(*wait) << (*wait % 60));
    match client().understood(status, wait, body.as_bytes()) {
        Ok(_) => assert!(body.contains("\"ok\"") && body.contains("true")),
        Err(error) => {
            let told = format!("{error} {error:?}");
            assert!(!told.contains(SECRET), "{told}");
            assert!(!error.to_string().contains('\n') && told.len() < 6000);
            if let CallClass::WaitUntil(until) = error.class {
                assert!((NOW..NOW + 8 * 24 * 3600 * 1000).contains(&until));
            }
            let answered = error.code.is_some();
            // Only what certainly never came through may be sent again without a mark.
            assert!(!(answered && error.class == CallClass::Safe), "{told}");
            if error.class == CallClass::Safe {
                assert!((300..500).contains(&status) || status == 511, "{told}");
            }
        }
    }
    let line = scrub(&body, &[TOKEN, SECRET]);
    assert!(!line.contains(SECRET), "{line}");
}

fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let options = ClientOptions::new("http://127.0.0.1:1".parse().expect("an address"));
        let token = BotToken::new(TOKEN).expect("a token");
        Client::new(token, &options, Arc::new(Fixed)).expect("a client")
    })
}
