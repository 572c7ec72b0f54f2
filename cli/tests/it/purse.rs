//! `bursar purse` in a process of its own, and `bursar fetch` in another: where it can be, of another user.

use crate::interrupt::Outside;
use crate::support::{Ran, Running, ran, started};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const NOTE: &str = "# Gas\n\nThe submitter of a token transfer pays the gas.\n";
/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// A purse's home, which only its user reads, and a street that everybody reaches: the socket stands there.
struct Town {
    outside: Outside,
    street: TempDir,
    /// Whether agents can be another user: only root can start them.
    apart: bool,
}

impl Town {
    fn new() -> Self {
        let street = tempfile::tempdir().unwrap();
        let apart =
            std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        if apart {
            // What is made in it is of its group, so that the socket can be reached by that group and nobody else.
            std::os::unix::fs::chown(street.path(), None, Some(NOBODY)).unwrap();
            std::fs::copy(env!("CARGO_BIN_EXE_bursar"), street.path().join("bursar")).unwrap();
        }
        let mode = std::fs::Permissions::from_mode(if apart { 0o2755 } else { 0o755 });
        std::fs::set_permissions(street.path(), mode).unwrap();
        let outside = Outside::selling(NOTE);
        std::fs::set_permissions(outside.home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { outside, street, apart }
    }

    fn socket(&self) -> PathBuf {
        self.street.path().join("purse.sock")
    }

    /// Serves a purse, and gives its session once it listens.
    fn serve(&self, more: &[&str]) -> (Running, String) {
        let socket = self.socket().display().to_string();
        let args = [&["purse", "--socket", socket.as_str()], more].concat();
        let mut purse = started(self.outside.with_config(&args));
        let line = purse.until("session ses_");
        (purse, line.split_whitespace().nth(1).unwrap().to_owned())
    }

    /// Lets the agents' user in.
    fn serve_agents(&self, more: &[&str]) -> (Running, String) {
        let uid = NOBODY.to_string();
        let let_in = if self.apart { vec!["--uid", &uid, "--group"] } else { vec![] };
        self.serve(&[&let_in, more].concat())
    }

    /// A program of the agents' user, without anything in its environment.
    fn as_agent(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.street.path()).env_clear();
        if self.apart {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn agent(&self) -> Command {
        let own = Path::new(env!("CARGO_BIN_EXE_bursar")).to_owned();
        let bursar = if self.apart { self.street.path().join("bursar") } else { own };
        let mut command = self.as_agent(&bursar);
        command.args(["fetch", &self.outside.document("note"), "--purpose", "to read it", "--purse"]);
        command.arg(self.socket());
        command
    }

    fn sent(&self) -> usize {
        self.outside.home.transfers("chain.jsonl").len()
    }

    #[track_caller]
    fn got(&self, agent: &Ran, how: &str) {
        assert_eq!((agent.code, agent.stdout.contains("pays the gas")), (0, true), "{}", agent.stderr);
        assert!(agent.stderr.starts_with(how), "{}", agent.stderr);
    }
}

#[test]
fn an_agent_of_another_user_buys_through_the_purse_and_reaches_neither_key_nor_ledger() {
    let town = Town::new();
    let (purse, session) = town.serve_agents(&[]);
    let mode = std::fs::metadata(town.socket()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, if town.apart { 0o660 } else { 0o600 });
    town.got(&ran(town.agent()), "paid ");
    town.got(&ran(town.agent()), "bought before: ");
    assert_eq!(town.sent(), 1);

    let (home, environment) = (&town.outside.home, format!("/proc/{}/environ", purse.child.id()));
    for file in [home.file(".bursar/ledger.sqlite"), home.file("bursar.toml"), environment.into()] {
        let read = town.as_agent(Path::new("/bin/cat")).arg(&file).output().unwrap();
        // Of the same user nothing is out of reach; then the socket is all that an agent is given.
        assert!(!town.apart || !read.status.success(), "{}", file.display());
    }
    purse.signal("INT");
    assert_eq!(purse.end().code, 0);
    assert!(!town.socket().exists(), "a purse takes its socket away");
    let payments = home.payments();
    assert_eq!((payments.len(), payments[0]["session"].as_str().unwrap()), (1, session.as_str()));
    town.outside.agrees();
    assert_eq!(home.run(["audit", "verify"]).code, 0);
}

#[test]
fn a_purse_that_is_killed_leaves_its_caller_unsure_and_the_next_one_pays_nothing_twice() {
    let town = Town::new();
    let (purse, session) = town.serve_agents(&[]);
    town.outside.fault(r#"{"fault":"slow_body","ms":4000,"times":1}"#);
    let agent = started(town.agent());
    town.outside.until_settled();
    purse.signal("KILL");
    assert_eq!(purse.end().code, -1);
    let unsure = agent.end();
    assert_eq!(unsure.code, 3, "{}", unsure.stderr);
    assert!(unsure.stderr.contains("may have been paid"), "{}", unsure.stderr);
    let alone = ran(town.agent());
    assert_eq!(alone.code, 2, "nobody serves: {}", alone.stderr);

    let (_purse, _) = town.serve_agents(&["--session", &session]);
    let again = ran(town.agent());
    // What came with the lost answer is had from the seller again, or is owed; then the exit code says so.
    assert!([0, 3].contains(&again.code), "{}", again.stderr);
    assert_eq!(town.sent(), 1);
    town.outside.agrees();
}

#[test]
fn who_is_not_let_in_and_who_cannot_open_the_socket_get_nothing() {
    let town = Town::new();
    // Let in is somebody else.
    let (purse, _) = town.serve(&["--uid", "4711", "--group"]);
    let stranger = ran(town.agent());
    assert_eq!((stranger.code, stranger.stdout.as_str()), (2, ""), "{}", stranger.stderr);
    assert!(stranger.stderr.contains("the purse refused"), "{}", stranger.stderr);
    drop(purse);

    let (_purse, _) = town.serve(&[]);
    if !town.apart {
        // The same user owns it, so it is shut for everybody.
        std::fs::set_permissions(town.socket(), std::fs::Permissions::from_mode(0o000)).unwrap();
    }
    let shut_out = ran(town.agent());
    assert_eq!((shut_out.code, shut_out.stdout.as_str()), (2, ""), "{}", shut_out.stderr);
    assert!(shut_out.stderr.contains("cannot be used"), "{}", shut_out.stderr);
    assert_eq!(town.sent(), 0);
}

#[test]
fn a_purse_serves_one_socket_and_takes_no_other_file_for_one() {
    let town = Town::new();
    std::fs::write(town.socket(), "mine").unwrap();
    let socket = town.socket().display().to_string();
    let refused = ran(town.outside.with_config(&["purse", "--socket", &socket]));
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(town.socket()).unwrap(), "mine");
    std::fs::remove_file(town.socket()).unwrap();
    let (_purse, _) = town.serve_agents(&[]);
    let second = ran(town.outside.with_config(&["purse", "--socket", &socket]));
    assert_eq!((second.code, second.stdout.as_str()), (2, ""), "{}", second.stderr);
    assert!(second.stderr.contains("another process serves"), "{}", second.stderr);
}
