//! The facts between `---` lines at the top of a markdown file.

/// Longest front matter, in lines.
const LINES_MAX: usize = 200;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
}

/// Splits a text into the facts of its front matter and its body. A text without front matter is all body.
pub(super) fn split(text: &str) -> (Facts, &str) {
    let mut facts = Facts::default();
    let Some(mut rest) = text.strip_prefix("---").and_then(after_line_end) else { return (facts, text) };
    for _ in 0..LINES_MAX {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim_end();
        if line == "---" || line == "..." {
            return (facts, after);
        }
        if after.is_empty() {
            break;
        }
        match line.split_once(':') {
            Some(("title", value)) => facts.title = scalar(value),
            Some(("description", value)) => facts.description = scalar(value),
            _ => {}
        }
        rest = after;
    }
    (Facts::default(), text)
}

fn after_line_end(text: &str) -> Option<&str> {
    text.strip_prefix('\n').or_else(|| text.strip_prefix("\r\n"))
}

fn scalar(value: &str) -> Option<String> {
    let value = value.trim();
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some(inner.unwrap_or(value).to_owned()).filter(|value| !value.is_empty() && value != ">" && value != "|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_is_taken_off_and_read() {
        let facts = |title: &str, description: &str| Facts {
            title: Some(title.to_owned()).filter(|text| !text.is_empty()),
            description: Some(description.to_owned()).filter(|text| !text.is_empty()),
        };
        for (text, wanted, body) in [
            ("---\ntitle: A: b\ndescription: \"c\"\n---\nbody", facts("A: b", "c"), "body"),
            ("---\r\ntitle: 'A'\r\n---\r\nbody", facts("A", ""), "body"),
            ("---\neip: 20\n---\n", facts("", ""), ""),
            ("---\nno end", facts("", ""), "---\nno end"),
            ("--- \nrule", facts("", ""), "--- \nrule"),
            ("text\n---\n", facts("", ""), "text\n---\n"),
        ] {
            assert_eq!(split(text), (wanted, body), "{text:?}");
        }
    }
}
