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
        ("receipt", vec!["receipt", "--help"]),
        ("obligations", vec!["obligations", "--help"]),
        ("obligations_extend", vec!["obligations", "extend", "--help"]),
        ("watch", vec!["watch", "--help"]),
        ("reconcile", vec!["reconcile", "--help"]),
        ("init", vec!["init", "--help"]),
        ("prompts", vec!["prompts", "--help"]),
        ("policy", vec!["policy", "--help"]),
        ("policy_check", vec!["policy", "check", "--help"]),
        ("policy_replay", vec!["policy", "replay", "--help"]),
        ("eval", vec!["eval", "--help"]),
        ("purse", vec!["purse", "--help"]),
        ("fetch", vec!["fetch", "--help"]),
        ("mcp", vec!["mcp", "--help"]),
        ("gateway", vec!["gateway", "--help"]),
        ("servers", vec!["servers", "--help"]),
        ("policy_explain", vec!["policy", "explain", "--help"]),
        ("policy_list", vec!["policy", "list", "--help"]),
        ("policy_accept", vec!["policy", "accept", "--help"]),
        ("eval_init", vec!["eval", "init", "--help"]),
        ("approvals", vec!["approvals", "--help"]),
        ("approvals_list", vec!["approvals", "list", "--help"]),
        ("approvals_approve", vec!["approvals", "approve", "--help"]),
        ("approvals_deny", vec!["approvals", "deny", "--help"]),
        ("approvals_key", vec!["approvals", "key", "--help"]),
        ("approvals_serve", vec!["approvals", "serve", "--help"]),
        ("freeze", vec!["freeze", "--help"]),
        ("thaw", vec!["thaw", "--help"]),
        ("clock", vec!["clock", "--help"]),
        ("mandate", vec!["mandate", "--help"]),
        ("mandate_sign", vec!["mandate", "sign", "--help"]),
        ("mandate_verify", vec!["mandate", "verify", "--help"]),
        ("verify", vec!["audit", "verify", "--help"]),
        ("audit_erase", vec!["audit", "erase", "--help"]),
        ("audit_explain", vec!["audit", "explain", "--help"]),
    ] {
        let ran = home.run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        insta::assert_snapshot!(name, ran.stdout);
    }
}
