//! Tables.

use comfy_table::{LineStyle, Table, TableStyle};

/// A rule under the head, and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with its head, without a width: what a line cannot hold wraps in the terminal.
pub(crate) fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(head);
    table
}
