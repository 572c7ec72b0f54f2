//! Checkpoints in a Git repository: each is a commit, so that whoever pulls it has the history.

use async_trait::async_trait;
use bursar_audit::{Anchor, AnchorError};
use bursar_proof::SignedNote;
use bursar_tools::ChildEnvironment;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// The file that holds the latest.
const FILE: &str = "checkpoint";

/// Keeps each checkpoint as a commit of the file `checkpoint` in a repository that is there.
///
/// What counts as kept is what the branch that is checked out has committed. Nothing is pushed, since programs that are started here
/// get no credentials: who mirrors the repository pulls from it. Hooks of the repository are not run.
#[derive(Debug, Clone)]
pub struct GitAnchor {
    repository: PathBuf,
    environment: ChildEnvironment,
}

impl GitAnchor {
    /// A repository, with or without commits, that has a work tree.
    #[must_use]
    pub fn new(repository: impl Into<PathBuf>) -> Self {
        Self { repository: repository.into(), environment: environment() }
    }

    /// Runs git in the repository. It blocks.
    fn git(&self, args: &[&str]) -> Result<Output, AnchorError> {
        let mut git = self.environment.command("git");
        git.arg("-C").arg(&self.repository);
        git.args([
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "commit.gpgSign=false",
        ]);
        git.args(["-c", "user.name=Bursar", "-c", "user.email=log@bursar.invalid"]);
        git.args(args).stdin(Stdio::null()).env("GIT_TERMINAL_PROMPT", "0");
        git.output().map_err(|source| AnchorError::File { path: self.repository.clone(), source })
    }

    /// The same, where failing is a fault.
    fn done(&self, args: &[&str]) -> Result<Vec<u8>, AnchorError> {
        let output = self.git(args)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(300).collect();
        let verb = args.first().copied().unwrap_or_default();
        Err(AnchorError::Other(format!("`git {verb}`: {}", said.escape_debug())))
    }

    fn read(&self) -> Result<Option<SignedNote>, AnchorError> {
        self.done(&["rev-parse", "--git-dir"])?;
        let object = format!("HEAD:{FILE}");
        if !self.git(&["rev-parse", "--verify", "--quiet", &object])?.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8(self.done(&["cat-file", "blob", &object])?)
            .map_err(|error| AnchorError::Other(error.to_string()))?;
        Ok(Some(SignedNote::parse(&text)?))
    }

    fn commit(&self, checkpoint: &SignedNote) -> Result<(), AnchorError> {
        let path = self.repository.join(FILE);
        std::fs::write(&path, checkpoint.to_string())
            .map_err(|source| AnchorError::File { path: path.clone(), source })?;
        self.done(&["add", "--", FILE])?;
        let size = checkpoint.text().lines().nth(1).unwrap_or_default();
        let message = format!("Checkpoint of {size} entries");
        // The same again is nothing to commit.
        if !self.git(&["diff", "--cached", "--quiet", "--", FILE])?.status.success() {
            self.done(&["commit", "--quiet", "--no-verify", "-m", &message, "--", FILE])?;
        }
        Ok(())
    }

    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, AnchorError> + Send + 'static,
    ) -> Result<T, AnchorError> {
        let own = self.clone();
        let done = tokio::task::spawn_blocking(move || work(own)).await;
        done.map_err(|error| AnchorError::Other(error.to_string()))?
    }

    /// Where it is.
    #[must_use]
    pub fn repository(&self) -> &Path {
        &self.repository
    }
}

#[async_trait]
impl Anchor for GitAnchor {
    fn name(&self) -> String {
        format!("git {}", self.repository.display())
    }

    async fn kept(&self) -> Result<Option<SignedNote>, AnchorError> {
        self.apart(|git| git.read()).await
    }

    async fn keep(&self, checkpoint: &SignedNote) -> Result<(), AnchorError> {
        let checkpoint = checkpoint.clone();
        self.apart(move |git| git.commit(&checkpoint)).await
    }
}

fn environment() -> ChildEnvironment {
    ChildEnvironment::of(std::env::vars_os())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bursar_proof::{Checkpoint, KeyKind, NoteKey, leaf_hash};

    fn checkpoint(size: u64) -> SignedNote {
        let key = NoteKey::from_seed("example.com/log", KeyKind::Log, &[7; 32]).unwrap();
        let origin = "example.com/log".to_owned();
        Checkpoint { origin, size, root: leaf_hash(&size.to_be_bytes()) }.sign(&key).unwrap()
    }

    #[tokio::test]
    async fn each_checkpoint_is_one_commit_and_hooks_are_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let anchor = GitAnchor::new(folder.path());
        assert!(anchor.kept().await.is_err(), "there is no repository yet");
        anchor.done(&["init", "--quiet"]).unwrap();
        assert_eq!(anchor.kept().await.unwrap(), None);
        let hook = folder.path().join(".git/hooks/post-commit");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, "#!/bin/sh\ntouch ran\n").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        for (size, commits) in [(3, "1\n"), (3, "1\n"), (5, "2\n")] {
            anchor.keep(&checkpoint(size)).await.unwrap();
            assert_eq!(anchor.kept().await.unwrap(), Some(checkpoint(size)));
            let counted = anchor.done(&["rev-list", "--count", "HEAD"]).unwrap();
            assert_eq!(String::from_utf8(counted).unwrap(), commits);
        }
        assert!(!folder.path().join("ran").exists());
        // What lies about uncommitted is not kept.
        std::fs::write(folder.path().join(FILE), "another").unwrap();
        assert_eq!(anchor.kept().await.unwrap(), Some(checkpoint(5)));
    }
}
