//! What an example tells is true, and it ends.

#[path = "../../examples/pay_then_fail.rs"]
#[expect(dead_code, reason = "its `main` prints what `run` tells")]
mod pay_then_fail;

#[tokio::test]
async fn pay_then_fail_tells_what_became_of_the_money() {
    let told = pay_then_fail::run().await.unwrap();
    let says = |words: &[&str]| {
        let found = told.iter().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "no line says {words:?}:\n{}", told.join("\n"));
    };
    says(&["upload draft: was done; it was taken back (upload 7 was deleted)"]);
    says(&["buy prices: was done; its money was asked back"]);
    says(&["buy prices: was done; all of 0.01 USDC came back, and was seen to"]);
    says(&["at risk: 0.01 USDC", "ada decides until 20"]);
    says(&["journal: 0 problems"]);
}
