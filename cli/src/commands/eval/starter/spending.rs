//! What this project's agent spends: every case of `evals/`, played by the agent below.

use bursar::{Agent, models, tools};
use bursar_evals::Format;

#[test]
fn the_agent_spends_only_what_it_may() {
    bursar_evals::suite("evals")
        .agent(|stage, task| async move {
            // Put your own agent here: its model, its tools. The session's purse is all the money it has.
            let session = stage.session().await?;
            let tools = tools::research(&session)?;
            let agent = Agent::builder(models::extractive()).tools(tools).build()?;
            agent.run(session.run_context(), &task).await?;
            Ok(())
        })
        .report(Format::Markdown, concat!(env!("CARGO_TARGET_TMPDIR"), "/spending.md"))
        .report(Format::Html, concat!(env!("CARGO_TARGET_TMPDIR"), "/spending.html"))
        .assert_passes();
}
