//! The trace as a page. Whatever others wrote stands in it as text.

use super::{Trace, TraceLine};
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
h1{font-size:1.3rem;word-break:break-all;margin-bottom:.2rem}h2{font-size:1rem;margin:1.6rem 0 .4rem}\
p.outcome{margin-top:0;font-size:1.1rem}table{border-collapse:collapse;width:100%}\
td,th{border-top:1px solid #ddd;padding:.25rem .6rem .25rem 0;text-align:left;vertical-align:top;font-weight:400}\
th{width:30%;color:#555}td.value{overflow-wrap:anywhere}td.entry{width:5rem;text-align:right;color:#555;font-variant-numeric:tabular-nums}\
.erased{color:#8a4b00;font-style:italic}footer{margin-top:2rem;color:#555;font-size:.9rem}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}td,th{border-color:#3a3a3a}th,td.entry,footer{color:#a8a8a8}.erased{color:#e0a458}}";

/// One page that loads nothing and runs nothing.
pub(super) fn page(trace: &Trace) -> String {
    let title = markup(&trace.title());
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p class=\"outcome\">{}</p>\n",
        markup(&trace.outcome)
    );
    for part in &trace.parts {
        let _ = writeln!(html, "<h2>{}</h2>", markup(part.question));
        if part.lines.is_empty() {
            let _ = writeln!(html, "<p>The journal does not say.</p>");
            continue;
        }
        let _ = writeln!(html, "<table>");
        for TraceLine { name, value, entry, erased } in &part.lines {
            let entry = entry.map_or_else(String::new, |entry| entry.to_string());
            let class = if *erased { "value erased" } else { "value" };
            let (name, value) = (markup(name), markup(value));
            let _ = writeln!(
                html,
                "<tr><th scope=\"row\">{name}</th><td class=\"{class}\">{value}</td><td class=\"entry\">{entry}</td></tr>"
            );
        }
        let _ = writeln!(html, "</table>");
    }
    html.push_str(
        "<footer>The numbers are positions of journal entries. <code>bursar audit verify</code> checks all of them, and \
         <code>bursar audit prove</code> writes a proof of one.</footer>\n</body>\n</html>\n",
    );
    html
}

fn markup(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
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

#[cfg(test)]
mod tests {
    use super::super::{Subject, TracePart};
    use super::*;

    #[test]
    fn what_others_wrote_stays_text() {
        let mut part = TracePart::new("what was bought");
        part.say(
            "<script>",
            "https://evil.test/\"><script>alert('x')</script>\u{202e}\n<img src=x>&amp;",
            Some(7),
        );
        let trace = Trace {
            subject: Subject::Refusal { entry: 7 },
            outcome: "<b>denied</b>".to_owned(),
            parts: vec![part],
        };
        let html = trace.html();
        for hostile in ["<script", "<img", "<b>", "\u{202e}", "alert('x')"] {
            assert!(!html.contains(hostile), "{hostile} in {html}");
        }
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{html}");
        assert!(!html.contains("http-equiv=\"refresh\"") && !html.contains(" src=x&gt;\n"), "{html}");
        // A line of the text is one answer, whatever stands in it.
        assert_eq!(trace.text().lines().count(), 5);
    }
}
