//! Tables.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

/// A rule under the head, and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with its head, without a width: what a line cannot hold wraps in the terminal.
pub(crate) fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(head);
    table
}

/// The same with a head that is not known beforehand; the columns from `numbers` on stand to the right.
pub(crate) fn table_of(head: Vec<String>, numbers: usize) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(head);
    for column in table.column_iter_mut().skip(numbers) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
