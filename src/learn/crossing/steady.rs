use crate::learn::state::Fields;

/// Forecasts count less by a factor e for each such share of the horizon that they are older.
const MEMORY_SHARE: f64 = 1.0 / 24.0;
/// Below this probability nobody is warned: what is less sure is believed at once.
const SURE_FROM: f64 = 0.15;

/// What forecasts of one series have said of late: a mean of their logits that forgets, since a crossing
/// within the horizon is about as likely as it was a moment ago, but what one moment says changes with
/// its noise and with where on a sawtooth it finds the series.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steady {
    /// When the last forecast was made, ms, and the mean then.
    heard: Option<(i64, f64)>,
}

impl Steady {
    /// Returns what to make of a forecast for the next `horizon_ms`.
    ///
    /// With l = logit p, held to `SURE_FROM` from below as c, and z the mean, z += (1 - exp(-elapsed /
    /// (H / 24))) (c - z): p = 1 / (1 + exp(-(z + l - c))).
    pub fn hear(&mut self, time_ms: i64, horizon_ms: i64, p: f64) -> f64 {
        let logit = logit_of(p.clamp(1e-4, 1.0 - 1e-4));
        let sure = logit.max(logit_of(SURE_FROM));
        let mean = self.heard.map_or(sure, |(before_ms, mean)| {
            let horizons = time_ms.saturating_sub(before_ms).max(0) as f64 / horizon_ms as f64;
            sure + (mean - sure) * libm::exp(-horizons / MEMORY_SHARE)
        });
        self.heard = Some((time_ms, mean));
        1.0 / (1.0 + libm::exp(-(mean + logit - sure)))
    }

    /// Forgets what was said: the series is on its limit, or nothing can be said of it.
    pub fn forget(&mut self) {
        self.heard = None;
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        let (mut time_ms, mut mean) =
            (self.heard.map(|(at, _)| at), self.heard.map_or(0.0, |(_, z)| z));
        io.option_i64(&mut time_ms)?;
        io.f64(&mut mean)?;
        self.heard = time_ms.map(|time_ms| (time_ms, mean));
        Ok(())
    }
}

fn logit_of(p: f64) -> f64 {
    libm::log(p / (1.0 - p))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;
    const HOUR_MS: i64 = 60 * MINUTE_MS;

    /// What is made of these forecasts, each five minutes after the one before, of four hours.
    fn heard<const N: usize>(steady: &mut Steady, ps: [f64; N]) -> [f64; N] {
        let mut time_ms = 0;
        ps.map(|p| {
            time_ms += 5 * MINUTE_MS;
            steady.hear(time_ms, 4 * HOUR_MS, p)
        })
    }

    #[test]
    fn one_sure_moment_is_not_believed_at_once_and_many_are() {
        let [before, first, second, .., last] =
            heard(&mut Steady::default(), [0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]);
        assert!((before - 0.1).abs() < 1e-12);
        assert!(first < 0.5 && first < second && second < 0.75, "{first} {second}");
        assert!((last - 0.9).abs() < 0.01, "{last}");
    }

    #[test]
    fn what_is_unlikely_is_believed_at_once() {
        let [_, low, lower] = heard(&mut Steady::default(), [0.1, 0.001, 0.01]);
        assert!((low - 0.001).abs() < 1e-12 && (lower - 0.01).abs() < 1e-12);
    }

    #[test]
    fn an_old_forecast_has_no_say() {
        let mut steady = Steady::default();
        steady.hear(0, 4 * HOUR_MS, 0.2);
        assert!((steady.hear(5 * HOUR_MS, 4 * HOUR_MS, 0.9) - 0.9).abs() < 1e-9);
        steady.forget();
        assert!((steady.hear(5 * HOUR_MS + 1, 4 * HOUR_MS, 0.3) - 0.3).abs() < 1e-12);
    }
}
