//! Times: how far each is from a grid of equal steps.

use super::integers::{decode_integers, encode_integers};
use super::{COUNT_MAX, Effort};
use crate::store::bytes::{Reader, put_signed};

/// The times themselves, by their differences.
const PLAIN: u8 = 0;
/// The first time and the step, and what each time is off.
const GRID: u8 = 1;

/// Appends the encoding of times in ascending order, of which there must be one and at most
/// [`COUNT_MAX`].
pub(in crate::store) fn encode_times(times_ms: &[i64], _effort: Effort, into: &mut Vec<u8>) {
    let Some(first) = times_ms.first() else { return };
    let at = into.len();
    into.push(PLAIN);
    encode_integers(times_ms, into);
    let Some(grid) = on_grid(*first, times_ms) else { return };
    let mut back = Vec::with_capacity(times_ms.len());
    if grid.len() < into.len() - at
        && decode_times(&grid, times_ms.len(), &mut back).is_some()
        && back == times_ms
    {
        into.truncate(at);
        into.extend_from_slice(&grid);
    }
}

fn on_grid(first: i64, times_ms: &[i64]) -> Option<Vec<u8>> {
    let step = usual_step(times_ms)?;
    let off: Vec<_> = times_ms
        .iter()
        .zip(0i64..)
        .map(|(time_ms, i)| time_ms.wrapping_sub(first).wrapping_sub(step.wrapping_mul(i)))
        .collect();
    let mut grid = vec![GRID];
    put_signed(&mut grid, first);
    put_signed(&mut grid, step);
    encode_integers(&off, &mut grid);
    Some(grid)
}

/// Returns the median step.
fn usual_step(times_ms: &[i64]) -> Option<i64> {
    let mut steps: Vec<_> = times_ms.windows(2).map(|two| two[1].wrapping_sub(two[0])).collect();
    if steps.len() < 4 {
        return None;
    }
    let middle = steps.len() / 2;
    Some(*steps.select_nth_unstable(middle).1)
}

/// Decodes what [`encode_times`] made and appends it; `None` when the bytes do not hold it.
pub(in crate::store) fn decode_times(
    bytes: &[u8],
    count: usize,
    into: &mut Vec<i64>,
) -> Option<()> {
    if count > COUNT_MAX {
        return None;
    }
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        PLAIN => decode_integers(reader.take(reader.remaining())?, count, into),
        GRID => {
            let (first, step) = (reader.signed()?, reader.signed()?);
            let start = into.len();
            decode_integers(reader.take(reader.remaining())?, count, into)?;
            let mut on_grid = first;
            for time_ms in &mut into[start..] {
                *time_ms = time_ms.wrapping_add(on_grid);
                on_grid = on_grid.wrapping_add(step);
            }
            Some(())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn len(times_ms: &[i64]) -> usize {
        let mut bytes = Vec::new();
        encode_times(times_ms, Effort::Seal, &mut bytes);
        let mut back = Vec::new();
        decode_times(&bytes, times_ms.len(), &mut back).unwrap();
        assert_eq!(back, times_ms);
        bytes.len()
    }

    #[test]
    fn scrapes_take_few_bytes() {
        let t0 = 1_700_000_000_000i64;
        assert!(len(&(0..480).map(|i| t0 + i * 15_000).collect::<Vec<_>>()) <= 11);
        let jitter: Vec<_> = (0..480i64).map(|i| t0 + i * 15_000 + i * i % 5 - 2).collect();
        assert!(len(&jitter) <= 220, "{}", len(&jitter));
        let gap: Vec<_> = (0..480).map(|i| t0 + (i + i / 200) * 15_000).collect();
        assert!(len(&gap) <= 40, "{}", len(&gap));
    }

    proptest! {
        #[test]
        fn comes_back(
            steps in proptest::collection::vec(any::<i64>(), 0..600), shift in 0u32..64,
            first in any::<i64>(), regular in any::<i32>(),
        ) {
            let mut time = first;
            let mut times = vec![first];
            for step in steps {
                time = time.wrapping_add((step >> shift).wrapping_add(i64::from(regular)));
                times.push(time);
            }
            len(&times);
        }
    }
}
