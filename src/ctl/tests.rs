use clap::CommandFactory as _;

use super::*;

fn telexctl(args: &[&str]) -> (ExitCode, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = ["telexctl"].iter().chain(args).map(OsString::from);
    let code = main(args, &Surroundings::default(), &mut out, &mut err);
    (
        code,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
    let (code, out, err) = telexctl(&["--version"]);
    assert_eq!(
        (code, out, err),
        (
            ExitCode::from(0),
            format!("telexctl {}\n", env!("CARGO_PKG_VERSION")),
            String::new()
        )
    );
    let (code, out, _) = telexctl(&["--help"]);
    assert!(
        code == ExitCode::from(0) && out.contains("Exit codes:") && out.starts_with("Administer"),
        "{out}"
    );
}

#[test]
fn a_wrong_command_line_is_2() {
    for args in [
        &["frobnicate"][..],
        &["-H", "-oProxyCommand=reboot"],
        &["-H", "box", "--session"],
        &["--session", "doctor"],
        &["-H", "box", "doctor"],
        &["watch", "-n", "0"],
    ] {
        let (code, out, err) = telexctl(args);
        assert_eq!((code, &*out), (ExitCode::from(2), ""), "{args:?}");
        assert!(!err.is_empty(), "{args:?}");
    }
}
