//! A question, answered by a model of Amazon Bedrock: `cargo run --features bedrock --example bedrock`.
//!
//! Region and credentials come from where AWS's own tools take them.
#![expect(clippy::print_stdout, reason = "an example prints")]

use bursar::{Agent, Approve, Bursar, models, tools};
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let model = models::bedrock("us.anthropic.claude-sonnet-4-5-20250929-v1:0").await?;
    let bursar = Bursar::open("bursar.toml").await?;
    let question = "Who may pay the gas for a USDC transfer?";
    let session = bursar.session(question).approve(Approve::Rule).start().await?;
    let agent = Agent::builder(model).tools(tools::research(&session)?).build()?;
    let report = agent.run(session.run_context(), question).await?;
    println!("{}", report.answer()?);
    Ok(bursar.close().await?)
}
