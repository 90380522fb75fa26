//! The messages of `proto/*.proto`, for whoever makes requests: tests, benches and the demo. The
//! receiver reads the wire by hand.

/// Remote write 1.0.
#[allow(clippy::pedantic, reason = "generated from proto/")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/prometheus.rs"));
}

/// Remote write 2.0.
#[allow(clippy::pedantic, reason = "generated from proto/")]
pub mod v2 {
    include!(concat!(env!("OUT_DIR"), "/io.prometheus.write.v2.rs"));
}
