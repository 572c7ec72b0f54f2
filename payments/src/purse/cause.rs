//! The tool call that is being served, for whatever is journaled on the way.
//!
//! It rides beside the work instead of through every function's parameters, since nothing may depend on it.

use bursar_types::Cause;

tokio::task_local! {
    static CAUSE: Option<Cause>;
}

/// Does some work for a call. Tasks that it starts on their own are not covered.
pub(super) async fn caused_by<F: Future>(cause: Option<Cause>, work: F) -> F::Output {
    CAUSE.scope(cause, work).await
}

/// The call that is being served; none if nobody said.
pub(super) fn cause() -> Option<Cause> {
    CAUSE.try_with(|cause| *cause).ok().flatten()
}
