//! Logs to stderr, and, where a collector is named, spans and metrics to it.

use crate::args::Command;
use crate::exit::CliError;
use crate::screen::Notes;
use bursar::BursarBuilder;
use std::io::IsTerminal as _;
use std::path::Path;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

/// Whether a command is traced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Traced<'a> {
    /// It neither runs agents nor looks after payments.
    No,
    /// As the environment says, and its configuration, if it has one.
    As(Option<&'a Path>),
}

impl<'a> Traced<'a> {
    pub(crate) fn of(command: &'a Command) -> Self {
        match command {
            Command::Research(args) => Self::As(args.config.as_deref()),
            Command::Resume(args) => Self::As(args.config.as_deref()),
            Command::Watch(args) => Self::As(args.config.as_deref()),
            Command::Mcp(args) => Self::As(args.served.config.as_deref()),
            Command::Gateway(args) => Self::As(args.served.config.as_deref()),
            #[cfg(unix)]
            Command::Purse(args) => Self::As(Some(&args.config)),
            _ => Self::No,
        }
    }
}

/// Begins to log what `RUST_LOG` asks for, warnings unless it says otherwise; and to trace what is traced, where the
/// configuration or the environment names a collector.
pub(crate) fn begin(traced: Traced<'_>) -> Result<(), CliError> {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::WARN.into()).from_env_lossy();
    let colour = std::io::stderr().is_terminal() && !no_colour();
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
    let subscriber = Registry::default().with(log.with_filter(filter));
    let begun = export::begin(traced, subscriber)?;
    if let Err(error) = begun {
        Notes.say(format!("note: no log: {error}"));
    }
    Ok(())
}

/// Lets what a builder makes be traced.
pub(crate) fn attach(builder: BursarBuilder) -> BursarBuilder {
    export::attach(builder)
}

/// Sends what still waits. A collector that does not take it changes nothing about how the command ends.
pub(crate) fn end() {
    export::end();
}

#[expect(clippy::disallowed_methods, reason = "the command line reads the environment")]
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

#[cfg(feature = "otel")]
mod export {
    use super::*;
    use bursar::Config;
    use bursar::telemetry::Telemetry;
    use std::sync::OnceLock;
    use std::time::Duration;
    use tracing_subscriber::registry::LookupSpan;
    use tracing_subscriber::util::TryInitError;

    /// How long the command waits at its end for a collector.
    const AT_MOST: Duration = Duration::from_secs(2);

    static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();

    pub(super) fn begin<S>(traced: Traced<'_>, subscriber: S) -> Result<Result<(), TryInitError>, CliError>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync + 'static,
    {
        let Traced::As(config) = traced else { return Ok(subscriber.try_init()) };
        // A configuration that cannot be read is the command's to refuse, with its line.
        let config = config.and_then(|path| Config::read(path).ok()).map(|config| config.telemetry);
        let telemetry = Telemetry::start(&config.unwrap_or_default()).map_err(CliError::Telemetry)?;
        Ok(match telemetry {
            Some(telemetry) => {
                let layer = telemetry.layer();
                // There is one command in a process.
                let _ = TELEMETRY.set(telemetry);
                subscriber.with(layer).try_init()
            }
            None => subscriber.try_init(),
        })
    }

    pub(super) fn attach(builder: BursarBuilder) -> BursarBuilder {
        match TELEMETRY.get() {
            Some(telemetry) => builder.telemetry(telemetry),
            None => builder,
        }
    }

    pub(super) fn end() {
        if let Some(Err(error)) = TELEMETRY.get().map(|telemetry| telemetry.close(AT_MOST)) {
            Notes.say(format!("note: {}", bursar::types::causes(&error)));
        }
    }
}

#[cfg(not(feature = "otel"))]
mod export {
    use super::*;
    use tracing_subscriber::util::TryInitError;

    pub(super) fn begin<S: tracing::Subscriber + Send + Sync + 'static>(
        _traced: Traced<'_>,
        subscriber: S,
    ) -> Result<Result<(), TryInitError>, CliError> {
        Ok(subscriber.try_init())
    }

    pub(super) fn attach(builder: BursarBuilder) -> BursarBuilder {
        builder
    }

    pub(super) fn end() {}
}
