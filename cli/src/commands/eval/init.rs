//! `bursar eval init`: a first suite, a test, and a workflow, in the user's own project.

use crate::args::EvalInitArgs;
use crate::exit::{CliError, Exit};
use std::io::Write as _;
use std::path::Path;

/// What is written where.
///
/// The cases lie in `evals/` of this crate, so that its tests play them as a user's would.
const FILES: [(&str, &str); 4] = [
    ("evals/first.toml", include_str!("../../../evals/first.toml")),
    ("evals/own.toml", include_str!("../../../evals/own.toml")),
    ("tests/spending.rs", include_str!("starter/spending.rs")),
    (".github/workflows/spending.yml", include_str!("starter/spending.yml")),
];

/// Runs the command. Nothing is written if one of the files is there already.
pub(super) fn run(args: &EvalInitArgs) -> Result<Exit, CliError> {
    // `evals/first.toml` reads better than `./evals/first.toml`.
    let folder = args.folder.strip_prefix(".").unwrap_or(&args.folder);
    for (name, _) in FILES {
        let path = folder.join(name);
        if path.exists() {
            return Err(CliError::Exists { path });
        }
    }
    let mut out = anstream::stdout().lock();
    for (name, text) in FILES {
        let path = folder.join(name);
        write(&path, text)?;
        let _ = writeln!(out, "wrote {}", path.display());
    }
    let _ = write!(out, "{}", next(folder));
    Ok(Exit::Done)
}

/// What to do with it.
fn next(folder: &Path) -> String {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let root = here.canonicalize().unwrap_or_else(|_| here.to_owned());
    let mut text = format!(
        "\
next:
  bursar eval {}         plays the cases of first.toml; those of own.toml wait for your agent
  Cargo.toml                 tests/spending.rs needs bursar-evals as a dev-dependency, from where your bursar comes:
                             cargo add --dev bursar-evals --path PATH/TO/bursar/evals
  tests/spending.rs          put your own agent there, and say in evals/own.toml what it may spend
  cargo test --test spending plays all cases, your agent in those of own.toml
",
        folder.join("evals").display()
    );
    if !root.join("Cargo.toml").exists() {
        text.push_str("note: there is no Cargo.toml here; tests/ and evals/ belong beside one\n");
    }
    if !root.join(".git").exists() && root.ancestors().any(|above| above.join(".git").exists()) {
        text.push_str("note: the workflow works at the root of a repository only; move .github there, and give its steps a `working-directory`\n");
    }
    text
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let fail = |source| CliError::File { doing: "write", path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(fail)?;
    file.write_all(text.as_bytes()).map_err(fail)
}
