//! What senders of remote write are promised: exact answers, and every accepted bit read back.

use std::path::PathBuf;
use std::sync::Arc;

use forewarn::env::{Fault, ManualClock, SimDisk};
use forewarn::ingest::proto::{v1, v2};
use forewarn::ingest::{Connection, IngestLimits, Protocol, Receiver, WriteAnswer, Written, send};
use forewarn::series::{Labels, Points, ResetHint, STALE_NAN, TimeRange};
use forewarn::store::{Exemplar, MetricType, Store, StoreOptions, WalSync};
use proptest::prelude::*;
use prost::Message;

const T0: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;

/// The floats of a series: time, start and bits of each.
type Floats = Vec<(i64, i64, u64)>;

/// A receiver with its store.
struct Place {
    store: Store,
    receiver: Receiver,
}

impl Place {
    fn new() -> Place {
        Place::with(HOUR, IngestLimits::default())
    }

    fn with(out_of_order_window_ms: i64, limits: IngestLimits) -> Place {
        let options = StoreOptions {
            dir: PathBuf::from("/data"),
            wal_sync: WalSync::OnClose,
            out_of_order_window_ms,
            ..StoreOptions::default()
        };
        let clock = Arc::new(ManualClock::new(T0));
        let store = Store::open(options, Arc::new(SimDisk::new()), clock).unwrap();
        Place { receiver: Receiver::new(store.clone(), limits), store }
    }

    fn floats(&self) -> Vec<(String, Floats)> {
        let read = |points: &Points| {
            let starts = points.starts_ms.iter().copied().chain(std::iter::repeat(0));
            let times = points.times_ms.iter().zip(starts).zip(&points.values);
            times.map(|((time, start), value)| (*time, start, value.to_bits())).collect()
        };
        self.read(read)
    }

    fn read<T>(&self, of_series: impl Fn(&Points) -> T) -> Vec<(String, T)> {
        let snapshot = self.store.snapshot();
        let mut points = Points::default();
        let series = snapshot.select(&[], TimeRange::ALL).unwrap();
        let all = series.iter().map(|series| {
            snapshot.read(series, TimeRange::ALL, &mut points).unwrap();
            (series.labels.to_string(), of_series(&points))
        });
        all.collect()
    }
}

/// A 2.0 request under construction, with its table of symbols.
struct Request(v2::Request);

impl Request {
    fn new() -> Request {
        Request(v2::Request { symbols: vec![String::new()], timeseries: Vec::new() })
    }

    fn symbol(&mut self, text: &str) -> u32 {
        let known = self.0.symbols.iter().position(|symbol| symbol == text);
        let at = known.unwrap_or_else(|| {
            self.0.symbols.push(text.to_owned());
            self.0.symbols.len() - 1
        });
        at as u32
    }

    fn refs(&mut self, labels: &[(&str, &str)]) -> Vec<u32> {
        labels.iter().flat_map(|(name, value)| [self.symbol(name), self.symbol(value)]).collect()
    }

    fn series(mut self, labels: &[(&str, &str)], fill: impl FnOnce(&mut v2::TimeSeries)) -> Self {
        let labels_refs = self.refs(labels);
        let mut series = v2::TimeSeries { labels_refs, ..v2::TimeSeries::default() };
        fill(&mut series);
        self.0.timeseries.push(series);
        self
    }

    fn sample(self, labels: &[(&str, &str)], timestamp: i64, value: f64) -> Self {
        self.series(labels, |series| series.samples.push(sample(timestamp, value)))
    }

    fn write(&self, connection: &mut Connection) -> WriteAnswer {
        connection.write(Protocol::V2, &send::body(&self.0))
    }
}

fn sample(timestamp: i64, value: f64) -> v2::Sample {
    v2::Sample { timestamp, value, start_timestamp: 0 }
}

fn histogram(timestamp: i64) -> v2::Histogram {
    v2::Histogram {
        count: Some(v2::histogram::Count::CountInt(6)),
        zero_count: Some(v2::histogram::ZeroCount::ZeroCountInt(1)),
        zero_threshold: 1e-128,
        sum: 12.5,
        schema: 2,
        positive_spans: vec![v2::BucketSpan { offset: -1, length: 2 }],
        positive_deltas: vec![2, 1],
        timestamp,
        ..v2::Histogram::default()
    }
}

fn v1_series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> v1::TimeSeries {
    let label = |(name, value): &(&str, &str)| v1::Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    let samples = samples
        .iter()
        .map(|(timestamp, value)| v1::Sample { timestamp: *timestamp, value: *value });
    v1::TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.collect(),
        ..v1::TimeSeries::default()
    }
}

fn v1_write(connection: &mut Connection, timeseries: Vec<v1::TimeSeries>) -> WriteAnswer {
    let request = v1::WriteRequest { timeseries, ..v1::WriteRequest::default() };
    connection.write(Protocol::V1, &send::body(&request))
}

const UP: &[(&str, &str)] = &[("__name__", "up"), ("job", "a")];

/// Sends a 2.0 request to a fresh receiver; the answer's status and counts must be these.
#[track_caller]
fn check(request: &Request, status: u16, written: (usize, usize, usize)) -> (Place, String) {
    let place = Place::new();
    let answer = request.write(&mut place.receiver.connection());
    let (samples, histograms, exemplars) = written;
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.written, Some(Written { samples, histograms, exemplars }), "{}", answer.body);
    assert_eq!(answer.body.is_empty(), status == 204);
    (place, answer.body)
}

#[test]
fn every_value_comes_back_to_the_bit() {
    let nan = f64::from_bits(0x7ff8_0000_0000_0001);
    // Encoders leave out -0.0 as if it were 0, so values are put into the bytes by hand.
    let stand_in = 1.234_567f64;
    let body = |message: Vec<u8>, value: f64| {
        let at = message.windows(8).position(|bytes| bytes == stand_in.to_le_bytes()).unwrap();
        let mut message = message;
        message[at..at + 8].copy_from_slice(&value.to_le_bytes());
        snap::raw::Encoder::new().compress_vec(&message).unwrap()
    };
    let two = Request::new().sample(UP, T0, stand_in).0.encode_to_vec();
    let timeseries = vec![v1_series(UP, &[(T0, stand_in)])];
    let one = v1::WriteRequest { timeseries, ..v1::WriteRequest::default() }.encode_to_vec();
    for value in [1.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, nan, STALE_NAN, 5e-324] {
        for (protocol, message) in [(Protocol::V1, &one), (Protocol::V2, &two)] {
            let place = Place::new();
            let answer = place.receiver.connection().write(protocol, &body(message.clone(), value));
            let counted = Written { samples: 1, ..Written::default() };
            let written = (protocol == Protocol::V2).then_some(counted);
            assert_eq!((answer.status, answer.written), (204, written));
            let expected = vec![(r#"up{job="a"}"#.to_owned(), vec![(T0, 0, value.to_bits())])];
            assert_eq!(place.floats(), expected);
        }
    }
}

#[test]
fn labels_are_taken_or_refused_as_the_contract_says() {
    let one = |labels: &[(&str, &str)]| Request::new().sample(labels, T0, 1.0);
    let good: [(&[(&str, &str)], &str); 5] = [
        (&[("z", "1"), ("__name__", "up"), ("a", "2")], r#"up{a="2", z="1"}"#),
        (&[("__name__", "up"), ("a", "")], "up"),
        (
            &[("__name__", "with.dots and spaces"), ("b c", "😀")],
            r#"{"with.dots and spaces", "b c"="😀"}"#,
        ),
        (&[("__name__", "up"), ("text", "two\nlines")], r#"up{text="two\nlines"}"#),
        (&[("__name__", "up")], "up"),
    ];
    for (labels, expected) in good {
        let (place, _) = check(&one(labels), 204, (1, 0, 0));
        assert_eq!(place.floats()[0].0, expected);
        let place = Place::new();
        v1_write(&mut place.receiver.connection(), vec![v1_series(labels, &[(T0, 1.0)])]);
        assert_eq!(place.floats()[0].0, expected);
    }
    let bad: [(&[(&str, &str)], &str); 5] = [
        (&[], "series {}: there is no metric name; a series needs the label __name__\n"),
        (
            &[("a", "1")],
            "series {a=\"1\"}: there is no metric name; a series needs the label __name__\n",
        ),
        (
            &[("__name__", ""), ("a", "1")],
            "series {a=\"1\"}: there is no metric name; a series needs the label __name__\n",
        ),
        (
            &[("__name__", "up"), ("a", "1"), ("a", "2")],
            "series up{a=\"1\", a=\"2\"}: label \"a\" is there twice; send each name once\n",
        ),
        (
            &[("__name__", "up"), ("", "1")],
            "series up{=\"1\"}: a label has an empty name; name it, or leave it out\n",
        ),
    ];
    for (labels, expected) in bad {
        let (place, body) = check(&one(labels), 400, (0, 0, 0));
        assert_eq!(body, expected);
        assert_eq!(place.receiver.invalid_labels_samples_total(), 1);
        let place = Place::new();
        let good = v1_series(UP, &[(T0, 1.0)]);
        let bad = v1_series(labels, &[(T0, 1.0)]);
        let answer = v1_write(&mut place.receiver.connection(), vec![bad, good]);
        assert_eq!((answer.status, answer.body.as_str()), (400, expected));
        assert_eq!(place.floats().len(), 1, "the good series is stored");
    }
}

#[test]
fn references_outside_the_table_cost_their_series_alone() {
    let base = || Request::new().sample(UP, T0, 1.0);
    let mut odd = base().sample(&[("__name__", "b")], T0, 2.0);
    odd.0.timeseries[0].labels_refs.pop();
    let (_, body) = check(&odd, 400, (1, 0, 0));
    assert!(body.contains("label references come in pairs"), "{body}");

    let mut outside = base().sample(&[("__name__", "b")], T0, 2.0);
    outside.0.timeseries[0].labels_refs[1] = 99;
    let (place, body) = check(&outside, 400, (1, 0, 0));
    assert!(body.contains("symbol 99 is referred to, and there are 6"), "{body}");
    assert_eq!(place.floats()[0].0, "b");

    let mut metadata = base();
    let outside = v2::Metadata { r#type: 1, help_ref: 99, unit_ref: 0 };
    metadata.0.timeseries[0].metadata = Some(outside);
    let (_, body) = check(&metadata, 400, (1, 0, 0));
    assert!(body.starts_with("metadata of up{job=\"a\"}: symbol 99"), "{body}");

    let mut first_used = base();
    first_used.0.symbols[0] = "not empty".to_owned();
    check(&first_used, 204, (1, 0, 0));
}

#[test]
fn times_are_judged_as_the_contract_says() {
    let answers = |window_ms: i64, samples: &[(i64, f64)]| {
        let place = Place::with(window_ms, IngestLimits::default());
        let mut connection = place.receiver.connection();
        let one_by_one = samples.iter().map(|(time_ms, value)| {
            let answer = Request::new().sample(UP, *time_ms, *value).write(&mut connection);
            (answer.status, answer.body.split(": ").last().unwrap().trim().to_owned())
        });
        one_by_one.collect::<Vec<_>>()
    };
    let ok = || (204, String::new());
    let bad = |text: &str| (400, text.to_owned());
    let duplicate = || bad("duplicate sample for timestamp");
    let samples = [(T0, 1.0), (T0, 1.0), (T0, 2.0), (T0 - 1, 1.0), (T0 - HOUR, 1.0)];
    assert_eq!(answers(HOUR, &samples), [ok(), ok(), duplicate(), ok(), ok()]);
    let out_of_order = || bad("out of order sample");
    assert_eq!(answers(0, &samples[..4]), [ok(), ok(), duplicate(), out_of_order()]);
    let old = [(T0, 1.0), (T0 - HOUR - 1, 1.0)];
    assert_eq!(answers(HOUR, &old), [ok(), bad("too old sample")]);
    assert_eq!(answers(0, &old), [ok(), bad("out of bounds")]);
    let soon = [(T0 + 600_000, 1.0), (T0 + 600_001, 1.0)];
    assert_eq!(answers(HOUR, &soon), [ok(), bad("out of bounds")]);
    assert_eq!(answers(HOUR, &[(T0 - 10_000 * HOUR, 1.0)]), [ok()], "an empty store takes any age");
}

#[test]
fn no_time_however_far_off_harms_anything() {
    for time_ms in [i64::MIN, i64::MIN + 1, -1, 0, T0, i64::MAX] {
        let place = Place::new();
        let mut connection = place.receiver.connection();
        for time_ms in [time_ms, T0 - 1, T0, i64::MIN, i64::MAX] {
            let start_ms = time_ms.wrapping_sub(1);
            let started = v2::Sample { start_timestamp: start_ms, ..sample(time_ms, 1.0) };
            let request = Request::new().series(UP, |series| {
                series.samples.push(started);
                series.histograms.push(histogram(time_ms.wrapping_add(1)));
            });
            let answer = request.write(&mut connection);
            assert!([204, 400].contains(&answer.status), "{}", answer.body);
        }
        place.store.maintain().unwrap();
        let floats: usize = place.floats().iter().map(|(_, floats)| floats.len()).sum();
        assert!(floats > 0);
    }
}

#[test]
fn a_start_that_is_not_before_its_sample_is_ignored() {
    for (start, expected) in [(T0 - 5, T0 - 5), (T0, 0), (T0 + 5, 0), (-5, 0), (0, 0)] {
        let request = Request::new().series(UP, |series| {
            let started = v2::Sample { start_timestamp: start, ..sample(T0, 1.0) };
            series.samples.push(started);
        });
        let (place, _) = check(&request, 204, (1, 0, 0));
        assert_eq!(place.floats()[0].1, [(T0, expected, 1f64.to_bits())]);
    }
}

#[test]
fn native_histograms_come_back_and_invalid_ones_cost_only_themselves() {
    let invalid = v2::Histogram { positive_deltas: vec![2], ..histogram(T0 + 1) };
    let gauge = v2::Histogram { reset_hint: 3, start_timestamp: T0, ..histogram(T0 + 2) };
    let request = Request::new().series(UP, |series| {
        series.histograms = vec![histogram(T0), invalid, gauge];
        series.samples.push(sample(T0 + 3, 1.0));
    });
    let (place, body) = check(&request, 400, (1, 2, 0));
    assert!(body.starts_with("histogram of up{job=\"a\"} at 2023-11-14T22:13:20.001Z: "), "{body}");
    let stored = place.read(|points| points.histograms.clone()).remove(0).1;
    let times: Vec<_> = stored.iter().map(|point| (point.time_ms, point.start_ms)).collect();
    assert_eq!(times, [(T0, 0), (T0 + 2, T0)]);
    assert_eq!(stored[0].histogram.positive_buckets, [2.0, 3.0]);
    assert_eq!(stored[0].histogram.count, 6.0);
    assert_eq!(stored[1].histogram.reset_hint, ResetHint::Gauge);
}

#[test]
fn exemplars_and_metadata_are_kept() {
    let mut request = Request::new();
    let trace = request.refs(&[("trace_id", "abc"), ("empty", "")]);
    let (help, unit) = (request.symbol("Whether it is up."), request.symbol("state"));
    let exemplar = |timestamp| v2::Exemplar { labels_refs: trace.clone(), value: 0.5, timestamp };
    let request = request.series(UP, |series| {
        series.samples.push(sample(T0, 1.0));
        series.exemplars = vec![exemplar(T0), exemplar(T0), exemplar(T0 - 1)];
        series.metadata = Some(v2::Metadata { r#type: 2, help_ref: help, unit_ref: unit });
    });
    let (place, body) = check(&request, 400, (1, 0, 2));
    assert!(body.starts_with("exemplar of up{job=\"a\"} at "), "{body}");
    let stored =
        Exemplar { labels: Labels::from_pairs([("trace_id", "abc")]), value: 0.5, time_ms: T0 };
    let kept = place.store.snapshot().exemplars(&[], TimeRange::ALL).unwrap();
    assert_eq!(kept, [(Labels::from_pairs(UP.iter().copied()), vec![stored])]);
    let (metric, metadata) = place.store.metadata().remove(0);
    assert_eq!((metric.as_str(), metadata.kind), ("up", MetricType::Gauge));
    assert_eq!((metadata.help.as_str(), metadata.unit.as_str()), ("Whether it is up.", "state"));
}

#[test]
fn metadata_of_1_0_needs_no_series() {
    let place = Place::new();
    let metadata = v1::MetricMetadata {
        r#type: 1,
        metric_family_name: "requests_total".to_owned(),
        help: "Requests.".to_owned(),
        unit: String::new(),
    };
    let request = v1::WriteRequest { metadata: vec![metadata], ..v1::WriteRequest::default() };
    let answer = place.receiver.connection().write(Protocol::V1, &send::body(&request));
    assert_eq!(answer.status, 204);
    assert_eq!(place.store.metadata()[0].1.kind, MetricType::Counter);
}

#[test]
fn a_2_0_series_without_samples_is_refused() {
    let mut request = Request::new();
    let refs = request.refs(&[("trace_id", "abc")]);
    let exemplar = v2::Exemplar { labels_refs: refs, value: 1.0, timestamp: T0 };
    check(&Request::new().series(UP, |_| {}), 400, (0, 0, 0));
    check(&request.series(UP, |series| series.exemplars.push(exemplar)), 400, (0, 0, 0));
}

#[test]
fn one_sender_in_many_spellings_is_the_same_series() {
    let place = Place::new();
    let mut connection = place.receiver.connection();
    let turned = [UP[1], UP[0]];
    for (at, labels) in [UP, &turned, UP, &turned].into_iter().enumerate() {
        let time_ms = T0 + at as i64;
        // Other numbers for the same texts.
        let mut request = Request::new();
        request.symbol(&at.to_string());
        assert_eq!(request.sample(labels, time_ms, 1.0).write(&mut connection).status, 204);
        let samples = [(time_ms + 100, 1.0)];
        assert_eq!(v1_write(&mut connection, vec![v1_series(labels, &samples)]).status, 204);
    }
    let floats = place.floats();
    assert_eq!((floats.len(), floats[0].1.len()), (1, 8));
}

#[test]
fn fields_may_come_in_any_order() {
    use prost::encoding::{WireType, encode_key, encode_varint};
    let series = v1_series(UP, &[(T0, 1.0)]);
    let (first, rest) = series.labels.split_first().unwrap();
    let parts = [
        v1::TimeSeries { labels: vec![first.clone()], ..v1::TimeSeries::default() },
        v1::TimeSeries { samples: series.samples.clone(), ..v1::TimeSeries::default() },
        v1::TimeSeries { labels: rest.to_vec(), ..v1::TimeSeries::default() },
    ];
    let inner: Vec<u8> = parts.iter().flat_map(Message::encode_to_vec).collect();
    let mut message = Vec::new();
    encode_key(1, WireType::LengthDelimited, &mut message);
    encode_varint(inner.len() as u64, &mut message);
    message.extend(inner);
    encode_key(77, WireType::ThirtyTwoBit, &mut message);
    message.extend([0; 4]);
    let body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
    let place = Place::new();
    assert_eq!(place.receiver.connection().write(Protocol::V1, &body).status, 204);
    assert_eq!(place.floats()[0].0, r#"up{job="a"}"#);
}

#[test]
fn what_is_malformed_as_a_whole_stores_nothing() {
    let good = send::body(&Request::new().sample(UP, T0, 1.0).0);
    let limits = IngestLimits { compressed_bytes_max: 1000, decompressed_bytes_max: 5000 };
    let check = |protocol: Protocol, body: &[u8], status: u16, text: &str| {
        let place = Place::with(HOUR, limits);
        let answer = place.receiver.connection().write(protocol, body);
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(answer.body.contains(text), "{}", answer.body);
        let none = (protocol == Protocol::V2).then(Written::default);
        assert_eq!((answer.written, answer.retry_after_s), (none, None));
        assert!(place.floats().is_empty());
    };
    let compressed = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    let mut first_byte = good.clone();
    first_byte[0] ^= 0x40;
    check(Protocol::V2, &first_byte, 400, "snappy");
    check(Protocol::V1, &first_byte, 400, "snappy");
    check(Protocol::V2, &[], 400, "snappy");
    check(Protocol::V2, &good[..good.len() - 1], 400, "snappy");
    check(Protocol::V2, &compressed(b"\x2a\xff"), 400, "protobuf message is malformed");
    check(Protocol::V2, &vec![0; 1001], 413, "larger than 1000 bytes");
    check(Protocol::V2, &compressed(&[0; 5001]), 413, "5001 bytes, and 5000 are taken");
    check(Protocol::V2, &[0x88, 0x27, 0, 0], 400, "4 bytes cannot decompress to 5000");

    // The first series is good, and the second malformed.
    let mut message = Request::new().sample(UP, T0, 1.0).0.encode_to_vec();
    message.extend(b"\x2a\x09\x0a\x02\x01\x02\x12\x03\x09\x00\x00");
    check(Protocol::V2, &compressed(&message), 400, "cut off");
}

#[test]
fn a_failing_disk_is_told_to_come_again_and_nothing_is_stored() {
    let disk = SimDisk::new();
    let options = StoreOptions { dir: PathBuf::from("/data"), ..StoreOptions::default() };
    let clock = Arc::new(ManualClock::new(T0));
    let store = Store::open(options, Arc::new(disk.clone()), clock).unwrap();
    let place = Place { receiver: Receiver::new(store.clone(), IngestLimits::default()), store };
    let mut connection = place.receiver.connection();
    let request = Request::new().sample(UP, T0, 1.0);
    disk.fail_after(0, Fault::NoSpace);
    let answer = request.write(&mut connection);
    assert_eq!((answer.status, answer.written), (503, Some(Written::default())), "{}", answer.body);
    assert!(answer.retry_after_s.is_some());
    assert!(place.floats().iter().all(|(_, floats)| floats.is_empty()));
}

#[test]
fn many_errors_make_a_short_text() {
    let samples = (0..5000).map(|at| sample(T0 + 700_000 + at, 1.0)).collect();
    let request = Request::new().sample(&[("__name__", "good")], T0, 1.0);
    let request = request.series(UP, |series| series.samples = samples);
    let (_, body) = check(&request, 400, (1, 0, 0));
    assert!(body.len() < 6000, "{}", body.len());
    assert!(body.ends_with(" more\n"), "{body}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut connection = Place::new().receiver.connection();
        let body = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
        for protocol in [Protocol::V1, Protocol::V2] {
            prop_assert!([204, 400].contains(&connection.write(protocol, &body).status));
            let raw = connection.write(protocol, &bytes).status;
            prop_assert!([204, 400, 413].contains(&raw));
        }
    }

    #[test]
    fn no_changed_byte_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut request = Request::new();
        let refs = request.refs(&[("trace_id", "abc")]);
        let request = request.series(UP, |series| {
            series.samples.push(sample(T0, 1.0));
            series.histograms.push(histogram(T0 + 1));
            series.exemplars.push(v2::Exemplar { labels_refs: refs, value: 1.0, timestamp: T0 });
            series.metadata = Some(v2::Metadata { r#type: 2, help_ref: 1, unit_ref: 2 });
        });
        let mut message = request.0.encode_to_vec();
        let at = at.index(message.len());
        message[at] = byte;
        if cut {
            message.truncate(at + 1);
        }
        let body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
        let place = Place::new();
        let answer = place.receiver.connection().write(Protocol::V2, &body);
        prop_assert!([204, 400].contains(&answer.status), "{}", answer.body);
        let written = answer.written.unwrap();
        let stored: usize = place.floats().iter().map(|(_, floats)| floats.len()).sum();
        prop_assert_eq!(stored, written.samples);
        // What was taken can be asked for too.
        let counts = place.read(|points| {
            let all = points.histograms.iter().map(|point| {
                let compact = (*point.histogram).clone().compacted();
                let sum = compact.plus(&point.histogram).map(|(sum, _)| sum.variance());
                (compact.quantile(0.9), compact.fraction(0.0, 1.0), sum.is_ok())
            });
            all.count()
        });
        let stored: usize = counts.into_iter().map(|(_, count)| count).sum();
        prop_assert_eq!(stored, written.histograms);
    }
}
