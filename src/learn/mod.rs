//! What is normal and where it is heading: pure functions and small states.
