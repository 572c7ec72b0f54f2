//! Categories of vendors, as the user sorts them.

use serde::{Deserialize, Serialize};

/// The category of every host that no category lists.
pub const OTHER: &str = "other";

/// The hosts of one category.
///
/// The list is the mandate's own. What a seller or a model calls a vendor sorts nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryRule {
    /// Its name, such as `weather`.
    pub name: String,
    /// Hosts in it: `api.example`, `api.example:8443`, `*.example`.
    pub vendors: Vec<String>,
}
