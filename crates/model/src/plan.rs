//! The steps from one state to another.
use crate::resolve::Desired;
use crate::state::State;
use crate::step::Step;
/// The steps from one state to another.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The steps in order.
    pub steps: Vec<Step>,
}
/// Plans.
#[must_use]
pub fn plan(_desired: &Desired, _observed: &State) -> Plan {
    Plan::default()
}
