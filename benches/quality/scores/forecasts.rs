//! Hours to come, as the M4 competition counts.
//!
//! sMAPE and MASE are means over series; OWA is the mean of their two ratios to those of Naive2, the
//! last value of the series without its season, with the season back on it. The interval is judged by
//! its coverage and by MSIS: its width, and 40 times what falls outside, in units of the seasonal
//! naive error.

use std::collections::BTreeMap;

use super::Figures;
use super::statistics::mean;

/// Hours in a season.
pub(crate) const SEASON: usize = 24;

/// Hours foretold.
pub(crate) const HORIZON: usize = 48;

/// What the intervals leave out.
const LEFT_OUT: f64 = 0.05;

/// The published sMAPE and MASE of Naive2 on all series; of a part it is worked out here.
const NAIVE2_PUBLISHED: (usize, f64, f64) = (414, 18.383, 2.395);

#[derive(Debug)]
pub(crate) struct Hourly {
    pub(crate) name: String,
    pub(crate) history: Vec<f64>,
    pub(crate) future: Vec<f64>,
}

/// What a method says of each hour.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forecast {
    pub(crate) mean: Vec<f64>,
    /// Lower and upper end of the 95 % interval.
    pub(crate) interval: Option<Vec<(f64, f64)>>,
}

/// Scores forecasts by the series' name; a series without one is an error that names it.
pub(crate) fn score(
    series: &[Hourly],
    forecasts: &BTreeMap<String, Forecast>,
) -> Result<Figures, String> {
    let (mut errors, mut naive2_errors) = (Vec::new(), Vec::new());
    let mut intervals = Vec::new();
    for hourly in series {
        let forecast = forecasts.get(&hourly.name).filter(|forecast| {
            forecast.mean.len() == HORIZON && forecast.mean.iter().all(|mean| !mean.is_nan())
        });
        let forecast = forecast.ok_or_else(|| format!("no forecast of {}", hourly.name))?;
        errors.push(Errors::of(hourly, &forecast.mean));
        naive2_errors.push(Errors::of(hourly, &naive2(&hourly.history)));
        intervals.extend(forecast.interval.as_deref().map(|ends| Interval::of(hourly, ends)));
    }
    let [smape, mase] = means(&errors, [|one| one.smape, |one| one.mase]);
    let [naive2_smape, naive2_mase] = means(&naive2_errors, [|one| one.smape, |one| one.mase]);
    let (count, smape_published, mase_published) = NAIVE2_PUBLISHED;
    let reference = if series.len() == count {
        (smape_published, mase_published)
    } else {
        (naive2_smape, naive2_mase)
    };
    let mut figures = vec![
        ("series", Some(series.len() as f64)),
        ("smape", Some(smape)),
        ("mase", Some(mase)),
        ("owa", Some(f64::midpoint(smape / reference.0, mase / reference.1))),
        ("naive2_smape", Some(naive2_smape)),
        ("naive2_mase", Some(naive2_mase)),
    ];
    if !intervals.is_empty() {
        let [covered, below, above, msis] = means(
            &intervals,
            [|one| one.covered, |one| one.below, |one| one.above, |one| one.msis],
        );
        figures.extend([
            ("coverage95", Some(covered)),
            ("below", Some(below)),
            ("above", Some(above)),
            ("msis", Some(msis)),
        ]);
    }
    Ok(figures)
}

fn means<T, const N: usize>(of: &[T], figures: [fn(&T) -> f64; N]) -> [f64; N] {
    figures.map(|figure| mean(&of.iter().map(figure).collect::<Vec<_>>()).unwrap_or(f64::NAN))
}

/// Returns the mean error of yesterday's value at the same hour, over the history.
fn seasonal_naive_error(history: &[f64]) -> f64 {
    let errors: Vec<f64> =
        history.iter().zip(&history[SEASON..]).map(|(before, now)| (now - before).abs()).collect();
    mean(&errors).unwrap_or(f64::NAN)
}

struct Errors {
    smape: f64,
    mase: f64,
}

impl Errors {
    fn of(hourly: &Hourly, forecast: &[f64]) -> Errors {
        let pairs = || hourly.future.iter().take(HORIZON).zip(forecast);
        let relative: Vec<f64> = pairs()
            .map(|(came, said)| (came - said).abs() / (came.abs() + said.abs() + 1e-12))
            .collect();
        let absolute: Vec<f64> = pairs().map(|(came, said)| (came - said).abs()).collect();
        Errors {
            smape: 200.0 * mean(&relative).unwrap_or(f64::NAN),
            mase: mean(&absolute).unwrap_or(f64::NAN) / seasonal_naive_error(&hourly.history),
        }
    }
}

struct Interval {
    covered: f64,
    below: f64,
    above: f64,
    msis: f64,
}

impl Interval {
    fn of(hourly: &Hourly, ends: &[(f64, f64)]) -> Interval {
        let pairs = hourly.future.iter().take(HORIZON).zip(ends);
        let (mut below, mut above, mut cost) = (0.0, 0.0, 0.0);
        let hours = hourly.future.len().min(HORIZON) as f64;
        for (came, (lower, upper)) in pairs {
            below += f64::from(u8::from(came < lower));
            above += f64::from(u8::from(came > upper));
            let outside = f64::max(lower - came, 0.0) + f64::max(came - upper, 0.0);
            cost += upper - lower + 2.0 / LEFT_OUT * outside;
        }
        Interval {
            covered: 1.0 - (below + above) / hours,
            below: below / hours,
            above: above / hours,
            msis: cost / hours / seasonal_naive_error(&hourly.history),
        }
    }
}

/// Foretells by the last value, with the classical multiplicative season where there is one.
pub(crate) fn naive2(history: &[f64]) -> Vec<f64> {
    let last = history.len() - 1;
    let season = if is_seasonal(history) { season(history) } else { [1.0; SEASON] };
    let level = history[last] / season[last % SEASON];
    (1..=HORIZON).map(|hour| level * season[(last + hour) % SEASON]).collect()
}

/// Tests the autocorrelation a day back at 90 %, as M4 does; a series that is not positive has no
/// season that could multiply.
fn is_seasonal(history: &[f64]) -> bool {
    let mean = mean(history).unwrap_or(f64::NAN);
    let centred: Vec<f64> = history.iter().map(|value| value - mean).collect();
    let product = |lag: usize| -> f64 {
        centred[lag..].iter().zip(&centred).map(|(now, before)| now * before).sum()
    };
    let variance = product(0);
    let correlation = |lag: usize| if variance > 0.0 { product(lag) / variance } else { 0.0 };
    let nearer: f64 = (1..SEASON).map(|lag| correlation(lag).powi(2)).sum();
    let limit = 1.645 / (history.len() as f64).sqrt() * (1.0 + 2.0 * nearer).sqrt();
    history.len() >= 3 * SEASON
        && correlation(SEASON).abs() > limit
        && history.iter().all(|value| *value > 0.0)
}

/// Returns the factor of each hour of the day: values over their centred day's mean, 1 on average.
fn season(history: &[f64]) -> [f64; SEASON] {
    let (mut sums, mut counts) = ([0.0; SEASON], [0.0; SEASON]);
    let half = SEASON / 2;
    for at in half..history.len() - half {
        let around = &history[at - half..=at + half];
        let ends = f64::midpoint(around[0], around[SEASON]);
        let trend = (around[1..SEASON].iter().sum::<f64>() + ends) / SEASON as f64;
        sums[at % SEASON] += history[at] / trend;
        counts[at % SEASON] += 1.0;
    }
    let mut season = [0.0; SEASON];
    for hour in 0..SEASON {
        season[hour] = sums[hour] / counts[hour];
    }
    let mean = season.iter().sum::<f64>() / SEASON as f64;
    season.map(|factor| factor / mean)
}
