//! One alert of a rule.

use crate::rules::Clocks;
use crate::series::Labels;

/// One alert of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alert {
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
    pub(super) value: Option<f64>,
    pub(super) clocks: Clocks,
    /// It began as that of another series, and has its labels.
    pub(super) is_taken_over: bool,
}
