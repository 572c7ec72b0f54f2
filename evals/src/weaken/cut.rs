//! Files of rules with one thing less in them.

/// What the name of a cut ends with that takes out the condition of a permit.
pub(super) const CONDITION: &str = ": its condition";

/// Something that can be taken out of a text of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// What is taken out: the rule's id, and the part of its conditions if it is only a part.
    pub(super) name: String,
    /// The text without it.
    pub(super) text: String,
}

/// One statement of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Statement<'a> {
    start: usize,
    text: &'a str,
}

/// Everything that can be taken out of a file, one at a time: each forbid; each part of a forbid's condition whose absence
/// lets more through; the conditions of each permit, so that it permits always.
///
/// A permit itself is never taken out: that lets less through.
pub(super) fn cuts(text: &str) -> Vec<Cut> {
    let mut all = Vec::new();
    for statement in statements(text) {
        let Some(id) = id(statement.text) else { continue };
        let with = |changed: &str| {
            let before = text.get(..statement.start).unwrap_or_default();
            let after = text.get(statement.start.saturating_add(statement.text.len())..).unwrap_or_default();
            format!("{before}{changed}{after}")
        };
        let Some(body) = body(statement.text) else { continue };
        let head = statement.text.strip_suffix(body).unwrap_or_default();
        if head.contains("permit") && !body.trim().trim_end_matches(';').is_empty() {
            all.push(Cut { name: format!("{id}{CONDITION}"), text: with(&format!("{};", head.trim_end())) });
        }
        if head.contains("forbid") {
            all.push(Cut { name: id.to_owned(), text: with("") });
            for (part, changed) in alternatives(body) {
                all.push(Cut {
                    name: format!("{id}: only if {part}"),
                    text: with(&format!("{head}{changed}")),
                });
            }
        }
    }
    all
}

/// The statements of a file: from an annotation or an effect to the semicolon. Comments and texts are stepped over.
fn statements(text: &str) -> Vec<Statement<'_>> {
    let mut found = Vec::new();
    let (mut start, mut in_text, mut in_comment, mut escaped) = (None, false, false, false);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if in_comment {
            in_comment = c != '\n';
        } else if in_text {
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c == '/' && before == '/' {
            in_comment = true;
            // A comment between statements is none of them.
            if start == at.checked_sub(1) {
                start = None;
            }
        } else if c == '"' {
            in_text = true;
        } else if c == ';' {
            let end = at.saturating_add(1);
            found.extend(start.and_then(|start| text.get(start..end).map(|text| Statement { start, text })));
            start = None;
            before = ' ';
            continue;
        }
        if start.is_none() && !in_comment && !c.is_whitespace() {
            start = Some(at);
        }
        before = c;
    }
    found
}

fn id(statement: &str) -> Option<&str> {
    statement.split_once("@id(\"")?.1.split_once('"').map(|(id, _)| id)
}

/// What stands behind the scope: `when { … };`, or `;` alone.
fn body(statement: &str) -> Option<&str> {
    let effect = statement.find("forbid (").or_else(|| statement.find("permit ("))?;
    let rest = statement.get(effect..)?;
    // A scope holds no parenthesis of its own in these files.
    let end = rest.find(')')?;
    rest.get(end.saturating_add(1)..)
}

/// A forbid applies `when { A || B }`: without one of them it applies less often. `unless { A && B }` is the same, turned
/// round. Parts are told apart at the outermost level only.
fn alternatives(body: &str) -> Vec<(String, String)> {
    let (word, between) = match body.trim_start() {
        body if body.starts_with("when") => ("when", "||"),
        body if body.starts_with("unless") => ("unless", "&&"),
        _ => return Vec::new(),
    };
    let Some((_, rest)) = body.split_once('{') else { return Vec::new() };
    let Some((inside, _)) = rest.rsplit_once('}') else { return Vec::new() };
    let parts = split(inside, between);
    if parts.len() < 2 {
        return Vec::new();
    }
    let without = |out: usize| {
        let kept = parts.iter().enumerate().filter(|(at, _)| *at != out).map(|(_, part)| *part);
        let kept = kept.collect::<Vec<_>>().join(&format!(" {between} "));
        (kept.split_whitespace().collect::<Vec<_>>().join(" "), format!("\n{word} {{ {kept} }};"))
    };
    (0..parts.len()).map(without).collect()
}

/// The parts between an operator, at the outermost level.
fn split<'a>(text: &'a str, between: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut from, mut in_text) = (Vec::new(), 0_i32, 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => in_text = !in_text,
            '(' | '[' | '{' if !in_text => depth = depth.saturating_add(1),
            ')' | ']' | '}' if !in_text => depth = depth.saturating_sub(1),
            _ if !in_text && depth == 0 && text.get(at..).is_some_and(|rest| rest.starts_with(between)) => {
                parts.push(text.get(from..at).unwrap_or_default().trim());
                from = at.saturating_add(between.len());
            }
            _ => {}
        }
    }
    parts.push(text.get(from..).unwrap_or_default().trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
// A comment; with a semicolon and "a quote.
@id("a.allow")
permit (principal, action == Action::"pay", resource)
when { context.secure };

// Another.
@id("a.plain")
@reason("X: no; never")
forbid (principal, action == Action::"pay", resource)
unless { context.secure && (context.a || context.b) };

@id("a.always")
forbid (principal, action, resource);
"#;

    #[test]
    fn each_check_is_taken_out_once() {
        let names: Vec<_> = cuts(FILE).into_iter().map(|cut| cut.name).collect();
        assert_eq!(
            names,
            [
                "a.allow: its condition",
                "a.plain",
                "a.plain: only if (context.a || context.b)",
                "a.plain: only if context.secure",
                "a.always",
            ]
        );
    }

    #[test]
    fn what_is_left_is_as_it_was() {
        let all = cuts(FILE);
        assert!(all[0].text.contains("permit (principal, action == Action::\"pay\", resource);\n"));
        assert!(!all[1].text.contains("a.plain") && all[1].text.contains("// Another."));
        assert!(all[2].text.contains("unless { (context.a || context.b) };"), "{}", all[2].text);
        assert!(!all[4].text.contains("a.always") && all[4].text.contains("a.plain"));
    }
}
