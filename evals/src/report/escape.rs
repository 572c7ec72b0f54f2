//! Text that others wrote, so that it stays text.

/// Whether a character is not seen as it stands, or may not stand in XML at all (the last two).
fn is_hidden(c: char) -> bool {
    bursar::types::is_hidden(c) || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// One line in which every character can be seen: what is hidden or controls something stands as `\u{202e}`.
pub(crate) fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => seen.push_str("\\n"),
            '\r' => seen.push_str("\\r"),
            '\t' => seen.push_str("\\t"),
            c if is_hidden(c) => seen.extend(c.escape_unicode()),
            c => seen.push(c),
        }
    }
    seen
}

/// For text and attributes of XML and HTML.
pub(super) fn markup(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// For a cell of a Markdown table: no markup, no link, no mention, no end of the cell.
pub(super) fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // An entity, so that no account is told and no address becomes a link.
            '@' => safe.push_str("&#64;"),
            ':' => safe.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out() {
        assert_eq!(markup("</td><script>\"'&"), "&lt;/td&gt;&lt;script&gt;&quot;&#39;&amp;");
        assert_eq!(markup("a\u{202e}b\0\n"), "a\\u{202e}b\\u{0}\\n");
        // A line end that is none, a blank that is a letter, and what XML does not know.
        assert_eq!(markup("a\u{2028}b\u{3164}\u{ffff}"), "a\\u{2028}b\\u{3164}\\u{ffff}");
        assert_eq!(
            cell("a|b\n@ada [x](https://evil.test)"),
            "a\\|b\\\\n&#64;ada \\[x\\]\\(https&#58;//evil.test\\)"
        );
    }
}
