/// Sum with compensation for what rounding loses (Neumaier, 1974).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kahan {
    sum: f64,
    lost: f64,
}

impl Kahan {
    /// Returns the sum of one value.
    pub fn of(value: f64) -> Kahan {
        Kahan { sum: value, lost: 0.0 }
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - total) + value;
        } else {
            self.lost += (value - total) + self.sum;
        }
        self.sum = total;
    }

    /// Returns the sum.
    pub fn sum(&self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }

    /// Multiplies the sum.
    pub fn scale(&mut self, factor: f64) {
        self.sum *= factor;
        self.lost *= factor;
    }

    /// Divides the sum.
    pub fn divide(&mut self, divisor: f64) {
        self.sum /= divisor;
        self.lost /= divisor;
    }

    /// Returns whether it has grown beyond what a float can hold.
    pub fn is_infinite(&self) -> bool {
        self.sum.is_infinite()
    }
}

/// Mean: the compensated sum by the count; once the sum would overflow, the mean itself is carried
/// from value to value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mean {
    /// The sum, or the mean once `incremental`.
    sum: Kahan,
    count: f64,
    incremental: bool,
}

impl Mean {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.sum = Kahan::of(value);
            return;
        }
        if !self.incremental {
            let mut sum = self.sum;
            sum.add(value);
            if !sum.is_infinite() {
                self.sum = sum;
                return;
            }
            self.incremental = true;
            self.sum.divide(self.count - 1.0);
        }
        self.sum.scale((self.count - 1.0) / self.count);
        self.sum.add(value / self.count);
    }

    /// Returns the mean; NaN of nothing.
    pub fn mean(&self) -> f64 {
        if self.incremental {
            self.sum.sum + self.sum.lost
        } else {
            self.sum.sum / self.count + self.sum.lost / self.count
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_lose_small_values() {
        let mut sum = Kahan::default();
        for value in [1e100, 1.0, -1e100] {
            sum.add(value);
        }
        assert_eq!(sum.sum(), 1.0);
    }

    #[test]
    fn means_do_not_overflow() {
        let mut mean = Mean::default();
        for value in [1e308, 1e308, 1e308] {
            mean.add(value);
        }
        assert!((mean.mean() - 1e308).abs() < 1e294);
    }
}
