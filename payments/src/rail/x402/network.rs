//! Names of networks.

/// The names that version 1 gives to EVM chains.
///
/// # Source
/// `@x402/evm` 2.27.0, its table for version 1.
const V1_NAMES: [(&str, u64); 23] = [
    ("abstract", 2_741),
    ("abstract-testnet", 11_124),
    ("avalanche", 43_114),
    ("avalanche-fuji", 43_113),
    ("base", 8_453),
    ("base-sepolia", 84_532),
    ("celo", 42_220),
    ("educhain", 41_923),
    ("ethereum", 1),
    ("flare", 14),
    ("iotex", 4_689),
    ("megaeth", 4_326),
    ("monad", 143),
    ("peaq", 3_338),
    ("polygon", 137),
    ("polygon-amoy", 80_002),
    ("sei", 1_329),
    ("sei-testnet", 1_328),
    ("sepolia", 11_155_111),
    ("skale-base-sepolia", 324_705_682),
    ("stable", 988),
    ("stable-testnet", 2_201),
    ("story", 1_514),
];

/// The CAIP-2 id that a text names: itself, or what version 1 calls it. `None` for anything else.
pub(super) fn caip2(text: &str) -> Option<String> {
    if let Some((_, chain_id)) = V1_NAMES.iter().find(|(name, _)| *name == text) {
        return Some(format!("eip155:{chain_id}"));
    }
    let (namespace, reference) = text.split_once(':')?;
    let word = |part: &str, shortest: usize, longest: usize, capitals: bool| {
        (shortest..=longest).contains(&part.len())
            && part.bytes().all(|b| match b {
                b'a'..=b'z' | b'0'..=b'9' | b'-' => true,
                b'A'..=b'Z' | b'_' => capitals,
                _ => false,
            })
    };
    let well_formed = word(namespace, 3, 8, false) && word(reference, 1, 32, true);
    let known_form = namespace != "eip155" || chain_id(text).is_some();
    (well_formed && known_form).then(|| text.to_owned())
}

/// The chain id of an EVM network.
pub(super) fn chain_id(network: &str) -> Option<u64> {
    let digits = network.strip_prefix("eip155:")?;
    let id: u64 = digits.parse().ok()?;
    (id.to_string() == digits && id > 0).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_one_name() {
        for (text, network) in [
            ("eip155:8453", Some("eip155:8453")),
            ("base", Some("eip155:8453")),
            ("base-sepolia", Some("eip155:84532")),
            ("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", Some("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp")),
            ("eip155:08453", None),
            ("eip155:+8453", None),
            ("eip155:0", None),
            ("eip155:", None),
            ("eip155:18446744073709551616", None),
            ("Base", None),
            ("base mainnet", None),
            ("", None),
            (":", None),
        ] {
            assert_eq!(caip2(text).as_deref(), network, "`{text}`");
        }
    }
}
