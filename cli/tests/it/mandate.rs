//! `bursar mandate`: mandates that only their issuer can say.

use crate::interrupt::Outside;
use crate::support::{Ran, ran};
use tempfile::TempDir;

const NOTE: &str = "# Gas\n\nThe submitter of a token transfer pays the gas.\n";
const QUESTION: &str = "Who pays the gas of a token transfer?";

/// A configuration that takes mandates of ada's alone, and the folder with her key and a stranger's.
struct Issued {
    outside: Outside,
    keys: TempDir,
    /// Ada's public key.
    ada: String,
}

/// The public key that a text shows.
fn key_at(text: &str) -> String {
    let (_, digits) = text.split_once("ed25519:").unwrap();
    format!("ed25519:{}", digits.chars().take(64).collect::<String>())
}

impl Issued {
    fn new() -> Self {
        let outside = Outside::selling(NOTE);
        let keys = tempfile::tempdir().unwrap();
        let mut issued = Self { outside, keys, ada: String::new() };
        issued.ada = issued.make_key("ada");
        issued.make_key("eve");
        let ada = issued.ada.clone();
        let mut mandate = String::new();
        issued.outside.configure(|config| {
            let (rest, table) = config.split_once("[mandate]\n").unwrap();
            table.clone_into(&mut mandate);
            format!("mandate_file = \"mandate.toml\"\n{rest}[[issuer]]\nname = \"ada\"\nkey = \"{ada}\"\n")
        });
        std::fs::write(issued.outside.home.file("mandate.toml"), mandate).unwrap();
        issued
    }

    fn make_key(&self, name: &str) -> String {
        let made = self.outside.home.run(["approvals", "key", &self.key(name), "--name", name]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        key_at(&made.stdout)
    }

    fn key(&self, name: &str) -> String {
        self.keys.path().join(name).display().to_string()
    }

    fn sign(&self, name: &str) -> Ran {
        self.outside.home.run(["mandate", "sign", "mandate.toml", "--key", &self.key(name), "--days", "30"])
    }

    fn ask(&self) -> Ran {
        ran(self.outside.with_config(&["research", QUESTION]))
    }

    #[track_caller]
    fn refused(&self, code: &str) {
        let asked = self.ask();
        assert_eq!(asked.code, 2, "{code}: {}", asked.stdout);
        assert!(asked.stderr.contains(code) && asked.stderr.contains("next: "), "{code}: {}", asked.stderr);
        let checked = self.outside.home.run(["mandate", "verify", "--config", "bursar.toml"]);
        assert_eq!(checked.code, 1, "{}", checked.stdout);
        assert!(
            checked.stdout.starts_with("does not hold") && checked.stdout.contains(code),
            "{}",
            checked.stdout
        );
        assert!(!self.outside.home.file(".bursar").exists(), "nothing was opened");
    }
}

#[test]
fn where_issuers_are_named_only_a_mandate_that_one_of_them_signed_is_spent_under() {
    let issued = Issued::new();
    let home = &issued.outside.home;
    issued.refused("MANDATE_UNSIGNED");
    assert_eq!(issued.sign("eve").code, 0);
    issued.refused("MANDATE_ISSUER_UNKNOWN");
    let (file, signature) = (home.file("mandate.toml"), home.file("mandate.toml.sig"));
    let eves = std::fs::read_to_string(&signature).unwrap();
    std::fs::write(&signature, eves.replace(&key_at(&eves), &issued.ada)).unwrap();
    issued.refused("MANDATE_SIGNATURE");
    std::fs::write(&signature, "ada says yes").unwrap();
    issued.refused("MANDATE_SIGNATURE");

    let signed = issued.sign("ada");
    assert!(signed.code == 0 && signed.stdout.contains("for “research”, until "), "{}", signed.stdout);
    let mandate = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, mandate.replace("0.50", "5000.50")).unwrap();
    issued.refused("MANDATE_CHANGED");

    std::fs::write(&file, &mandate).unwrap();
    for args in [vec!["--config", "bursar.toml"], vec!["mandate.toml", "--issuer", &issued.ada]] {
        let checked = home.run([vec!["mandate", "verify"], args].concat());
        assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
        assert!(checked.stdout.starts_with("holds: "), "{}", checked.stdout);
    }
    let asked = issued.ask();
    assert_eq!(asked.code, 0, "{}\n{}", asked.stdout, asked.stderr);
    assert_eq!(home.transfers("chain.jsonl").len(), 1);
    assert_eq!(home.run(["audit", "verify"]).code, 0);
}

#[test]
fn a_mandate_in_the_configuration_itself_is_none_of_an_issuers() {
    let issued = Issued::new();
    let mandate = std::fs::read_to_string(issued.outside.home.file("mandate.toml")).unwrap();
    issued.outside.configure(|config| format!("{config}[mandate]\n{mandate}"));
    let both = issued.ask();
    assert!(both.code == 2 && both.stderr.contains("`mandate_file` and `[mandate]`"), "{}", both.stderr);
    issued.outside.configure(|config| config.replacen("mandate_file = \"mandate.toml\"\n", "", 1));
    let inline = issued.ask();
    assert!(inline.code == 2 && inline.stderr.contains("MANDATE_UNSIGNED"), "{}", inline.stderr);
    assert!(issued.outside.home.transfers("chain.jsonl").is_empty());
}

#[test]
fn the_agents_own_key_issues_nothing() {
    let issued = Issued::new();
    // The wallet's secret, used as an issuer's.
    let own = issued.keys.path().join("own");
    std::fs::write(&own, "00000000000000000000000000000000000000000000000000000000000000a1").unwrap();
    std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let signed = issued.sign("own");
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    let public = key_at(&signed.stdout);
    issued.outside.configure(|config| config.replace(&issued.ada, &public));
    let asked = issued.ask();
    assert!(asked.code == 2 && asked.stderr.contains("MANDATE_ISSUER_IS_AGENT"), "{}", asked.stderr);
    // Nor does a key count that lies where an agent works.
    let inside = issued.outside.home.file("ada.key").display().to_string();
    std::fs::copy(issued.key("ada"), &inside).unwrap();
    let told = issued.outside.home.run(["mandate", "sign", "mandate.toml", "--key", &inside]);
    assert!(told.code == 2 && told.stderr.contains("which an agent can reach"), "{}", told.stderr);
    assert!(issued.outside.home.transfers("chain.jsonl").is_empty());
}
