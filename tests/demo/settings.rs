//! Settings of telexd that a person tries out in the demo.

use std::path::Path;

use telexd::config::inputs::drop_in_directory;

/// What the demo itself decides: a table, or a key of one.
const OWN: [(&str, Option<&str>); 5] = [
    ("telegram", None),
    ("state", None),
    ("agent", Some("command")),
    ("agent", Some("launcher")),
    ("agent", Some("environment_file")),
];

/// Name of the file among the drop-ins.
const NAME: &str = "50-own.toml";

/// Puts a file of settings beside the configuration, where the daemon reads it as well.
///
/// # Errors
/// A sentence: it cannot be read, or says what is not its business here. Whether the rest is right says the daemon.
pub fn add(file: &Path, config: &Path) -> Result<(), String> {
    let named = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let text = std::fs::read_to_string(file).map_err(|e| named(&e))?;
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| named(&e.message()))?;
    for (name, key) in OWN {
        let found = table.get(name);
        match key {
            None if found.is_some() => return Err(named(&format!("[{name}] is the demo's own"))),
            Some(key) if found.is_some_and(|table| table.get(key).is_some()) => {
                return Err(named(&format!("{name}.{key} is the demo's own")));
            }
            _ => {}
        }
    }
    let folder = drop_in_directory(config);
    std::fs::create_dir(&folder)
        .and_then(|()| std::fs::write(folder.join(NAME), text))
        .map_err(|e| format!("cannot write to {}: {e}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_lie_where_the_daemon_looks_and_leave_the_demo_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (file, config) = (dir.path().join("own.toml"), dir.path().join("telexd.toml"));
        let try_with = |text: &str| {
            std::fs::write(&file, text).unwrap();
            add(&file, &config)
        };
        for (text, wanted) in [
            (
                "[telegram]\napi_url = 'https://x'\n",
                "[telegram] is the demo's own",
            ),
            ("state.directory = '/'", "[state] is the demo's own"),
            (
                "[agent]\ncommand = 'x'\n",
                "agent.command is the demo's own",
            ),
            ("[agent", "own.toml: "),
        ] {
            let told = try_with(text).unwrap_err();
            assert!(told.contains(wanted), "{told}");
        }
        try_with("[agent]\nturn_timeout_s = 60\n").unwrap();
        assert!(drop_in_directory(&config).join(NAME).is_file());
        assert!(add(&dir.path().join("none"), &config).is_err());
    }
}
