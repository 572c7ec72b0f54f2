//! The documents that come with the command: true, sourced texts on machine payments, sold by the market in a box.

use bursar_market::SourceDocument;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../sources/", $name)))),*]
    };
}

const SOURCES: [(&str, &str); 14] = embedded![
    "ap2-mandates.md",
    "bm25-ranking.md",
    "cedar-policy-language.md",
    "eip-2612-permit-and-eip-3009.md",
    "eip-3009-transfer-with-authorization.md",
    "eip-712-typed-data-and-domain-separators.md",
    "http-402-payment-required.md",
    "idempotency-keys-and-at-most-once.md",
    "merkle-tree-logs.md",
    "sagas-and-compensation.md",
    "stablecoin-units-and-decimals.md",
    "two-phase-transfers-and-double-entry.md",
    "x402-version-1-and-version-2.md",
    "x402-version-2-over-http.md",
];

/// The documents.
pub(crate) fn documents() -> Vec<SourceDocument> {
    SOURCES.iter().map(|(path, text)| SourceDocument::new(*path, *text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_of_the_folder_is_embedded() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sources");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".md"))
            .collect();
        names.sort();
        assert_eq!(names, SOURCES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
