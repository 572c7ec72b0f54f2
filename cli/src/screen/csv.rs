//! Comma-separated values (RFC 4180) that a spreadsheet does not run, and whose fields none can split, whatever it takes for a separator.

/// One record.
pub(crate) fn line<S: AsRef<str>>(fields: impl IntoIterator<Item = S>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|text| field(text.as_ref())).collect();
    fields.join(",") + "\r\n"
}

/// A field. Text that a spreadsheet would run as a formula is kept text by an apostrophe before it, as OWASP, "CSV Injection",
/// advises; spaces before it and the wide forms of the signs are seen through.
fn field(text: &str) -> String {
    let first = text.trim_start_matches([' ', '\u{a0}', '\u{feff}', '\n']).chars().next();
    let formula = matches!(
        first,
        Some(
            '=' | '+'
                | '-'
                | '@'
                | '\t'
                | '\r'
                | '\u{ff1d}'
                | '\u{ff0b}'
                | '\u{ff0d}'
                | '\u{ff20}'
                | '\u{2212}'
        )
    );
    let kept = if formula { "'" } else { "" };
    format!("\"{kept}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_and_never_a_formula() {
        for (text, written) in [
            ("plain", "\"plain\""),
            ("", "\"\""),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("a;=cmd()\tb|c", "\"a;=cmd()\tb|c\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=cmd()", "\"'=cmd()\""),
            (" =cmd()", "\"' =cmd()\""),
            ("\n=cmd()", "\"'\n=cmd()\""),
            ("+1", "\"'+1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\u{ff1d}cmd()", "\"'\u{ff1d}cmd()\""),
            ("=HYPERLINK(\"x\",1)", "\"'=HYPERLINK(\"\"x\"\",1)\""),
        ] {
            assert_eq!(field(text), written);
        }
        assert_eq!(line(["a", "b;c"]), "\"a\",\"b;c\"\r\n");
    }
}
