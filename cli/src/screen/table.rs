//! Tables.

use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};

/// A table with its head, without a width: what a line cannot hold wraps in the terminal.
pub(crate) fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(head);
    table
}
