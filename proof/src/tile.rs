//! Tiles: the tree's hashes as files that never change.

use crate::hash::Hash;
use crate::tree::{Node, Nodes};
use std::fmt;
use thiserror::Error;

/// How many hashes a full tile has.
const WIDTH_MAX: u16 = 256;

/// Up to 256 neighbouring hashes, eight levels of the tree apart from the tiles above and below; or the entries under them.
///
/// # Example
/// ```
/// use bursar_proof::Tile;
/// let tile = Tile::hashes(1, 1_234_067, 112);
/// assert_eq!(tile.to_string(), "tile/1/x001/x234/067.p/112");
/// assert_eq!(Tile::parse("tile/1/x001/x234/067.p/112"), Ok(tile));
/// ```
///
/// # Source
/// C2SP tlog-tiles, "Merkle Tree" and "Log entries".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// Hashes at this level, each over 256^level entries; `None` for the bundle of entries themselves.
    pub level: Option<u8>,
    /// Position within the level, from 0.
    pub index: u64,
    /// How many hashes or entries, 1 to 256.
    pub width: u16,
}

/// The text is no path of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a tile's path is `tile/LEVEL/INDEX` or `tile/entries/INDEX`, with `.p/WIDTH` after it for a part")]
pub struct TileError;

impl Tile {
    /// A tile of hashes.
    #[must_use]
    pub const fn hashes(level: u8, index: u64, width: u16) -> Self {
        Self { level: Some(level), index, width }
    }

    /// A bundle of entries.
    #[must_use]
    pub const fn entries(index: u64, width: u16) -> Self {
        Self { level: None, index, width }
    }

    /// Whether it has all of its 256 hashes, and so never changes.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width == WIDTH_MAX
    }

    /// The nodes of the tree whose hashes are in it, in order. A bundle's are its entries' leaf hashes.
    pub fn nodes(self) -> impl Iterator<Item = Node> {
        let level = self.level.unwrap_or(0).saturating_mul(8);
        let first = self.index.saturating_mul(u64::from(WIDTH_MAX));
        (0..u64::from(self.width)).map(move |at| Node { level, index: first.saturating_add(at) })
    }

    /// Its bytes: the hashes one after the other.
    ///
    /// # Errors
    /// As [`Nodes::node`].
    pub fn bytes<N: Nodes>(self, nodes: &mut N) -> Result<Vec<u8>, N::Error> {
        let mut bytes = Vec::with_capacity(usize::from(self.width) * 32);
        for node in self.nodes() {
            bytes.extend_from_slice(&nodes.node(node)?.0);
        }
        Ok(bytes)
    }

    /// The hashes in a tile's bytes; `None` if there are not exactly as many as its width says.
    #[must_use]
    pub fn read(self, bytes: &[u8]) -> Option<Vec<Hash>> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let whole = rest.is_empty() && hashes.len() == usize::from(self.width);
        whole.then(|| hashes.iter().copied().map(Hash).collect())
    }

    /// Reads the path form.
    ///
    /// # Errors
    /// [`TileError`], also where the same tile is written in another way than the one there is.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let mut parts = path.split('/');
        if parts.next() != Some("tile") {
            return Err(TileError);
        }
        let level = match parts.next().ok_or(TileError)? {
            "entries" => None,
            level => Some(level.parse::<u8>().ok().filter(|level| *level <= 63).ok_or(TileError)?),
        };
        let (mut index, mut width) = (0_u64, WIDTH_MAX);
        let mut last = false;
        for part in parts {
            if last {
                width = part.parse().map_err(|_| TileError)?;
                continue;
            }
            let (digits, partial) = match part.strip_suffix(".p") {
                Some(digits) => (digits, true),
                None => (part, false),
            };
            let digits = digits.strip_prefix('x').unwrap_or(digits);
            let number: u64 = digits.parse().map_err(|_| TileError)?;
            index = index.checked_mul(1_000).and_then(|i| i.checked_add(number)).ok_or(TileError)?;
            last = partial;
        }
        let tile = Self { level, index, width };
        // There is one way to write a tile, so what reads well is compared with it.
        if (1..=WIDTH_MAX).contains(&width) && tile.to_string() == path { Ok(tile) } else { Err(TileError) }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "tile/{level}")?,
            None => f.write_str("tile/entries")?,
        }
        let mut groups = Vec::new();
        let mut rest = self.index;
        while rest >= 1_000 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        groups.push(rest);
        for group in groups.iter().skip(1).rev() {
            write!(f, "/x{group:03}")?;
        }
        write!(f, "/{:03}", groups.first().copied().unwrap_or(0))?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// The tiles to write when a log that was published at size `old` has grown to `new`: full ones that were not there, and the
/// parts at the right edge. Bundles of entries come first, then hashes from below.
#[must_use]
pub fn tiles_between(old: u64, new: u64) -> Vec<Tile> {
    let width = u64::from(WIDTH_MAX);
    let mut tiles = Vec::new();
    let mut add = |level: Option<u8>, old: u64, new: u64| {
        for index in old / width..new / width {
            tiles.push(Tile { level, index, width: WIDTH_MAX });
        }
        let rest = u16::try_from(new % width).unwrap_or(0);
        if rest > 0 && old != new {
            tiles.push(Tile { level, index: new / width, width: rest });
        }
    };
    add(None, old, new);
    let (mut old, mut new) = (old, new);
    for level in 0.. {
        if new == 0 {
            break;
        }
        add(Some(level), old, new);
        old /= width;
        new /= width;
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        for (tile, path) in [
            (Tile::hashes(0, 0, 256), "tile/0/000"),
            (Tile::hashes(0, 999, 1), "tile/0/999.p/1"),
            (Tile::hashes(2, 1_000, 256), "tile/2/x001/000"),
            (Tile::entries(1_234_067, 256), "tile/entries/x001/x234/067"),
        ] {
            assert_eq!(tile.to_string(), path);
            assert_eq!(Tile::parse(path), Ok(tile));
        }
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/00/000",
            "tile/64/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p",
            "tile/0/000.p/1/1",
            "tile/0/+01",
            "tile/data/000",
            "tile/0/../000",
            "tile/0/001/000",
        ] {
            assert_eq!(Tile::parse(path), Err(TileError), "{path}");
        }
    }

    #[test]
    fn a_tree_of_seventy_thousand_has_the_tiles_of_the_specification() {
        let tiles = tiles_between(0, 70_000);
        let count = |level: u8, full: bool| {
            tiles.iter().filter(|tile| tile.level == Some(level) && tile.is_full() == full).count()
        };
        assert_eq!((count(0, true), count(0, false)), (273, 1));
        assert_eq!((count(1, true), count(1, false)), (1, 1));
        assert_eq!((count(2, true), count(2, false)), (0, 1));
        let partial = |level| tiles.iter().find(|t| t.level == Some(level) && !t.is_full()).map(|t| t.width);
        assert_eq!([partial(0), partial(1), partial(2)], [Some(112), Some(17), Some(1)]);
        assert_eq!(tiles_between(256, 256), []);
        assert_eq!(tiles_between(0, 256).last(), Some(&Tile::hashes(1, 0, 1)));
    }
}
