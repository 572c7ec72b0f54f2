//! Key files.

use bursar_audit::{KeyFileError, origin_of, read_or_make_key};
use bursar_proof::KeyKind;
use bursar_types::{LedgerId, SeededEntropy};

#[test]
fn a_key_is_made_once_for_its_owner_alone_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/log.key");
    let origin = origin_of(LedgerId::derived(&[b"a"]));
    let make = |seed| read_or_make_key(&path, &origin, KeyKind::Log, &SeededEntropy::new(seed));
    let made = make(1).unwrap().verifier();
    assert_eq!(made.name(), origin);
    assert_eq!(make(2).unwrap().verifier(), made, "what is there is not replaced");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(make(3), Err(KeyFileError::Open(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(
        std::fs::read_dir(folder.path().join("keys")).unwrap().count(),
        1,
        "nothing is left beside it"
    );
    let other = read_or_make_key(&path, "other", KeyKind::Log, &SeededEntropy::new(1));
    assert!(matches!(other, Err(KeyFileError::Key { .. })), "another log's key is not ours");
    let other = read_or_make_key(&path, &origin, KeyKind::Witness, &SeededEntropy::new(1));
    assert!(matches!(other, Err(KeyFileError::Key { .. })), "a log's key is no witness's");
    let secret = std::fs::read_to_string(&path).unwrap();
    let cut = secret.len() - 12;
    std::fs::write(&path, secret.get(..cut).unwrap()).unwrap();
    let damaged = make(4).unwrap_err();
    assert!(matches!(damaged, KeyFileError::Key { .. }));
    assert!(!damaged.to_string().contains(secret.get(cut - 20..cut).unwrap()), "{damaged}");
}

#[test]
fn many_processes_at_once_make_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.key");
    let keys: Vec<_> = std::thread::scope(|scope| {
        let make = |seed| {
            let path = &path;
            scope.spawn(move || {
                read_or_make_key(path, "log", KeyKind::Log, &SeededEntropy::new(seed)).unwrap().verifier()
            })
        };
        let threads: Vec<_> = (0..8).map(make).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
}
