//! Children of tools: started with an environment that holds no secret.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::process::Command;

/// The variables that a child is given, if they are set. All others stay behind: a key, a password or a token in the
/// environment of an agent's process is never in that of a program that a model can make it run.
const PASSED_ON: [&str; 11] =
    ["PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TMPDIR", "TZ", "TEMP", "TMP", "SYSTEMROOT"];

/// What children of tools find in their environment.
///
/// # Example
/// ```
/// use bursar_tools::ChildEnvironment;
/// let own = [("PATH", "/usr/bin"), ("BURSAR_KEY", "0x…")].map(|(name, value)| (name.into(), value.into()));
/// let command = ChildEnvironment::of(own).command("ls");
/// let given: Vec<_> = command.get_envs().map(|(name, _)| name).collect();
/// assert_eq!(given, ["PATH"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildEnvironment(BTreeMap<OsString, OsString>);

impl ChildEnvironment {
    /// Keeps of these variables what children may know.
    #[must_use]
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let passed_on = |name: &OsStr| PASSED_ON.iter().any(|known| name == OsStr::new(known));
        Self(variables.into_iter().filter(|(name, _)| passed_on(name)).collect())
    }

    /// Begins a child with this environment and no other. The only way in which a tool may start a program; a test over the
    /// sources holds it.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.0);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_child_finds_no_secret_in_its_environment() {
        let own = [
            ("PATH", "/usr/bin:/bin"),
            ("HOME", "/home/ada"),
            ("LANG", "C.UTF-8"),
            ("TERM", "xterm"),
            ("TMPDIR", "/tmp"),
            ("BURSAR_KEY", "secret"),
            ("BURSAR_WALLET_PASSWORD", "secret"),
            ("bursar_key", "secret"),
            ("OPENAI_API_KEY", "secret"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("SSH_AUTH_SOCK", "/secret"),
            ("HTTPS_PROXY", "http://name:secret@proxy"),
            ("LD_PRELOAD", "/secret.so"),
            ("PATHS", "secret"),
            ("XPATH", "secret"),
        ];
        let environment = ChildEnvironment::of(own.map(|(name, value)| (name.into(), value.into())));
        // The process of this test has variables of its own, which must not come through either.
        let output = environment.command("/usr/bin/env").output().unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        let mut found: Vec<_> = found.lines().collect();
        found.sort_unstable();
        assert_eq!(
            found,
            ["HOME=/home/ada", "LANG=C.UTF-8", "PATH=/usr/bin:/bin", "TERM=xterm", "TMPDIR=/tmp"]
        );
    }
}
