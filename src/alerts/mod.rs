//! Alert state machine, templates, notifier.
