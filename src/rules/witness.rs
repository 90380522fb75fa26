//! Whether anybody was heard: absence says something only while others arrive.

use std::collections::BTreeMap;

use super::EvalError;
use super::ask::Ask;
use super::schedule::Schedule;
use crate::promql;
use crate::series::Labels;

/// How many instants are asked for at a time.
const CHUNK_INSTANTS: i64 = 2_048;
/// And how many where every series of the job has to be looked at.
const COARSE_INSTANTS: i64 = 64;
/// What we store ourselves, also of series that are gone.
const OURS: &str = "ALERTS|ALERTS_FOR_STATE|forewarn_.+";

/// Asks the store, at learning instants, whether any series of a job arrived: `up` where there is
/// one, else any other. For a series without `job` that means any series at all. Answers are kept,
/// since a whole job's series are often gone at once.
pub(super) struct Witness<'a> {
    ask: Ask<'a>,
    schedule: Schedule,
    step_ms: i64,
    unheard: BTreeMap<(Option<String>, i64, i64), Option<i64>>,
    heard_at: BTreeMap<(Option<String>, i64), bool>,
}

impl<'a> Witness<'a> {
    pub(super) fn new(ask: Ask<'a>, schedule: Schedule, step_ms: i64) -> Witness<'a> {
        Witness { ask, schedule, step_ms, unheard: BTreeMap::new(), heard_at: BTreeMap::new() }
    }

    /// Returns the first learning instant later than a time.
    pub(super) fn after(&self, time_ms: i64) -> i64 {
        self.schedule.first_on_grid(time_ms.saturating_add(1), self.step_ms)
    }

    /// Whether anybody of the series' job is heard at an instant.
    pub(super) fn is_heard(&mut self, series: &Labels, at_ms: i64) -> Result<bool, EvalError> {
        let key = (job(series), at_ms);
        if let Some(known) = self.heard_at.get(&key) {
            return Ok(*known);
        }
        let found = !self.heard(key.0.as_deref(), at_ms, at_ms)?.is_empty();
        self.heard_at.insert(key, found);
        Ok(found)
    }

    /// Returns the last learning instant after `from_ms`, up to `to_ms`, at which nobody was heard.
    pub(super) fn last_unheard(
        &mut self,
        series: &Labels,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Option<i64>, EvalError> {
        let key = (job(series), from_ms, to_ms);
        if let Some(known) = self.unheard.get(&key) {
            return Ok(*known);
        }
        let first_ms = self.after(from_ms);
        let mut end_ms = self.after(to_ms) - self.step_ms;
        let mut found = None;
        while end_ms >= first_ms && found.is_none() {
            let start_ms = first_ms.max(end_ms - (CHUNK_INSTANTS - 1) * self.step_ms);
            let heard = self.heard(key.0.as_deref(), start_ms, end_ms)?;
            let mut instants = self.instants(start_ms, end_ms).rev();
            found = instants.find(|at_ms| heard.binary_search(at_ms).is_err());
            end_ms = start_ms - self.step_ms;
        }
        self.unheard.insert(key, found);
        Ok(found)
    }

    /// Returns the first learning instant after `from_ms`, up to `to_ms`, at which anybody was
    /// heard.
    pub(super) fn first_heard(
        &self,
        series: &Labels,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Option<i64>, EvalError> {
        let mut start_ms = self.after(from_ms);
        while start_ms <= to_ms {
            let last_ms = self.after(to_ms) - self.step_ms;
            let end_ms = last_ms.min(start_ms + (CHUNK_INSTANTS - 1) * self.step_ms);
            let heard = self.heard(job(series).as_deref(), start_ms, end_ms)?;
            if let Some(first_ms) = heard.first() {
                return Ok(Some(*first_ms));
            }
            start_ms = end_ms + self.step_ms;
        }
        Ok(None)
    }

    fn instants(&self, start_ms: i64, end_ms: i64) -> impl DoubleEndedIterator<Item = i64> {
        let step_ms = self.step_ms;
        (0..=(end_ms - start_ms) / step_ms).map(move |index| start_ms + index * step_ms)
    }

    /// The instants from `start_ms` to `end_ms` at which anybody was heard, in order.
    fn heard(&self, job: Option<&str>, start_ms: i64, end_ms: i64) -> Result<Vec<i64>, EvalError> {
        let up = job.map_or("up".to_owned(), |job| format!("up{{job={}}}", quoted(job)));
        let heard = self.group(&up, (start_ms, end_ms, self.step_ms))?;
        if !heard.is_empty() {
            return Ok(heard);
        }
        let job = job.map_or("__name__!=\"\"".to_owned(), |job| format!("job={}", quoted(job)));
        let any = format!("{{{job},__name__!~\"{OURS}\"}}");
        let count = (end_ms - start_ms) / self.step_ms + 1;
        let stride_ms = (count + COARSE_INSTANTS - 1) / COARSE_INSTANTS * self.step_ms;
        let coarse = self.group(&any, (start_ms, end_ms, stride_ms))?;
        let is_heard = |at_ms: &i64| {
            let coarse_ms = at_ms - (at_ms - start_ms) % stride_ms;
            coarse.binary_search(&coarse_ms).is_ok()
        };
        Ok(self.instants(start_ms, end_ms).filter(is_heard).collect())
    }

    /// The instants at which a selector has an element.
    fn group(&self, selector: &str, times: (i64, i64, i64)) -> Result<Vec<i64>, EvalError> {
        let what = "witness";
        let expr = promql::parse(&format!("group({selector})"))
            .map_err(|_| EvalError::Query { what, reason: format!("{selector} does not parse") })?;
        let tracks = self.ask.tracks(what, &expr, times)?;
        let samples = tracks.into_iter().flat_map(|track| track.samples);
        Ok(samples.map(|(at_ms, _)| at_ms).collect())
    }
}

fn job(series: &Labels) -> Option<String> {
    series.get("job").map(str::to_owned)
}

/// A string of PromQL.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_job_can_be_asked_for() {
        for job in ["a", "a\"b", "a\\", "a\nb", "ü{}"] {
            let text = format!("group(up{{job={}}})", quoted(job));
            let expr = promql::parse(&text).unwrap();
            let selectors = expr.selectors();
            let matcher = selectors[0].matchers.iter().find(|matcher| &*matcher.name == "job");
            assert_eq!(&*matcher.unwrap().value, job);
        }
    }
}
