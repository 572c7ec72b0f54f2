//! Publishing beside a purse: an alarm stops it.

use crate::error::BursarError;
use bursar_audit::{PublishError, Published, Publisher, Schedule};
use bursar_payments::Payments;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long opening and closing wait for witnesses and anchors. The checkpoint itself is signed before they are asked.
const AT_THE_ENDS: Duration = Duration::from_secs(15);
/// How long the end of a run does.
const AFTER_A_RUN: Duration = Duration::from_secs(5);

/// Publishes, and freezes all spending when what was published contradicts the journal.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    publisher: Publisher,
    payments: Payments,
    /// What was said last, so that it is said once.
    said: Arc<Mutex<Vec<String>>>,
}

/// Something that was published contradicts the journal.
#[derive(Debug, Clone)]
struct Alarm {
    /// What it is called, so that it stops spending once.
    name: String,
    text: String,
}

impl Keeper {
    pub(crate) fn new(publisher: Publisher, payments: Payments) -> Self {
        Self { publisher, payments, said: Arc::default() }
    }

    pub(crate) fn key(&self) -> bursar_proof::VerifierKey {
        self.publisher.key()
    }

    /// Publishes, asks everybody, and answers what came of it once it was acted on.
    pub(crate) async fn publish(&self) -> Result<Published, BursarError> {
        self.act(self.publisher.publish_and_ask().await).await
    }

    async fn act(&self, result: Result<Published, PublishError>) -> Result<Published, BursarError> {
        self.say(&result);
        self.stop(alarms(&result)).await?;
        Ok(result?)
    }

    /// Before anything is paid. What cannot be published is told now; who does not answer in time is asked again later.
    pub(crate) async fn publish_at_the_beginning(&self) -> Result<(), BursarError> {
        match tokio::time::timeout(AT_THE_ENDS, self.publish()).await {
            // Spending stands still, and a person has to be able to look.
            Ok(Err(BursarError::Publish(error))) if error.is_alarm() => Ok(()),
            Ok(published) => published.map(drop),
            Err(_) => {
                slow();
                Ok(())
            }
        }
    }

    pub(crate) async fn publish_soon(&self) {
        let publish = async { self.act(self.publisher.publish().await).await };
        match tokio::time::timeout(AFTER_A_RUN, publish).await {
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a run's journal was not published");
            }
        }
    }

    /// Whatever happens, the data file is closed after it; only an alarm is told.
    pub(crate) async fn publish_at_the_end(&self) -> Result<(), BursarError> {
        let Ok(result) = tokio::time::timeout(AT_THE_ENDS, self.publisher.publish()).await else {
            slow();
            return Ok(());
        };
        self.say(&result);
        let alarms = alarms(&result);
        self.stop(alarms.clone()).await?;
        match alarms.into_iter().next() {
            Some(alarm) => Err(BursarError::Alarm(alarm.text)),
            None => Ok(()),
        }
    }

    /// Publishes every `every`, until the answer is dropped.
    pub(crate) fn keep_on(&self, every: Duration) -> Schedule {
        let keeper = self.clone();
        self.publisher.every(every, move |result| {
            keeper.say(result);
            let alarms = alarms(result);
            if alarms.is_empty() {
                return;
            }
            let keeper = keeper.clone();
            tokio::spawn(async move {
                if let Err(error) = keeper.stop(alarms).await {
                    tracing::error!(error = &error as &dyn std::error::Error, "spending could not be frozen");
                }
            });
        })
    }

    /// Freezes all spending, for each alarm once: a person who thawed has seen it.
    async fn stop(&self, alarms: Vec<Alarm>) -> Result<(), BursarError> {
        for alarm in alarms {
            if self.payments.alarm(&alarm.name, &alarm.text).await? {
                tracing::error!(alarm = %alarm.text, "all spending is frozen; `bursar audit verify` says more");
            }
        }
        Ok(())
    }

    /// Says what is wrong when it begins, and not again while it lasts.
    fn say(&self, result: &Result<Published, PublishError>) {
        let now: Vec<String> = match result {
            Ok(published) => published.concerns.iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for problem in now.iter().filter(|problem| !said.contains(problem)) {
            tracing::warn!(%problem, "the journal is published, and not all of it went well");
        }
        *said = now;
    }
}

fn slow() {
    tracing::warn!("witnesses or anchors did not answer in time; they are asked again");
}

fn alarms(result: &Result<Published, PublishError>) -> Vec<Alarm> {
    let alarm = |name: Option<String>, text: String| name.map(|name| Alarm { name, text });
    match result {
        Ok(published) => {
            published.concerns.iter().filter_map(|found| alarm(found.alarm(), found.to_string())).collect()
        }
        Err(error) => alarm(error.alarm(), error.to_string()).into_iter().collect(),
    }
}
