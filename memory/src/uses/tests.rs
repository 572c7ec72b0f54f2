use super::*;
use crate::library::stream as library_stream;
use bursar_ledger::{Ledger, MemoryStore, Payload};
use bursar_types::{
    Amount, ArtifactRecord, ArtifactRef, AssetId, ManualClock, PaymentId, PaymentView, SeededEntropy,
};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_unix_ms(1_795_264_200_000);
const GAS: &str = "# Transfers\n\n## Who pays the gas\n\nAnyone may submit the call,\nand the account that submits it pays \
                   the gas.\n\n## Nonces\n\nNonces are random numbers.";

/// A ledger in which one document was bought, and a library over it.
struct World {
    ledger: Ledger,
    library: Library,
    gas: ArtifactRecord,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(body: &str) -> Self {
        Self::keeping(body, Kept::All).await
    }

    async fn keeping(body: &str, kept: Kept) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let ledger = Ledger::new(Arc::new(MemoryStore::new(clock, Arc::new(SeededEntropy::new(1)))));
        let gas = buy(&ledger, "https://seller.example/gas", body, kept).await;
        let folder = tempfile::tempdir().unwrap();
        let library = Library::open(folder.path().join("library.sqlite"), ledger.clone()).await.unwrap();
        Self { ledger, library, gas, _folder: folder }
    }

    fn citation(&self, number: u32) -> Citation {
        Citation { source: SourceId::Artifact(self.gas.artifact.id), number }
    }

    fn quoted(&self, number: u32, quote: &str) -> UseEvidence {
        UseEvidence::Quoted { citation: self.citation(number), quote: quote.to_owned() }
    }

    fn used(&self, evidence: Vec<UseEvidence>) -> UseRecord {
        UseRecord {
            artifact: self.gas.artifact.id,
            session: SessionId::derived(&[b"session"]),
            run: Some(RunId::derived(&[b"run"])),
            used_for: "to say who pays".into(),
            evidence,
            at: NOW,
        }
    }

    async fn uses(&self) -> Vec<UseRecord> {
        self.library.uses(self.gas.artifact.id).await.unwrap()
    }

    /// Writes a record as it stands, without any check.
    async fn smuggle(&self, used: &UseRecord, leaf: ArtifactId) {
        let leaf = [("artifact", json!(leaf)), ("evidence", json!(used.kinds()))];
        let sealed = SealedEvent::new(stream(), UseRecord::KIND, leaf, used, self.ledger.entropy()).unwrap();
        let mut transaction = Transaction::default();
        sealed.add_to(&mut transaction);
        self.ledger.commit(transaction).await.unwrap();
    }
}

/// What the ledger keeps of something bought.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    All,
    NoBytes,
    NoRecord,
    OtherBytes,
}

async fn buy(ledger: &Ledger, url: &str, body: &str, kept: Kept) -> ArtifactRecord {
    let bytes = if kept == Kept::OtherBytes { "other bytes" } else { body };
    let payload = Payload::seal(Bytes::copy_from_slice(bytes.as_bytes()), ledger.entropy());
    let record = ArtifactRecord {
        artifact: ArtifactRef {
            id: ArtifactId::derived(&[url.as_bytes()]),
            digest: Digest::of(body.as_bytes()),
            media_type: Some("text/markdown".into()),
            size_bytes: u64::try_from(body.len()).unwrap(),
        },
        payment: PaymentView {
            id: PaymentId::derived(&[url.as_bytes()]),
            amount: Amount::from_atomic(AssetId::erc20(31_337, &format!("0x{:040}", 1)), 14_000),
            host: "seller.example:443".into(),
            payee: format!("0x{:040}", 2),
            resource: url.to_owned(),
            receipt: None,
        },
        session: SessionId::derived(&[b"session"]),
        kept_at: NOW,
        payload: payload.commitment().digest(),
    };
    let leaf = [("artifact", json!(record.artifact.id)), ("payment", json!(record.payment.id))];
    let sealed =
        SealedEvent::new(library_stream(), ArtifactRecord::KIND, leaf, &record, ledger.entropy()).unwrap();
    let mut transaction = Transaction::default();
    sealed.add_to(&mut transaction);
    match kept {
        Kept::All | Kept::OtherBytes => transaction.payloads.push(payload),
        Kept::NoBytes => {}
        Kept::NoRecord => transaction.payloads.clear(),
    }
    ledger.commit(transaction).await.unwrap();
    record
}

#[tokio::test]
async fn a_use_with_evidence_is_recorded_and_checks_again() {
    let world = World::new(GAS).await;
    let quote = world.quoted(1, "the account\n that submits  it pays");
    let command = "wc -w gas.md\n".to_owned();
    let consumed = UseEvidence::Consumed { command, input: Digest::of(GAS.as_bytes()) };
    let mut used = world.used(vec![consumed.clone(), quote]);
    used.used_for = "who\u{202e} pays\n\u{1b}[2J".into();
    world.library.record_use(used).await.unwrap();

    let found = world.uses().await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].used_for, "who pays [2J");
    let folded = world.quoted(1, "the account that submits it pays");
    assert_eq!(found[0].evidence, [folded, consumed]);
    assert_eq!(world.library.check_use(&found[0]).await.unwrap(), UseCheck::Holds);
    assert_eq!(read_uses(&world.ledger).await.unwrap(), found);
    let verified = world.library.verify_uses().await.unwrap();
    assert_eq!(verified, UsesVerified { held: 1, erased: 0, problems: vec![] });
}

#[tokio::test]
async fn the_leaf_says_what_was_used_and_no_word_more() {
    let world = World::new(GAS).await;
    let used = world.used(vec![world.quoted(1, "pays the gas."), world.quoted(2, "random numbers")]);
    world.library.record_use(used).await.unwrap();
    let entries = world.ledger.stream(&stream(), 0).await.unwrap();
    let mut body = entries[0].body.clone();
    body.as_object_mut().unwrap().remove("detail").unwrap();
    assert_eq!(body, json!({"artifact": world.gas.artifact.id, "evidence": ["quoted"]}));
}

#[tokio::test]
async fn a_use_is_written_into_its_own_stream_alone() {
    let world = World::new(GAS).await;
    let before = world.ledger.streams("").await.unwrap();
    world.library.record_use(world.used(vec![world.quoted(1, "pays the gas.")])).await.unwrap();
    let mut after = world.ledger.streams("").await.unwrap();
    let own = after.iter().position(|(name, _)| *name == stream()).unwrap();
    assert_eq!(after.remove(own).1, 1);
    assert_eq!(after, before, "no payment, account or library entry came of it");
}

#[tokio::test]
async fn evidence_that_does_not_hold_is_refused_and_writes_nothing() {
    let world = World::new(GAS).await;
    let other =
        buy(&world.ledger, "https://seller.example/other", "Other words stand here.", Kept::All).await;
    world.library.sync().await.unwrap();
    let elsewhere = Citation { source: SourceId::Artifact(other.artifact.id), number: 1 };
    let other_words = UseEvidence::Quoted { citation: elsewhere, quote: "Other words stand here.".into() };
    let consumed = |command: &str, input: Digest| UseEvidence::Consumed { command: command.into(), input };
    let own = world.gas.artifact.digest;
    let good = world.quoted(1, "pays the gas.");
    for (evidence, said) in [
        (vec![], "no evidence shows it"),
        (vec![world.quoted(1, "the seller pays the gas")], "does not stand in"),
        (vec![world.quoted(1, "Nonces are random")], "does not stand in"),
        (vec![world.quoted(9, "pays the gas.")], "does not stand in"),
        (vec![world.quoted(1, "")], "does not stand in"),
        (vec![world.quoted(1, "the gas")], "too short to show anything"),
        (vec![world.quoted(1, &"x".repeat(4_001))], "more than 4000 characters"),
        (vec![other_words.clone()], "is no passage of it"),
        (vec![consumed("sha256sum", other.artifact.digest)], "the command took"),
        (vec![consumed(" \u{202e}\n", own)], "is not named"),
        (vec![consumed(&"x".repeat(4_001), own)], "more than 4000 characters"),
        (vec![good.clone(); 101], "more than 100 pieces of evidence"),
        // One that holds does not carry one that does not.
        (vec![good.clone(), consumed("sha256sum", Digest::of(b""))], "the command took"),
    ] {
        let error = world.library.record_use(world.used(evidence)).await.unwrap_err();
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
    let mut unknown = world.used(vec![good]);
    unknown.artifact = ArtifactId::derived(&[b"unknown"]);
    let error = world.library.record_use(unknown).await.unwrap_err();
    assert!(matches!(error, UseError::NotOwned(_)), "{error}");
    assert_eq!(world.ledger.stream(&stream(), 0).await.unwrap(), []);
}

#[tokio::test]
async fn the_same_use_twice_is_one_record() {
    let world = World::new(GAS).await;
    let (one, two) = (world.quoted(1, "pays the gas."), world.quoted(2, "Nonces are random"));
    let first = world.used(vec![one.clone(), two.clone()]);
    // Another order, other spaces, other words about it, another moment, another process.
    let mut again = world.used(vec![world.quoted(2, "Nonces\nare random"), one.clone(), one.clone()]);
    again.used_for = "something else".into();
    again.at = NOW.plus_ms(1);
    let folder = tempfile::tempdir().unwrap();
    let second = Library::open(folder.path().join("library.sqlite"), world.ledger.clone()).await.unwrap();
    let (left, right) = tokio::join!(world.library.record_use(first.clone()), second.record_use(again));
    left.unwrap();
    right.unwrap();
    world.library.record_use(first.clone()).await.unwrap();
    assert_eq!(world.uses().await.len(), 1);

    // What differs in artifact, session, run or evidence is another use.
    let other_run = UseRecord { run: None, ..first.clone() };
    let other_session = UseRecord { session: SessionId::derived(&[b"other"]), ..first.clone() };
    let less = UseRecord { evidence: vec![one], ..first };
    for used in [other_run, other_session, less] {
        world.library.record_use(used).await.unwrap();
    }
    assert_eq!(world.uses().await.len(), 4);
}

#[tokio::test]
async fn a_use_of_erased_bytes_is_never_said_to_hold() {
    for kept in [Kept::NoBytes, Kept::NoRecord] {
        let world = World::keeping(GAS, kept).await;
        let consumed = UseEvidence::Consumed { command: "wc".into(), input: Digest::of(GAS.as_bytes()) };
        for evidence in [world.quoted(1, "pays the gas."), consumed] {
            let used = world.used(vec![evidence]);
            assert!(world.library.record_use(used.clone()).await.is_err());
            // As if it had been recorded before the bytes were erased.
            world.smuggle(&used, used.artifact).await;
            let check = world.library.check_use(&used).await.unwrap();
            assert_eq!((&check, check.to_string().as_str()), (&UseCheck::Erased, "erased, not re-checkable"));
        }
        let verified = world.library.verify_uses().await.unwrap();
        assert_eq!(verified, UsesVerified { held: 0, erased: 2, problems: vec![] });
    }
}

#[tokio::test]
async fn a_use_that_was_erased_itself_counts_for_nothing() {
    let world = World::new(GAS).await;
    let used = world.used(vec![world.quoted(1, "pays the gas.")]);
    let leaf = [("artifact", json!(used.artifact)), ("evidence", json!(["quoted"]))];
    let sealed = SealedEvent::new(stream(), UseRecord::KIND, leaf, &used, world.ledger.entropy()).unwrap();
    let entries = vec![sealed.entry];
    world.ledger.commit(Transaction { entries, ..Transaction::default() }).await.unwrap();
    assert_eq!(world.uses().await, []);
    assert_eq!(read_uses(&world.ledger).await.unwrap(), []);
    let verified = world.library.verify_uses().await.unwrap();
    assert_eq!(verified, UsesVerified { held: 0, erased: 1, problems: vec![] });
}

#[tokio::test]
async fn a_record_that_was_never_checked_is_found_out() {
    let world = World::new(GAS).await;
    let good = world.used(vec![world.quoted(1, "pays the gas.")]);
    let stranger = ArtifactId::derived(&[b"unknown"]);
    let mut unknown = good.clone();
    unknown.artifact = stranger;
    world.smuggle(&world.used(vec![world.quoted(1, "the seller pays")]), good.artifact).await;
    world.smuggle(&world.used(vec![]), good.artifact).await;
    world.smuggle(&unknown, stranger).await;
    world.smuggle(&good, stranger).await;
    // The number of a passage is the index's; the words do stand in the text.
    world.smuggle(&world.used(vec![world.quoted(7, "pays the gas.")]), good.artifact).await;
    let verified = world.library.verify_uses().await.unwrap();
    assert_eq!((verified.held, verified.erased), (1, 0));
    let said = ["leaf says something else", "does not stand in", "no evidence", "nothing such was bought"];
    assert_eq!(verified.problems.len(), said.len(), "{:#?}", verified.problems);
    for said in said {
        assert!(verified.problems.iter().any(|problem| problem.contains(said)), "{:#?}", verified.problems);
    }

    let forged = World::keeping(GAS, Kept::OtherBytes).await;
    let used = forged.used(vec![forged.quoted(1, "pays the gas.")]);
    assert!(forged.library.record_use(used.clone()).await.is_err());
    assert!(matches!(forged.library.check_use(&used).await.unwrap(), UseCheck::Fails(_)));
}

#[tokio::test]
async fn uses_outlive_the_index() {
    let world = World::new(GAS).await;
    let used = world.used(vec![world.quoted(1, "pays the gas.")]);
    world.library.record_use(used.clone()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fresh = Library::open(folder.path().join("library.sqlite"), world.ledger.clone()).await.unwrap();
    let (artifact, found) = (used.artifact, world.uses().await);
    assert_eq!(found.len(), 1);
    assert_eq!(fresh.uses(artifact).await.unwrap(), found);
    fresh.record_use(used.clone()).await.unwrap();
    assert_eq!(
        fresh.uses(used.artifact).await.unwrap(),
        [used],
        "the link that keeps it single is the ledger's"
    );
}

/// Words that come up again, so that a wrong quote is often nearly right.
fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("(gas|pays|payer|submits|the|nonce)", 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A quote is evidence where its words stand side by side in one paragraph, whatever the spaces, and nowhere else; what was
    /// recorded checks again, and what was refused left nothing.
    #[test]
    fn a_quote_is_evidence_where_its_words_stand_and_nowhere_else(
        paragraph in words(),
        other in words(),
        quoted in words(),
        from in 0_usize..30,
        length in 1_usize..8,
        cut in any::<bool>(),
        gap in "[ \n\t]{1,3}",
    ) {
        // Half of the quotes are cut out of the text; the others are made up.
        let cut_out: Vec<String> = paragraph.iter().skip(from).take(length).cloned().collect();
        let quoted = if cut { cut_out } else { quoted };
        let body = format!("# A\n\n{}\n\n# B\n\n{}", paragraph.join(" "), other.join(" "));
        let (text, quote) = (paragraph.join(" "), quoted.join(" "));
        let long_enough = quote.chars().filter(|c| *c != ' ').count() >= 8;
        let wanted = long_enough && text.contains(&quote);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = World::new(&body).await;
            let used = world.used(vec![world.quoted(1, &quoted.join(&gap))]);
            let recorded = world.library.record_use(used).await;
            prop_assert_eq!(recorded.is_ok(), wanted, "`{}` in `{}`: {:?}", quote, text, recorded);
            let found = world.uses().await;
            prop_assert_eq!(found.len(), usize::from(wanted));
            for used in found {
                prop_assert_eq!(world.library.check_use(&used).await.unwrap(), UseCheck::Holds);
            }
            Ok(())
        })?;
    }

    /// A command is evidence for the bytes it took, to the last bit.
    #[test]
    fn a_command_is_evidence_for_its_input_alone(body in "[a-z ]{1,60}[a-z]", at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut other = body.clone().into_bytes();
        *at.get_mut(&mut other) ^= 1 << bit;
        runtime.block_on(async {
            let world = World::new(&body).await;
            let took = |bytes: &[u8]| {
                let input = Digest::of(bytes);
                world.used(vec![UseEvidence::Consumed { command: "wc -w".into(), input }])
            };
            prop_assert!(world.library.record_use(took(&other)).await.is_err());
            prop_assert!(world.library.record_use(took(body.as_bytes())).await.is_ok());
            prop_assert_eq!(world.uses().await.len(), 1);
            Ok(())
        })?;
    }
}
