//! The token refuses what FiatTokenV2_2 refuses, in its words.

use crate::support::{FUNDS, NOW_S, Shop, nonce_of};
use bursar_market::{Address, Authorization, Key, Revert, Signature, Uint};

fn good(shop: &Shop) -> Authorization {
    Authorization {
        from: shop.buyer.key.address(),
        to: shop.seller().pay_to(),
        value: Uint::from(1_000_u64),
        valid_after: Uint::default(),
        valid_before: Uint::from(NOW_S + 60),
        nonce: nonce_of("one"),
    }
}

#[tokio::test]
async fn the_token_refuses_in_the_words_of_the_real_one() {
    let shop = Shop::open().await;
    let chain = shop.market.chain();
    let stranger = Key::named("stranger").unwrap();
    let listed = Key::named("listed").unwrap();
    chain.set_blacklisted(listed.address(), true);
    let base = good(&shop);
    let at = |after: u64, before: u64| Authorization {
        valid_after: Uint::from(after),
        valid_before: Uint::from(before),
        ..base.clone()
    };
    let too_much = Uint::from(FUNDS + 1);
    let most = Uint::from_word(
        "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff".parse().unwrap(),
    );
    let cases = [
        ("FiatTokenV2: authorization is not yet valid", at(NOW_S, NOW_S + 60)),
        ("FiatTokenV2: authorization is not yet valid", at(NOW_S + 1, NOW_S + 60)),
        ("FiatTokenV2: authorization is expired", at(0, NOW_S)),
        ("FiatTokenV2: authorization is expired", at(0, NOW_S - 1)),
        ("FiatTokenV2: invalid signature", Authorization { from: stranger.address(), ..base.clone() }),
        ("ERC20: transfer amount exceeds balance", Authorization { value: too_much, ..base.clone() }),
        ("ERC20: transfer amount exceeds balance", Authorization { value: most, ..base.clone() }),
        ("ERC20: transfer to the zero address", Authorization { to: Address::ZERO, ..base.clone() }),
        ("Blacklistable: account is blacklisted", Authorization { to: listed.address(), ..base.clone() }),
    ];
    for (words, authorization) in cases {
        let signature = shop.buyer.key.sign(&authorization, chain.token()).unwrap();
        let refused = chain.transfer_with_authorization(&authorization, &signature).unwrap_err();
        assert_eq!(refused.to_string(), words, "{authorization:?}");
        assert!(!chain.authorization_state(authorization.from, authorization.nonce));
    }
    assert_eq!(shop.paid(), 0);
}

#[tokio::test]
async fn any_change_to_signed_terms_is_an_invalid_signature() {
    let shop = Shop::open().await;
    let chain = shop.market.chain();
    let signed = good(&shop);
    let signature = shop.buyer.key.sign(&signed, chain.token()).unwrap();
    let changes = [
        Authorization { to: Address::new([7; 20]), ..signed.clone() },
        Authorization { value: Uint::from(999_u64), ..signed.clone() },
        Authorization { valid_after: Uint::from(1_u64), ..signed.clone() },
        Authorization { valid_before: Uint::from(NOW_S + 61), ..signed.clone() },
        Authorization { nonce: nonce_of("two"), ..signed.clone() },
    ];
    for changed in changes {
        let refused = chain.transfer_with_authorization(&changed, &signature);
        assert_eq!(refused, Err(Revert::InvalidSignature), "{changed:?}");
    }
    let other_domains = [
        bursar_market::Token { name: "USDC".into(), ..chain.token().clone() },
        bursar_market::Token { version: "1".into(), ..chain.token().clone() },
        bursar_market::Token { chain_id: 8453, ..chain.token().clone() },
        bursar_market::Token { address: Address::new([1; 20]), ..chain.token().clone() },
    ];
    for token in other_domains {
        let signature = shop.buyer.key.sign(&signed, &token).unwrap();
        let refused = chain.transfer_with_authorization(&signed, &signature);
        assert_eq!(refused, Err(Revert::InvalidSignature), "{token:?}");
    }
    assert!(chain.transfer_with_authorization(&signed, &signature).is_ok());
}

#[tokio::test]
async fn a_nonce_moves_money_once_or_is_cancelled_once() {
    let shop = Shop::open().await;
    let chain = shop.market.chain();
    let used = good(&shop);
    let signature = shop.buyer.key.sign(&used, chain.token()).unwrap();
    chain.transfer_with_authorization(&used, &signature).unwrap();
    assert_eq!(chain.transfer_with_authorization(&used, &signature), Err(Revert::UsedOrCanceled));
    let cancelled = Authorization { nonce: nonce_of("two"), ..used.clone() };
    let who = shop.buyer.key.address();
    let stranger = Key::named("stranger").unwrap().sign_cancel(cancelled.nonce, chain.token()).unwrap();
    assert_eq!(chain.cancel_authorization(who, cancelled.nonce, &stranger), Err(Revert::InvalidSignature));
    let own = shop.buyer.key.sign_cancel(cancelled.nonce, chain.token()).unwrap();
    chain.cancel_authorization(who, cancelled.nonce, &own).unwrap();
    assert_eq!(chain.cancel_authorization(who, cancelled.nonce, &own), Err(Revert::UsedOrCanceled));
    let signature = shop.buyer.key.sign(&cancelled, chain.token()).unwrap();
    assert_eq!(chain.transfer_with_authorization(&cancelled, &signature), Err(Revert::UsedOrCanceled));
    assert_eq!((shop.paid(), chain.transfers().len()), (1_000, 1));
}

#[tokio::test]
async fn a_signature_that_is_none_is_refused_in_the_words_of_the_library() {
    let shop = Shop::open().await;
    let authorization = good(&shop);
    let signature = shop.buyer.key.sign(&authorization, shop.market.token()).unwrap();
    let mut wrong_v = signature.bytes().to_vec();
    wrong_v[64] = 1;
    let cases = [
        (vec![], "ECRecover: invalid signature length"),
        (signature.bytes()[..64].to_vec(), "ECRecover: invalid signature length"),
        (wrong_v, "ECRecover: invalid signature 'v' value"),
        (vec![0; 65], "ECRecover: invalid signature"),
    ];
    for (bytes, words) in cases {
        let signature = Signature::new(bytes);
        let refused =
            shop.market.chain().transfer_with_authorization(&authorization, &signature).unwrap_err();
        assert_eq!(refused.to_string(), words);
    }
}

#[tokio::test]
async fn money_is_neither_made_nor_lost_by_a_transfer_to_oneself_or_beyond_the_count() {
    let shop = Shop::open().await;
    let chain = shop.market.chain();
    let own = Authorization { to: shop.buyer.key.address(), ..good(&shop) };
    let signature = shop.buyer.key.sign(&own, chain.token()).unwrap();
    chain.transfer_with_authorization(&own, &signature).unwrap();
    assert_eq!(shop.paid(), 0);
    chain.mint(shop.seller().pay_to(), u128::MAX).unwrap();
    let over = Authorization { nonce: nonce_of("two"), ..good(&shop) };
    let signature = shop.buyer.key.sign(&over, chain.token()).unwrap();
    assert_eq!(chain.transfer_with_authorization(&over, &signature), Err(Revert::BalanceTooBig));
    assert_eq!(chain.mint(shop.buyer.key.address(), u128::MAX), Err(Revert::BalanceTooBig));
    assert_eq!(shop.paid(), 0);
}
