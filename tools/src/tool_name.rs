//! Names of tools: those of a server or a document, and those that a model uses.

use bursar_types::Digest;

/// Longest name that the providers of models take.
const CHARS_MAX: usize = 64;
/// Digits of the digest behind a name that had to be changed.
const DIGITS: usize = 8;

/// The name under which a model calls a tool: the server's name as the operator gave it, two underscores, and the tool's own name.
/// Characters that providers do not take become underscores. A name that was changed, or cut, ends with a part of its digest, so that
/// two tools never share one and no tool of a server can be made to look like another's.
pub(crate) fn model_name(server: &str, tool: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let whole = format!("{server}__{tool}");
    if whole.len() <= CHARS_MAX && !tool.is_empty() && tool.chars().all(fits) {
        return whole;
    }
    let digest = Digest::of(tool.as_bytes()).to_string();
    let digits: String = digest.chars().rev().take(DIGITS).collect();
    let plain: String = tool.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    let room = CHARS_MAX.saturating_sub(server.len() + DIGITS + 3);
    let plain: String = plain.chars().take(room).collect();
    format!("{server}__{plain}_{digits}")
}

#[cfg(test)]
mod tests {
    use super::model_name;
    use std::collections::BTreeSet;

    #[test]
    fn a_plain_name_stands_behind_its_servers() {
        assert_eq!(model_name("sources", "search_web"), "sources__search_web");
    }

    #[test]
    fn names_that_providers_do_not_take_are_changed_and_stay_apart() {
        let long = "x".repeat(100);
        let longer = "x".repeat(101);
        let names = ["a.b", "a/b", "a b", "a_b", "fetсh", "fetch", "", &long, &longer, "a\u{202e}b"];
        let mapped: BTreeSet<String> = names.iter().map(|name| model_name("s", name)).collect();
        assert_eq!(mapped.len(), names.len(), "{mapped:?}");
        for name in mapped {
            assert!(name.len() <= 64 && name.starts_with("s__"), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)), "{name}");
        }
    }
}
