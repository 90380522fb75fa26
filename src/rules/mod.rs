//! The rule language and rule files: parse, check, schedule, evaluate.
