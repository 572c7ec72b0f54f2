//! `bursar eval init`: a first suite, a test, and a workflow, in the user's own project.

use crate::args::EvalInitArgs;
use crate::exit::{CliError, Exit};
use std::io::Write as _;
use std::path::Path;

/// What is written where.
const FILES: [(&str, &str); 3] = [
    ("evals/first.toml", include_str!("starter/first.toml")),
    ("tests/spending.rs", include_str!("starter/spending.rs")),
    (".github/workflows/spending.yml", include_str!("starter/spending.yml")),
];

/// Runs the command. Nothing is written if one of the files is there already.
pub(super) fn run(args: &EvalInitArgs) -> Result<Exit, CliError> {
    for (name, _) in FILES {
        let path = args.folder.join(name);
        if path.exists() {
            return Err(CliError::Exists { path });
        }
    }
    let mut out = anstream::stdout().lock();
    for (name, text) in FILES {
        let path = args.folder.join(name);
        write(&path, text)?;
        let _ = writeln!(out, "wrote {}", path.display());
    }
    let _ = writeln!(
        out,
        "\nrun the cases with `bursar eval {}`\n\
         test your own agent: `cargo add --dev bursar-evals`, put it into tests/spending.rs, and `cargo test --test spending`",
        args.folder.join("evals").display()
    );
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let fail = |source| CliError::File { doing: "write", path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(fail)?;
    file.write_all(text.as_bytes()).map_err(fail)
}
