//! The check of a whole data file.

use super::connection::foreign_schema;
use super::mark::Recorded;
use super::rows;
use crate::audit::Audit;
use crate::books::Books;
use crate::entry::TreeHead;
use crate::ledger::Verification;
use crate::payload::Commitment;
use bursar_types::{Digest, LedgerId, canonical_bytes};
use rusqlite::Connection;

/// How many entries are in memory at once.
const CHUNK: u32 = 1_000;

/// Reads everything in one snapshot. `mark` was read before it, so the file must have come at least that far.
pub(super) fn verify(
    connection: &Connection,
    id: LedgerId,
    mark: Option<Recorded>,
) -> rusqlite::Result<Verification> {
    let _snapshot = connection.unchecked_transaction()?;
    let mut audit = Audit::new();
    let (stored, last_at) = rows::head(connection)?;
    read_entries(connection, &mut audit, mark.map(|mark| mark.head))?;
    match mark {
        None => audit.problem("the high-water mark is missing or unreadable".to_owned()),
        Some(mark) if mark.ledger != id => {
            audit.problem(format!("the high-water mark belongs to {}, not to {id}", mark.ledger));
        }
        Some(mark) if mark.head.size > audit.head().size => audit.problem(format!(
            "{} entries were seen before, {} are here: the file was rolled back",
            mark.head.size,
            audit.head().size
        )),
        Some(_) => {}
    }
    let mut statement = connection.prepare("SELECT commitment, salt, bytes FROM payloads")?;
    let mut payloads = statement.query([])?;
    while let Some(row) = payloads.next()? {
        let commitment = Commitment::from_digest(Digest::from_bytes(row.get(0)?));
        let salt: [u8; 16] = row.get(1)?;
        audit.payload(commitment, Commitment::new(&salt, row.get_ref(2)?.as_blob()?));
    }
    audit.payloads_end();
    audit.streams(rows::streams_from(connection, "")?.into_iter());
    let accounts = rows::accounts(connection)?;
    for problem in accounts.problems {
        audit.problem(problem);
    }
    audit.books(Books::restored(accounts.budgets, accounts.holds), accounts.windows, last_at);
    for foreign in foreign_schema(connection)? {
        audit.problem(format!("the file's schema is not ours: {foreign}"));
    }
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        audit.problem(format!("the file's own structure is damaged: {check}"));
    }
    Ok(audit.finish(stored))
}

fn read_entries(connection: &Connection, audit: &mut Audit, mark: Option<TreeHead>) -> rusqlite::Result<()> {
    let sql = format!("{} WHERE sequence >= ?1 ORDER BY sequence LIMIT {CHUNK}", rows::ENTRY);
    let mut statement = connection.prepare(&sql)?;
    let mut from = 0;
    loop {
        let mut entries = statement.query([from])?;
        let mut found: u32 = 0;
        while let Some(row) = entries.next()? {
            compare(audit, mark);
            let (entry, beside) = rows::entry(row)?;
            // A body that reads the same and is written in another way is an edit all the same.
            if canonical_bytes(&entry.body).ok().as_deref() != Some(row.get_ref(5)?.as_bytes()?) {
                audit.problem(format!("entry {} is stored in other bytes than were hashed", entry.sequence));
            }
            audit.entry(&entry, Some(beside));
            from = rows::int(entry.sequence)?.saturating_add(1);
            found = found.saturating_add(1);
        }
        if found < CHUNK {
            compare(audit, mark);
            return Ok(());
        }
    }
}

/// Compares the root with the mark's where the tree has the mark's size.
fn compare(audit: &mut Audit, mark: Option<TreeHead>) {
    let Some(mark) = mark.filter(|mark| audit.size() == mark.size) else { return };
    if audit.head().root != mark.root {
        audit.problem(format!("the first {} entries are not those seen before", mark.size));
    }
}
