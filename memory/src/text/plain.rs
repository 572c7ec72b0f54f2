//! Plain text: paragraphs between empty lines, lists by their marks.

use super::BlockKind;
use super::blocks::Builder;

pub(super) fn read(text: &str, builder: &mut Builder) {
    let mut list = false;
    for line in text.lines() {
        let line = line.trim();
        let item = is_item(line);
        if line.is_empty() || (item && !list) {
            builder.end(if list { BlockKind::List } else { BlockKind::Paragraph });
            list = false;
        }
        if item {
            list = true;
            builder.line("");
        }
        builder.push(line);
        builder.push("\n");
    }
    builder.end(if list { BlockKind::List } else { BlockKind::Paragraph });
}

fn is_item(line: &str) -> bool {
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = number.len() < line.len() && (number.starts_with(". ") || number.starts_with(") "));
    line.starts_with("- ") || line.starts_with("* ") || line.starts_with("• ") || numbered
}
