//! A request body of either protocol, into an empty store.
#![no_main]

use std::sync::Arc;

use forewarn::env::ManualClock;
use forewarn::ingest::{IngestLimits, Protocol, Receiver, send};
use forewarn::store::Store;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, message)) = bytes.split_first() else { return };
    let store = Store::in_memory(Arc::new(ManualClock::new(1_700_000_000_000)));
    let receiver = Receiver::new(store.clone(), IngestLimits::default());
    let protocol = if first & 1 == 0 { Protocol::V1 } else { Protocol::V2 };
    let mut connection = receiver.connection();
    // As it came, and as the message within a sound body, twice: known series take another way.
    connection.write(protocol, message);
    let body = send::compressed(message);
    for _ in 0..2 {
        let answer = connection.write(protocol, &body);
        assert!(matches!(answer.status, 204 | 400 | 413), "{}: {}", answer.status, answer.body);
    }
    let snapshot = store.snapshot();
    let all = forewarn::series::TimeRange::ALL;
    let mut points = forewarn::series::Points::default();
    for series in snapshot.select(&[], all).expect("the head is sound") {
        snapshot.read(&series, all, &mut points).expect("the head is sound");
        assert!(points.times_ms.is_sorted_by(|a, b| a < b));
    }
});
