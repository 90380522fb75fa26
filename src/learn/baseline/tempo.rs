/// How a sample counts: when it comes, after which others, and what is small beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tempo {
    /// Samples a day.
    pub(super) day: f64,
    /// Samples since the sample before.
    pub(super) elapsed: f64,
    /// Samples learned, this one included.
    pub(super) samples: f64,
    /// Samples a minute, at least 1: what is told in samples below never is a shorter time than so
    /// many minutes, so that looking more often does not mean forgetting sooner.
    pub(super) minute: f64,
    /// The size below which nothing matters.
    pub(super) floor: f64,
    /// The smallest step that the series is known to take: no departure is less than one of it.
    pub(super) grain: f64,
    /// What it counts for in a mean over samples, times the sample's share of that mean.
    pub(super) mean_grain: f64,
    /// A residual below this is no departure, whatever drift came before it.
    pub(super) least: f64,
    /// The share of everyday learning that this sample is worth, less than 1 in an incident, and its
    /// share where the everyday size of residuals is learned, which may be more.
    pub(super) pace: f64,
    pub(super) spread_pace: f64,
    /// Samples that the present incident has lasted; 0 where there is none.
    pub(super) lasted: f64,
}

impl Tempo {
    /// Returns what a memory of `tau` samples loses until this sample.
    pub(super) fn loss(&self, tau: f64) -> f64 {
        loss(self.elapsed / tau)
    }

    /// Returns the gain of an exponential mean of `tau` samples, that of a plain mean at first.
    pub(super) fn gain(&self, tau: f64) -> f64 {
        self.pace * self.loss(tau).max(1.0 / self.samples)
    }

    /// Returns the gain of such a mean of the size of residuals.
    pub(super) fn spread_gain(&self, tau: f64) -> f64 {
        self.spread_pace * self.loss(tau).max(1.0 / self.samples)
    }
}

#[cfg(test)]
impl Tempo {
    /// Returns that of a sample in step, long after the first, at so many a day.
    pub(super) fn usual(day: f64) -> Tempo {
        Tempo {
            day,
            elapsed: 1.0,
            samples: 1e6,
            minute: 1.0,
            floor: 0.0,
            grain: 0.0,
            mean_grain: 0.0,
            least: 0.0,
            pace: 1.0,
            spread_pace: 1.0,
            lasted: 0.0,
        }
    }
}

/// Returns 1 - exp(-u) for u >= 0, with 1 + u + u²/2 in place of exp(u): one division, below by
/// less than u³/6, within 0 and 1, growing with u.
fn loss(u: f64) -> f64 {
    let grown = u + 0.5 * u * u;
    grown / (1.0 + grown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_close_to_that_of_an_exponential_memory() {
        assert_eq!(loss(0.0), 0.0);
        let mut before = 0.0;
        for k in 1..2_000 {
            let u = 0.01 * f64::from(k);
            let (said, exact) = (loss(u), -(-u).exp_m1());
            assert!(said > before && said < 1.0 && exact - said < u * u * u / 6.0, "{u}");
            assert!(exact - said < 0.07 && said <= exact, "{u}");
            before = said;
        }
    }
}
