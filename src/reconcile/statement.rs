//! A statement: a CSV file with a header, a line for each payment that the other side made or saw.
//!
//! | column | holds | |
//! |---|---|---|
//! | `date` | `2026-11-22`, or a time that begins so | needed |
//! | `amount` | decimal text such as `0.25`: a point, no thousand separators, no sign, no exponent, no more decimals than the asset has | needed |
//! | `asset` | CAIP-19, such as `eip155:8453/erc20:0x8335…` | needed |
//! | `payee` | the address that was paid | |
//! | `reference` | the payment's id, or any text | |
//! | `tx` | the transaction | |
//!
//! Columns come in any order. Another column, and whatever cannot be read for certain, is an error with its line: nothing is
//! guessed, and nothing is read as zero.

use bursar_types::{Amount, AssetId, AssetRegistry, ParseAmountError, Timestamp, visible};
use thiserror::Error;

/// The columns.
const COLUMNS: [&str; 6] = ["date", "amount", "asset", "payee", "reference", "tx"];
/// Those that must be there.
const NEEDED: [&str; 3] = ["date", "amount", "asset"];
/// Longer texts of others are cut when they are shown.
const SHOWN: usize = 80;
const DAY_MS: u64 = 86_400_000;

/// A statement as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// Its lines.
    pub rows: Vec<StatementRow>,
}

/// One line of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementRow {
    /// The line of the file, the header being 1.
    pub line: u64,
    /// The date as written.
    pub date: String,
    /// The day, counted from 1970.
    pub day: u64,
    /// How much.
    pub amount: Amount,
    /// Who was paid.
    pub payee: Option<String>,
    /// Its reference.
    pub reference: Option<String>,
    /// The transaction.
    pub tx: Option<String>,
}

/// Why a statement was not read. None of it was used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The file is no CSV.
    #[error("line {line}: this is no CSV: {problem}")]
    Csv {
        /// The line.
        line: u64,
        /// Why.
        problem: String,
    },
    /// A column is not there, is there twice, or is another one.
    #[error(
        "line 1: column `{column}` {problem}; a statement has date, amount, asset, and may have payee, reference, tx"
    )]
    Column {
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A date cannot be read.
    #[error("line {line}: `{text}` is no date such as 2026-11-22")]
    Date {
        /// The line.
        line: u64,
        /// What stands there.
        text: String,
    },
    /// An asset is not known.
    #[error(
        "line {line}: asset `{text}` is not known; name it as CAIP-19, and give the configuration that lists it"
    )]
    Asset {
        /// The line.
        line: u64,
        /// What stands there.
        text: String,
    },
    /// An amount cannot be read.
    #[error("line {line}: amount: {source}")]
    Amount {
        /// The line.
        line: u64,
        /// Why.
        source: ParseAmountError,
    },
    /// There is no line but the header, which says nothing.
    #[error("the statement has no lines")]
    Empty,
}

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    /// [`StatementError`], with the line.
    ///
    /// # Example
    /// ```
    /// use bursar::reconcile::Statement;
    /// use bursar::types::AssetRegistry;
    /// let text = "date,amount,asset,tx\n2026-11-22,0.25,eip155:8453/erc20:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913,0xab\n";
    /// let statement = Statement::parse(text, &AssetRegistry::pinned())?;
    /// assert_eq!(statement.rows[0].amount.atomic(), 250_000);
    /// # Ok::<(), bursar::reconcile::StatementError>(())
    /// ```
    pub fn parse(text: &str, registry: &AssetRegistry) -> Result<Self, StatementError> {
        // The reader ends a record before the second half of a longer line end, and would count from there.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let headers: Vec<String> =
            reader.headers().map_err(|error| no_csv(&error))?.iter().map(str::to_owned).collect();
        check_columns(&headers)?;
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| no_csv(&error))?;
            let line = record.position().map_or(0, csv::Position::line);
            let field = |name: &str| {
                let place = headers.iter().position(|header| header == name)?;
                record.get(place).filter(|text| !text.is_empty())
            };
            rows.push(row(line, field, registry)?);
        }
        if rows.is_empty() { Err(StatementError::Empty) } else { Ok(Self { rows }) }
    }
}

fn no_csv(error: &csv::Error) -> StatementError {
    let line = error.position().map_or(1, csv::Position::line);
    StatementError::Csv { line, problem: visible(&error.to_string(), 200) }
}

fn check_columns(headers: &[String]) -> Result<(), StatementError> {
    let wrong =
        |column: &str, problem| Err(StatementError::Column { column: visible(column, SHOWN), problem });
    for (place, header) in headers.iter().enumerate() {
        if !COLUMNS.contains(&header.as_str()) {
            return wrong(header, "means nothing here");
        }
        if headers.iter().skip(place.saturating_add(1)).any(|other| other == header) {
            return wrong(header, "is there twice");
        }
    }
    match NEEDED.iter().find(|needed| !headers.iter().any(|header| header == **needed)) {
        Some(missing) => wrong(missing, "is missing"),
        None => Ok(()),
    }
}

fn row<'a>(
    line: u64,
    field: impl Fn(&str) -> Option<&'a str>,
    registry: &AssetRegistry,
) -> Result<StatementRow, StatementError> {
    let date = field("date").unwrap_or_default();
    let day = parse_day(date).ok_or_else(|| StatementError::Date { line, text: visible(date, SHOWN) })?;
    let asset = field("asset").unwrap_or_default();
    let unknown = || StatementError::Asset { line, text: visible(asset, SHOWN) };
    let id = AssetId::parse(asset).map_err(|_| unknown())?;
    let asset = registry.get(&id).map_err(|_| unknown())?;
    let amount = Amount::parse_decimal(asset, field("amount").unwrap_or_default())
        .map_err(|source| StatementError::Amount { line, source })?;
    let text = |name| field(name).map(str::to_owned);
    Ok(StatementRow {
        line,
        date: date.to_owned(),
        day,
        amount,
        payee: text("payee"),
        reference: text("reference"),
        tx: text("tx"),
    })
}

/// The day of a moment, counted from 1970.
pub(super) const fn day_of(at: Timestamp) -> u64 {
    at.unix_ms() / DAY_MS
}

/// Reads `2026-11-22`, or a time that begins so.
fn parse_day(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    if !rest.is_empty() && !rest.starts_with(['T', ' ']) {
        return None;
    }
    let mut parts = date.split('-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        (part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<u64>().ok())?
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let days = days_of(year, month, day)?;
    // A day that the month does not have gives another date back.
    let shown = Timestamp::from_unix_ms(days.checked_mul(DAY_MS)?).to_string();
    shown.starts_with(date).then_some(days)
}

/// The days since 1970 of a date, after Howard Hinnant's "chrono-compatible low-level date algorithms".
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let of_march = if month > 2 { month.checked_sub(3)? } else { month.checked_add(9)? };
    let (era, of_era) = (year / 400, year % 400);
    let day_of_year = (153 * of_march + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USDC: &str = "eip155:8453/erc20:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";

    fn read(text: &str) -> Result<Statement, StatementError> {
        Statement::parse(text, &AssetRegistry::pinned())
    }

    #[test]
    fn a_statement_is_read_in_any_order_of_columns() {
        let text = format!(
            "\u{feff}tx,asset,date,amount,payee,reference\r\n0xab,{USDC},2026-11-22,0.25,0xcd,\"a, \"\"b\"\"\"\r\n,{USDC},2026-11-22T10:00:00Z,1,,\n"
        );
        let rows = read(&text).unwrap().rows;
        assert_eq!(
            (rows[0].line, rows[0].amount.atomic(), rows[0].tx.as_deref()),
            (2, 250_000, Some("0xab"))
        );
        assert_eq!(rows[0].reference.as_deref(), Some("a, \"b\""));
        assert_eq!((rows[1].line, rows[1].amount.atomic(), &rows[1].tx), (3, 1_000_000, &None));
        assert_eq!(rows[0].day, day_of(Timestamp::from_unix_ms(1_795_305_600_000)));
    }

    #[test]
    fn what_cannot_be_read_for_certain_is_an_error_with_its_line_and_never_zero() {
        let with = |date: &str, amount: &str, asset: &str| {
            format!("date,amount,asset\n2026-11-22,1,{USDC}\n{date},{amount},{asset}\n")
        };
        for (text, expected) in [
            (with("2026-11-22", "1e3", USDC), "line 3: amount: "),
            (with("2026-11-22", "\"1,000\"", USDC), "line 3: amount: "),
            (with("2026-11-22", "1'000", USDC), "line 3: amount: "),
            (with("2026-11-22", "-1", USDC), "line 3: amount: "),
            (with("2026-11-22", "$1", USDC), "line 3: amount: "),
            (with("2026-11-22", ".5", USDC), "line 3: amount: "),
            (with("2026-11-22", "NaN", USDC), "line 3: amount: "),
            (with("2026-11-22", "", USDC), "line 3: amount: "),
            (with("2026-11-22", "0.1234567", USDC), "line 3: amount: "),
            (with("2026-11-22", "1", "USDC"), "line 3: asset `USDC` is not known"),
            (
                with("2026-11-22", "1", "eip155:1/erc20:0x01"),
                "line 3: asset `eip155:1/erc20:0x01` is not known",
            ),
            (with("22.11.2026", "1", USDC), "line 3: `22.11.2026` is no date"),
            (with("2026-02-30", "1", USDC), "line 3: `2026-02-30` is no date"),
            (with("2026-13-01", "1", USDC), "line 3: `2026-13-01` is no date"),
            (with("", "1", USDC), "line 3: `` is no date"),
            (with("2026-11-22,more", "1", USDC), "line 3: this is no CSV"),
            ("date,amount\n".to_owned(), "line 1: column `asset` is missing"),
            ("date,amount,asset,Amount\n".to_owned(), "line 1: column `Amount` means nothing here"),
            ("date,amount,asset,date\n".to_owned(), "line 1: column `date` is there twice"),
            (String::new(), "line 1: column `date` is missing"),
            ("date,amount,asset\n".to_owned(), "the statement has no lines"),
        ] {
            let told = read(&text).unwrap_err().to_string();
            assert!(told.starts_with(expected), "{text:?}: {told}");
        }
    }

    #[test]
    fn leap_days_are_days() {
        for (text, day) in [("1970-01-01", Some(0)), ("2000-02-29", Some(11_016)), ("2100-02-29", None)] {
            assert_eq!(parse_day(text), day, "{text}");
        }
    }
}
