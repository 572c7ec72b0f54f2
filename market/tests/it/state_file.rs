//! A chain that is kept in a file.

use crate::support::{FUNDS, NOW_S, builder, nonce_of};
use bursar_market::{
    Address, Authorization, Key, ManualClock, Market, MarketError, Revert, Signature, StateFileError, Uint,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct Place {
    _folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain.jsonl");
        Self { _folder: folder, path }
    }

    async fn open(&self) -> (Market, ManualClock) {
        let (builder, clock) = builder();
        (builder.state_file(&self.path).start().await.unwrap(), clock)
    }

    async fn refused(&self) -> StateFileError {
        let (builder, _) = builder();
        match builder.state_file(&self.path).start().await {
            Err(MarketError::State(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }
}

fn buyer() -> Key {
    Key::named("buyer").unwrap()
}

fn signed(market: &Market, name: &str, value: u64) -> (Authorization, Signature) {
    let authorization = Authorization {
        from: buyer().address(),
        to: market.seller(0).unwrap().pay_to(),
        value: Uint::from(value),
        valid_after: Uint::default(),
        valid_before: Uint::from(NOW_S + 1_000_000),
        nonce: nonce_of(name),
    };
    let signature = buyer().sign(&authorization, market.token()).unwrap();
    (authorization, signature)
}

fn pay(market: &Market, name: &str, value: u64) -> Result<bursar_market::Word, Revert> {
    let (authorization, signature) = signed(market, name, value);
    market.chain().transfer_with_authorization(&authorization, &signature)
}

#[tokio::test]
async fn balances_nonces_transfers_and_blocks_survive_a_restart() {
    let place = Place::new();
    let (market, clock) = place.open().await;
    pay(&market, "one", 1_000).unwrap();
    clock.advance_s(100);
    let _ = market.chain().head();
    pay(&market, "two", 2_000).unwrap();
    let listed: Address = Key::named("listed").unwrap().address();
    market.chain().set_blacklisted(listed, true);
    let (head, transfers) = (market.chain().head(), market.chain().transfers());
    market.stop().await;

    let (market, clock) = place.open().await;
    clock.advance_s(100);
    assert_eq!(market.balance_of(buyer().address()), FUNDS - 3_000, "funds are not given twice");
    assert_eq!(market.chain().transfers(), transfers);
    assert_eq!(market.chain().head(), head);
    assert_eq!(pay(&market, "one", 1_000), Err(Revert::UsedOrCanceled));
    let (to_listed, _) = signed(&market, "three", 1);
    let to_listed = Authorization { to: listed, ..to_listed };
    let signature = buyer().sign(&to_listed, market.token()).unwrap();
    assert_eq!(market.chain().simulate(&to_listed, &signature), Err(Revert::Blacklisted));
    pay(&market, "three", 4_000).unwrap();
    market.stop().await;

    let (market, _) = place.open().await;
    assert_eq!(market.balance_of(buyer().address()), FUNDS - 7_000);
    market.stop().await;
}

#[tokio::test]
async fn only_an_address_that_never_had_money_is_given_some() {
    let place = Place::new();
    let (market, _) = place.open().await;
    market.stop().await;
    let other = Key::named("other").unwrap().address();
    let (builder, _) = builder();
    let market = builder.buyer_funds(other, 5).state_file(&place.path).start().await.unwrap();
    assert_eq!((market.balance_of(buyer().address()), market.balance_of(other)), (FUNDS, 5));
    market.stop().await;
}

#[tokio::test]
async fn a_last_line_that_was_not_written_to_its_end_is_left_out() {
    let place = Place::new();
    let (market, _) = place.open().await;
    pay(&market, "one", 1_000).unwrap();
    pay(&market, "two", 2_000).unwrap();
    market.stop().await;
    let text = place.text();
    place.write(text.get(..text.len() - 5).unwrap());
    let (market, _) = place.open().await;
    assert_eq!(market.chain().transfers().len(), 1);
    pay(&market, "two", 2_000).unwrap();
    market.stop().await;
    assert_eq!(place.text(), text, "the same line is written again");
}

#[tokio::test]
async fn a_file_that_is_not_what_was_written_is_refused_by_line() {
    let place = Place::new();
    let (market, _) = place.open().await;
    pay(&market, "one", 1_000).unwrap();
    pay(&market, "two", 2_000).unwrap();
    market.stop().await;
    let text = place.text();
    let without = |gone: usize| {
        let lines = text.lines().enumerate().filter(|(index, _)| *index != gone);
        lines.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    for (changed, line) in [
        ("not a chain\n".to_owned(), 1),
        (text.replacen("\"form\":1", "\"form\":2", 1), 1),
        (text.replacen("\"value\":\"1000\"", "\"value\":\"1001\"", 1), 3),
        (text.replacen("\"mint\"", "\"gift\"", 1), 2),
        (without(1), 2),
        (without(2), 3),
        (format!("{text}{}\n", text.lines().last().unwrap()), 5),
    ] {
        place.write(&changed);
        match place.refused().await {
            StateFileError::Damaged { path, line: found, problem } => {
                assert_eq!((path.as_path(), found), (place.path.as_path(), line), "{problem}");
            }
            other => panic!("{other}"),
        }
        assert_eq!(place.text(), changed, "a refused file is left as it is");
    }
}

#[tokio::test]
async fn one_market_at_a_time_has_the_file() {
    let place = Place::new();
    let (market, _) = place.open().await;
    assert!(matches!(place.refused().await, StateFileError::Locked { .. }));
    market.stop().await;
    let (market, _) = place.open().await;
    market.stop().await;
}

#[tokio::test]
async fn the_chain_of_another_network_or_a_folder_is_refused() {
    let place = Place::new();
    let (market, _) = place.open().await;
    market.stop().await;
    let (builder, _) = builder();
    let other = builder.chain_id(1).state_file(&place.path).start().await;
    assert!(matches!(other, Err(MarketError::State(StateFileError::OtherChain { chain_id: 31_337, .. }))));
    let folder = Place { _folder: tempfile::tempdir().unwrap(), path: Path::new("/").to_owned() };
    assert!(matches!(folder.refused().await, StateFileError::Io { .. }));
}
