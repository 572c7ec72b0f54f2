//! `bursar eval`, as somebody meets it who has a project of their own.

use crate::support::Home;

#[test]
fn a_first_suite_is_written_and_passes_and_says_the_same_twice() {
    let home = Home::new();
    let wrote = home.run(["eval", "init", "project"]);
    assert_eq!((wrote.code, wrote.stderr.as_str()), (0, ""));
    let args = ["eval", "project/evals", "--json"];
    let (first, second) = (home.run(args), home.run(args));
    assert_eq!(first.code, 0, "{}", first.stdout);
    assert_eq!(first.stdout, second.stdout);
    let shown = home.run(["eval", "project/evals"]);
    insta::assert_snapshot!("first_suite", shown.stdout);
    let again = home.run(["eval", "init", "project"]);
    assert_eq!(again.code, 2, "nothing is written over: {}", again.stdout);
}

#[test]
fn a_failing_case_is_shown_with_what_was_expected_and_found() {
    let home = Home::new();
    home.run(["eval", "init", "project"]);
    let file = home.file("project/evals/first.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("price = \"0.01\", text", "price = \"0.02\", text")).unwrap();
    let ran = home.run(["eval", "project/evals"]);
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!("failing_suite", ran.stdout);
}

#[test]
fn a_suite_that_cannot_be_read_is_told_with_file_line_and_field() {
    let home = Home::new();
    std::fs::create_dir(home.file("none")).unwrap();
    let case = "[[case]]\nid = \"a\"\ntitle = \"b\"\n[[case.step]]\ndo = \"advance\"\n";
    for (name, text) in [
        ("field.toml", format!("{case}[case.expect]\npaid_max = \"0\"\nsignatures_most = 1\n")),
        ("amount.toml", format!("{case}[case.expect]\npaid_max = \"1e3\"\nsignatures_max = 1\n")),
        ("missing.toml", format!("{case}[case.expect]\npaid_max = \"1\"\n")),
        (
            "steps.toml",
            "[[case]]\nid = \"a\"\ntitle = \"b\"\nexpect = { paid_max = \"0\", signatures_max = 0 }\n".into(),
        ),
        (
            "step.toml",
            case.replace("advance", "dance") + "[case.expect]\npaid_max = \"1\"\nsignatures_max = 1\n",
        ),
    ] {
        std::fs::write(home.file(name), text).unwrap();
    }
    let mut said = String::new();
    for args in [
        vec!["eval"],
        vec!["eval", "none"],
        vec!["eval", "field.toml"],
        vec!["eval", "amount.toml"],
        vec!["eval", "missing.toml"],
        vec!["eval", "steps.toml"],
        vec!["eval", "step.toml"],
        vec!["eval", "--seeds", "0"],
    ] {
        let ran = home.run(args.iter().copied());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
        said.push_str(&format!("$ bursar {}\n{}\n", args.join(" "), ran.stderr));
    }
    insta::assert_snapshot!("unreadable_suites", said);
}
