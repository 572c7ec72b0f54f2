//! Token counts, under the names that servers give them.

use crate::model::Usage;
use serde_json::Value;

/// Reads a `usage` object. What is not there, or no count, is unknown.
pub(super) fn read(usage: &Value) -> Usage {
    let first = |paths: &[&str]| paths.iter().find_map(|path| usage.pointer(path)?.as_u64());
    Usage {
        input_tokens: first(&["/input_tokens", "/prompt_tokens"]),
        output_tokens: first(&["/output_tokens", "/completion_tokens"]),
        cached_tokens: first(&[
            "/input_tokens_details/cached_tokens",
            "/prompt_tokens_details/cached_tokens",
            "/prompt_cache_hit_tokens",
            "/cached_tokens",
        ]),
        cache_write_tokens: first(&[
            "/input_tokens_details/cache_write_tokens",
            "/prompt_tokens_details/cache_write_tokens",
        ]),
        reasoning_tokens: first(&[
            "/output_tokens_details/reasoning_tokens",
            "/completion_tokens_details/reasoning_tokens",
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_are_found_under_each_name_and_never_made_up() {
        let responses = json!({"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"reasoning_tokens": 3}});
        let chat = json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}});
        assert_eq!(read(&responses), read(&chat));
        assert_eq!(read(&chat).cached_tokens, Some(4));
        let odd = json!({"prompt_tokens": -1, "completion_tokens": 1.5, "prompt_tokens_details": null});
        assert_eq!(read(&odd), Usage::default());
    }
}
