//! What is loaded, and what is refused.

use super::*;
use crate::policy::load::SHIPPED;

/// A user's file, and what loading it says: message, rule.
const REFUSED: &[(&str, &str, Option<&str>)] = &[
    ("@id(\"a\")\nforbid (principal, action resource);", "`mine.cedar`, line 2: not a Cedar policy", None),
    ("\n\npermit", "`mine.cedar`, line 3: not a Cedar policy", None),
    ("REQUIRE APPROVAL FOR * WHEN cost ABOVE 0.50", "`mine.cedar`, line 1: not a Cedar policy", None),
    ("{\"rules\": []}", "`mine.cedar`, line 1: not a Cedar policy", None),
    ("max_per_payment: 0.50\n", "`mine.cedar`, line 1: not a Cedar policy", None),
    ("", "`mine.cedar`, line 1: holds no rule", None),
    ("// forbid (principal, action, resource);\n", "`mine.cedar`, line 1: holds no rule", None),
    (
        "@id(\"a\") @id(\"b\") permit (principal, action, resource);",
        "`mine.cedar`, line 1: not a Cedar policy",
        None,
    ),
    ("// Why.\npermit (principal, action, resource);", "`mine.cedar`, line 2: rule without `@id`", None),
    (
        "@id(\"\") permit (principal, action, resource);",
        "`mine.cedar`, line 1: `` cannot be a rule's id",
        Some(""),
    ),
    ("@id permit (principal, action, resource);", "`mine.cedar`, line 1: `` cannot be a rule's id", Some("")),
    (
        "@id(\"a b\\n\") permit (principal, action, resource);",
        r"`mine.cedar`, line 1: `a b\n` cannot be a rule's id",
        Some(r"a b\n"),
    ),
    (
        "@id(\"pay.allow\") permit (principal, action, resource);",
        "`mine.cedar`, line 1: rule `pay.allow` is in `pay.cedar` already",
        Some("pay.allow"),
    ),
    (
        "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);",
        "`mine.cedar`, line 2: rule `a` is in `mine.cedar` already",
        Some("a"),
    ),
    (
        "@id(\"a\") permit (principal == ?principal, action, resource);",
        "`mine.cedar`, line 1: rule `a` is a template",
        Some("a"),
    ),
    (
        "@id(\"a\") @escalte(\"sure?\") forbid (principal, action, resource);",
        "`mine.cedar`, line 1: rule `a` has an unknown annotation `@escalte`",
        Some("a"),
    ),
    (
        "@id(\"a\") @escalate(\"sure?\") permit (principal, action, resource);",
        "`mine.cedar`, line 1: rule `a` is a permit with `@escalate`",
        Some("a"),
    ),
    (
        "@id(\"a\") @escalate permit (principal, action, resource);",
        "`mine.cedar`, line 1: rule `a` is a permit with `@escalate`",
        Some("a"),
    ),
    (
        "@id(\"a\") @advice(\" \") forbid (principal, action, resource);",
        "`mine.cedar`, line 1: rule `a` has an empty `@advice`",
        Some("a"),
    ),
    (
        "@id(\"a\") @escalate forbid (principal, action, resource);",
        "`mine.cedar`, line 1: rule `a` has an empty `@escalate`",
        Some("a"),
    ),
    (
        "@id(\"a\") @reason(\"\") forbid (principal, action, resource);",
        "`mine.cedar`, line 1: rule `a` has an empty `@reason`",
        Some("a"),
    ),
    (
        "@id(\"a\") @reason(\"no code here\") forbid (principal, action, resource);",
        "`mine.cedar`, line 1: rule `a` has an unusable reason code `no code here`",
        Some("a"),
    ),
    (
        "@id(\"a\") @reason(\"CODE: \") forbid (principal, action, resource);",
        "`mine.cedar`, line 1: rule `a` has an unusable reason code `CODE`",
        Some("a"),
    ),
    (
        "@id(\"a\") @reason(\"POLICY_ERROR: as if\") forbid (principal, action, resource);",
        "`mine.cedar`, line 1: rule `a` has an unusable reason code `POLICY_ERROR`",
        Some("a"),
    ),
    (
        "@id(\"no-rule.allows\") forbid (principal, action, resource);",
        "`mine.cedar`, line 1: rule `no-rule.allows` has an unusable reason code `NO_RULE_ALLOWS`",
        Some("no-rule.allows"),
    ),
];

/// Conditions on a payment that strict validation refuses.
const INVALID: &[(&str, &str)] = &[
    ("an unknown fact", "context.mood == \"good\""),
    ("an optional fact without `has`", "context.ask_above_micro_usd > 1"),
    ("an unknown attribute", "principal.mood == \"good\""),
    ("text compared with a number", "context.micro_usd > \"1\""),
    ("an unknown entity type", "principal in Team::\"a\""),
    ("an unknown action", "action == Action::\"refund\""),
    ("a rule that never applies", "false"),
    ("a string that hides another alphabet", "context.host == \"ex\u{430}mple.com\""),
    ("a string that turns around", "context.host == \"example\u{202e}moc\""),
];

#[test]
fn a_file_with_a_mistake_is_refused_by_name() {
    for (text, message, rule) in REFUSED {
        let error = Policy::load(&[file("mine.cedar", text)]).expect_err(text);
        assert_eq!(
            (error.to_string().as_str(), error.file(), error.rule()),
            (*message, Some("mine.cedar"), *rule)
        );
        assert!(!error.next_step().is_empty() && error.code().starts_with("POLICY_"));
        assert!(message.contains(&format!("line {}", error.line().unwrap())), "{message}");
    }
}

#[test]
fn a_rule_that_does_not_fit_the_schema_is_refused() {
    for (what, condition) in INVALID {
        let text = format!(
            "@id(\"ok\") permit (principal, action, resource);\n\
             @id(\"bad\") forbid (principal, action == Action::\"pay\", resource) when {{ {condition} }};"
        );
        let error = Policy::load(&[file("mine.cedar", &text)]).expect_err(what);
        assert!(matches!(error, PolicyError::Invalid { .. }), "{what}: {error:?}");
        assert_eq!((error.file(), error.rule()), (Some("mine.cedar"), Some("bad")), "{what}");
        assert_eq!((error.line(), error.code()), (Some(2), "POLICY_UNKNOWN_FIELD"), "{what}");
        assert!(std::error::Error::source(&error).is_some(), "{what}");
    }
    let wrong_resource = r#"@id("bad") forbid (principal, action == Action::"pay", resource is Site);"#;
    let error = Policy::load(&[file("mine.cedar", wrong_resource)]).unwrap_err();
    assert!(matches!(error, PolicyError::Invalid { .. }), "{error:?}");
}

#[test]
fn two_files_of_one_name_are_refused() {
    let permit = r#"@id("a") forbid (principal, action, resource);"#;
    for names in [&["pay.cedar"][..], &["mine.cedar", "mine.cedar"]] {
        let files: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(n, name)| file(name, &permit.replace("\"a\"", &format!("\"a{n}\""))))
            .collect();
        let error = Policy::load(&files).unwrap_err();
        assert!(matches!(&error, PolicyError::DuplicateFile { file } if file == names[0]), "{error:?}");
    }
}

#[test]
fn a_users_rule_needs_an_id_only() {
    let policy = with(
        "// No shell here.\n//\n// It is not needed.\n@id(\"mine.no-shell\")\nforbid (principal, action == Action::\"call\", resource == Tool::\"shell\");",
    );
    let rule = policy.rules().find(|rule| rule.id == "mine.no-shell").unwrap();
    let expected = RuleView {
        id: "mine.no-shell".into(),
        effect: RuleEffect::Forbid,
        file: "mine.cedar".into(),
        line: 4,
        shadow: false,
        escalate: None,
        code: Some("MINE_NO_SHELL".into()),
        doc: "No shell here.\n\nIt is not needed.".into(),
    };
    assert_eq!(rule, expected);
    let decision = policy.decide(&call(|facts| facts.tool = "shell".into()), &[]);
    check(&decision, Verdict::Deny, &["mine.no-shell"], &["MINE_NO_SHELL"]);
    assert_eq!(
        decision.to_string(),
        "denied: rule `mine.no-shell` in `mine.cedar` forbids it (MINE_NO_SHELL); do something else, or ask the user about \
         rule `mine.no-shell`"
    );
}

#[test]
fn a_reason_may_be_a_code_alone() {
    let policy = with(
        r#"@id("a") @reason("NOT_TODAY") @escalate("today?") @advice("tomorrow") forbid (principal, action, resource);"#,
    );
    assert_eq!(
        policy.decide(&quote(|_| ()), &[]).to_string(),
        "needs approval: today? (NOT_TODAY); tomorrow"
    );
}

#[test]
fn a_users_permit_may_widen_what_no_forbid_touches() {
    let plain = Policy::build([SHIPPED[0]].into_iter()).unwrap();
    check(&plain.decide(&quote(|_| ()), &[]), Verdict::Deny, &[], &["NO_RULE_ALLOWS"]);
    let text = r#"@id("mine.quotes") permit (principal, action == Action::"quote", resource) when { context.method == "GET" };"#;
    let widened = Policy::build([SHIPPED[0], ("mine.cedar", text)].into_iter()).unwrap();
    check(&widened.decide(&quote(|_| ()), &[]), Verdict::Allow, &["mine.quotes"], &[]);
}

#[test]
fn digests_are_of_the_exact_texts_and_sorted() {
    let one = "@id(\"z\") permit (principal, action, resource);";
    let two = "@id(\"b\") permit (principal, action, resource);";
    let files = [file("z.cedar", one), file("b.cedar", two)];
    let digests = Policy::load(&files).unwrap().digests();
    let names: Vec<_> = digests.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["b.cedar", "call.cedar", "pay.cedar", "plan.cedar", "quote.cedar", "z.cedar"]);
    assert_eq!(digests[0].1, Digest::of(two.as_bytes()));
    assert_eq!(digests[2].1, Digest::of(SHIPPED[1].1.as_bytes()));
    assert_eq!(Policy::shipped().unwrap().digests(), Policy::load(&[]).unwrap().digests());
}

#[test]
fn a_policy_is_shared_between_threads() {
    fn shared<T: Send + Sync + std::fmt::Debug>() {}
    shared::<Policy>();
    shared::<PolicyError>();
}
