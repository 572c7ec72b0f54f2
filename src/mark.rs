//! Where the ledger's high-water mark lies: outside the data folder, so that restoring the folder does not restore it.

use std::io::Result;
use std::path::{Path, PathBuf};

/// The file in the data folder that says where a chosen mark lies, so that whoever reads the folder finds it.
const POINTER: &str = "mark.path";

/// The mark of a data folder. A chosen one is remembered in the folder; else the one remembered; else a file beside the folder.
///
/// # Errors
/// If the choice cannot be remembered.
pub(crate) fn of(data: &Path, chosen: Option<&Path>) -> Result<PathBuf> {
    let pointer = data.join(POINTER);
    if let Some(chosen) = chosen {
        let whole = std::path::absolute(chosen)?;
        std::fs::write(pointer, whole.as_os_str().as_encoded_bytes())?;
        return Ok(whole);
    }
    match std::fs::read_to_string(pointer) {
        Ok(path) => Ok(PathBuf::from(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(beside(data)),
        Err(error) => Err(error),
    }
}

/// A file beside the data folder. However the folder is written (`data/`, `.`), the mark is the same.
fn beside(data: &Path) -> PathBuf {
    let whole = std::fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
    let mut name = whole.into_os_string();
    name.push(".mark");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_lies_outside_the_folder_however_it_is_written() {
        let outside = tempfile::tempdir().unwrap();
        let data = outside.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let expected = std::fs::canonicalize(outside.path()).unwrap().join("data.mark");
        for written in [data.clone(), data.join(""), data.join("."), outside.path().join("./data/../data")] {
            assert_eq!(of(&written, None).unwrap(), expected, "{}", written.display());
        }
    }

    #[test]
    fn a_chosen_mark_is_found_by_whoever_reads_the_folder_later() {
        let folder = tempfile::tempdir().unwrap();
        let chosen = folder.path().join("elsewhere.mark");
        assert_eq!(of(folder.path(), Some(&chosen)).unwrap(), chosen);
        assert_eq!(of(folder.path(), None).unwrap(), chosen);
    }
}
