use super::*;
use bursar_types::SeededEntropy;
use std::error::Error;
use std::path::PathBuf;

const KEY: &str = "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6";
const ADDRESS: &str = "0x90f79bf6eb2c4f870365e785982e1f101e93b906";

fn secret() -> [u8; 32] {
    hex::decode(KEY).unwrap().try_into().unwrap()
}

fn created(directory: &tempfile::TempDir) -> PathBuf {
    let path = directory.path().join("key.json");
    LocalWallet::create_keystore(&path, "correct horse", &secret(), &SeededEntropy::new(1)).unwrap();
    path
}

/// An error with everything that it could print.
fn printed(error: &WalletError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text.to_lowercase()
}

#[test]
fn a_key_is_read_with_and_without_its_prefix_and_has_a_lower_case_address() {
    for text in [KEY.to_owned(), format!("0x{KEY}"), KEY.to_uppercase()] {
        assert_eq!(LocalWallet::from_private_key(&text).unwrap().address(), ADDRESS);
    }
}

#[test]
fn text_that_is_not_exactly_a_key_is_refused_and_not_repeated() {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let cases = [
        String::new(),
        "0x".to_owned(),
        KEY.strip_prefix('7').unwrap().to_owned(),
        format!("{KEY}0"),
        format!(" {KEY}"),
        format!("{KEY}\n"),
        format!("0X{KEY}"),
        format!("0x0x{}", KEY.strip_prefix("7c").unwrap()),
        KEY.replace('7', "g"),
        "0".repeat(64),
        order.to_owned(),
    ];
    for text in cases {
        let error = LocalWallet::from_private_key(&text).unwrap_err();
        assert!(matches!(error, WalletError::Key), "`{text}`");
        let shown = text.trim().get(..10).is_some_and(|start| printed(&error).contains(start));
        assert!(!shown, "{error:?}");
    }
}

#[test]
fn nothing_that_can_be_printed_shows_the_key() {
    let wallet = LocalWallet::from_private_key(KEY).unwrap();
    assert_eq!(format!("{wallet:?}"), format!("LocalWallet({ADDRESS})"));
    assert_eq!(format!("{wallet:#?}"), format!("LocalWallet({ADDRESS})"));
    let directory = tempfile::tempdir().unwrap();
    let path = created(&directory);
    let stored = std::fs::read_to_string(&path).unwrap();
    let wrong = LocalWallet::open(&path, "wrong password").unwrap_err();
    let exists =
        LocalWallet::create_keystore(&path, "correct horse", &secret(), &SeededEntropy::new(2)).unwrap_err();
    assert!(format!("{:?}", secret()).contains("124, 133, 33, 24, 41"));
    for text in [printed(&wrong), printed(&exists), stored, format!("{wallet:?}")] {
        for shown in [
            KEY,
            "7c852118294e51e6",
            "c371e15141b007a6",
            "124, 133, 33, 24, 41",
            "correct horse",
            "wrong password",
        ] {
            assert!(!text.contains(shown), "{text} shows {shown}");
        }
    }
}

#[test]
fn signing_is_deterministic_with_low_s_and_v_of_27_or_28() {
    let wallet = LocalWallet::from_private_key(KEY).unwrap();
    let half_order = hex::decode("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0").unwrap();
    for index in 0..32_u8 {
        let digest = Digest::of(&[index]);
        let signature = wallet.signature(&digest).unwrap();
        assert_eq!(signature, LocalWallet::from_private_key(KEY).unwrap().signature(&digest).unwrap());
        assert!(signature[32..64] <= half_order[..]);
        assert!(matches!(signature[64], 27 | 28));
    }
}

#[test]
fn a_keystore_opens_with_its_password_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = created(&directory);
    assert_eq!(LocalWallet::open(&path, "correct horse").unwrap().address(), ADDRESS);
    let error = LocalWallet::open(&path, "Correct horse").unwrap_err();
    assert!(matches!(error, WalletError::Password { .. }), "{error:?}");
}

#[cfg(unix)]
#[test]
fn a_new_keystore_is_for_its_owners_eyes() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let mode = std::fs::metadata(created(&directory)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_exists_is_never_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.json");
    std::fs::write(&path, "precious").unwrap();
    let error = LocalWallet::create_keystore(&path, "p", &secret(), &SeededEntropy::new(1)).unwrap_err();
    assert!(matches!(error, WalletError::Keystore { .. }));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn salt_and_vector_come_from_the_entropy_handed_in() {
    let directory = tempfile::tempdir().unwrap();
    let keystore = |name: &str, seed| {
        let path = directory.path().join(name);
        LocalWallet::create_keystore(&path, "p", &secret(), &SeededEntropy::new(seed)).unwrap();
        let stored: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        stored["crypto"].clone()
    };
    assert_eq!(keystore("a", 1), keystore("b", 1));
    assert_ne!(keystore("c", 2), keystore("a2", 1));
}

#[test]
fn a_damaged_keystore_is_refused_and_nothing_panics() {
    let directory = tempfile::tempdir().unwrap();
    let good: serde_json::Value =
        serde_json::from_slice(&std::fs::read(created(&directory)).unwrap()).unwrap();
    let changes = [
        ("/version", serde_json::json!(1)),
        ("/crypto/cipher", serde_json::json!("aes-256-gcm")),
        ("/crypto/cipherparams/iv", serde_json::json!("00")),
        ("/crypto/ciphertext", serde_json::json!("00")),
        ("/crypto/mac", serde_json::json!("")),
        ("/crypto/kdfparams/dklen", serde_json::json!(8)),
        ("/crypto/kdfparams/n", serde_json::json!(0)),
        ("/crypto/kdfparams/n", serde_json::json!(8191)),
        ("/crypto/kdfparams/n", serde_json::json!(1_u32 << 31)),
        ("/crypto/kdfparams/r", serde_json::json!(0)),
        ("/crypto/kdfparams/r", serde_json::json!(u32::MAX)),
        ("/crypto/kdfparams/p", serde_json::json!(0)),
        ("/crypto/kdfparams/p", serde_json::json!(u32::MAX)),
        ("/crypto", serde_json::Value::Null),
    ];
    let path = directory.path().join("damaged.json");
    for (pointer, value) in changes {
        let mut damaged = good.clone();
        *damaged.pointer_mut(pointer).unwrap() = value.clone();
        std::fs::write(&path, damaged.to_string()).unwrap();
        let error = LocalWallet::open(&path, "correct horse").unwrap_err();
        assert!(matches!(error, WalletError::Keystore { .. }), "{pointer} {value}: {error:?}");
    }
    for text in ["", "{}", "not json"] {
        std::fs::write(&path, text).unwrap();
        assert!(matches!(LocalWallet::open(&path, "p"), Err(WalletError::Keystore { .. })), "`{text}`");
    }
    let missing = LocalWallet::open(&directory.path().join("none"), "p");
    assert!(matches!(missing, Err(WalletError::Keystore { .. })));
}
