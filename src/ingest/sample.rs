use super::wire::{DecodeError, Fields};

/// A float as both protocols send it.
pub(super) struct Sample {
    pub(super) value: f64,
    pub(super) time_ms: i64,
    /// When it began to count; 0 where unset. Remote write 1.0 has no such field.
    pub(super) start_ms: i64,
}

impl Sample {
    #[inline]
    pub(super) fn decode(message: &[u8]) -> Result<Sample, DecodeError> {
        let mut sample = Sample { value: 0.0, time_ms: 0, start_ms: 0 };
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => sample.value = value.double()?,
                2 => sample.time_ms = value.int64()?,
                3 => sample.start_ms = value.int64()?,
                _ => {}
            }
        }
        sample.start_ms = start_before(sample.start_ms, sample.time_ms);
        Ok(sample)
    }
}

/// A start timestamp that is not before its sample says nothing, and counts as unset.
#[inline]
pub(super) fn start_before(start_ms: i64, time_ms: i64) -> i64 {
    if 0 < start_ms && start_ms < time_ms { start_ms } else { 0 }
}
