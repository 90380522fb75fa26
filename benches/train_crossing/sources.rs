//! Where examples come from: made-up series with their limit, and real ones with limits put above
//! and below them.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fastrand::Rng;
use flate2::read::MultiGzDecoder;
use forewarn::learn::{Crossing, Direction, Question, bucket_ms};
use serde::Deserialize;

use crate::generate::{self, FAMILIES, Kind};
use crate::scores::alerts::Limited;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Monday, 2024-07-01.
const START_MS: i64 = 1_719_792_000_000;
const HORIZONS_H: [i64; 5] = [1, 2, 4, 8, 12];
/// The horizon at which what was learned is tried.
pub(crate) const TRIED_MS: i64 = 4 * HOUR_MS;
/// Seeds of made-up series: those that teach, and those on which is tried what was learned.
const TAUGHT: std::ops::Range<u64> = 0..14;
const TRIED: std::ops::Range<u64> = 100..108;
/// Off a limit for so long, a series comes to it anew.
const ANEW_S: f64 = 7_200.0;
/// As those who score it do: no question within so long after a crossing.
const AFTER_CROSSING_MS: i64 = 30 * MINUTE_MS;

/// Samples of one series in order of time; what is missing is left out.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) step_ms: i64,
    pub(crate) samples: Vec<(i64, f64)>,
    /// What it does, where it is made up.
    pub(crate) kind: Option<Kind>,
    pub(crate) family: Option<String>,
    /// What is known of its limit.
    truth: Option<Truth>,
}

/// What the maker of a series knows of its limit; times in seconds.
#[derive(Clone, Debug, Deserialize)]
struct Truth {
    family: String,
    threshold: f64,
    dir: String,
    events: Vec<f64>,
    sudden: Vec<f64>,
    #[serde(default)]
    would: Vec<f64>,
}

#[derive(Deserialize)]
struct Truths {
    series: BTreeMap<String, Truth>,
}

/// A series that is asked about several limits from one side, for one horizon.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) track: usize,
    pub(crate) direction: Direction,
    pub(crate) horizon_ms: i64,
    pub(crate) limits: Vec<f64>,
}

/// Series of one origin.
pub(crate) struct Source {
    pub(crate) name: &'static str,
    /// Share of all weight.
    pub(crate) share: f64,
    pub(crate) tracks: Vec<Track>,
    /// What teaches.
    pub(crate) runs: Vec<Run>,
    /// On what is tried what was learned from others: each with one limit.
    pub(crate) trials: Vec<Run>,
}

/// A question, and what came of it.
pub(crate) struct Asked {
    pub(crate) time_ms: i64,
    /// None: on the limit.
    pub(crate) question: Option<Question>,
    pub(crate) crossed: bool,
    /// Whether the series lasts long enough to tell.
    pub(crate) is_known: bool,
}

impl Track {
    fn real(step_ms: i64, samples: Vec<(i64, f64)>) -> Track {
        Track { step_ms, samples, kind: None, family: None, truth: None }
    }
}

impl Source {
    /// Returns over how many buckets a run goes.
    pub(crate) fn buckets(&self, run: &Run) -> usize {
        let track = &self.tracks[run.track];
        let width_ms = bucket_ms(run.horizon_ms).max(track.step_ms);
        track.samples.len() * track.step_ms as usize / width_ms as usize
    }

    /// Returns made-up series of all families, whose limit is 1.
    pub(crate) fn made_up(share: f64) -> Source {
        let (mut tracks, mut runs, mut trials) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..FAMILIES.len() {
            for seed in TAUGHT.chain(TRIED) {
                let (track, limits) = (tracks.len(), vec![1.0]);
                let direction = Direction::FromBelow;
                tracks.push(made_up(number, seed * 1_000 + number as u64));
                let run = |horizon_ms| Run { track, direction, horizon_ms, limits: limits.clone() };
                if TAUGHT.contains(&seed) {
                    runs.extend(HORIZONS_H.map(|hours| run(hours * HOUR_MS)));
                } else {
                    trials.push(run(TRIED_MS));
                }
            }
        }
        Source { name: "made up", share, tracks, runs, trials }
    }

    /// Returns made-up series of a file (`name,start,step,value value …`) with their limits.
    pub(crate) fn exhaustion(share: f64, series: &Path, truths: &Path) -> Result<Source> {
        let mut truths: Truths = serde_json::from_reader(File::open(truths)?)?;
        let (mut tracks, mut runs, mut trials) = (Vec::new(), Vec::new(), Vec::new());
        for line in lines(series)? {
            let line = line?;
            let fields: Vec<&str> = line.splitn(4, ',').collect();
            let [id, start, step, values] = fields[..] else { bail!("{}", series.display()) };
            let (start_ms, step_ms) = (start.parse::<i64>()? * 1000, step.parse::<i64>()? * 1000);
            let timed = values.split(' ').map(str::parse).zip(0..);
            let samples = timed
                .filter_map(|(value, at)| Some((start_ms + at * step_ms, value.ok()?)))
                .collect();
            let truth = truths.series.remove(id).with_context(|| format!("no limit of {id}"))?;
            let direction =
                if truth.dir == "ge" { Direction::FromBelow } else { Direction::FromAbove };
            let (track, limits) = (tracks.len(), vec![truth.threshold]);
            let run = |horizon_ms| Run { track, direction, horizon_ms, limits: limits.clone() };
            runs.extend(HORIZONS_H.map(|hours| run(hours * HOUR_MS)));
            trials.push(run(TRIED_MS));
            let kind = Some(kind_of(&truth.family)?);
            let family = Some(truth.family.clone());
            tracks.push(Track { step_ms, samples, kind, family, truth: Some(truth) });
        }
        Ok(Source { name: "exhaustion", share, tracks, runs, trials })
    }

    /// Returns the series of files, with limits drawn from their first week; `trials` of them on
    /// each side are tried.
    pub(crate) fn real(
        name: &'static str,
        share: f64,
        trials_each: usize,
        tracks: Vec<Track>,
    ) -> Source {
        let mut rng = Rng::with_seed(share.to_bits());
        let (mut runs, mut trials) = (Vec::new(), Vec::new());
        for (track, of_track) in tracks.iter().enumerate() {
            for direction in [Direction::FromBelow, Direction::FromAbove] {
                let mut run = |horizon_ms, limits: usize| {
                    let limits =
                        (0..limits).map(|_| limit(of_track, direction, &mut rng)).collect();
                    Run { track, direction, horizon_ms, limits }
                };
                runs.extend(HORIZONS_H.map(|hours| run(hours * HOUR_MS, 3)));
                trials.extend((0..trials_each).map(|_| run(TRIED_MS, 1)));
            }
        }
        Source { name, share, tracks, runs, trials }
    }

    /// Returns a trial as those who score it see it.
    pub(crate) fn limited(&self, trial: &Run) -> Limited {
        let track = &self.tracks[trial.track];
        let first_ms = track.samples.first().map_or(0, |(time_ms, _)| *time_ms);
        let row = |time_ms: i64| ((time_ms - first_ms) / track.step_ms) as usize;
        let rows = track.samples.last().map_or(0, |(time_ms, _)| row(*time_ms) + 1);
        let mut values = vec![f64::NAN; rows];
        for (time_ms, value) in &track.samples {
            values[row(*time_ms)] = *value;
        }
        let mut limited = Limited {
            name: String::new(),
            start: first_ms as f64 / 1000.0,
            step: track.step_ms as f64 / 1000.0,
            values,
            threshold: trial.limits[0],
            is_floor: trial.direction == Direction::FromAbove,
            events: Vec::new(),
            sudden: Vec::new(),
            would: Vec::new(),
        };
        if let Some(Truth { events, sudden, would, .. }) = track.truth.clone() {
            return Limited { events, sudden, would, ..limited };
        }
        let mut before = f64::NEG_INFINITY;
        for row in 1..rows {
            if limited.is_at_limit(limited.values[row]) {
                let time = limited.time(row);
                if time - before >= ANEW_S {
                    limited.events.push(time);
                }
                before = time;
            }
        }
        limited
    }
}

fn made_up(family: usize, seed: u64) -> Track {
    let mut rng = Rng::with_seed(seed);
    let start_ms = START_MS + MINUTE_MS * rng.i64(0..7 * 1440);
    let (name, kind, of_family) = FAMILIES[family];
    let timed = generate::series(of_family, seed).into_iter().zip(0..);
    let samples = timed
        .filter(|(value, _)| !value.is_nan())
        .map(|(value, minute)| (start_ms + minute * MINUTE_MS, value))
        .collect();
    let family = Some(name.to_owned());
    Track { step_ms: MINUTE_MS, samples, kind: Some(kind), family, truth: None }
}

/// Returns the kind of a family of the public file.
fn kind_of(family: &str) -> Result<Kind> {
    Ok(match family {
        "steady" | "diurnal_fill" | "fixed" => Kind::Fills,
        "rotate_size" | "rotate_time" | "rotate_broken" | "compaction" => Kind::Rotations,
        "leak_gc" | "conn_leak" => Kind::Leaks,
        "plateau" | "steps" | "bursts_safe" | "copy_full" => Kind::Levels,
        "ou" | "walk" | "req_growth" | "req_safe" => Kind::Waves,
        _ => bail!("what does {family:?} do?"),
    })
}

/// Puts a limit at the 90 to 99.9 % quantile of the first week, or up to a quarter farther from the
/// median than the highest value then was.
fn limit(track: &Track, direction: Direction, rng: &mut Rng) -> f64 {
    let sign = if direction == Direction::FromBelow { 1.0 } else { -1.0 };
    let first_ms = track.samples.first().map_or(0, |(time_ms, _)| *time_ms);
    let week = track.samples.iter().take_while(|(time_ms, _)| time_ms - first_ms < 7 * DAY_MS);
    let mut values: Vec<f64> = week.map(|(_, value)| sign * value).collect();
    values.sort_by(f64::total_cmp);
    let quantile = |share: f64| values[(share * (values.len() - 1) as f64) as usize];
    let at = if rng.bool() {
        quantile([0.9, 0.95, 0.98, 0.99, 0.995, 0.999][rng.usize(..6)])
    } else {
        let median = quantile(0.5);
        median + (1.0 + 0.25 * rng.f64()) * (quantile(1.0) - median)
    };
    sign * at
}

/// Runs over a series and asks about each limit at every `stride`-th bucket.
pub(crate) fn ask(tracks: &[Track], run: &Run, stride: usize, mut hear: impl FnMut(Asked)) {
    let track = &tracks[run.track];
    let highs = highs_ahead(track, run);
    let sign = if run.direction == Direction::FromBelow { 1.0 } else { -1.0 };
    let end_ms = track.samples.last().map_or(0, |(time_ms, _)| *time_ms);
    let width_ms = bucket_ms(run.horizon_ms).max(track.step_ms);
    let mut crossing = Crossing::new(run.direction, track.step_ms, run.horizon_ms);
    let mut across_ms = vec![i64::MIN / 2; run.limits.len()];
    let mut buckets = 0;
    for (at, (time_ms, value)) in track.samples.iter().enumerate() {
        crossing.learn(*time_ms, *value, f64::NAN);
        for (limit, across_ms) in run.limits.iter().zip(&mut across_ms) {
            if sign * value >= sign * limit {
                *across_ms = *time_ms;
            }
        }
        if time_ms.rem_euclid(width_ms) != 0 {
            continue;
        }
        buckets += 1;
        for (limit, bound) in run.limits.iter().enumerate() {
            let crossed = highs[at] >= sign * bound;
            let is_known = crossed || time_ms + run.horizon_ms <= end_ms;
            let is_free = time_ms - across_ms[limit] >= AFTER_CROSSING_MS;
            let is_across = sign * value >= sign * bound;
            let is_asked = is_free && buckets % stride == 0;
            if !(is_across || is_asked) {
                continue;
            }
            let question = if is_across { None } else { crossing.question(*bound) };
            if is_across || question.is_some() {
                hear(Asked { time_ms: *time_ms, question, crossed, is_known });
            }
        }
    }
}

/// Returns for each sample the highest value, oriented, within the horizon after it.
fn highs_ahead(track: &Track, run: &Run) -> Vec<f64> {
    let sign = if run.direction == Direction::FromBelow { 1.0 } else { -1.0 };
    let mut highs = vec![f64::NEG_INFINITY; track.samples.len()];
    let mut ahead: VecDeque<(i64, f64)> = VecDeque::new();
    for (at, (time_ms, value)) in track.samples.iter().enumerate().rev() {
        while ahead.back().is_some_and(|(later_ms, _)| *later_ms > time_ms + run.horizon_ms) {
            ahead.pop_back();
        }
        // The front holds the nearest, the back the farthest and highest.
        highs[at] = ahead.back().map_or(f64::NEG_INFINITY, |(_, high)| *high);
        let value = sign * value;
        while ahead.front().is_some_and(|(_, high)| *high <= value) {
            ahead.pop_front();
        }
        ahead.push_front((*time_ms, value));
    }
    highs
}

fn lines(path: &Path) -> Result<impl Iterator<Item = std::io::Result<String>>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(BufReader::new(MultiGzDecoder::new(file)).lines())
}

/// Reads `timestamp,value` files below a directory, in means of five minutes.
pub(crate) fn read_directory(directory: &Path) -> Result<Vec<Track>> {
    let mut paths = Vec::new();
    collect(directory, &mut paths)?;
    paths.sort();
    paths.iter().map(|path| read_table(path)).collect()
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.to_string_lossy().ends_with(".csv.gz") {
            into.push(path);
        }
    }
    Ok(())
}

fn read_table(path: &Path) -> Result<Track> {
    let mut samples = Vec::new();
    for line in lines(path)?.skip(1) {
        let line = line?;
        let (time, value) = line.split_once(',').with_context(|| format!("{line:?}"))?;
        samples.push(((time.parse::<f64>()? * 1000.0) as i64, value.parse()?));
    }
    let mut steps: Vec<i64> = samples.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    steps.sort_unstable();
    let step_ms = steps.get(steps.len() / 2).copied().unwrap_or(MINUTE_MS);
    Ok(if step_ms < 5 * MINUTE_MS { means(&samples) } else { on_grid(samples, step_ms) })
}

/// Returns means of five minutes, each at their end.
fn means(samples: &[(i64, f64)]) -> Track {
    let step_ms = 5 * MINUTE_MS;
    let end_of = |time_ms: i64| -(-time_ms).div_euclid(step_ms) * step_ms;
    let means = samples.chunk_by(|one, next| end_of(one.0) == end_of(next.0)).map(|bucket| {
        let sum: f64 = bucket.iter().map(|(_, value)| value).sum();
        (end_of(bucket[0].0), sum / bucket.len() as f64)
    });
    Track::real(step_ms, means.collect())
}

/// Moves samples to the multiples of their step that they stand for.
fn on_grid(samples: Vec<(i64, f64)>, step_ms: i64) -> Track {
    let mut samples: Vec<(i64, f64)> = samples
        .into_iter()
        .map(|(time_ms, value)| (-(-time_ms).div_euclid(step_ms) * step_ms, value))
        .collect();
    samples.dedup_by_key(|(time_ms, _)| *time_ms);
    Track::real(step_ms, samples)
}

/// Reads `name,value,value,…`, a value an hour.
pub(crate) fn read_hourly(path: &Path) -> Result<Vec<Track>> {
    let mut tracks = Vec::new();
    for line in lines(path)?.skip(1) {
        let line = line?;
        let values =
            line.split(',').skip(1).filter_map(|value| value.trim_matches('"').parse().ok());
        let samples =
            values.zip(0..).map(|(value, hour)| (START_MS + hour * HOUR_MS, value)).collect();
        tracks.push(Track::real(HOUR_MS, samples));
    }
    Ok(tracks)
}
