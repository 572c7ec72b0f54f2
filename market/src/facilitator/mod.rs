//! The facilitator.
use crate::Faults;
/// One call.
#[derive(Debug, Clone)]
pub struct FacilitatorCall {}
/// Handle on the facilitator; clones share it.
#[derive(Debug, Clone)]
pub struct Facilitator {}
impl Facilitator {
    /// Faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        todo!()
    }
    /// Calls so far.
    #[must_use]
    pub fn log(&self) -> Vec<FacilitatorCall> {
        todo!()
    }
}
