//! What a text says about itself: front matter, first heading, title tag, first paragraph.

use super::markup;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) standard: Option<u32>,
}

/// Reads the facts of the text at `path`.
pub(super) fn read(path: &str, text: &str) -> Facts {
    let (front, body) = split(text);
    let field = |name: &str| {
        front.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            let value = value.trim().trim_matches(['"', '\'']).trim();
            (key.trim().eq_ignore_ascii_case(name) && !value.is_empty()).then(|| value.to_owned())
        })
    };
    let html = is_html(path);
    let file_name = || {
        let name = path.rsplit('/').next().unwrap_or(path);
        name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
    };
    let heading = || if html { markup::html_title(body) } else { markup::first_heading(body) };
    let named = field("title").or_else(heading).filter(|title| !title.is_empty()).unwrap_or_else(file_name);
    let number = field("eip").or_else(|| field("erc")).and_then(|number| number.parse().ok());
    let is_erc = field("category").is_some_and(|category| category.eq_ignore_ascii_case("ERC"));
    let title = match number {
        Some(number) if is_erc => format!("ERC-{number}: {named}"),
        Some(number) => format!("EIP-{number}: {named}"),
        None => named,
    };
    let standard = number.or_else(|| standard_in(&file_name()));
    let description = field("description").or_else(|| markup::first_paragraph(body, html));
    Facts { title, description, standard }
}

/// Front matter (without its fences) and the rest.
pub(super) fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches('\u{feff}');
    let Some(rest) = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n")) else {
        return ("", text);
    };
    match rest.split_once("\n---") {
        Some((front, body)) => (front, body.trim_start_matches('-').trim_start()),
        None => ("", text),
    }
}

pub(super) fn is_html(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.ends_with(".html") || lower.ends_with(".htm")
}

/// `erc-3009`, `EIP3009`: the number, if a name is that of a standard and nothing else.
fn standard_in(name: &str) -> Option<u32> {
    let lower = name.to_ascii_lowercase();
    let rest = lower.strip_prefix("erc").or_else(|| lower.strip_prefix("eip"))?;
    rest.trim_start_matches(['-', '_', ' ']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_taken_from_front_matter_then_heading_then_tag_then_file_name() {
        let cases = [
            ("a.md", "---\ntitle: \"Front\"\n---\n# Heading\n", "Front"),
            ("a.md", "---\neip: 3009\ntitle: Transfer\ncategory: ERC\n---\n", "ERC-3009: Transfer"),
            ("a.md", "---\neip: 712\ntitle: Typed\ncategory: Interface\n---\n", "EIP-712: Typed"),
            ("a.md", "intro\n\n# The *first* heading\n# second", "The first heading"),
            ("a.html", "<html><head><title>A &amp; B</title></head><h1>x</h1>", "A & B"),
            ("dir/notes.v2.txt", "just text", "notes.v2"),
            ("a.md", "```\n# not a heading\n```\n# Heading", "Heading"),
        ];
        for (path, text, title) in cases {
            assert_eq!(read(path, text).title, title, "{path}: {text}");
        }
    }

    #[test]
    fn a_description_is_taken_from_front_matter_or_the_first_paragraph() {
        let cases = [
            ("a.md", "---\ndescription: Short.\n---\nLong.", Some("Short.")),
            (
                "a.md",
                "# T\n\n## Abstract\n\nOne [link](x.md)\nand `code`.\n\nTwo.",
                Some("One link and code."),
            ),
            ("a.html", "<style>p{}</style><h1>T</h1><p>One &lt; two</p><p>Three</p>", Some("One < two")),
            ("a.md", "# only a heading", None),
        ];
        for (path, text, description) in cases {
            assert_eq!(read(path, text).description.as_deref(), description, "{path}: {text}");
        }
    }
}
