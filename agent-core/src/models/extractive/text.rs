//! Words: tokens, stems, what to leave out, and what else means nearly the same.

/// Words that carry no topic.
const STOPWORDS: &str = "a about above after again all also am an and another any are as at be became because been before \
     being below between both but by can cannot could did do does doing done down during each either else etc ever every \
     few for from further get gets give given had has have having he her here hers him his how however i if in into is it \
     its itself just let lets make makes many may me might more most much must my need needs no nor not of off on once one \
     only or other our out over own per please same say says shall she should since so some somebody someone something such \
     than that the their them then there these they thing things this those through thus to too under until up upon us use \
     used uses using very via was way ways we well were what when where whether which while who whom whose why will with \
     within without would yet you your tell explain describe standard standards erc eip proposal work works exactly actually";

/// Words of a question that say what kind of answer is wanted and little about its subject.
const LIGHT: &str = "like happen happens happened look looks find finds found made point points describe describes define defines \
     difference different differ differs compare compared versus distinguish mean means become becomes take takes took keep \
     keeps actual way kind kinds type types number part want wants come comes goes going know knows seen see shows \
     show help helps try tries thing cause causes";

/// Words, and others that a text often uses when it speaks of them. Both are stemmed before use.
const NEAR: &[(&str, &str)] = &[
    ("replay replayed replaying", "replayed nonce nonces reuse unique random once domain"),
    ("drain drained draining deplete", "drained draining deplete deposit griefing balance withdraw stake"),
    ("attack attacker exploit abuse", "malicious vulnerable manipulation exploit secure"),
    ("inflation inflate", "manipulation donation"),
    ("bind bound binding tie link attach", "deterministic assign derive unique permanently"),
    ("gas gasless", "fee meta relayer"),
    ("stablecoin usdc usdt dai", "token"),
    ("difference differ different compare versus vs distinguish", "instead unlike whereas primary existing"),
    ("royalty royalties", "payment creator"),
    ("sign signed signing", "authorization"),
    ("upgrade upgradeable", "proxy replace"),
];

/// Words that say the same: a text that holds one of a line has said all of them.
const SAME: &[&str] = &[
    "stop prevent avoid protect guard mitigate defend secure resist reject disallow forbid",
    "bind bound",
    "pay payer paid payment sponsor",
    "difference differ different",
    "sign signature signed",
    "verify check validate",
    "owner holder",
    "cancel revoke invalidate",
    "attack exploit abuse malicious",
    "behalf delegate else someone somebody relayer sponsor",
    "find lookup locate determine",
    "rank score sort",
    "expire expiry deadline",
    "refund reimburse",
];

/// Whether a word carries no topic.
pub(super) fn is_stopword(word: &str) -> bool {
    STOPWORDS.split_ascii_whitespace().any(|stop| stop == word)
}

/// Whether a word says what kind of answer is wanted, and little about its subject.
pub(super) fn is_light(stem_of_word: &str) -> bool {
    holds(LIGHT, stem_of_word)
}

/// The stems of a text, in order; `ERC-20`, `EIP 20` and `erc20` are one word.
pub(super) fn stems(text: &str) -> Vec<String> {
    words(text).iter().map(|word| stem(word)).collect()
}

/// The stems of a text that carry a topic.
pub(super) fn topic_stems(text: &str) -> Vec<String> {
    words(text).iter().filter(|word| !is_stopword(word)).map(|word| stem(word)).collect()
}

/// Words that a text often uses when it speaks of this one.
pub(super) fn near(word: &str) -> Vec<&'static str> {
    let stem_of_word = stem(word);
    let lines = NEAR.iter().filter(|(triggers, _)| holds(triggers, &stem_of_word));
    lines.flat_map(|(_, others)| others.split_ascii_whitespace()).collect()
}

/// Stems of other words that say the same as this stem.
pub(super) fn same(stem_of_word: &str) -> Vec<String> {
    let lines = SAME.iter().filter(|line| holds(line, stem_of_word));
    let stems = lines.flat_map(|line| line.split_ascii_whitespace()).map(stem);
    stems.filter(|stem| stem != stem_of_word).collect()
}

fn holds(line: &str, stem_of_word: &str) -> bool {
    line.split_ascii_whitespace().any(|word| stem(word) == stem_of_word)
}

/// Lower-case words; a family of standards and its number are joined.
pub(super) fn words(text: &str) -> Vec<String> {
    let text = text
        .replace("n't", " not")
        .replace("n’t", " not")
        .replace("look up", "lookup")
        .replace("looks up", "lookup");
    let runs = text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    let mut words: Vec<String> = Vec::new();
    for run in runs {
        let word = run.to_lowercase();
        let number = word.bytes().all(|b| b.is_ascii_digit());
        match words.last_mut() {
            Some(family) if number && is_family(family) => {
                *family = format!("{}{word}", if family == "eip" { "erc" } else { family.as_str() });
            }
            _ => words.push(match word.strip_prefix("eip") {
                Some(rest) if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()) => {
                    format!("erc{rest}")
                }
                _ => word,
            }),
        }
    }
    words
}

fn is_family(word: &str) -> bool {
    matches!(word, "erc" | "eip" | "rfc" | "bip" | "iso" | "caip" | "slip")
}

/// Whether a word names a numbered document, such as `erc20` or `rfc8785`.
pub(super) fn is_numbered(word: &str) -> bool {
    let letters: String = word.chars().take_while(char::is_ascii_alphabetic).collect();
    let digits = word.strip_prefix(letters.as_str()).unwrap_or_default();
    is_family(&letters) && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A light stemmer: endings of number, tense and nouns made from verbs. Short words and numbered names stay.
pub(super) fn stem(word: &str) -> String {
    if word.len() < 4 || !word.is_ascii() || word.bytes().any(|b| b.is_ascii_digit()) {
        return word.to_owned();
    }
    let mut stem = word.to_owned();
    if let Some(rest) = stem.strip_suffix("ies") {
        stem = format!("{rest}y");
    } else if !(stem.ends_with("ss") || stem.ends_with("us") || stem.ends_with("is")) {
        cut(&mut stem, "s", 3);
    }
    if cut(&mut stem, "ing", 3) || cut(&mut stem, "ed", 3) {
        undouble(&mut stem);
    }
    if stem.ends_with("tion") || stem.ends_with("sion") {
        cut(&mut stem, "ion", 3);
    }
    if stem.ends_with("izat") {
        cut(&mut stem, "at", 3);
    }
    let _ = cut(&mut stem, "ment", 3) || cut(&mut stem, "ly", 4) || cut(&mut stem, "er", 4);
    cut(&mut stem, "e", 3);
    if let Some(rest) = stem.strip_suffix('y').filter(|rest| rest.len() >= 3) {
        stem = format!("{rest}i");
    }
    stem
}

fn cut(stem: &mut String, ending: &str, left: usize) -> bool {
    let keep = stem.len().saturating_sub(ending.len());
    let fits = keep >= left && stem.ends_with(ending);
    if fits {
        stem.truncate(keep);
    }
    fits
}

fn undouble(stem: &mut String) {
    let mut ends = stem.bytes().rev();
    if let (Some(last), Some(before)) = (ends.next(), ends.next())
        && last == before
        && !matches!(last, b'l' | b's' | b'z')
    {
        stem.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_share_a_stem() {
        for forms in [
            "authorize authorized authorizes authorization authorizations authorizing",
            "transfer transfers transferred transferring",
            "replay replays replayed replaying",
            "inflate inflation inflated",
            "nonce nonces",
            "delegate delegated delegation delegating",
            "pay pays payment payments",
        ] {
            let stems: Vec<String> = forms.split(' ').map(stem).collect();
            assert!(stems.iter().all(|stem| *stem == stems[0]), "{forms}: {stems:?}");
        }
    }

    #[test]
    fn a_standard_is_one_word_however_it_is_written() {
        for text in ["ERC-20", "erc20", "EIP-20", "EIP 20", "eip20"] {
            assert_eq!(words(text), ["erc20"], "{text}");
            assert!(is_numbered("erc20"));
        }
    }
}
