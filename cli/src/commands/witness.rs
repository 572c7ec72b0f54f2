//! `bursar witness`: cosigns other people's logs.

use crate::args::WitnessArgs;
use crate::exit::{CliError, Exit};
use crate::interrupt::Interrupt;
use crate::screen::Notes;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bursar::audit::{Witness, WitnessAnswer, WitnessError, read_key, read_or_make_key};
use bursar::proof::{KeyKind, NoteKey};
use bursar::{BursarError, SystemClock, SystemEntropy};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

const STOPPING: &str = "\nstopping: what was cosigned is kept; Ctrl-C again leaves at once";
/// A submission has at most 63 hashes and a note: some kilobytes.
const BODY_BYTES_MAX: usize = 64 << 10;
/// How long a submission may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Serves until it is interrupted.
pub(crate) async fn run(args: WitnessArgs) -> Result<Exit, CliError> {
    let key = key(&args)?;
    if let Some(log) = args.log.iter().find(|log| log.kind() != KeyKind::Log) {
        return Err(CliError::NoWitness(format!("`{}` is a witness's key, not a log's", log.name())));
    }
    let refuse = |error: std::io::Error| CliError::Listen {
        address: args.listen.to_string(),
        problem: error.to_string(),
    };
    let interrupt = Interrupt::watch(Notes, STOPPING);
    let public = key.verifier();
    let witness = Arc::new(Witness::new(key, args.log.clone(), &args.state, Arc::new(SystemClock)));
    let listener = tokio::net::TcpListener::bind(args.listen).await.map_err(refuse)?;
    let address = listener.local_addr().map_err(refuse)?;
    let _ = writeln!(anstream::stdout().lock(), "cosigns at http://{address} with {public}");
    let routes = Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .route("/{origin}/checkpoint", get(latest))
        .with_state(witness);
    let served = axum::serve(listener, routes).with_graceful_shutdown(async move { interrupt.wait().await });
    served.await.map_err(refuse)?;
    Ok(Exit::Done)
}

fn key(args: &WitnessArgs) -> Result<NoteKey, CliError> {
    let found = read_key(&args.key).map_err(BursarError::from)?;
    let name = match (&args.name, &found) {
        (Some(name), _) => name.clone(),
        (None, Some(key)) => key.verifier().name().to_owned(),
        (None, None) => {
            let problem =
                format!("there is no key in `{}` yet: give it a name with --name", args.key.display());
            return Err(CliError::NoWitness(problem));
        }
    };
    let key = read_or_make_key(&args.key, &name, KeyKind::Witness, &SystemEntropy);
    Ok(key.map_err(BursarError::from)?)
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: Body) -> Response {
    let body = match tokio::time::timeout(BODY_TIME, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let Ok(body) = String::from_utf8(body.to_vec()) else { return StatusCode::BAD_REQUEST.into_response() };
    answer(move || witness.add_checkpoint(&body)).await
}

async fn latest(State(witness): State<Arc<Witness>>, Path(origin): Path<String>) -> Response {
    answer(move || witness.latest(&origin)).await
}

/// Answers from another thread: it waits for files.
async fn answer(work: impl FnOnce() -> Result<WitnessAnswer, WitnessError> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(told)) => {
            if told.status != 200 && told.status != 404 {
                tracing::warn!(status = told.status, why = %told.body.escape_debug(), "a checkpoint was turned away");
            }
            let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(header::CONTENT_TYPE, told.content_type)], told.body).into_response()
        }
        Ok(Err(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a checkpoint could not be looked at");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
