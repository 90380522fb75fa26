//! PromQL: parse, check, evaluate.
