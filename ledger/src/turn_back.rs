//! What turning the ledger's time back does to the books.
//!
//! A clock that was once far ahead leaves a time behind that no other clock reaches: nothing would run out or leave a window any more. Everything is
//! brought up to that time first, so that nothing counts twice, and what was spent later than the new time counts as spent then: it leaves its
//! windows a whole length after it, and no earlier.

use crate::audit::{Windows, settle};
use crate::books::Books;
use bursar_types::Timestamp;

/// Turns complete books and their windows back. Deterministic: the replay of [`crate::Store::verify`] does the same.
pub(crate) fn turned_back(
    books: &mut Books,
    windows: &mut Windows,
    from: Timestamp,
    to: Timestamp,
) -> Result<(), String> {
    settle(books, windows, from)?;
    let late: Vec<_> = windows.keys().filter(|(_, at, _)| *at > to).copied().collect();
    for (budget, at, hold) in late {
        if let Some(amount) = windows.remove(&(budget, at, hold)) {
            windows.insert((budget, to, hold), amount);
        }
    }
    books.redate(to);
    Ok(())
}
