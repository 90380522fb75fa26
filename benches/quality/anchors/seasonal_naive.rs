//! The seasonal naive forecast, M4's "sNaive": each hour to come is as the same hour of the last day
//! was. Its 95 % interval is 1.96 standard deviations of the history's own such errors to both sides,
//! wider by the root of the number of days ahead (Hyndman and Athanasopoulos, Forecasting: Principles
//! and Practice, 5.5).

use crate::scores::forecasts::{Forecast, HORIZON, Hourly, SEASON};

const SIGMAS: f64 = 1.96;

pub(crate) fn forecast(series: &Hourly) -> Forecast {
    let history = &series.history;
    let errors = history.iter().zip(&history[SEASON..]).map(|(before, now)| now - before);
    let count = history.len() - SEASON;
    let deviation = (errors.map(|error| error * error).sum::<f64>() / count as f64).sqrt();
    let last_day = &history[count..];
    let mean: Vec<f64> = (0..HORIZON).map(|hour| last_day[hour % SEASON]).collect();
    let reach = |hour: usize| SIGMAS * deviation * ((hour / SEASON + 1) as f64).sqrt();
    let interval =
        mean.iter().enumerate().map(|(hour, mean)| (mean - reach(hour), mean + reach(hour)));
    Forecast { interval: Some(interval.collect()), mean }
}
