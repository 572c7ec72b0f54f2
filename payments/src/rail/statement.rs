//! What a payee signs beside a payment: an offer of its terms before, a receipt after.

use serde::{Deserialize, Serialize};

/// A signed statement of a payee, as it was checked when it came. Whatever it says, it is no evidence that money moved: that is for the
/// rail to say. Its text is the payee's, and untrusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "signed")]
pub enum PayeeStatement {
    /// None came.
    #[default]
    Absent,
    /// It is about this payment, and the key of the address that is paid signed it.
    Verified {
        /// That address.
        signer: String,
        /// The statement as JSON text, for others to check.
        text: String,
    },
    /// Something came that is not that.
    Unverified {
        /// Why not.
        problem: String,
        /// What came, as JSON text; empty if it was too long to keep.
        text: String,
    },
}

/// What a payee signed about one payment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayeeStatements {
    /// Its terms, signed with the demand for payment.
    pub offer: PayeeStatement,
    /// That it was paid and served, signed with the answer.
    pub receipt: PayeeStatement,
}
