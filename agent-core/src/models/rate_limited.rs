//! Asking no more often than a provider allows.

use crate::model::{Model, ModelDescriptor, ModelError, ModelEvent, ModelRequest, ModelStream, Usage};
use async_trait::async_trait;
use std::io;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
/// Bytes of a request that are taken for a token until its usage is known.
const BYTES_A_TOKEN: u64 = 4;

/// A model that is asked no more often than so many times a minute, with no more than so many tokens a minute.
///
/// Share one among the agents that share a quota; it is cheap to clone, and clones count together. A minute's worth may be used at
/// once, and comes back evenly. A request that has to wait does so in [`Model::stream`], first come, first served, which is part of the
/// time that a run gives a turn; dropped while it waits, it takes nothing. Tokens are guessed from the length of the request, and
/// set right when the turn says what it used; what a turn does not report stays a guess.
///
/// # Example
/// ```
/// use bursar_agent_core::models::{RateLimited, Scripted};
/// use std::{num::NonZeroU64, sync::Arc};
/// let model = RateLimited::new(Arc::new(Scripted::new()))
///     .requests_per_minute(NonZeroU64::MIN)
///     .tokens_per_minute(NonZeroU64::new(200_000).ok_or("zero")?);
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone)]
pub struct RateLimited {
    model: Arc<dyn Model>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    requests: Mutex<Bucket>,
    tokens: Mutex<Bucket>,
    /// Held by the request that waits; the others stand behind it.
    turn: tokio::sync::Mutex<()>,
}

/// A bucket that fills in a minute.
#[derive(Debug, Default)]
struct Bucket {
    per_minute: Option<NonZeroU64>,
    /// When it is full again.
    full_at: Option<Instant>,
}

impl Bucket {
    /// How long it takes to fill so much.
    fn time_for(&self, amount: u64) -> Duration {
        let Some(per_minute) = self.per_minute else { return Duration::ZERO };
        let nanos = MINUTE.as_nanos().saturating_mul(amount.into()) / u128::from(per_minute.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How long to wait until so much is there. More than it can hold is there when it is full.
    fn wait(&self, amount: u64, now: Instant) -> Duration {
        let missing = self.full_at.map_or(Duration::ZERO, |full_at| full_at.saturating_duration_since(now));
        missing.saturating_add(self.time_for(amount)).saturating_sub(MINUTE).min(missing)
    }

    fn take(&mut self, amount: u64, now: Instant) {
        let from = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = from.checked_add(self.time_for(amount)).or(self.full_at);
    }

    fn give_back(&mut self, amount: u64) {
        self.full_at = self.full_at.and_then(|full_at| full_at.checked_sub(self.time_for(amount)));
    }
}

impl RateLimited {
    /// Without limits as yet.
    #[must_use]
    pub fn new(model: Arc<dyn Model>) -> Self {
        Self { model, shared: Arc::default() }
    }

    /// Most requests a minute.
    #[must_use]
    pub fn requests_per_minute(self, most: NonZeroU64) -> Self {
        lock(&self.shared.requests).per_minute = Some(most);
        self
    }

    /// Most tokens a minute, read and written.
    #[must_use]
    pub fn tokens_per_minute(self, most: NonZeroU64) -> Self {
        lock(&self.shared.tokens).per_minute = Some(most);
        self
    }
}

impl Shared {
    async fn admit(&self, tokens: u64) {
        let _first = self.turn.lock().await;
        loop {
            let now = Instant::now();
            let wait = lock(&self.requests).wait(1, now).max(lock(&self.tokens).wait(tokens, now));
            if wait.is_zero() {
                lock(&self.requests).take(1, now);
                lock(&self.tokens).take(tokens, now);
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Sets right what was guessed.
    fn correct(&self, guessed: u64, usage: Usage) {
        let (Some(input), Some(output)) = (usage.input_tokens, usage.output_tokens) else { return };
        let used = input.saturating_add(output);
        let mut tokens = lock(&self.tokens);
        match used.checked_sub(guessed) {
            Some(more) => tokens.take(more, Instant::now()),
            None => tokens.give_back(guessed.saturating_sub(used)),
        }
    }
}

fn lock(bucket: &Mutex<Bucket>) -> std::sync::MutexGuard<'_, Bucket> {
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Model for RateLimited {
    fn descriptor(&self) -> &ModelDescriptor {
        self.model.descriptor()
    }

    fn attempts_max(&self) -> u32 {
        self.model.attempts_max()
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let guessed = length(&request) / BYTES_A_TOKEN;
        self.shared.admit(guessed).await;
        let stream = self.model.stream(request).await?;
        let state = (stream, Usage::default(), Arc::clone(&self.shared));
        Ok(ModelStream::new(futures_util::stream::unfold(
            state,
            move |(mut stream, mut usage, shared)| async move {
                let event = stream.next().await;
                match &event {
                    Some(Ok(ModelEvent::Usage(known))) => usage = *known,
                    Some(Ok(ModelEvent::Finished { .. })) => shared.correct(guessed, usage),
                    _ => {}
                }
                event.map(|event| (event, (stream, usage, shared)))
            },
        )))
    }
}

/// How many bytes a request takes as JSON.
fn length(request: &ModelRequest) -> u64 {
    struct Count(u64);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Whatever was counted until it failed is a guess too.
    let _ = serde_json::to_writer(&mut count, request);
    count.0
}
