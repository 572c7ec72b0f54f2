use super::*;
use bursar_ledger::{MemoryStore, NewEntry, Payload, SealedEvent, Transaction};
use bursar_types::{
    Amount, ArtifactRef, AssetId, ManualClock, PaymentId, PaymentView, ReceiptView, SeededEntropy, SessionId,
    Timestamp,
};
use std::path::PathBuf;
use std::sync::Arc;

struct World {
    folder: tempfile::TempDir,
    ledger: Ledger,
    entropy: SeededEntropy,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_ms(1_795_264_200_000)));
        let store = MemoryStore::new(clock, Arc::new(SeededEntropy::new(seed)));
        let folder = tempfile::tempdir().unwrap();
        Self { folder, ledger: Ledger::new(Arc::new(store)), entropy: SeededEntropy::new(seed + 100) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("library.sqlite")
    }

    async fn open(&self) -> Library {
        Library::open(self.path(), self.ledger.clone()).await.unwrap()
    }

    async fn buy(&self, url: &str, media_type: &str, body: &str) -> ArtifactRecord {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let payload = Payload::seal(bytes, &self.entropy);
        let record = record(url, media_type, body, payload.commitment().digest());
        self.append(&record, vec![payload]).await;
        record
    }

    async fn append(&self, record: &ArtifactRecord, payloads: Vec<Payload>) {
        let sealed = SealedEvent::new(stream(), ArtifactRecord::KIND, [], record, &self.entropy).unwrap();
        let mut transaction = Transaction { payloads, ..Transaction::default() };
        sealed.add_to(&mut transaction);
        self.ledger.commit(transaction).await.unwrap();
    }
}

fn record(url: &str, media_type: &str, body: &str, payload: Digest) -> ArtifactRecord {
    ArtifactRecord {
        artifact: ArtifactRef {
            id: ArtifactId::derived(&[url.as_bytes()]),
            digest: Digest::of(body.as_bytes()),
            media_type: Some(media_type.to_owned()),
            size_bytes: u64::try_from(body.len()).unwrap(),
        },
        payment: PaymentView {
            id: PaymentId::derived(&[url.as_bytes()]),
            amount: Amount::from_atomic(AssetId::erc20(31_337, &format!("0x{:040}", 1)), 14_000),
            host: "seller.example:443".into(),
            payee: format!("0x{:040}", 2),
            resource: url.to_owned(),
            receipt: Some(ReceiptView { reference: "0xabc".into(), observed: true }),
        },
        session: SessionId::derived(&[b"session"]),
        kept_at: Timestamp::from_unix_ms(1_795_264_200_000),
        payload,
    }
}

const GAS: &str = "---\ntitle: EIP-3009 transfers\n---\n# EIP-3009 transfers\n\n## Who pays the gas\n\nAnyone may submit a \
                   transferWithAuthorization call,\nand the account that submits it pays the gas.\n\n## Nonces\n\nNonces are random.";
const UNITS: &str = "<title>Units of tokens</title><h2>Decimals</h2><p>One USDC has six decimals.<h2>Gas</h2><p>Gas is paid in ETH.";
const LOGS: &str = "Merkle logs\n\nA log of certificates is append only (RFC 6962).";

async fn shelf() -> (World, Library) {
    let world = World::new(1);
    world.buy("https://seller.example/gas", "text/markdown", GAS).await;
    world.buy("https://seller.example/units", "text/html; charset=utf-8", UNITS).await;
    world.buy("https://seller.example/logs.txt", "text/plain", LOGS).await;
    let library = world.open().await;
    (world, library)
}

async fn recalled(library: &Library) -> Vec<Passage> {
    let mut all = Vec::new();
    for question in ["Who pays the gas?", "erc 3009", "how many decimals", "rfc-6962 log"] {
        all.extend(library.recall(question, 10).await.unwrap());
    }
    assert!(all.len() >= 4);
    all
}

#[tokio::test]
async fn what_was_bought_is_found_by_address_and_by_question() {
    let (_world, library) = shelf().await;
    let found = library.find("HTTPS://Seller.example:443/gas#who").await.unwrap().unwrap();
    assert_eq!(
        (found.title.as_str(), found.record.artifact.size_bytes),
        ("EIP-3009 transfers", GAS.len() as u64)
    );
    assert_eq!(library.find("https://seller.example/other").await.unwrap(), None);
    let by_content = library.find_content(Digest::of(GAS.as_bytes())).await.unwrap();
    assert_eq!(by_content, Some(found.clone()));
    assert_eq!(library.find_content(Digest::of(b"other")).await.unwrap(), None);
    let titles: Vec<_> = library.list().await.unwrap().into_iter().map(|owned| owned.title).collect();
    assert_eq!(titles, ["EIP-3009 transfers", "Units of tokens", "logs.txt"]);

    let best = library.recall("Who pays the gas?", 5).await.unwrap().swap_remove(0);
    assert_eq!(best.heading, "Who pays the gas");
    assert_eq!(best.citation, Citation { source: SourceId::Artifact(found.record.artifact.id), number: 1 });
    assert!(best.score_milli > 0);
    assert_eq!(library.passage(best.citation).await.unwrap().unwrap().text, best.text);
    assert!(library.text(best.artifact).await.unwrap().unwrap().contains("Nonces are random."));
}

#[tokio::test]
async fn every_spelling_of_a_name_finds_the_same_passage() {
    let world = World::new(1);
    world.buy("https://a.example/1", "text/plain", "The standard ERC-3009 is short.").await;
    world.buy("https://a.example/2", "text/plain", "Call `transferWithAuthorization` once.").await;
    world.buy("https://a.example/3", "text/plain", "A transfer with authorization is signed.").await;
    world.buy("https://a.example/4", "text/plain", "The number 77 and a filler.").await;
    let library = world.open().await;
    for (question, number) in [
        ("ERC-3009", 1),
        ("erc 3009", 1),
        ("EIP-3009", 1),
        ("eip3009", 1),
        ("3009", 1),
        ("transferWithAuthorization", 2),
        ("transfer_with_authorization", 2),
        ("transfer with authorization", 2),
        ("transferWithAuthorization", 3),
        ("TRANSFER WITH AUTHORIZATIONS", 3),
    ] {
        let found = library.recall(question, 2).await.unwrap();
        let url = format!("https://a.example/{number}");
        assert!(found.iter().any(|passage| passage.url == url), "{question}: {found:#?}");
    }
}

#[tokio::test]
async fn a_term_that_every_passage_has_still_ranks() {
    let world = World::new(1);
    for (url, body) in [
        ("https://a.example/1", "Gas is a fee. The payer of a transfer signs."),
        ("https://a.example/2", "Gas is paid by whoever submits the transfer, and gas prices vary."),
        ("https://a.example/3", "Gas gas gas gas."),
    ] {
        world.buy(url, "text/plain", body).await;
    }
    let library = world.open().await;
    let found = library.recall("who submits a transfer and pays the gas", 3).await.unwrap();
    let urls: Vec<_> = found.iter().map(|passage| passage.url.as_str()).collect();
    assert_eq!(urls, ["https://a.example/2", "https://a.example/1", "https://a.example/3"]);
    assert!(found.iter().all(|passage| passage.score_milli > 0), "{found:#?}");
}

#[tokio::test]
async fn any_text_is_a_safe_question() {
    let (_world, library) = shelf().await;
    for (question, finds) in [
        ("", false),
        ("   ", false),
        ("what is it about", false),
        ("\"", false),
        ("gas\" OR \"", true),
        ("NEAR(gas fee, 2)", true),
        ("gas*", true),
        ("title:gas", true),
        ("text : gas) OR (names", true),
        ("-gas AND NOT ^gas + {gas}", true),
        ("'; DROP TABLE passages; --gas", true),
        ("gas\0\u{202e}", true),
        ("日本語 gas", true),
    ] {
        let found = library.recall(question, 3).await.unwrap();
        assert_eq!(!found.is_empty(), finds, "{question:?}");
    }
    assert_eq!(library.recall("gas", 0).await.unwrap(), []);
}

#[tokio::test]
async fn an_index_that_is_lost_is_built_again_and_answers_the_same() {
    let (world, library) = shelf().await;
    let before = recalled(&library).await;
    drop(library);
    for name in ["library.sqlite", "library.sqlite-wal", "library.sqlite-shm"] {
        drop(std::fs::remove_file(world.folder.path().join(name)));
    }
    let library = world.open().await;
    assert_eq!(recalled(&library).await, before);
    assert_eq!(library.rebuild().await.unwrap(), 3);
    assert_eq!(recalled(&library).await, before);
}

#[tokio::test]
async fn a_damaged_index_is_built_again() {
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm); 4] = [
        ("garbage", |path| std::fs::write(path, b"not a database at all".repeat(400)).unwrap()),
        ("empty", |path| std::fs::write(path, b"").unwrap()),
        ("damaged inside", |path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes.iter_mut().skip(4_096).for_each(|byte| *byte ^= 0xa5);
            std::fs::write(path, bytes).unwrap();
        }),
        ("older", |path| {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch("DROP TABLE records; PRAGMA user_version = 0").unwrap();
        }),
    ];
    for (name, harm) in harms {
        let (world, library) = shelf().await;
        let before = recalled(&library).await;
        close(library).await;
        harm(&world.path());
        assert_eq!(recalled(&world.open().await).await, before, "{name}");
    }
}

/// Waits until the thread has closed the file, so that all of it is in the one file.
async fn close(library: Library) {
    library.ask(|index| index.checkpoint()).await.unwrap();
    drop(library);
    std::thread::sleep(std::time::Duration::from_millis(50));
}

#[tokio::test]
async fn damage_that_shows_while_in_use_is_repaired() {
    let (world, library) = shelf().await;
    let before = recalled(&library).await;
    let other = rusqlite::Connection::open(world.path()).unwrap();
    other.execute_batch("DROP TABLE passage_index").unwrap();
    drop(other);
    assert_eq!(recalled(&library).await, before);
}

#[tokio::test]
async fn what_is_bought_later_comes_with_the_next_sync() {
    let (world, library) = shelf().await;
    assert_eq!(library.sync().await.unwrap(), 0);
    world.buy("https://seller.example/new", "text/plain", "Fresh news of elephants.").await;
    assert_eq!(library.recall("elephants", 3).await.unwrap(), []);
    let (one, two) = tokio::join!(library.sync(), library.sync());
    assert!(one.unwrap() + two.unwrap() >= 1);
    assert_eq!(library.recall("elephant", 3).await.unwrap().len(), 1);
    // A later session, and another process at the same time.
    let second = world.open().await;
    assert_eq!(second.recall("elephant", 3).await.unwrap().len(), 1);
    world.buy("https://seller.example/more", "text/plain", "And of giraffes.").await;
    assert_eq!(second.sync().await.unwrap(), 1);
    assert_eq!(library.sync().await.unwrap(), 0);
    assert_eq!(library.recall("giraffes", 3).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_that_begin_at_once_share_one_index() {
    for _ in 0..5 {
        let (world, library) = shelf().await;
        let wanted = recalled(&library).await;
        let path = world.folder.path().join("fresh.sqlite");
        let mut openings = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (path, ledger) = (path.clone(), world.ledger.clone());
            openings.spawn(async move { Library::open(path, ledger).await.unwrap() });
        }
        for library in openings.join_all().await {
            assert_eq!(recalled(&library).await, wanted);
            assert_eq!(library.list().await.unwrap().len(), 3);
        }
    }
}

#[tokio::test]
async fn an_index_of_another_ledger_is_built_again() {
    let (world, library) = shelf().await;
    drop(library);
    let other = World::new(2);
    other.buy("https://b.example/", "text/plain", "Only this of giraffes.").await;
    let library = Library::open(world.path(), other.ledger.clone()).await.unwrap();
    assert_eq!(library.list().await.unwrap().len(), 1);
    assert_eq!(library.recall("gas", 3).await.unwrap(), []);
}

#[tokio::test]
async fn erased_and_forged_bytes_are_known_but_not_read() {
    let world = World::new(1);
    let erased =
        record("https://a.example/erased", "text/plain", "gone giraffes", Digest::of(b"nothing is kept"));
    world.append(&erased, vec![]).await;
    let payload = Payload::seal(Bytes::from_static(b"other giraffes"), &world.entropy);
    let forged = record("https://a.example/forged", "text/plain", "giraffes", payload.commitment().digest());
    world.append(&forged, vec![payload]).await;
    let strange =
        NewEntry { stream: stream(), kind: ArtifactRecord::KIND.into(), body: serde_json::json!({"a": 1}) };
    world.ledger.commit(Transaction { entries: vec![strange], ..Transaction::default() }).await.unwrap();
    world.buy("https://a.example/good", "text/plain", "good giraffes").await;

    let library = world.open().await;
    for (record, readable) in [(&erased, false), (&forged, false)] {
        let owned = library.find(&record.payment.resource).await.unwrap().unwrap();
        assert_eq!(&owned.record, record);
        let text = library.text(SourceId::Artifact(record.artifact.id)).await.unwrap();
        assert_eq!(text.is_some(), readable);
        assert!(library.owns(record.artifact.id).await.unwrap());
    }
    let urls: Vec<_> =
        library.recall("giraffes", 5).await.unwrap().into_iter().map(|found| found.url).collect();
    assert_eq!(urls, ["https://a.example/good"]);
}

#[tokio::test]
async fn an_artifact_bought_from_two_addresses_is_found_under_both() {
    let world = World::new(1);
    let first = world.buy("https://a.example/1", "text/plain", "One text about giraffes.").await;
    let mut second = first.clone();
    second.payment.resource = "https://b.example/2".into();
    world.append(&second, vec![]).await;
    let library = world.open().await;
    for record in [&first, &second] {
        let owned = library.find(&record.payment.resource).await.unwrap().unwrap();
        assert_eq!(&owned.record, record);
    }
    assert_eq!(library.list().await.unwrap().len(), 1);
    assert_eq!(library.recall("giraffes", 5).await.unwrap().len(), 1);
}

#[tokio::test]
async fn free_pages_are_recalled_and_cited_but_not_owned() {
    let (_world, library) = shelf().await;
    let bytes = Bytes::from_static(b"<title>Free</title><p>Elephants are free to read.");
    let url = "https://free.example/";
    let page = library.add_free(url, Some("text/html"), bytes.clone()).await.unwrap();
    assert_eq!(library.add_free(url, Some("text/html"), bytes).await.unwrap(), page);
    let found = library.recall("elephants", 5).await.unwrap();
    assert_eq!((found.len(), found[0].artifact, found[0].artifact.artifact()), (1, page.id, None));
    assert!(library.contains(found[0].citation, "free to read").await.unwrap());
    assert_eq!(library.find(url).await.unwrap(), None);
    assert_eq!(library.list().await.unwrap().len(), 3);
    // Nothing else keeps it: a rebuild from the ledger leaves it alone.
    library.rebuild().await.unwrap();
    assert_eq!(library.recall("elephants", 5).await.unwrap(), found);
}

#[tokio::test]
async fn what_is_forgotten_is_in_no_file_any_more() {
    let (world, library) = shelf().await;
    let secret = "Elephants remember Ottokar personally.";
    let bought = world.buy("https://seller.example/secret", "text/plain", secret).await;
    library.sync().await.unwrap();
    let page = library
        .add_free("https://free.example/", None, Bytes::from(secret.replace("remember", "free")))
        .await
        .unwrap();
    let artifact = SourceId::Artifact(bought.artifact.id);
    for source in [artifact, page.id] {
        library.forget(source).await.unwrap();
        assert_eq!(library.text(source).await.unwrap(), None);
    }
    assert_eq!(library.recall("elephants Ottokar", 3).await.unwrap(), []);
    assert_eq!(library.find("https://seller.example/secret").await.unwrap().unwrap().record, bought);
    assert!(library.owns(bought.artifact.id).await.unwrap());
    assert_eq!(library.title(page.id).await.unwrap(), None);
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap().to_ascii_lowercase();
        assert!(!bytes.windows(7).any(|part| part == b"ottokar"));
    }
}

#[tokio::test]
async fn a_quote_must_stand_in_the_passage_word_for_word() {
    let (_world, library) = shelf().await;
    let citation = library.recall("Who pays the gas?", 1).await.unwrap()[0].citation;
    for (quote, stands) in [
        ("the account that submits it pays the gas", true),
        ("  the account\n that  submits it ", true),
        ("the account that submits it never pays", false),
        ("Nonces are random.", false),
        ("The account that submits it", false),
        ("", false),
        (" \n", false),
    ] {
        assert_eq!(library.contains(citation, quote).await.unwrap(), stands, "{quote:?}");
    }
    let absent = Citation { number: 99, ..citation };
    assert!(!library.contains(absent, "the gas").await.unwrap());
    assert_eq!(library.passage(absent).await.unwrap(), None);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error() {
    let world = World::new(1);
    let error =
        Library::open(world.folder.path().join("no/such/index"), world.ledger.clone()).await.unwrap_err();
    assert!(matches!(error, LibraryError::Index { .. }), "{error:?}");
}
