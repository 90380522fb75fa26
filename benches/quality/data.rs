//! Reads the public data and what methods wrote of it; an error names the file, and the line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::parallel::in_parallel;
use crate::scores::alerts::{Limited, Said};
use crate::scores::forecasts::{Forecast, HORIZON, Hourly};
use crate::scores::statistics::quantile;
use crate::scores::{Judged, Labelled};

/// The data sets of labelled series, by folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dataset {
    Kpi,
    Cloud,
    Nab,
}

impl Dataset {
    pub(crate) const ALL: [Dataset; 3] = [Dataset::Kpi, Dataset::Cloud, Dataset::Nab];

    pub(crate) fn folder(self) -> &'static str {
        match self {
            Dataset::Kpi => "kpi",
            Dataset::Cloud => "cloud",
            Dataset::Nab => "nab",
        }
    }
}

#[derive(Deserialize)]
struct Labels {
    /// NAB's do not say.
    step: Option<f64>,
    incidents: Vec<(f64, f64)>,
}

/// Reads the labelled series of a data set below `anomaly`.
pub(crate) fn labelled(anomaly: &Path, dataset: Dataset) -> Result<Vec<Labelled>> {
    let folder = anomaly.join(dataset.folder());
    let labels: Vec<(String, Labels)> = if dataset == Dataset::Nab {
        let windows: BTreeMap<String, Vec<(String, String)>> =
            read_json(&folder.join("combined_windows.json"))?;
        let times = |(first, last): (String, String)| Ok((seconds(&first)?, seconds(&last)?));
        let series = windows.into_iter().map(|(path, windows)| {
            let incidents: Result<_> = windows.into_iter().map(times).collect();
            Ok((format!("nab/{path}"), Labels { step: None, incidents: incidents? }))
        });
        series.collect::<Result<_>>()?
    } else {
        let labels: BTreeMap<String, Labels> = read_json(&folder.join("labels.json"))?;
        labels.into_iter().collect()
    };
    let read = |(name, labels): &(String, Labels)| {
        let [times, values] = columns(&table_at(anomaly, name)?, ["timestamp", "value"])?;
        let step = labels.step.or_else(|| usual_step(&times)).unwrap_or(60.0);
        let (name, incidents) = (name.clone(), labels.incidents.clone());
        Ok(Labelled { name, times, values, step, incidents })
    };
    in_parallel(&labels, read).into_iter().collect()
}

/// Returns the middle of the intervals.
fn usual_step(times: &[f64]) -> Option<f64> {
    let intervals: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    quantile(&intervals, 0.5)
}

/// Reads a civil time as UTC.
fn seconds(text: &str) -> Result<f64> {
    let civil: jiff::civil::DateTime =
        text.parse().with_context(|| format!("{text:?} is no time"))?;
    Ok(civil.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp().as_second() as f64)
}

/// Reads what a method wrote below `folder` of each series, row by row.
pub(crate) fn judged(folder: &Path, series: &[Labelled]) -> Result<Vec<Judged>> {
    let read = |labelled: &Labelled| {
        let path = table_at(folder, &labelled.name)?;
        let [score, alert] = columns(&path, ["score", "alert"])?;
        let (found, rows) = (score.len(), labelled.times.len());
        ensure!(found == rows, "{}: {found} rows, of {rows} of the series", path.display());
        Ok(Judged { score, alert: alert.iter().map(|on| *on > 0.0).collect() })
    };
    in_parallel(series, read).into_iter().collect()
}

#[derive(Deserialize)]
struct Truths {
    series: BTreeMap<String, Truth>,
}

#[derive(Deserialize)]
struct Truth {
    threshold: f64,
    dir: String,
    events: Vec<f64>,
    sudden: Vec<f64>,
    #[serde(default)]
    would: Vec<f64>,
}

/// Reads series and what is known of their limits.
pub(crate) fn limited(series: &Path, truth: &Path) -> Result<Vec<Limited>> {
    let mut truths: Truths = read_json(truth)?;
    let mut read = Vec::new();
    for (number, line) in BufReader::new(open(series)?).lines().enumerate() {
        let here = || format!("{}:{}", series.display(), number + 1);
        let line = line.with_context(here)?;
        let mut fields = line.trim_end().splitn(4, ',');
        let mut field = || fields.next().ok_or_else(|| anyhow!("{}: a field is missing", here()));
        let name = field()?.to_owned();
        let (start, step) = (field()?.parse()?, field()?.parse()?);
        let value = |text: &str| if text == "-" { Ok(f64::NAN) } else { text.parse() };
        let values = field()?.split(' ').map(value).collect::<Result<_, _>>().with_context(here)?;
        let truth = truths.series.remove(&name);
        let Truth { threshold, dir, events, sudden, would } =
            truth.ok_or_else(|| anyhow!("{}: no limit of {name:?} is known", here()))?;
        let is_floor = dir == "le";
        read.push(Limited {
            name,
            start,
            step,
            values,
            threshold,
            is_floor,
            events,
            sudden,
            would,
        });
    }
    Ok(read)
}

/// Reads `series,ts,firing,p`.
pub(crate) fn said(path: &Path) -> Result<BTreeMap<String, Vec<Said>>> {
    let mut said: BTreeMap<String, Vec<Said>> = BTreeMap::new();
    rows(path, ["series", "ts", "firing", "p"], |[series, ts, firing, p]| {
        let p = if p.is_empty() { None } else { Some(number(p)?) };
        let one = Said { time: number(ts)?, firing: number(firing)? > 0.0, p };
        match said.get_mut(series) {
            Some(of_series) => of_series.push(one),
            None => drop(said.insert(series.to_owned(), vec![one])),
        }
        Ok(())
    })?;
    Ok(said)
}

/// Reads the hourly series of which the hours after are known.
pub(crate) fn hourly(train: &Path, test: &Path) -> Result<Vec<Hourly>> {
    let (mut histories, futures) = (wide(train)?, wide(test)?);
    let pair = |(name, future): (String, Vec<f64>)| {
        let history = histories.remove(&name);
        let history = history.ok_or_else(|| anyhow!("{}: no series {name:?}", train.display()))?;
        Ok(Hourly { name, history, future })
    };
    futures.into_iter().map(pair).collect()
}

/// Reads `name,value,value,…` below a header.
fn wide(path: &Path) -> Result<BTreeMap<String, Vec<f64>>> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(open(path)?);
    let mut series = BTreeMap::new();
    for row in table.records() {
        let row = row.with_context(|| path.display().to_string())?;
        let line = row.position().map_or(0, csv::Position::line);
        let texts = row.iter().skip(1).filter(|text| !matches!(*text, "" | "NA"));
        let values: Result<_> = texts.map(number).collect();
        let values = values.with_context(|| format!("{}:{line}", path.display()))?;
        series.insert(row.get(0).unwrap_or("").to_owned(), values);
    }
    Ok(series)
}

/// Reads `series,h,mean,lo95,hi95`; an interval counts where all of it is there.
pub(crate) fn forecasts(path: &Path) -> Result<BTreeMap<String, Forecast>> {
    let mut told: BTreeMap<String, Vec<[f64; 3]>> = BTreeMap::new();
    rows(path, ["series", "h", "mean", "lo95", "hi95"], |[series, hour, mean, lower, upper]| {
        let hour = number(hour)? as usize;
        ensure!((1..=HORIZON).contains(&hour), "hour {hour} is beyond the horizon");
        let value = |text: &str| if text.is_empty() { Ok(f64::NAN) } else { number(text) };
        let hours = told.entry(series.to_owned()).or_insert_with(|| vec![[f64::NAN; 3]; HORIZON]);
        hours[hour - 1] = [value(mean)?, value(lower)?, value(upper)?];
        Ok(())
    })?;
    let forecast = |hours: Vec<[f64; 3]>| {
        let has_interval = hours.iter().all(|hour| !hour[1].is_nan());
        let interval = hours.iter().map(|hour| (hour[1], hour[2])).collect();
        let mean = hours.iter().map(|hour| hour[0]).collect();
        Forecast { mean, interval: has_interval.then_some(interval) }
    };
    Ok(told.into_iter().map(|(series, hours)| (series, forecast(hours))).collect())
}

/// Returns the file of a table, compressed or not.
fn table_at(folder: &Path, name: &str) -> Result<PathBuf> {
    let candidates = [folder.join(name), folder.join(format!("{name}.gz"))];
    let found = candidates.iter().find(|path| path.is_file()).cloned();
    found.ok_or_else(|| anyhow!("{} is not there, nor with .gz", candidates[0].display()))
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let is_compressed = path.extension().is_some_and(|end| end == "gz");
    Ok(if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let read = serde_json::from_reader(BufReader::new(open(path)?));
    read.with_context(|| path.display().to_string())
}

fn columns<const N: usize>(path: &Path, names: [&str; N]) -> Result<[Vec<f64>; N]> {
    let mut columns = [const { Vec::new() }; N];
    rows(path, names, |fields| {
        for (column, text) in columns.iter_mut().zip(fields) {
            column.push(number(text)?);
        }
        Ok(())
    })?;
    Ok(columns)
}

/// Reads a table row by row, these columns of it; a column that is not there is empty.
fn rows<const N: usize>(
    path: &Path,
    names: [&str; N],
    mut take: impl FnMut([&str; N]) -> Result<()>,
) -> Result<()> {
    let mut table = csv::Reader::from_reader(open(path)?);
    let header = table.headers().with_context(|| path.display().to_string())?;
    let at = names.map(|name| header.iter().position(|column| column == name));
    let mut row = csv::StringRecord::new();
    while table.read_record(&mut row).with_context(|| path.display().to_string())? {
        let fields = at.map(|at| at.and_then(|at| row.get(at)).unwrap_or(""));
        let line = || row.position().map_or(0, csv::Position::line);
        take(fields).with_context(|| format!("{}:{}", path.display(), line()))?;
    }
    Ok(())
}

fn number(text: &str) -> Result<f64> {
    text.parse().map_err(|_| anyhow!("{text:?} is no number"))
}
