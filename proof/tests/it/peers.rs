//! What others wrote for the same specifications agrees: `tlog_tiles` and `signed_note`, ports of the Go checksum database's
//! client. They read our tiles, check our proofs and verify our notes, and we theirs.

use crate::log::{Log, entry};
use bursar_proof::{
    Checkpoint, Cosignature, Hash, Inclusion, KeyKind, NoteKey, SignedNote, Tile, VerifierKey, leaf_hash,
    prove_consistency, prove_inclusion, tiles_between,
};
use signed_note::{Note, Signer as _, StandardSigner, StandardVerifier, VerifierList};
use std::collections::HashMap;
use std::sync::Mutex;
use tlog_tiles::{TileHashReader, TileReader};

/// Past two levels of tiles, with a part on each.
const SIZE: u64 = 66_000;

/// A folder of tiles, as a log would serve it.
struct Folder {
    files: HashMap<String, Vec<u8>>,
    read: Mutex<Vec<String>>,
}

impl TileReader for Folder {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        Ok(tiles.iter().map(|tile| self.file(tile)).collect())
    }

    fn save_tiles(&self, tiles: &[tlog_tiles::Tile], _: &[Vec<u8>]) {
        self.read.lock().unwrap().extend(tiles.iter().map(tlog_tiles::Tile::path));
    }
}

impl Folder {
    /// The peer names the height of tiles in the path, `tile/8/`; the specification leaves it out.
    fn file(&self, tile: &tlog_tiles::Tile) -> Vec<u8> {
        self.files[&tile.path().replacen("tile/8/", "tile/", 1)].clone()
    }

    fn of(log: &Log, old: u64, new: u64) -> Self {
        let mut files = HashMap::new();
        for tile in tiles_between(old, new) {
            let Some(level) = tile.level else { continue };
            let first = usize::try_from(tile.index * 256).unwrap();
            let hashes = &log.levels[usize::from(level) * 8][first..first + usize::from(tile.width)];
            files.insert(tile.to_string(), hashes.iter().flat_map(|hash| hash.0).collect());
        }
        Self { files, read: Mutex::default() }
    }
}

fn theirs(hash: Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(hash.0)
}

#[test]
fn a_peer_reads_our_tiles_and_both_make_the_same_proofs_from_them() {
    let mut log = Log::of(SIZE);
    let root = log.root(SIZE);
    let folder = Folder::of(&log, 0, SIZE);
    let reader = TileHashReader::new(SIZE, theirs(root), &folder);
    for index in [0, 1, 255, 256, 4_095, 65_535, 65_536, 65_999] {
        let ours = prove_inclusion(&mut log, index, SIZE).unwrap().unwrap();
        let peer = tlog_tiles::prove_record(SIZE, index, &reader).unwrap();
        assert_eq!(
            ours.hashes.iter().map(|hash| hash.0).collect::<Vec<_>>(),
            peer.iter().map(|h| h.0).collect::<Vec<_>>()
        );
        let leaf = tlog_tiles::record_hash(&entry(index));
        tlog_tiles::check_record(&peer, SIZE, theirs(root), index, leaf).unwrap();
        let theirs = Inclusion { index, hashes: peer.iter().map(|hash| Hash(hash.0)).collect() };
        assert_eq!(theirs.check(&Hash(leaf.0), SIZE, &root), Ok(()));
    }
    for old in [1, 255, 256, 257, 65_535, 65_536, 65_537, 66_000] {
        let ours = prove_consistency(&mut log, old, SIZE).unwrap().unwrap();
        let ours = ours.hashes.into_iter().map(theirs).collect();
        tlog_tiles::check_tree(&ours, SIZE, theirs(root), old, theirs(log.root(old))).unwrap();
    }
    assert!(!folder.read.lock().unwrap().is_empty(), "the peer found nothing wrong with the tiles it read");
}

#[test]
fn a_proof_that_a_peer_makes_from_a_tile_with_one_bit_turned_is_not_accepted() {
    let log = Log::of(SIZE);
    let root = log.root(SIZE);
    let mut folder = Folder::of(&log, 0, SIZE);
    folder.files.get_mut("tile/0/000").unwrap()[17] ^= 1;
    let reader = TileHashReader::new(SIZE, theirs(root), &folder);
    // The peer checks some tiles against the root and may not look at this one; whatever it makes must not pass.
    if let Ok(made) = tlog_tiles::prove_record(SIZE, 3, &reader) {
        let made = Inclusion { index: 3, hashes: made.iter().map(|hash| Hash(hash.0)).collect() };
        assert!(made.check(&leaf_hash(&entry(3)), SIZE, &root).is_err());
    }
}

#[test]
fn a_log_that_grew_writes_the_tiles_that_a_peer_would() {
    for (old, new) in
        [(0, 0), (0, 1), (1, 255), (0, 256), (255, 257), (256, 512), (300, 66_000), (65_536, 131_072)]
    {
        let peer: Vec<String> = tlog_tiles::Tile::new_tiles(8, old, new)
            .iter()
            .map(|tile| tile.path().replacen("tile/8/", "tile/", 1))
            .collect();
        let ours: Vec<String> =
            tiles_between(old, new).iter().filter(|tile| tile.level.is_some()).map(Tile::to_string).collect();
        assert_eq!(ours, peer, "{old} to {new}");
    }
}

#[test]
fn notes_checkpoints_and_keys_are_those_of_a_peer() {
    let key = NoteKey::from_seed("example.com/log", KeyKind::Log, &[3; 32]).unwrap();
    let checkpoint = Checkpoint { origin: "example.com/log".to_owned(), size: 5, root: Log::of(5).root(5) };
    let note = checkpoint.sign(&key).unwrap();

    let verifier = StandardVerifier::new(&key.verifier().to_string()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    let peer = Note::from_bytes(note.to_string().as_bytes()).unwrap();
    assert_eq!(peer.verify(&known).unwrap().0.len(), 1);
    let read = tlog_tiles::Checkpoint::from_bytes(note.text().as_bytes()).unwrap();
    assert_eq!((read.origin(), read.size(), read.hash().0), ("example.com/log", 5, checkpoint.root.0));

    // The peer signs with our secret key's text, and we verify that.
    let signer = StandardSigner::new(&key.secret()).unwrap();
    assert_eq!(signer.key_id().to_be_bytes(), key.verifier().id());
    let mut signed = Note::new(note.text().as_bytes(), &[]).unwrap();
    signed.add_sigs(&[&signer]).unwrap();
    let signed = SignedNote::parse(&String::from_utf8(signed.to_bytes()).unwrap()).unwrap();
    assert_eq!(Checkpoint::check(&signed, &key.verifier()), Ok(checkpoint));
    assert_eq!(NoteKey::parse(&key.secret()).unwrap().verifier(), key.verifier());
}

#[test]
fn the_note_and_the_cosigned_checkpoint_of_the_specifications_are_read() {
    // C2SP signed-note, "Example".
    let key =
        VerifierKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
    let note = "This is an example message.\n\n\u{2014} example.com/foo \
                Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    let note = SignedNote::parse(note).unwrap();
    assert_eq!(note.check(&key), Ok(()));

    // C2SP tlog-cosignature: its keys are not given, so only the form is compared.
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
                \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
                \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let note = SignedNote::parse(text).unwrap();
    assert_eq!(note.to_string(), text);
    assert_eq!(Checkpoint::parse(note.text()).unwrap().size, 20_852_163);
    let at = note.signatures()[1].bytes.first_chunk::<8>().unwrap();
    assert_eq!(u64::from_be_bytes(*at), 1_679_315_147);

    let witness = NoteKey::from_seed("witness.example.com/w1", KeyKind::Witness, &[9; 32]).unwrap();
    let mut ours = note.clone();
    ours.add([Cosignature::sign(note.text(), 1_679_315_147, &witness).unwrap()]).unwrap();
    assert_eq!(ours.signatures()[2].bytes.len(), note.signatures()[1].bytes.len());
    assert_eq!(Cosignature::check(&ours, &witness.verifier()), Ok(Cosignature { at: 1_679_315_147 }));
}
