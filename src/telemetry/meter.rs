//! Who counts: all that happens to money, in every session and in recovery, and what is open.

use bursar_ledger::Ledger;
use bursar_payments::{MoneyEvent, Observer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often what is open is counted.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// What is open in a data file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenWork {
    /// Payments that are not over: money is set aside or signed for, or nobody knows yet whether it moved, or goods are owed.
    pub payments: u64,
    /// Of these, payments that moved and whose payee still owes the goods or the money.
    pub obligations: u64,
}

/// Counts what happens, for whatever collects metrics. The feature `otel` has one for OpenTelemetry.
///
/// # What implementers guarantee
/// Both return quickly and do not block: the first is called on the way of a payment.
///
/// # Example
/// ```
/// use bursar::MoneyEvent;
/// use bursar::payments::Observer;
/// use bursar::telemetry::{Meter, OpenWork};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// #[derive(Debug, Default)]
/// struct Paid(AtomicU64);
///
/// impl Observer for Paid {
///     fn event(&self, event: &MoneyEvent) {
///         if matches!(event, MoneyEvent::Paid { .. }) {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// impl Meter for Paid {
///     fn open(&self, _open: OpenWork) {}
/// }
/// ```
pub trait Meter: Observer {
    /// Takes what is open now. It comes on opening, every 15 seconds, and on closing.
    fn open(&self, open: OpenWork);
}

const _: Option<&dyn Meter> = None;

/// Tells events to a meter, and to whoever hears of them besides.
struct Metered {
    meter: Arc<dyn Meter>,
    inner: Arc<dyn Observer>,
}

impl fmt::Debug for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metered").field(&self.inner).finish()
    }
}

impl Observer for Metered {
    fn event(&self, event: &MoneyEvent) {
        self.meter.event(event);
        self.inner.event(event);
    }
}

/// The observer, with the meter if there is one.
pub(crate) fn metered(meter: Option<&Arc<dyn Meter>>, inner: Arc<dyn Observer>) -> Arc<dyn Observer> {
    match meter {
        Some(meter) => Arc::new(Metered { meter: meter.clone(), inner }),
        None => inner,
    }
}

/// Counts what is open, now and then, until it is dropped.
#[derive(Debug)]
pub(crate) struct Gauges {
    meter: Arc<dyn Meter>,
    ledger: Ledger,
    task: JoinHandle<()>,
}

impl Gauges {
    pub(crate) fn keep_on(meter: Arc<dyn Meter>, ledger: Ledger) -> Self {
        let (counted, over) = (meter.clone(), ledger.clone());
        let task = tokio::spawn(async move {
            loop {
                count(&*counted, &over).await;
                tokio::time::sleep(COUNT_EVERY).await;
            }
        });
        Self { meter, ledger, task }
    }

    /// Counts once more, before the data file is closed.
    pub(crate) async fn count_at_the_end(&self) {
        self.task.abort();
        count(&*self.meter, &self.ledger).await;
    }
}

impl Drop for Gauges {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Links name what is open, so that nothing has to be folded. What cannot be read is not counted: an old count is better than a
/// wrong one.
async fn count(meter: &dyn Meter, ledger: &Ledger) {
    let (Ok(open), Ok(owed)) = (ledger.links("open/").await, ledger.links("owed/").await) else { return };
    let number = |links: &[_]| u64::try_from(links.len()).unwrap_or(u64::MAX);
    meter.open(OpenWork { payments: number(&open), obligations: number(&owed) });
}
