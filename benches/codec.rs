//! What the column codecs make of typical series: bytes and nanoseconds a sample, by class of series
//! and by length of the column. `cargo bench --bench codec`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, or fails")]

use forewarn::env::{Clock, SystemClock};
use forewarn::store::doors::{Work, decode_times, decode_values, encode_times, encode_values};

/// Samples in all of a class.
const SAMPLES: usize = 5_760;
/// Series of a class.
const SERIES: usize = 20;

type Random = fastrand::Rng;

/// About normal, with variance 1.
fn noise(random: &mut Random) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

fn summed(random: &mut Random, mut step: impl FnMut(&mut Random) -> f64) -> Vec<f64> {
    let mut sum = (random.f64() * 1e6).round();
    (0..SAMPLES)
        .map(|_| {
            sum += step(random);
            sum
        })
        .collect()
}

type Class = (&'static str, fn(&mut Random) -> Vec<f64>);

/// The classes of an application's and of a host's series.
const CLASSES: [Class; 11] = [
    ("constant", |random| vec![random.u32(0..100_000).into(); SAMPLES]),
    ("integer counter", |random| {
        let rate = 10f64.powf(random.f64() * 4.0);
        summed(random, move |random| (rate + rate.sqrt() * noise(random)).max(0.0).round())
    }),
    ("bucket counter", |random| {
        let rate = 10f64.powf(random.f64() * 3.0 - 1.0);
        summed(random, move |random| (rate + rate.sqrt() * noise(random)).max(0.0).round())
    }),
    ("gauge, 1 decimal", |random| {
        let mut value = 40.0;
        (0..SAMPLES)
            .map(|_| {
                value += noise(random) * 0.1;
                (value * 10.0f64).round() / 10.0
            })
            .collect()
    }),
    ("gauge, 2 decimals", |random| {
        (0..SAMPLES).map(|_| ((50.0 + 10.0 * noise(random)) * 100.0).round() / 100.0).collect()
    }),
    ("bytes, 4 KiB steps", |random| {
        let mut pages = 500_000.0;
        (0..SAMPLES)
            .map(|_| {
                pages += (noise(random) * 2_000.0).round();
                pages * 4096.0
            })
            .collect()
    }),
    ("small integers", |random| (0..SAMPLES).map(|_| random.u32(0..8).into()).collect()),
    ("unix time", |random| {
        let mut last = 1_700_000_000.0;
        (0..SAMPLES)
            .map(|i| {
                if random.u32(0..8) == 0 {
                    last = 1_700_000_000.0 + (i * 15) as f64 + f64::from(random.u32(0..15));
                }
                last
            })
            .collect()
    }),
    ("disk time (i * 0.001)", |random| {
        summed(random, |random| (noise(random).abs() * 40.0).round())
            .into_iter()
            .map(|value| value * 0.001)
            .collect()
    }),
    ("sum, full precision", |random| summed(random, |random| random.f64() * 3.0)),
    ("ratio, full precision", |random| (0..SAMPLES).map(|_| random.f64()).collect()),
];

fn main() {
    println!("values: bytes a sample, ns a sample to encode / to decode; by samples in a column");
    let lengths =
        [(120, Work::Seal), (480, Work::Seal), (1_920, Work::Seal), (1_920, Work::Compact)];
    println!("{:24} {:>21} {:>21} {:>21} {:>21}", "", "120", "480", "1920", "1920, compacted");
    let mut random = Random::with_seed(1);
    for (name, make) in CLASSES {
        let series: Vec<_> = (0..SERIES).map(|_| make(&mut random)).collect();
        print!("{name:24}");
        for (length, work) in lengths {
            let columns: Vec<_> = series.iter().flat_map(|series| series.chunks(length)).collect();
            print!(
                "{:>21}",
                measure(
                    &columns,
                    |values, into| encode_values(values, work, into),
                    |bytes, count, into: &mut Vec<f64>| decode_values(bytes, count, into).unwrap(),
                )
            );
        }
        println!();
    }
    println!("times");
    for (name, jitter_ms) in [("regular", 0), ("2 ms jitter", 2)] {
        print!("{name:24}");
        let times: Vec<i64> = (0..SAMPLES as i64)
            .map(|i| {
                let off = (noise(&mut random) * f64::from(jitter_ms)).round() as i64;
                1_700_000_000_000 + i * 15_000 + off
            })
            .collect();
        for (length, work) in lengths {
            let columns: Vec<_> = times.chunks(length).collect();
            print!(
                "{:>21}",
                measure(
                    &columns,
                    |times, into| encode_times(times, work, into),
                    |bytes, count, into: &mut Vec<i64>| decode_times(bytes, count, into).unwrap(),
                )
            );
        }
        println!();
    }
}

/// Returns bytes and ns a sample, the best of several rounds.
fn measure<T>(
    columns: &[&[T]],
    encode: impl Fn(&[T], &mut Vec<u8>),
    decode: impl Fn(&[u8], usize, &mut Vec<T>),
) -> String {
    let clock = SystemClock::new();
    let samples: usize = columns.iter().map(|column| column.len()).sum();
    let per_sample = |from: std::time::Duration| {
        clock.elapsed().saturating_sub(from).as_secs_f64() * 1e9 / samples as f64
    };
    let (mut encode_ns, mut decode_ns) = (f64::MAX, f64::MAX);
    let mut encoded = Vec::new();
    for _ in 0..3 {
        let from = clock.elapsed();
        encoded.clear();
        for column in columns {
            let mut bytes = Vec::new();
            encode(column, &mut bytes);
            encoded.push(bytes);
        }
        encode_ns = encode_ns.min(per_sample(from));
    }
    let mut back = Vec::new();
    for _ in 0..20 {
        let from = clock.elapsed();
        for (bytes, column) in encoded.iter().zip(columns) {
            back.clear();
            decode(bytes, column.len(), &mut back);
        }
        decode_ns = decode_ns.min(per_sample(from));
    }
    let bytes: usize = encoded.iter().map(Vec::len).sum();
    format!("{:.3} {encode_ns:.0}/{decode_ns:.2}", bytes as f64 / samples as f64)
}
