use super::*;

fn shown(media_type: &str, text: &str) -> String {
    let document = extract(Some(media_type), text.as_bytes());
    let mut out = format!("title: {:?}\n", document.title);
    for block in document.blocks {
        out.push_str(&format!("{:?}: {}\n", block.kind, block.text));
    }
    out
}

#[test]
fn markdown_becomes_blocks() {
    let text = "---\ntitle: From front matter\ndescription: D\n---\n# Heading *one*\n\nA [link](https://x.example) and `code`\n\
                on two lines.\n\n> quoted\n\n1. one\n2. two\n   more\n\n   para\n   - deep\n\n```sol\nfn a();\n\tb\n```\n\n\
                | a | b |\n|---|---|\n| 1 | 2 |\n\n<p>html <b>bold</b></p>\n\n---\nend<br>here";
    insta::assert_snapshot!(shown("text/markdown; charset=utf-8", text), @r#"
    title: Some("From front matter")
    Heading(1): Heading one
    Paragraph: A link and code on two lines.
    Paragraph: quoted
    List: 1. one
    2. two more
      para
      - deep
    Code: ```sol
    fn a();
     b
    ```
    List: a | b
    1 | 2
    Paragraph: html bold
    Paragraph: end here
    "#);
}

#[test]
fn html_becomes_blocks() {
    let text = "<!doctype html><html><head><title> A &amp; B </title><style>p{}</style><meta name=description content='D d'>\
                <script>if (a < b) document.write('<p>no</p>')</script></head><body><nav>Home</nav><h1>Top</h1><p>One\n  <b>two</b>\
                <p>Three<br>four</div><ul><li>a<li><p>b</p><ul><li>c</ul></ul><pre>x\n  y</pre><noscript>no</noscript>\
                <table><tr><th>k<th>v<tr><td>1<td>2</table><svg><text>no</text></svg>&lt;tag&gt; &#x202e;end<!-- no -->";
    insta::assert_snapshot!(shown("text/html", text), @r#"
    title: Some("A & B")
    Paragraph: Home
    Heading(1): Top
    Paragraph: One two
    Paragraph: Three four
    List: - a
    - b
      - c
    Code: ```
    x
      y
    ```
    List: k | v
    1 | 2
    Paragraph: <tag> end
    "#);
    let document = extract(Some("text/html"), text.as_bytes());
    assert_eq!(document.description.as_deref(), Some("D d"));
}

#[test]
fn plain_text_becomes_paragraphs_and_lists() {
    insta::assert_snapshot!(shown("text/plain", "one\ntwo\n\nlist:\n- a\n  b\n- c\n\n3\u{7}\u{200b}4"), @r"
    title: None
    Paragraph: one two
    Paragraph: list:
    List: - a b
    - c
    Paragraph: 3 4
    ");
}

#[test]
fn what_a_sender_calls_plain_is_read_as_what_it_is() {
    for (bytes, title) in [
        ("---\ntitle: T\n---\nx", Some("T")),
        ("# T\n\nx", Some("T")),
        ("<!DOCTYPE HTML><title>T</title>", Some("T")),
        ("\u{feff}# T", Some("T")),
        ("x", None),
    ] {
        for media_type in [None, Some("text/plain"), Some("application/octet-stream")] {
            assert_eq!(extract(media_type, bytes.as_bytes()).title.as_deref(), title, "{bytes:?}");
        }
    }
}

#[test]
fn bytes_that_are_no_good_text_are_said_to_be_so() {
    let long = vec![b'a'; BYTES_MAX + 1];
    let mut cut_inside = vec![b'a'; BYTES_MAX - 1];
    cut_inside.extend("é".as_bytes());
    for (media_type, bytes, notes) in [
        ("text/plain", b"caf\xe9".as_slice(), vec![Note::NotUtf8]),
        ("text/plain", &long, vec![Note::Truncated]),
        ("text/plain", &cut_inside, vec![Note::Truncated]),
        ("text/plain", b"a\0b", vec![Note::NotText]),
        ("image/png", b"abc", vec![Note::NotText]),
        ("text/plain", b"", vec![]),
    ] {
        assert_eq!(extract(Some(media_type), bytes).notes, notes, "{media_type} of {} bytes", bytes.len());
    }
    assert_eq!(extract(Some("text/plain"), b"caf\xe9").text(), "caf\u{fffd}");
}

#[test]
fn hostile_pages_are_read_in_time_that_grows_with_their_length() {
    let repeated = |text: &str| text.repeat(400_000 / text.len());
    let attributes: String = (0..40_000).map(|n| format!(" a{n}=1")).collect();
    for html in [
        repeated("<div>"),
        repeated("<b><i><a><p>"),
        repeated("<ul><li>"),
        repeated("<table><tr><td>"),
        repeated("<h1>"),
        repeated("<pre>"),
        repeated("<hr>"),
        repeated("&amp"),
        repeated("<!--"),
        repeated("<svg>"),
        repeated("</p>"),
        repeated("<"),
        format!("<p{attributes}>x"),
        format!("<p title=\"{}", repeated("x ")),
    ] {
        let document = extract(Some("text/html"), html.as_bytes());
        assert!(document.text().len() <= 8 * html.len());
    }
    for markdown in [
        repeated("["),
        repeated("![["),
        repeated("*a "),
        repeated("*a_ "),
        repeated("> "),
        repeated("`a``b"),
        repeated("[a]("),
        repeated("<a "),
        repeated("- "),
        repeated("|a\n"),
        repeated("\\"),
        format!("|a|\n|-|\n{}", repeated("|b\n")),
        (0..600).map(|depth| format!("{}- x\n", "  ".repeat(depth))).collect(),
        (0..20_000).map(|n| format!("[x{n}]: <y>\n")).collect(),
    ] {
        let document = extract(Some("text/markdown"), markdown.as_bytes());
        assert!(document.text().len() <= 8 * markdown.len());
    }
}

#[test]
fn invisible_text_does_not_reach_the_reader() {
    let text = "a\u{202e}b\u{e0041}c\u{200b}\u{1b}[31md\u{feff}e\u{ad}f";
    for media_type in ["text/plain", "text/markdown", "text/html"] {
        let found = extract(Some(media_type), text.as_bytes()).text();
        assert!(found.starts_with("abc") && found.ends_with("def"), "{media_type}: {found:?}");
        assert!(!found.contains(|c: char| c.is_control() || blocks::invisible(c)), "{media_type}: {found:?}");
    }
}

#[test]
fn a_line_from_outside_is_bounded() {
    for (text, wanted) in [
        ("  a \n b\t", "a b"),
        ("abcdef", "abcd…"),
        ("ab cdef", "ab c…"),
        ("\u{1b}\u{202e}", ""),
        ("abcd", "abcd"),
    ] {
        assert_eq!(clean_line(text, 4), wanted, "{text:?}");
    }
}

#[test]
fn text_from_outside_keeps_its_lines_and_is_bounded() {
    for (text, wanted) in
        [("a\r\nb\tc", "a\nb …"), ("\u{1b}\u{202e}a\n", "a\n"), ("abcd", "abcd"), ("abcde", "abcd…")]
    {
        assert_eq!(clean_text(text, 4), wanted, "{text:?}");
    }
}
