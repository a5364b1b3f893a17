//! The command line, as far as a host of the CLI uses it.

use uuid::Uuid;

/// Version that the stand-in claims to be: the one whose behaviour it copies.
pub const VERSION: &str = "2.1.330";

/// Options that take a value.
const WITH_VALUE: &[&str] = &[
    "--add-dir",
    "--agents",
    "--allowedTools",
    "--allowed-tools",
    "--append-system-prompt",
    "--disallowedTools",
    "--disallowed-tools",
    "--effort",
    "--fallback-model",
    "--input-format",
    "--max-budget-usd",
    "--max-turns",
    "--mcp-config",
    "--model",
    "--output-format",
    "--permission-mode",
    "--permission-prompt-tool",
    "--permission-prompts",
    "--resume",
    "--session-id",
    "--setting-sources",
    "--settings",
    "--system-prompt",
    "--system-prompt-snapshot",
    "--tools",
];

/// Options without one.
const PLAIN: &[&str] = &[
    "--dangerously-skip-permissions",
    "--disable-slash-commands",
    "--include-partial-messages",
    "--print",
    "--replay-user-messages",
    "--restricted",
    "--safe-mode",
    "--strict-mcp-config",
    "--verbose",
];

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// Session to begin or to go on with.
    pub session: Option<Uuid>,
    /// Whether it must be there already.
    pub resume: bool,
    /// `--include-partial-messages`.
    pub partial: bool,
    /// `--permission-prompt-tool stdio`.
    pub asks: bool,
    /// Nothing is asked.
    pub bypass: bool,
    /// `--permission-mode`.
    pub mode: Option<String>,
    /// `--model`.
    pub model: Option<String>,
    /// `--allowedTools`, split.
    pub allowed: Vec<String>,
    /// `--disallowedTools`, split.
    pub disallowed: Vec<String>,
    /// Demo mode.
    pub demo: bool,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// Print the version.
    Version,
    /// Serve.
    Serve(Box<Args>),
}

/// Reads the arguments behind the program's name. The error goes to standard error, with exit code 1.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Wish, String> {
    let mut found = Args::default();
    let mut stream = (false, false);
    let mut session_id = false;
    let mut print = false;
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                (canonical(name).to_owned(), Some(value.to_owned()))
            }
            _ => (canonical(&arg).to_owned(), None),
        };
        if name == "--version" {
            return Ok(Wish::Version);
        }
        if name == "--telexd-demo" {
            found.demo = true;
            continue;
        }
        if PLAIN.contains(&name.as_str()) {
            if value.is_some() {
                return Err(format!("error: option '{name}' takes no value"));
            }
            match name.as_str() {
                "--print" => print = true,
                "--include-partial-messages" => found.partial = true,
                "--dangerously-skip-permissions" => found.bypass = true,
                _ => {}
            }
            continue;
        }
        if !WITH_VALUE.contains(&name.as_str()) {
            return Err(match name.strip_prefix('-') {
                Some(_) => format!("error: unknown option '{name}'"),
                None => "error: the scripted stand-in takes prompts on its standard input only"
                    .to_owned(),
            });
        }
        let Some(value) = value.or_else(|| args.next()) else {
            return Err(format!("error: option '{name}' argument missing"));
        };
        match name.as_str() {
            "--input-format" => stream.0 = value == "stream-json",
            "--output-format" => stream.1 = value == "stream-json",
            "--session-id" | "--resume" => {
                let id = Uuid::try_parse(&value).map_err(|_| match name.as_str() {
                    "--session-id" => "Error: Invalid session ID. Must be a valid UUID.".to_owned(),
                    _ => format!("Error: --resume requires a valid session ID. Provided value \"{value}\" is not a UUID."),
                })?;
                found.session = Some(id);
                found.resume |= name == "--resume";
                session_id |= name == "--session-id";
            }
            "--permission-prompt-tool" => found.asks = value == "stdio",
            "--permission-mode" => {
                const MODES: &[&str] = &[
                    "acceptEdits",
                    "auto",
                    "bypassPermissions",
                    "manual",
                    "dontAsk",
                    "plan",
                    "default",
                ];
                if !MODES.contains(&value.as_str()) {
                    return Err(format!(
                        "error: option '--permission-mode <mode>' argument '{value}' is invalid."
                    ));
                }
                found.bypass |= value == "bypassPermissions";
                found.mode = Some(if value == "manual" {
                    "default".to_owned()
                } else {
                    value
                });
            }
            "--model" => found.model = Some(value),
            "--allowedTools" => found.allowed = split(&value),
            "--disallowedTools" => found.disallowed = split(&value),
            _ => {}
        }
    }
    if session_id && found.resume {
        return Err("Error: --session-id can only be used with --continue or --resume if --fork-session is also specified.".to_owned());
    }
    if !print || stream != (true, true) {
        return Err("error: the scripted stand-in needs -p --input-format stream-json --output-format stream-json".to_owned());
    }
    Ok(Wish::Serve(Box::new(found)))
}

fn canonical(name: &str) -> &str {
    match name {
        "-p" => "--print",
        "-r" => "--resume",
        "-v" => "--version",
        "--allowed-tools" => "--allowedTools",
        "--disallowed-tools" => "--disallowedTools",
        other => other,
    }
}

fn split(list: &str) -> Vec<String> {
    list.split([',', ' '])
        .filter(|s| !s.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(args: &[&str]) -> Result<Args, String> {
        let base = [
            "-p",
            "--input-format",
            "stream-json",
            "--output-format=stream-json",
            "--verbose",
        ];
        match parse(base.iter().chain(args).map(|s| (*s).to_owned()))? {
            Wish::Serve(args) => Ok(*args),
            Wish::Version => panic!("version"),
        }
    }

    #[test]
    fn both_forms_of_values() {
        let id = "7c1b7f4e-1d7a-4d7b-9d64-0a3a3f0f8a11";
        for args in [vec!["--resume", id], vec![&*format!("--resume={id}")]] {
            let found = serve(&args).unwrap();
            assert_eq!(
                (found.session.unwrap().to_string().as_str(), found.resume),
                (id, true)
            );
        }
        let found = serve(&[
            "--setting-sources",
            "",
            "--disallowedTools",
            "A,B",
            "--permission-prompt-tool",
            "stdio",
        ])
        .unwrap();
        assert_eq!(
            (found.disallowed, found.asks, found.resume),
            (vec!["A".to_owned(), "B".to_owned()], true, false)
        );
    }

    #[test]
    fn refusals() {
        assert!(
            serve(&["--frobnicate"])
                .unwrap_err()
                .contains("unknown option")
        );
        assert!(
            serve(&["--session-id", "x"])
                .unwrap_err()
                .contains("valid UUID")
        );
        assert!(
            serve(&["--permission-mode", "x"])
                .unwrap_err()
                .contains("invalid")
        );
        assert!(serve(&["prompt"]).unwrap_err().contains("standard input"));
        assert!(
            parse(["-p".to_owned()])
                .unwrap_err()
                .contains("stream-json")
        );
        assert_eq!(parse(["--version".to_owned()]).unwrap(), Wish::Version);
    }
}
