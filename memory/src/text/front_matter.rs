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
    let mut number = Number::default();
    for _ in 0..LINES_MAX {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let line = line.trim_end();
        if line == "---" || line == "..." {
            facts.title = facts.title.map(|title| number.before(title));
            return (facts, after);
        }
        if after.is_empty() {
            break;
        }
        match line.split_once(':') {
            Some(("title", value)) => facts.title = scalar(value),
            Some(("description", value)) => facts.description = scalar(value),
            Some((key, value)) => number.learn(key.trim(), value),
            _ => {}
        }
        rest = after;
    }
    (Facts::default(), text)
}

/// The number under which a document of a numbered series is known. People cite the number and not the title.
#[derive(Debug, Default)]
struct Number {
    series: Option<&'static str>,
    number: Option<u32>,
    category: Option<&'static str>,
}

impl Number {
    fn learn(&mut self, key: &str, value: &str) {
        let series = ["EIP", "ERC"].into_iter().find(|series| key.eq_ignore_ascii_case(series));
        if series.is_some() {
            self.series = series;
            self.number = scalar(value).and_then(|number| number.parse().ok());
        } else if key.eq_ignore_ascii_case("category") {
            self.category =
                scalar(value).filter(|category| category.eq_ignore_ascii_case("ERC")).map(|_| "ERC");
        }
    }

    /// The title with the number before it, unless it has it already.
    fn before(&self, title: String) -> String {
        let Some((series, number)) = self.category.or(self.series).zip(self.number) else { return title };
        let name = format!("{series}-{number}");
        let says = |word: &str| word.eq_ignore_ascii_case(&name);
        if title.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(says) {
            title
        } else {
            format!("{name}: {title}")
        }
    }
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
            (
                "---\neip: 9001\ntitle: Signed Transfers\ncategory: ERC\n---\nb",
                facts("ERC-9001: Signed Transfers", ""),
                "b",
            ),
            (
                "---\ncategory: Core\ntitle: Typed Data\neip: 712\n---\nb",
                facts("EIP-712: Typed Data", ""),
                "b",
            ),
            ("---\ntitle: About ERC-9001\nerc: 9001\n---\nb", facts("About ERC-9001", ""), "b"),
            ("---\ntitle: T\neip: many\ncategory: ERC\n---\nb", facts("T", ""), "b"),
            ("--- \nrule", facts("", ""), "--- \nrule"),
            ("text\n---\n", facts("", ""), "text\n---\n"),
        ] {
            assert_eq!(split(text), (wanted, body), "{text:?}");
        }
    }
}
