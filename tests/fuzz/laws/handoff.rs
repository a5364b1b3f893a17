//! What daemon and supervisor say to each other: bytes of a stranger at the socket are a request or nothing.

use telexd::runner::wire::{self, Ack, BadFrame, Reply, Request};

pub fn holds(data: &[u8]) {
    // To the daemon: one line.
    if let Ok(Request { run }) = serde_json::from_slice::<Request>(data) {
        let text = run.to_string();
        assert!(text.len() == 16 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')));
        let line = wire::line(&Request { run: run.clone() });
        let again: Request = serde_json::from_slice(&line).expect("it reads its own request");
        assert_eq!(again.run, run);
    }
    if let Ok(ack) = serde_json::from_slice::<Ack>(data) {
        let line = wire::line(&ack);
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert!(serde_json::from_slice::<Ack>(&line).is_ok());
    }

    // To the supervisor: a frame, in pieces of any size.
    let read = wire::unframe(data);
    match &read {
        Ok(Some(reply)) => {
            let frame = wire::frame(reply).expect("what came fits");
            let again = wire::unframe(&frame).expect("sound").expect("whole");
            assert_eq!(json(&again), json(reply));
        }
        Ok(None) => {}
        Err(BadFrame::TooLong) => {
            let head = data.first_chunk::<4>().expect("a head was read");
            assert!(u32::from_be_bytes(*head) as usize > wire::MOST_REPLY);
        }
        Err(bad) => assert!(bad.to_string().is_ascii()),
    }
    for end in 0..data.len().min(64) {
        match wire::unframe(&data[..end]) {
            Ok(None) => {}
            Ok(Some(early)) => {
                let late = read.as_ref().expect("it was sound").as_ref();
                assert_eq!(json(&early), json(late.expect("it was whole")));
            }
            Err(early) => assert_eq!(read.as_ref().err(), Some(&early)),
        }
    }
    // The body as it would stand in a frame of its own.
    if let Ok(length) = u32::try_from(data.len()) {
        let framed = [&length.to_be_bytes()[..], data].concat();
        assert!(!matches!(wire::unframe(&framed), Ok(None)));
    }
}

fn json(reply: &Reply) -> Vec<u8> {
    serde_json::to_vec(reply).expect("a reply can be written")
}
