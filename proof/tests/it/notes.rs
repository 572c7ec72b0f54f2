//! Notes, keys and proof files that somebody spoilt.

use crate::log::{Log, entry};
use bursar_proof::{
    Checkpoint, CheckpointError, Cosignature, KeyError, KeyKind, NoteError, NoteKey, ProofFile,
    ProofFileError, SignedNote, VerifierKey, leaf_hash, prove_inclusion,
};

fn log_key() -> NoteKey {
    NoteKey::from_seed("example.com/log", KeyKind::Log, &[1; 32]).unwrap()
}

fn signed(size: u64) -> SignedNote {
    let origin = "example.com/log".to_owned();
    Checkpoint { origin, size, root: Log::of(size).root(size) }.sign(&log_key()).unwrap()
}

#[test]
fn no_changed_byte_of_a_signed_checkpoint_passes() {
    let note = signed(9).to_string();
    for at in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let read = SignedNote::parse(&text).map_err(CheckpointError::from);
        assert!(read.and_then(|note| Checkpoint::check(&note, &log_key().verifier())).is_err(), "byte {at}");
    }
}

#[test]
fn notes_that_are_none_are_refused() {
    let good = signed(1).to_string();
    for (bad, why) in [
        (String::new(), "no empty line ends its text"),
        (good.replace("\n\n", "\n"), "no empty line ends its text"),
        (good.trim_end().to_owned(), "its last line does not end"),
        (good.replace('\u{2014}', "-"), "a signature line cannot be read"),
        (good.replace("example", "exam\tple"), "it has control characters"),
        (format!("{good}\u{2014} more\n"), "a signature line cannot be read"),
        (format!("text\n\n{}", "\u{2014} a AAAAAAA=\n".repeat(101)), "it has too many signatures"),
        ("x".repeat(2 << 20), "it is too large"),
    ] {
        assert_eq!(SignedNote::parse(&bad), Err(NoteError::Malformed(why)));
    }
}

#[test]
fn checkpoints_that_are_none_are_refused() {
    let root = Log::of(1).root(1);
    for text in [
        format!("\n1\n{root}\n"),
        format!("log\n01\n{root}\n"),
        format!("log\n-1\n{root}\n"),
        format!("log\n9223372036854775807\n{root}\n"),
        format!("log\n0\n{root}\n"),
        format!("log\n1\n{root}"),
        format!("log\n1\n{root}\n\nmore\n"),
        "log\n1\n\n".to_owned(),
        "log\n1\n".to_owned(),
    ] {
        assert!(matches!(Checkpoint::parse(&text), Err(CheckpointError::Malformed(_))), "{text:?}");
    }
    assert_eq!(Checkpoint::parse(&format!("log\n1\n{root}\nextension\n")).unwrap().size, 1);
}

#[test]
fn keys_that_are_none_are_refused() {
    let good = log_key().verifier().to_string();
    assert_eq!(VerifierKey::parse(&good).unwrap().to_string(), good);
    let (name, rest) = good.split_once('+').unwrap();
    for (bad, why) in [
        (String::new(), KeyError::Public),
        (format!("+{rest}"), KeyError::Name),
        (format!("two words+{rest}"), KeyError::Name),
        (format!("other+{rest}"), KeyError::Id),
        (good.replacen("+AY", "+Ao", 1), KeyError::Kind(2)),
        (format!("{name}+00000000+AQAA"), KeyError::Public),
        // The identity point: every signature of a kind would verify.
        (format!("{name}+00000000+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), KeyError::Weak),
    ] {
        assert_eq!(VerifierKey::parse(&bad), Err(why), "{bad}");
    }
    let secret = log_key().secret();
    assert!(matches!(NoteKey::parse(&secret.replace("PRIVATE", "PUBLIC")), Err(KeyError::Secret)));
    assert!(matches!(NoteKey::parse(&secret.replacen("example", "examp1e", 1)), Err(KeyError::Id)));
    assert!(!format!("{:?}", log_key()).contains(secret.rsplit('+').next().unwrap()));
}

#[test]
fn a_key_signs_only_what_its_kind_and_name_may() {
    let witness = NoteKey::from_seed("example.com/log", KeyKind::Witness, &[1; 32]).unwrap();
    let note = signed(3);
    assert!(matches!(SignedNote::sign("text\n", &witness), Err(NoteError::Malformed(_))));
    assert!(matches!(Cosignature::sign(note.text(), 1, &log_key()), Err(NoteError::Malformed(_))));
    assert!(matches!(Cosignature::sign("no checkpoint\n", 1, &witness), Err(NoteError::Malformed(_))));
    let other = NoteKey::from_seed("other.example", KeyKind::Log, &[1; 32]).unwrap();
    assert!(matches!(
        Checkpoint::parse(note.text()).unwrap().sign(&other),
        Err(CheckpointError::Origin { .. })
    ));
    assert_eq!(note.check(&other.verifier()), Err(NoteError::Unsigned("other.example".to_owned())));

    // The log's signature under the witness's id is no cosignature, and the other way round.
    assert_eq!(
        Cosignature::check(&note, &witness.verifier()),
        Err(NoteError::Unsigned("example.com/log".to_owned()))
    );
    let mut forged = note.clone();
    let mut line = note.signatures()[0].clone();
    line.id = witness.verifier().id();
    forged.add([line]).unwrap();
    assert_eq!(
        Cosignature::check(&forged, &witness.verifier()),
        Err(NoteError::Wrong("example.com/log".to_owned()))
    );
}

#[test]
fn a_proof_file_travels_as_text_and_proves_its_entry_alone() {
    let mut log = Log::of(70);
    let inclusion = prove_inclusion(&mut log, 41, 70).unwrap().unwrap();
    let file = ProofFile { extra: Some(entry(41)), inclusion, checkpoint: signed(70) };
    let text = file.to_string();
    let read = ProofFile::parse(&text).unwrap();
    assert_eq!(read, file);
    assert_eq!(read.check(&leaf_hash(&entry(41)), &log_key().verifier()).unwrap().size, 70);
    assert!(matches!(
        read.check(&leaf_hash(&entry(40)), &log_key().verifier()),
        Err(ProofFileError::Proof(_))
    ));
    for (from, to) in [
        ("@v1", "@v2"),
        ("index 41", "index 041"),
        ("index 41", "index x"),
        ("extra ", "extra !"),
        ("\n\n", "\n"),
    ] {
        assert!(ProofFile::parse(&text.replacen(from, to, 1)).is_err(), "{from} -> {to}");
    }
    let without = ProofFile { extra: None, ..file };
    assert_eq!(ProofFile::parse(&without.to_string()).unwrap(), without);
}
