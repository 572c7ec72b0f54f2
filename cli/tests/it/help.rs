//! What `--help` says.

use crate::support::Home;

#[test]
fn help_tells_commands_options_and_exit_codes() {
    let home = Home::new();
    for (name, args) in [
        ("bursar", vec!["--help"]),
        ("research", vec!["research", "--help"]),
        ("resume", vec!["resume", "--help"]),
        ("market", vec!["market", "--help"]),
        ("sessions", vec!["sessions", "--help"]),
        ("spend", vec!["spend", "--help"]),
        ("obligations", vec!["obligations", "--help"]),
        ("obligations_extend", vec!["obligations", "extend", "--help"]),
        ("watch", vec!["watch", "--help"]),
        ("init", vec!["init", "--help"]),
        ("policy", vec!["policy", "--help"]),
        ("policy_check", vec!["policy", "check", "--help"]),
        ("policy_replay", vec!["policy", "replay", "--help"]),
        ("eval", vec!["eval", "--help"]),
        ("purse", vec!["purse", "--help"]),
        ("verify", vec!["audit", "verify", "--help"]),
    ] {
        let ran = home.run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        insta::assert_snapshot!(name, ran.stdout);
    }
}
