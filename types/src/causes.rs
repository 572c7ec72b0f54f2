//! Errors as one line.

use std::error::Error;

/// An error with all its causes, for a person: `ledger is not available: disk is full`.
///
/// # Example
/// ```
/// use bursar_types::{FetchError, causes};
/// let error = FetchError::Ledger("disk is full".into());
/// assert_eq!(causes(&error), "ledger is not available: disk is full");
/// ```
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors say what their cause says; it is not said twice.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
