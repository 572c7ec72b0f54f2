//! Raw transactions: cancelling a nonce, and what goes wrong on the way there.

use crate::{
    calls::{now, open, post, present, quote, rpc},
    support::{Shop, builder, nonce_of},
};
use bursar_market::{Address, Broken, Fault, FaultRule, Key, Market, SendError, Token, Word, keccak};
use serde_json::{Value, json};

const GAS: u128 = 100_000_000_000_000;
const BASE_FEE: u128 = 5_000_000;
const CANCEL: &str = "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)";

/// Bytes as RLP writes them.
fn item(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [0..=0x7f] => bytes.to_vec(),
        _ => [head(0x80, bytes.len()), bytes.to_vec()].concat(),
    }
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let inner = items.concat();
    [head(0xc0, inner.len()), inner].concat()
}

fn head(kind: u8, length: usize) -> Vec<u8> {
    if length < 56 {
        return vec![kind + u8::try_from(length).unwrap()];
    }
    let digits = trimmed(&length.to_be_bytes());
    [vec![kind + 55 + u8::try_from(digits.len()).unwrap()], digits].concat()
}

fn trimmed(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

fn number(value: u128) -> Vec<u8> {
    item(&trimmed(&value.to_be_bytes()))
}

#[derive(Clone)]
struct Draft {
    kind: u8,
    chain_id: u128,
    nonce: u128,
    tip: u128,
    max_fee: u128,
    gas: u128,
    to: Vec<u8>,
    value: u128,
    input: Vec<u8>,
    access: Vec<Vec<u8>>,
}

impl Draft {
    fn signed(&self, key: &Key) -> Vec<u8> {
        let mut items = vec![
            number(self.chain_id),
            number(self.nonce),
            number(self.tip),
            number(self.max_fee),
            number(self.gas),
            item(&self.to),
            number(self.value),
            item(&self.input),
            list(&self.access),
        ];
        let digest = keccak(&[vec![2], list(&items)].concat());
        let signature = key.sign_digest(digest).unwrap();
        let (r, rest) = signature.bytes().split_at(32);
        let (s, v) = rest.split_at(32);
        items.extend([number(u128::from(v[0] - 27)), item(&trimmed(r)), item(&trimmed(s))]);
        [vec![self.kind], list(&items)].concat()
    }
}

fn buyer() -> Key {
    Key::named("buyer").unwrap()
}

/// The input of a call that burns a nonce, signed by `signer`.
fn cancelling(token: &Token, signer: &Key, authorizer: Address, nonce: Word) -> Vec<u8> {
    let signature = signer.sign_cancel(nonce, token).unwrap();
    let (scalars, v) = signature.bytes().split_at(64);
    let mut input = keccak(CANCEL.as_bytes()).0[..4].to_vec();
    input.extend(authorizer.to_word().0);
    input.extend(nonce.0);
    input.extend([[0; 31].as_slice(), v].concat());
    input.extend(scalars);
    input
}

/// A transaction of the buyer that burns one of its nonces.
fn draft(market: &Market, nonce: &str) -> Draft {
    let token = market.token();
    Draft {
        kind: 2,
        chain_id: u128::from(token.chain_id),
        nonce: u128::from(market.chain().transaction_count(buyer().address())),
        tip: 7,
        max_fee: 2 * BASE_FEE,
        gas: 100_000,
        to: token.address.bytes().to_vec(),
        value: 0,
        input: cancelling(token, &buyer(), buyer().address(), nonce_of(nonce)),
        access: Vec::new(),
    }
}

fn shop() -> Shop {
    open(|market| market.buyer_gas(buyer().address(), GAS))
}

fn send(market: &Market, raw: &[u8]) -> Value {
    let text = raw.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"));
    rpc(market, "eth_sendRawTransaction", json!([text]))
}

fn hex_number(value: &Value) -> u128 {
    u128::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

fn is_burnt(shop: &Shop, nonce: &str) -> bool {
    shop.market.chain().authorization_state(buyer().address(), nonce_of(nonce))
}

#[test]
fn a_nonce_is_burnt_by_a_transaction_that_pays_its_gas() {
    let shop = shop();
    assert_eq!(keccak(CANCEL.as_bytes()).0[..4], [0x5a, 0x04, 0x9a, 0x70], "the selector of the real token");
    let payment = shop.buyer.payment(&quote(&shop.market, &shop.url()), "one");
    let raw = draft(&shop.market, "one").signed(&buyer());
    let (before, _) = shop.market.chain().head();
    let hash = send(&shop.market, &raw);
    assert_eq!(hash, json!(keccak(&raw)));
    assert!(is_burnt(&shop, "one"));
    let receipt = rpc(&shop.market, "eth_getTransactionReceipt", json!([hash]));
    let (used, price) = (hex_number(&receipt["gasUsed"]), hex_number(&receipt["effectiveGasPrice"]));
    assert_eq!((&receipt["status"], &receipt["type"]), (&json!("0x1"), &json!("0x2")));
    assert_eq!(
        (&receipt["from"], &receipt["to"]),
        (&json!(buyer().address()), &json!(shop.market.token().address))
    );
    assert_eq!(price, BASE_FEE + 7);
    assert!((45_000..70_000).contains(&used), "{used}");
    let cancelled = keccak(b"AuthorizationCanceled(address,bytes32)");
    let topics = json!([cancelled, buyer().address().to_word(), nonce_of("one")]);
    assert_eq!((receipt["logs"].as_array().map(Vec::len), &receipt["logs"][0]["topics"]), (Some(1), &topics));
    let logs = rpc(&shop.market, "eth_getLogs", json!([{ "fromBlock": "earliest", "topics": topics }]));
    assert_eq!(logs, receipt["logs"]);
    let block = rpc(&shop.market, "eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!((&block["gasUsed"], &block["transactions"]), (&receipt["gasUsed"], &json!([hash])));
    assert_eq!(shop.market.chain().gas_balance_of(buyer().address()), GAS - used * price);
    let at =
        |method: &str, tag: &str| hex_number(&rpc(&shop.market, method, json!([buyer().address(), tag])));
    let earlier = format!("{before:#x}");
    for (tag, count, balance) in
        [("latest", 1, GAS - used * price), ("pending", 1, GAS - used * price), (earlier.as_str(), 0, GAS)]
    {
        assert_eq!(
            (at("eth_getTransactionCount", tag), at("eth_getBalance", tag)),
            (count, balance),
            "{tag}"
        );
    }
    let refused = present(&shop.market, &shop.url(), &payment).unwrap();
    assert_eq!((refused.status().as_u16(), shop.paid()), (402, 0), "what is burnt is never paid");
}

#[test]
fn a_transaction_that_reverts_is_mined_and_costs_its_gas() {
    let shop = shop();
    let payment = shop.buyer.payment(&quote(&shop.market, &shop.url()), "spent");
    assert_eq!(present(&shop.market, &shop.url(), &payment).unwrap().status(), 200);
    let token = shop.market.token().clone();
    let stranger = Key::named("stranger").unwrap();
    let good = draft(&shop.market, "one");
    let input = |input: Vec<u8>| Draft { input, ..good.clone() };
    let changed = |at: usize, byte: u8| {
        let mut changed = good.clone();
        changed.input[at] = byte;
        changed
    };
    let wrong_signer = cancelling(&token, &stranger, buyer().address(), nonce_of("one"));
    let other_function = [&keccak(b"pause()").0[..4], &good.input[4..]].concat();
    let cases = [
        ("signed by another", input(wrong_signer)),
        ("used before", draft(&shop.market, "spent")),
        ("another function", input(other_function)),
        ("an argument too short", input(good.input[..163].to_vec())),
        ("an argument too many", input([good.input.clone(), vec![0; 32]].concat())),
        ("a dirty address", changed(4, 1)),
        ("a dirty v", changed(68, 1)),
        ("another nonce", changed(36, good.input[36] ^ 1)),
        ("no input", input(Vec::new())),
        ("value", Draft { value: 1, ..good.clone() }),
        ("to somebody else", Draft { to: vec![7; 20], ..good.clone() }),
        ("out of gas", Draft { gas: 30_000, ..good.clone() }),
    ];
    let reverted = u64::try_from(cases.len()).unwrap();
    for (count, (name, case)) in (1_u64..).zip(cases) {
        let before = shop.market.chain().gas_balance_of(buyer().address());
        let raw = Draft { nonce: u128::from(count) - 1, ..case }.signed(&buyer());
        let hash = send(&shop.market, &raw);
        let receipt = rpc(&shop.market, "eth_getTransactionReceipt", json!([hash]));
        assert_eq!((&receipt["status"], &receipt["logs"]), (&json!("0x0"), &json!([])), "{name}");
        let cost = hex_number(&receipt["gasUsed"]) * (BASE_FEE + 7);
        assert_eq!(before - shop.market.chain().gas_balance_of(buyer().address()), cost, "{name}");
        assert_eq!(shop.market.chain().transaction_count(buyer().address()), count, "{name}");
        assert!(hex_number(&receipt["gasUsed"]) >= 21_000 && !is_burnt(&shop, "one"), "{name}");
        if name == "out of gas" {
            assert_eq!(receipt["gasUsed"], "0x7530", "all of it");
        }
    }
    send(&shop.market, &Draft { nonce: u128::from(reverted), ..good }.signed(&buyer()));
    assert!(is_burnt(&shop, "one"));
}

#[test]
fn a_transaction_that_cannot_enter_a_block_is_refused_in_the_words_of_a_node() {
    let shop = shop();
    let first = draft(&shop.market, "one");
    let raw = first.signed(&buyer());
    send(&shop.market, &raw);
    let next = draft(&shop.market, "two");
    let (head, _) = shop.market.chain().head();
    let left = shop.market.chain().gas_balance_of(buyer().address());
    let pauper = Key::named("pauper").unwrap();
    let access = vec![list(&[item(&[7; 20]), list(&[])])];
    let cases = [
        (raw, "already known"),
        (Draft { nonce: 0, ..next.clone() }.signed(&buyer()), "nonce too low: next nonce 1, tx nonce 0"),
        (Draft { nonce: 2, ..next.clone() }.signed(&buyer()), "nonce too high: next nonce 1, tx nonce 2"),
        (
            Draft { chain_id: 1, ..next.clone() }.signed(&buyer()),
            "invalid sender: invalid chain id for signer: have 1 want 31337",
        ),
        (Draft { kind: 1, ..next.clone() }.signed(&buyer()), "transaction type not supported"),
        (Draft { access, ..next.clone() }.signed(&buyer()), "access lists are not supported here"),
        (
            Draft { to: Vec::new(), ..next.clone() }.signed(&buyer()),
            "contract creation is not supported here",
        ),
        (Draft { to: vec![7; 19], ..next.clone() }.signed(&buyer()), "rlp: input string of the wrong length"),
        (
            Draft { tip: 2 * BASE_FEE + 1, ..next.clone() }.signed(&buyer()),
            "max priority fee per gas higher than max fee per gas",
        ),
        (
            Draft { max_fee: BASE_FEE - 1, ..next.clone() }.signed(&buyer()),
            "max fee per gas less than block base fee: maxFeePerGas: 4999999, baseFee: 5000000",
        ),
        (Draft { gas: 30_000_001, ..next.clone() }.signed(&buyer()), "exceeds block gas limit"),
        (
            Draft { gas: 21_000, input: Vec::new(), ..next.clone() }.signed(&pauper),
            "nonce too high: next nonce 0, tx nonce 1",
        ),
        (
            Draft { gas: 21_009, input: vec![0], ..next.clone() }.signed(&buyer()),
            "intrinsic gas too low: gas 21009, minimum needed 21010",
        ),
        (
            Draft { nonce: 0, ..next.clone() }.signed(&pauper),
            "insufficient funds for gas * price + value: balance 0",
        ),
        (Draft { max_fee: left / 100_000 + 1, ..next.clone() }.signed(&buyer()), "insufficient funds"),
        (Draft { max_fee: u128::MAX, ..next.clone() }.signed(&buyer()), "insufficient funds"),
        (Draft { value: left, ..next.clone() }.signed(&buyer()), "insufficient funds"),
        (vec![2, 0xc0], "rlp: too few elements"),
        (Vec::new(), "rlp: typed transaction too short"),
    ];
    for (raw, words) in cases {
        let answer = send(&shop.market, &raw);
        assert_eq!(answer["code"], -32000, "{words}: {answer}");
        assert!(answer["message"].as_str().unwrap().starts_with(words), "{words}: {answer}");
        assert_eq!((shop.market.chain().head().0, is_burnt(&shop, "two")), (head, false), "{words}");
    }
    assert_eq!(shop.market.chain().gas_balance_of(buyer().address()), left);
    for params in [json!([]), json!(["0x0"]), json!(["02"])] {
        assert_eq!(rpc(&shop.market, "eth_sendRawTransaction", params)["code"], -32602);
    }
    shop.market.chain().set_base_fee(u64::try_from(3 * BASE_FEE).unwrap());
    let late = shop.market.chain().send_raw_transaction(&next.signed(&buyer()));
    assert!(matches!(late, Err(SendError::FeeTooLow { want: 15_000_000, .. })), "{late:?}");
    send(&shop.market, &Draft { max_fee: 3 * BASE_FEE, ..next }.signed(&buyer()));
    assert!(is_burnt(&shop, "two"));
}

#[test]
fn gas_is_estimated_unless_the_call_would_revert() {
    let shop = shop();
    let token = shop.market.token().clone();
    let estimate = |input: &[u8]| {
        let data = input.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"));
        let call = json!({ "from": buyer().address(), "to": token.address, "data": data });
        rpc(&shop.market, "eth_estimateGas", json!([call]))
    };
    let good = draft(&shop.market, "one");
    let gas = hex_number(&estimate(&good.input));
    let too_little = Draft { gas: gas - 1, ..good.clone() }.signed(&buyer());
    let hash = send(&shop.market, &too_little);
    assert_eq!(rpc(&shop.market, "eth_getTransactionReceipt", json!([hash]))["status"], "0x0");
    let hash = send(&shop.market, &Draft { gas, nonce: 1, ..good.clone() }.signed(&buyer()));
    let receipt = rpc(&shop.market, "eth_getTransactionReceipt", json!([hash]));
    assert_eq!((&receipt["status"], hex_number(&receipt["gasUsed"])), (&json!("0x1"), gas));
    let again =
        json!({ "code": 3, "message": "execution reverted: FiatTokenV2: authorization is used or canceled" });
    assert_eq!(estimate(&good.input), again);
    let stranger = Key::named("stranger").unwrap();
    let forged = cancelling(&token, &stranger, buyer().address(), nonce_of("two"));
    assert_eq!(estimate(&forged)["message"], "execution reverted: FiatTokenV2: invalid signature");
    assert_eq!(estimate(b"pause")["message"], "execution reverted");
    for anybody in [json!([]), json!([{}]), json!([{ "to": token.address, "value": "1" }])] {
        assert_eq!(rpc(&shop.market, "eth_estimateGas", anybody)["code"], -32602);
    }
}

#[test]
fn fees_are_told_for_blocks_and_for_the_next_one() {
    let shop = shop();
    let ask = |method: &str, params: Value| rpc(&shop.market, method, params);
    assert_eq!(hex_number(&ask("eth_maxPriorityFeePerGas", json!([]))), 1_000_000);
    assert_eq!(hex_number(&ask("eth_gasPrice", json!([]))), BASE_FEE + 1_000_000);
    shop.market.chain().set_base_fee(9);
    shop.market.chain().mine();
    shop.market.chain().set_base_fee(11);
    let history = ask("eth_feeHistory", json!(["0x2", "latest", [25, 75]]));
    let (head, _) = shop.market.chain().head();
    assert_eq!(history["oldestBlock"], format!("{:#x}", head - 1));
    assert_eq!(history["baseFeePerGas"], json!(["0x4c4b40", "0x9", "0xb"]));
    assert_eq!(history["gasUsedRatio"], json!([0.0022, 0.0]));
    assert_eq!(history["reward"], json!([["0xf4240", "0xf4240"], ["0xf4240", "0xf4240"]]));
    let older = ask("eth_feeHistory", json!([4, format!("{:#x}", head - 1)]));
    assert_eq!((older["oldestBlock"].as_str(), older.get("reward")), (Some("0x0"), None));
    assert_eq!(older["baseFeePerGas"], json!(["0x4c4b40", "0x4c4b40", "0x9"]));
    assert_eq!(ask("eth_gasPrice", json!([])), "0xf424b");
    let block = ask("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(block["baseFeePerGas"], "0x9");
    assert_eq!(ask("eth_getBalance", json!([Address::ZERO, "latest"])), "0x0");
}

#[test]
fn a_transaction_whose_answer_is_lost_is_sent_once_however_often() {
    let shop = shop();
    let fault = FaultRule::new(Fault::RpcAnswerLost).times(1).path("eth_sendRawTransaction");
    shop.market.chain().faults().arm(fault).unwrap();
    let raw = draft(&shop.market, "one").signed(&buyer());
    let text = raw.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"));
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [text] });
    assert!(matches!(post(&shop.market, shop.market.rpc_url(), &call), Err(Broken::Dropped)));
    assert!(is_burnt(&shop, "one"));
    assert_eq!(send(&shop.market, &raw)["message"], "already known");
    assert_eq!(shop.market.chain().transaction_count(buyer().address()), 1);
}

#[test]
fn gas_counts_fees_and_transactions_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.jsonl");
    let start = || {
        let builder = builder().0.in_process().state_file(&path).buyer_gas(buyer().address(), GAS);
        now(builder.start())
    };
    let market = start().unwrap();
    market.chain().set_base_fee(6_000_000);
    let burnt = draft(&market, "one").signed(&buyer());
    send(&market, &burnt);
    let reverted = Draft { value: 1, ..draft(&market, "two") }.signed(&buyer());
    send(&market, &reverted);
    let seen = |market: &Market| {
        let receipts = [&burnt, &reverted]
            .map(|raw| rpc(market, "eth_getTransactionReceipt", json!([keccak(raw)])).to_string());
        let fees = rpc(market, "eth_feeHistory", json!(["0x9", "latest"])).to_string();
        let chain = market.chain();
        let who = buyer().address();
        (receipts, fees, chain.head(), chain.gas_balance_of(who), chain.transaction_count(who))
    };
    let before = seen(&market);
    assert!(before.0[0].contains("\"status\":\"0x1\"") && before.0[1].contains("\"status\":\"0x0\""));
    now(market.stop());
    let market = start().unwrap();
    assert_eq!(seen(&market), before, "and gas is not given twice");
    assert_eq!(send(&market, &burnt)["message"], "already known");
    now(market.stop());
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [("\"gas_used\":", "\"gas_used\":1"), ("\"cancels\":null", "\"cancels\":[]")] {
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let refused = start().unwrap_err().to_string();
        assert!(refused.contains("is damaged"), "{refused}");
    }
}
