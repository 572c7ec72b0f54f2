//! Publishing the journal, and showing it to somebody outside.

use super::Tally;
use crate::stage::{Stage, StageError};
use bursar::BursarError;

/// What was published contradicts the journal, or what a witness saw: all spending of the process is frozen.
const CONTRADICTED: &str = "LOG_CONTRADICTED";

pub(super) async fn publish(stage: &Stage, process: &str, tally: &mut Tally) -> Result<(), StageError> {
    let (bursar, _) = stage.bursar(process).await?;
    let published = match bursar.publish().await {
        Ok(published) => published,
        Err(BursarError::Publish(error)) if error.is_alarm() => {
            tally.refused(CONTRADICTED, &error.to_string());
            return Ok(());
        }
        Err(error) => return Err(StageError::Open(Box::new(error))),
    };
    tally.ended("published");
    for concern in &published.concerns {
        match concern.is_alarm() {
            true => tally.refused(CONTRADICTED, &concern.to_string()),
            false => tally.said(concern.to_string()),
        }
    }
    Ok(())
}

pub(super) fn show(stage: &Stage, process: &str, reader: &str, tally: &mut Tally) -> Result<(), StageError> {
    let log = stage.log.as_ref().ok_or_else(|| StageError::Scenario("there is no log".to_owned()))?;
    let doubts = log.shown(reader, &stage.folder_of(process))?;
    if doubts.is_empty() {
        tally.ended("shown");
    }
    for (code, text) in &doubts {
        tally.refused(code, text);
    }
    Ok(())
}
