//! What must hold before an answer is accepted.

use super::{Brief, BriefCitation, BriefUse, CitationArgs, Evidence, FinishArgs, UseArgs};
use crate::show::TITLE_CHARS_MAX;
use bursar_memory::{Citation, Library, LibraryError, SourceId, UseRecord, clean_line, clean_text};
use bursar_types::ArtifactId;
use std::collections::BTreeSet;

const ANSWER_CHARS_MAX: usize = 50_000;
const CITATIONS_MAX: usize = 100;
const USES_MAX: usize = 100;
const PROBLEMS_MAX: usize = 10;

type Problems = Vec<String>;

/// The brief, or everything that is wrong with it at once, so that one correction is enough.
pub(super) async fn check(
    library: &Library,
    args: FinishArgs,
) -> Result<Result<Brief, Problems>, LibraryError> {
    let mut problems = shape(&args);
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    let answer = clean_text(&args.answer, ANSWER_CHARS_MAX).trim().to_owned();
    problems.extend(numbers(&answer, &args.citations));
    let mut citations = Vec::with_capacity(args.citations.len());
    for cited in &args.citations {
        match citation(library, cited).await? {
            Ok(citation) => citations.push(citation),
            Err(problem) => problems.push(problem),
        }
    }
    citations.sort_by_key(|citation| citation.number);
    let mut uses: Vec<BriefUse> = Vec::with_capacity(args.uses.len());
    for wanted in &args.uses {
        match used(library, wanted, &args.citations, &citations).await? {
            Ok(Some(entry)) => match uses.iter_mut().find(|known| known.artifact == entry.artifact) {
                Some(known) => known.used_for = format!("{}; {}", known.used_for, entry.used_for),
                None => uses.push(entry),
            },
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok(Ok(Brief { answer, citations, uses }));
    }
    problems.truncate(PROBLEMS_MAX);
    Ok(Err(problems))
}

fn shape(args: &FinishArgs) -> Problems {
    let mut problems = Vec::new();
    if clean_line(&args.answer, 1).is_empty() {
        problems.push("`answer` is empty".to_owned());
    }
    if args.answer.chars().nth(ANSWER_CHARS_MAX).is_some() {
        problems.push(format!("`answer` is longer than {ANSWER_CHARS_MAX} characters"));
    }
    if args.citations.len() > CITATIONS_MAX || args.uses.len() > USES_MAX {
        problems.push(format!("there are more than {CITATIONS_MAX} citations or {USES_MAX} uses"));
    }
    problems
}

/// Every number in the answer has one citation, and every citation is used.
fn numbers(answer: &str, citations: &[CitationArgs]) -> Problems {
    let used = cited_numbers(answer);
    let mut given = BTreeSet::new();
    let mut problems = Vec::new();
    for cited in citations {
        if !given.insert(cited.number) {
            problems.push(format!("number {} is given to two citations", cited.number));
        } else if !used.contains(&cited.number) {
            let shown = clean_line(&cited.citation, 60);
            problems.push(format!(
                "citation {} (`{shown}`) is not used: `[{}]` is not in the answer",
                cited.number, cited.number
            ));
        }
    }
    problems
        .extend(used.difference(&given).map(|number| format!("`[{number}]` in the answer has no citation")));
    problems
}

/// The numbers of `[1]`, `[2, 3]` and `[4][5]` in a text. What stands between backticks is code and not read.
pub(super) fn cited_numbers(text: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for prose in text.split('`').step_by(2) {
        for rest in prose.split('[').skip(1) {
            let Some((inside, _)) = rest.split_once(']') else { continue };
            let numbers: Option<Vec<u32>> =
                inside.split([',', ' ']).filter(|part| !part.is_empty()).map(number).collect();
            found.extend(numbers.unwrap_or_default());
        }
    }
    found
}

/// A citation's number: one to three digits, from 1. Anything else between brackets is text.
fn number(text: &str) -> Option<u32> {
    let plain =
        (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

async fn citation(
    library: &Library,
    cited: &CitationArgs,
) -> Result<Result<BriefCitation, String>, LibraryError> {
    let number = cited.number;
    let shown = clean_line(&cited.citation, 60);
    let Ok(citation) = Citation::parse(cited.citation.trim()) else {
        return Ok(Err(format!(
            "citation {number}: `{shown}` is not a citation; copy `citation` of a passage from recall"
        )));
    };
    let Some(passage) = library.passage(citation).await? else {
        return Ok(Err(format!(
            "citation {number}: there is no passage `{shown}` among what was bought or fetched"
        )));
    };
    let too_long = cited.quote.chars().nth(UseRecord::QUOTE_CHARS_MAX).is_some();
    if too_long || !library.contains(citation, &cited.quote).await? {
        let quote = clean_line(&cited.quote, 120);
        return Ok(Err(format!(
            "citation {number}: the quote \"{quote}\" does not stand in `{shown}`; copy it exactly from the passage's text"
        )));
    }
    if cited.quote.chars().filter(|c| !c.is_whitespace()).count() < UseRecord::QUOTE_CHARS_MIN {
        return Ok(Err(format!(
            "citation {number}: the quote from `{shown}` is too short to show anything; quote the sentence"
        )));
    }
    Ok(Ok(BriefCitation {
        number,
        citation,
        artifact: passage.artifact,
        title: clean_line(&passage.title, TITLE_CHARS_MAX),
        url: passage.url,
        heading: passage.heading,
        quote: cited.quote.split_whitespace().collect::<Vec<_>>().join(" "),
    }))
}

/// A use of something bought. A free page needs no accounting, so a use of one is left out.
async fn used(
    library: &Library,
    wanted: &UseArgs,
    asked: &[CitationArgs],
    citations: &[BriefCitation],
) -> Result<Result<Option<BriefUse>, String>, LibraryError> {
    let shown = clean_line(&wanted.artifact, 60);
    let absent = || Err(format!("use of `{shown}`: nothing such was bought or fetched"));
    let Ok(source) = SourceId::parse(wanted.artifact.trim()) else { return Ok(absent()) };
    let artifact: ArtifactId = match source {
        SourceId::Artifact(artifact) if library.owns(artifact).await? => artifact,
        SourceId::Page(_) if library.title(source).await?.is_some() => return Ok(Ok(None)),
        SourceId::Artifact(_) | SourceId::Page(_) => return Ok(absent()),
    };
    let from_it = citations.iter().filter(|cited| cited.artifact == source);
    let evidence: Vec<Evidence> =
        from_it.map(|cited| Evidence { citation: cited.citation, quote: cited.quote.clone() }).collect();
    if evidence.is_empty() {
        // A citation of it that does not hold is told already, and is enough to be told.
        let told = asked.iter().any(|cited| cited.citation.trim().starts_with(&source.to_string()));
        let problem =
            format!("use of `{shown}`: no citation shows it; cite a passage of it, or leave the use out");
        return Ok(if told { Ok(None) } else { Err(problem) });
    }
    Ok(Ok(Some(BriefUse { artifact, used_for: clean_line(&wanted.used_for, 500), evidence })))
}
