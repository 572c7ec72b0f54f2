//! `bursar init`: a commented configuration, mandate and rules in a user's project.

use crate::args::InitArgs;
use crate::exit::{CliError, Exit};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What is written, by its path in the project.
const FILES: [(&str, &str); 2] = [
    ("bursar.toml", include_str!("init/bursar.toml")),
    ("policies/house.cedar", include_str!("init/house.cedar")),
];

/// What must not be checked in: the ledger, its mark, and keys.
const IGNORED: [&str; 4] = [".bursar/", ".bursar.mark", "wallet.json", "wallet.json.ledger"];

const NEXT: &str = "\
next:
  bursar policy check        checks the configuration and the rules, and runs their examples
  bursar policy list         the rules that hold, and those that one line adds
  edit bursar.toml           the mandate: budgets, vendors, assets, who is asked
  bursar wallet new          the key that pays, encrypted; its password is in BURSAR_WALLET_PASSWORD
  bursar eval init           a first test of what your agent spends
";

/// Runs the command.
pub(crate) fn run(args: &InitArgs) -> Result<Exit, CliError> {
    let folder = args.folder.as_deref().unwrap_or(Path::new(""));
    let files: Vec<(PathBuf, &str)> = FILES.iter().map(|(name, text)| (folder.join(name), *text)).collect();
    // All or nothing: what exists is found before anything is written.
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists() && !args.force) {
        return Err(CliError::Initialised { path: path.clone() });
    }
    let mut out = anstream::stdout().lock();
    for (path, text) in files {
        let write = |source| CliError::File { doing: "write", path: path.clone(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(write)?;
        }
        std::fs::write(&path, text).map_err(write)?;
        let _ = writeln!(out, "wrote {}", path.display());
    }
    let path = folder.join(".gitignore");
    if ignore(&path).map_err(|source| CliError::File { doing: "write", path: path.clone(), source })? {
        let _ = writeln!(out, "added to {}", path.display());
    }
    let _ = write!(out, "{NEXT}");
    Ok(Exit::Done)
}

/// Adds the lines that are missing; says whether there were any.
fn ignore(path: &Path) -> std::io::Result<bool> {
    let mut text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let missing: Vec<_> =
        IGNORED.into_iter().filter(|line| !text.lines().any(|known| known.trim() == *line)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in missing {
        text.push_str(line);
        text.push('\n');
    }
    std::fs::write(path, text)?;
    Ok(true)
}
