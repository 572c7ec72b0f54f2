//! A question, answered by a model of OpenAI: `cargo run --features openai --example openai`.
//!
//! With `OPENAI_BASE_URL` it asks another server that speaks the same, such as <http://localhost:11434/v1>.
#![expect(clippy::print_stdout, reason = "an example prints")]
#![expect(clippy::disallowed_methods, reason = "a program reads its environment")]

use bursar::{Agent, Approve, Bursar, models::OpenAi, tools};
use std::{env, error::Error, sync::Arc};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut model = OpenAi::builder("gpt-5-mini").key(env::var("OPENAI_API_KEY")?);
    if let Ok(url) = env::var("OPENAI_BASE_URL") {
        model = model.base_url(url);
    }
    let bursar = Bursar::open("bursar.toml").await?;
    let question = "Who may pay the gas for a USDC transfer?";
    let session = bursar.session(question).approve(Approve::Rule).start().await?;
    let agent = Agent::builder(Arc::new(model.build()?)).tools(tools::research(&session)?).build()?;
    let report = agent.run(session.run_context(), question).await?;
    println!("{}", report.answer()?);
    Ok(bursar.close().await?)
}
