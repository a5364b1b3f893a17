//! Orders to the machine, over a virtual serial port; `guest.py` says how they are written.

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream, unix::OwnedWriteHalf},
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::host::Output;

/// The machine's end of the line went away, or began anew.
#[derive(Debug)]
pub struct Gone;

/// A line to a machine that is on.
pub struct Line {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Arc<Mutex<Waiting>>,
    boots: watch::Receiver<u32>,
    reader: JoinHandle<()>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    answers: HashMap<u64, oneshot::Sender<Output>>,
}

impl Line {
    /// Takes the connection that QEMU makes.
    pub async fn accept(listener: &UnixListener) -> io::Result<Self> {
        let (stream, _) = listener.accept().await?;
        Ok(Self::of(stream))
    }

    fn of(stream: UnixStream) -> Self {
        let (read, writer) = stream.into_split();
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let (booted, boots) = watch::channel(0);
        let answers = Arc::clone(&waiting);
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(read).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let line = String::from_utf8_lossy(&line);
                let words: Vec<&str> = line.split_whitespace().collect();
                let mut waiting = answers.lock().unwrap();
                match words.as_slice() {
                    ["boot", _] => {
                        // Whatever it was doing is not done any more.
                        waiting.answers.clear();
                        booted.send_modify(|n| *n += 1);
                    }
                    [number, code, stdout, stderr] => {
                        let answer = number
                            .parse()
                            .ok()
                            .and_then(|n: u64| waiting.answers.remove(&n));
                        if let (Some(answer), Ok(code)) = (answer, code.parse()) {
                            let _ = answer.send(Output {
                                code,
                                stdout: unpack(stdout),
                                stderr: unpack(stderr),
                            });
                        }
                    }
                    // Half a line of a machine that went down.
                    _ => {}
                }
            }
            answers.lock().unwrap().answers.clear();
        });
        Self {
            writer: writer.into(),
            waiting,
            boots,
            reader,
        }
    }

    /// How often the machine has come up.
    pub fn boots(&self) -> u32 {
        *self.boots.borrow()
    }

    /// Waits until the machine has come up more often than that. False: it did not in that time.
    pub async fn booted(&self, before: u32, patience: Duration) -> bool {
        let mut boots = self.boots.clone();
        matches!(
            timeout(patience, boots.wait_for(|n| *n > before)).await,
            Ok(Ok(_))
        )
    }

    /// Runs a program. No limit of time: whoever has one drops this.
    pub async fn run(&self, argv: &[&str], stdin: &[u8]) -> Result<Output, Gone> {
        let (sender, answer) = oneshot::channel();
        let number = {
            let mut waiting = self.waiting.lock().unwrap();
            waiting.next += 1;
            let number = waiting.next;
            waiting.answers.insert(number, sender);
            number
        };
        let mut line = format!("{number} {}", pack(stdin));
        for word in argv {
            line.push(' ');
            line.push_str(&pack(word.as_bytes()));
        }
        line.push('\n');
        self.writer
            .lock()
            .await
            .write_all(line.as_bytes())
            .await
            .map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Listens where QEMU will connect to.
pub fn listen(path: &Path) -> UnixListener {
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path).unwrap()
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 (RFC 4648), or a dot for nothing.
fn pack(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return ".".to_owned();
    }
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let [a, b, c] = [0, 1, 2].map(|i| u32::from(*chunk.get(i).unwrap_or(&0)));
        let bits = a << 16 | b << 8 | c;
        for i in 0..4 {
            text.push(if i <= chunk.len() {
                char::from(LETTERS[(bits >> (18 - 6 * i) & 63) as usize])
            } else {
                '='
            });
        }
    }
    text
}

/// Text of a word of base64; what is no text becomes marks, what is no base64 is left out.
fn unpack(word: &str) -> String {
    let mut bytes = Vec::with_capacity(word.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in word.bytes() {
        let Some(value) = LETTERS.iter().position(|l| *l == letter) else {
            continue;
        };
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 255).unwrap());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn words_come_out_as_they_went_in() {
    for text in ["a", "ab", "abc", "abcd", "Grüße\n\0\u{7f}", "~~~???"] {
        assert_eq!(unpack(&pack(text.as_bytes())), text);
    }
    assert_eq!(pack(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
    assert_eq!((pack(b""), unpack(".")), (".".to_owned(), String::new()));
}
