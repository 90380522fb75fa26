//! What PromQL and the rule language share: places in a text, and messages about them.
//!
//! Entry points: [`Span`], [`Diagnostic`]. A diagnostic is one value that the terminal, the API and
//! the pages render alike.
//!
//! Absent on purpose: grammars. They live with their languages.

mod diagnostic;

pub use diagnostic::{Diagnostic, Severity, Source, Span, nearest};
