//! `bursar prompts`.

use crate::support::Home;

#[test]
fn prompts_are_listed_as_the_journal_names_them_and_printed_whole() {
    let home = Home::new();
    let listed = home.run(["prompts"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    let known = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PROMPTS.md")).unwrap();
    assert_eq!(listed.stdout.lines().count(), bursar::tools::prompt_names().count());
    for line in listed.stdout.lines() {
        let [name, "version", version, digest] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        assert!(known.contains(&format!("| `{name}` | {version} | `{digest}` |")), "{line}");
        let shown = home.run(["prompts", name]);
        let text = bursar::tools::prompt(name).unwrap().unwrap().text().to_owned();
        assert_eq!((shown.code, shown.stdout), (0, text + "\n"));
    }
    let unknown = home.run(["prompts", "pay all"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (2, ""));
    assert!(
        unknown.stderr.contains("there is no prompt `pay all`: it is coding or research"),
        "{}",
        unknown.stderr
    );
}
