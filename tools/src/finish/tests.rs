use super::*;
use crate::testkit::{World, output};
use bursar_memory::UseCheck;
use bursar_types::Clock;
use bytes::Bytes;
use serde_json::{Value, json};

const QUOTE: &str = "the account that submits it pays the gas";

async fn world() -> (World, Citation) {
    let world = World::with_gas_document().await;
    let citation = world.library.recall("who pays the gas", 1).await.unwrap()[0].citation;
    (world, citation)
}

fn args(citation: Citation) -> Value {
    json!({
        "answer": "Whoever submits the call [1].",
        "citations": [{"number": 1, "citation": citation, "quote": QUOTE}],
        "uses": [{"artifact": citation.source, "used_for": "who pays"}]
    })
}

async fn finish(world: &World, args: Value) -> Result<ToolOutput, ToolError> {
    output(Finish::new(world.library.clone()), world, args).await
}

#[tokio::test]
async fn an_answer_whose_citations_hold_ends_the_run() {
    let (world, citation) = world().await;
    let output = finish(&world, args(citation)).await.unwrap();
    let answer = output.answer().unwrap();
    assert_eq!(answer.text, "Whoever submits the call [1].");
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(answer.details); });
    let brief: Brief = serde_json::from_value(answer.details.clone()).unwrap();
    assert_eq!(brief.uses[0].evidence[0].citation, citation);
}

#[tokio::test]
async fn an_answer_that_does_not_hold_is_refused_with_what_is_wrong() {
    let (world, citation) = world().await;
    let other = citation.to_string().replace('#', "#9");
    let unknown = format!("art_{}#1", "0".repeat(32));
    let set = |pointer: &str, value: Value| {
        let mut args = args(citation);
        *args.pointer_mut(pointer).unwrap() = value;
        args
    };
    let entry = json!({"number": 1, "citation": citation, "quote": QUOTE});
    for (args, said) in [
        (set("/answer", json!(" \n")), "`answer` is empty".to_owned()),
        (set("/answer", json!("x".repeat(60_000))), "longer than".into()),
        (set("/answer", json!("No number.")), format!("citation 1 (`{citation}`) is not used")),
        (set("/answer", json!("One [1] and two [2].")), "`[2]` in the answer has no citation".into()),
        (set("/citations", json!([])), "`[1]` in the answer has no citation".into()),
        (set("/citations", json!([entry, entry])), "number 1 is given to two citations".into()),
        (set("/citations/0/citation", json!("somewhere")), "`somewhere` is not a citation".into()),
        (set("/citations/0/citation", json!(other)), format!("no passage `{other}`")),
        (set("/citations/0/citation", json!(unknown)), format!("no passage `{unknown}`")),
        (
            set("/citations/0/quote", json!("the seller pays the gas")),
            format!("does not stand in `{citation}`"),
        ),
        (set("/citations/0/quote", json!("")), format!("does not stand in `{citation}`")),
        (
            set("/citations/0/quote", json!("x\u{1b}".repeat(1 << 20))),
            format!("does not stand in `{citation}`"),
        ),
        (set("/citations/0/quote", json!("the gas")), "too short".into()),
        (set("/uses/0/artifact", json!(unknown.trim_end_matches("#1"))), "nothing such was bought".into()),
        (set("/uses/0/artifact", json!("the document")), "use of `the document`".into()),
    ] {
        let error = finish(&world, args).await.unwrap_err();
        assert!(error.message().contains(&said), "{said}: {error}");
        assert!(error.message().len() < 2_000 && !error.message().contains('\u{1b}'), "{error}");
    }
}

#[tokio::test]
async fn a_use_of_an_accepted_answer_is_recorded_once() {
    let (world, citation) = world().await;
    let artifact = citation.source.artifact().unwrap();
    for _ in 0..2 {
        finish(&world, args(citation)).await.unwrap();
    }
    let found = world.library.uses(artifact).await.unwrap();
    assert_eq!(found.len(), 1, "{found:#?}");
    let (used, context) = (&found[0], world.context());
    assert_eq!((used.session, used.run), (context.session(), Some(context.run())));
    assert_eq!((used.used_for.as_str(), used.at), ("who pays", world.clock.now()));
    assert_eq!(used.evidence, [UseEvidence::Quoted { citation, quote: QUOTE.to_owned() }]);
    assert_eq!(world.library.check_use(used).await.unwrap(), UseCheck::Holds);
}

#[tokio::test]
async fn an_answer_that_is_refused_records_nothing() {
    let (world, citation) = world().await;
    let mut args = args(citation);
    args["citations"]
        .as_array_mut()
        .unwrap()
        .push(json!({"number": 2, "citation": citation, "quote": QUOTE}));
    finish(&world, args).await.unwrap_err();
    assert_eq!(world.ledger.streams(UseRecord::STREAM).await.unwrap(), []);
}

#[tokio::test]
async fn a_use_that_cannot_be_recorded_is_told_and_nothing_is_lost() {
    let (world, citation) = world().await;
    world.ledger.close().await.unwrap();
    let error = finish(&world, args(citation)).await.unwrap_err();
    assert!(error.message().contains("call again with the same answer"), "{error}");
}

#[tokio::test]
async fn a_use_needs_a_quote_that_shows_it() {
    let (world, citation) = world().await;
    let args =
        json!({"answer": "Nobody knows.", "uses": [{"artifact": citation.source, "used_for": "everything"}]});
    let error = finish(&world, args).await.unwrap_err();
    assert!(error.message().contains("no citation shows it"), "{error}");
}

#[tokio::test]
async fn a_free_page_can_be_cited_and_needs_no_accounting() {
    let (world, _) = world().await;
    let page = Bytes::from_static(b"Elephants are big.");
    let page = world.library.add_free("https://free.example/", Some("text/plain"), page).await.unwrap();
    let args = json!({
        "answer": "Big [1].",
        "citations": [{"number": 1, "citation": format!("{}#1", page.id), "quote": "Elephants\n are big."}],
        "uses": [{"artifact": page.id, "used_for": "size"}]
    });
    let output = finish(&world, args).await.unwrap();
    let brief: Brief = serde_json::from_value(output.answer().unwrap().details.clone()).unwrap();
    assert_eq!((brief.uses.len(), brief.citations[0].quote.as_str()), (0, "Elephants are big."));
    assert_eq!(brief.citations[0].artifact, page.id);
}

#[tokio::test]
async fn an_answer_without_sources_is_an_answer_too() {
    let (world, _) = world().await;
    let output = finish(&world, json!({"answer": "Nothing was\u{202e} found."})).await.unwrap();
    assert_eq!(output.answer().unwrap().text, "Nothing was found.");
}

#[test]
fn numbers_are_read_from_prose_only() {
    let cases: [(&str, &[u32]); 9] = [
        ("a [1] b [2, 3] c [4][12].", &[1, 2, 3, 4, 12]),
        ("gas[1](https://x.example)", &[1]),
        ("`a[1]` and ```\nb[2]\n``` but [3]", &[3]),
        ("[0] [01] [1234] [x] [1x] [] [ ]", &[]),
        ("[see 1] [1 2]", &[1, 2]),
        ("[1", &[]),
        ("[[1]]", &[1]),
        ("[-1] [1.5]", &[]),
        ("", &[]),
    ];
    for (text, wanted) in cases {
        assert_eq!(check::cited_numbers(text).into_iter().collect::<Vec<_>>(), wanted, "{text}");
    }
}
