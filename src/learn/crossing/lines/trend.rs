use crate::learn::state::Fields;

/// How much wider a line's own interval is taken than independent residuals would make it: those
/// of real series hang together.
const CAUTION: f64 = 3.0;

/// A line through the recent past: least squares whose weights fade by a factor e each `tau_s`.
///
/// The sums are held as of the last point, so that each point costs a few operations.
#[derive(Clone, Debug)]
pub(super) struct Trend {
    tau_s: f64,
    weights: f64,
    squared_weights: f64,
    times: f64,
    squared_times: f64,
    values: f64,
    squared_values: f64,
    products: f64,
}

/// A fitted line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// The line's value at the last point.
    pub(super) level: f64,
    /// Its change per second.
    pub(super) slope_per_s: f64,
    residual: f64,
    points: f64,
    mean_s: f64,
    variance_s: f64,
}

impl Line {
    /// Returns the line's value so many seconds ahead.
    pub(super) fn at(&self, ahead_s: f64) -> f64 {
        self.level + self.slope_per_s * ahead_s
    }

    /// Returns the standard error of [`Line::at`] by the scatter of the points alone.
    pub(super) fn error(&self, ahead_s: f64) -> f64 {
        let off = ahead_s - self.mean_s;
        let lever = 1.0 / self.points + off * off / (self.points * self.variance_s);
        CAUTION * self.residual * lever.sqrt()
    }
}

impl Trend {
    pub(super) fn new(tau_s: f64) -> Trend {
        Trend {
            tau_s,
            weights: 0.0,
            squared_weights: 0.0,
            times: 0.0,
            squared_times: 0.0,
            values: 0.0,
            squared_values: 0.0,
            products: 0.0,
        }
    }

    pub(super) fn forget(&mut self) {
        *self = Trend::new(self.tau_s);
    }

    /// Adds a point, `elapsed_s` after the one before.
    pub(super) fn learn(&mut self, elapsed_s: f64, value: f64) {
        let keep = libm::exp(-elapsed_s / self.tau_s);
        // Times count from the last point: all move by the time that has passed.
        self.squared_times = keep
            * (self.squared_times - 2.0 * elapsed_s * self.times
                + elapsed_s * elapsed_s * self.weights);
        self.products = keep * (self.products - elapsed_s * self.values);
        self.times = keep * (self.times - elapsed_s * self.weights);
        self.weights = keep * self.weights + 1.0;
        self.squared_weights = keep * keep * self.squared_weights + 1.0;
        self.values = keep * self.values + value;
        self.squared_values = keep * self.squared_values + value * value;
    }

    /// Returns the line, if there are points enough for one with an error.
    pub(super) fn line(&self) -> Option<Line> {
        let points = self.weights * self.weights / self.squared_weights;
        if points.is_nan() || points < 3.5 {
            return None;
        }
        let mean_s = self.times / self.weights;
        let mean = self.values / self.weights;
        let variance_s = self.squared_times / self.weights - mean_s * mean_s;
        let covariance = self.products / self.weights - mean_s * mean;
        let variance = self.squared_values / self.weights - mean * mean;
        let slope_per_s = covariance / variance_s;
        let unexplained = (variance - slope_per_s * covariance).max(1e-15 * self.squared_values);
        let residual = (unexplained * points / (points - 2.0)).sqrt();
        let level = mean - slope_per_s * mean_s;
        let line = Line { level, slope_per_s, residual, points, mean_s, variance_s };
        let sound = variance_s > 0.0 && (level + slope_per_s + residual).is_finite();
        sound.then_some(line)
    }

    pub(super) fn fields<F: Fields>(&mut self, io: &mut F) -> Result<(), F::Error> {
        io.f64(&mut self.weights)?;
        io.f64(&mut self.squared_weights)?;
        io.f64(&mut self.times)?;
        io.f64(&mut self.squared_times)?;
        io.f64(&mut self.values)?;
        io.f64(&mut self.squared_values)?;
        io.f64(&mut self.products)
    }
}
