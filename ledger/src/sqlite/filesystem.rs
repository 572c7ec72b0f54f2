//! Making files that only their owner reads, on a filesystem whose locks and syncs hold.

use crate::refusal::StoreError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

/// Opens a file for reading and writing; what is missing is made for its owner alone.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    make_parent(path)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn make_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(parent)
}

/// The first bytes of every SQLite file.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What lies where the data file should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing, or an empty file.
    Empty,
    /// An SQLite file.
    Sqlite,
    /// Something else, which SQLite would in part overwrite.
    Other,
}

/// Looks before SQLite does.
pub(super) fn content(path: &Path) -> io::Result<Content> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Empty),
        Err(error) => return Err(error),
    };
    let mut start = Vec::with_capacity(SQLITE_MAGIC.len());
    file.take(16).read_to_end(&mut start)?;
    Ok(match start.as_slice() {
        [] => Content::Empty,
        start if start == SQLITE_MAGIC => Content::Sqlite,
        _ => Content::Other,
    })
}

/// Refuses a file on a network filesystem, or on one that a user process serves.
#[cfg(target_os = "linux")]
pub(super) fn refuse_network(path: &Path, file: &File) -> Result<(), StoreError> {
    let found =
        rustix::fs::fstatfs(file).map_err(|errno| StoreError::Io(Box::new(io::Error::from(errno))))?;
    match u32::try_from(found.f_type).ok().and_then(network_kind) {
        None => Ok(()),
        Some(kind) => Err(StoreError::NetworkFilesystem { path: path.display().to_string(), kind }),
    }
}

/// Other systems name their filesystems in other ways; nothing is refused there yet.
#[cfg(not(target_os = "linux"))]
pub(super) fn refuse_network(_path: &Path, _file: &File) -> Result<(), StoreError> {
    Ok(())
}

/// The magic numbers of statfs(2) and `linux/magic.h`.
#[cfg(any(target_os = "linux", test))]
const fn network_kind(magic: u32) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b => Some("SMB"),
        0xff53_4d42 => Some("CIFS"),
        0xfe53_4d42 => Some("SMB2"),
        0x6573_5546 => Some("FUSE"),
        0x0102_1997 => Some("9P"),
        0x5346_414f => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x7375_7245 => Some("Coda"),
        0x564c => Some("NCP"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_filesystems_are_known_by_their_magic_numbers() {
        for (magic, kind) in [
            (0x6969, Some("NFS")),
            (0xff53_4d42, Some("CIFS")),
            (0x6573_5546, Some("FUSE")),
            (0xef53, None),
            (0x0102_1994, None),
        ] {
            assert_eq!(network_kind(magic), kind, "{magic:#x}");
        }
    }
}
