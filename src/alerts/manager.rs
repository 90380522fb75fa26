//! Which group is evaluated when, and where its alerts go.

use std::path::PathBuf;
use std::sync::Arc;

use crate::env::{Clock, Disk};
use crate::promql::{self, Expr};
use crate::rules::{Evaluator, Group, GroupOptions, GroupSpec};
use crate::series::Labels;
use crate::store::Store;

use super::group::GroupAlerts;
use super::notifiable::NotifiableAlert;
use super::saved::SavedAlerts;
use super::state_file::StateFile;
use super::texts::Surroundings;
use super::view::{GroupView, RulesView, SharedView};

/// While an alert is active its state is written at least this often, so that a crash is not taken
/// for a longer outage than it was, ms.
const SAVE_EVERY_MS: i64 = 60_000;

/// What the manager needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagerOptions {
    /// Labels that alerts get on their way out, where they do not have them.
    pub external_labels: Labels,
    /// Where users reach this server, without a slash at the end.
    pub external_url: String,
    /// Least time between two sends of the same alert, ms.
    pub resend_delay_ms: i64,
    /// Longest outage after which alerts go on as they were, ms.
    pub outage_tolerance_ms: i64,
    /// Interval of groups that name none, ms.
    pub default_interval_ms: i64,
    /// How far in the past groups look that do not say it, ms.
    pub query_offset_ms: i64,
    /// Whether groups are evaluated at whole multiples of their interval, as tests have it, instead
    /// of spread out.
    pub is_aligned: bool,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        ManagerOptions {
            external_labels: Labels::empty(),
            external_url: "http://127.0.0.1:9909".to_owned(),
            resend_delay_ms: 60_000,
            outage_tolerance_ms: 3_600_000,
            default_interval_ms: 60_000,
            query_offset_ms: 0,
            is_aligned: false,
        }
    }
}

/// Takes what is due for sending: a [`Notifier`](super::Notifier)'s `send`, or a test's ear.
pub type Sink = Box<dyn FnMut(Vec<NotifiableAlert>) + Send>;

/// Owns the groups, their alerts and their schedule.
///
/// It does not tell the time and starts no thread: whoever drives it says until when. Live that is
/// a thread that waits for [`Manager::next_due`]; a replay steps from one due time to the next.
pub struct Manager {
    options: ManagerOptions,
    evaluator: Arc<dyn Evaluator>,
    store: Store,
    clock: Arc<dyn Clock>,
    sink: Sink,
    /// Sorted by file and name.
    groups: Vec<Scheduled>,
    view: SharedView,
    state_file: Option<StateFile>,
    /// What was read from disk, until the first rules are there to take it.
    saved: Option<SavedAlerts>,
    saved_at_ms: i64,
}

struct Scheduled {
    group: Group,
    /// Interval and query offset of groups that name none, when this one was made, ms.
    defaults_ms: (i64, i64),
    alerts: GroupAlerts,
    view: Arc<GroupView>,
    /// When it is to be evaluated next, ms.
    due_ms: i64,
}

impl Scheduled {
    fn key(&self) -> (&str, &str) {
        (self.group.file(), self.group.name())
    }
}

impl Manager {
    /// Returns a manager without rules. Rules ask `evaluator` and write to `store`; `clock` only
    /// measures how long they take.
    pub fn new(
        options: ManagerOptions,
        evaluator: Arc<dyn Evaluator>,
        store: Store,
        clock: Arc<dyn Clock>,
        sink: Sink,
    ) -> Manager {
        Manager {
            options,
            evaluator,
            store,
            clock,
            sink,
            groups: Vec::new(),
            view: SharedView::default(),
            state_file: None,
            saved: None,
            saved_at_ms: i64::MIN,
        }
    }

    /// Keeps the state of alerts in a directory, and lets the rules that are loaded first go on
    /// from what is there. What cannot be read is named in a warning, and alerts begin anew.
    pub fn keep_state(&mut self, disk: Arc<dyn Disk>, dir: PathBuf, now_ms: i64) {
        let (file, saved) = StateFile::open(disk, dir);
        self.state_file = Some(file);
        self.saved = saved.filter(|saved| {
            now_ms.saturating_sub(saved.saved_at_ms) <= self.options.outage_tolerance_ms
        });
    }

    /// Changes the options, as a reload of the configuration does. Follow it with
    /// [`Manager::load`].
    pub fn set_options(&mut self, options: ManagerOptions) {
        self.options = options;
    }

    /// Loads rules in the place of those that were there. Unchanged groups go on; rules that stay
    /// keep their alerts.
    pub fn load(&mut self, specs: Vec<GroupSpec>, now_ms: i64) {
        let mut old = std::mem::take(&mut self.groups);
        for spec in specs {
            let is_same = |old: &Scheduled| old.key() == (spec.file.as_str(), spec.name.as_str());
            let replaced = old.iter().position(is_same).map(|at| old.remove(at));
            let scheduled = match replaced {
                Some(same) if self.is_unchanged(&same, &spec) => same,
                replaced => self.schedule(spec, replaced, now_ms),
            };
            self.groups.push(scheduled);
        }
        self.groups.sort_by(|a, b| a.key().cmp(&b.key()));
        // Their rules may have moved to another group.
        let mut left = Vec::new();
        for gone in old {
            left.extend(gone.alerts.into_alerts());
            gone.group.retire(now_ms);
        }
        for scheduled in &mut self.groups {
            scheduled.alerts.carry_over(&mut left);
        }
        if let Some(saved) = self.saved.take() {
            for scheduled in &mut self.groups {
                scheduled.alerts.alerts_mut().for_each(|alerts| saved.restore(alerts));
            }
        }
        for scheduled in &mut self.groups {
            scheduled.view = Arc::new(scheduled.alerts.view());
        }
        self.publish();
    }

    fn is_unchanged(&self, old: &Scheduled, spec: &GroupSpec) -> bool {
        old.group.spec() == spec && old.defaults_ms == self.defaults_ms()
    }

    fn defaults_ms(&self) -> (i64, i64) {
        (self.options.default_interval_ms, self.options.query_offset_ms)
    }

    /// Makes a group ready to run, with what it takes over from the one of its name.
    fn schedule(&self, spec: GroupSpec, replaced: Option<Scheduled>, now_ms: i64) -> Scheduled {
        let options = GroupOptions {
            default_interval_ms: self.options.default_interval_ms,
            query_offset_ms: self.options.query_offset_ms,
            is_aligned: self.options.is_aligned,
            clock: Arc::clone(&self.clock),
        };
        let evaluator = Arc::clone(&self.evaluator);
        let mut group = Group::new(spec, evaluator, self.store.appender(), &options);
        let interval_ms = group.interval_ms();
        let mut alerts = GroupAlerts::new(group.spec(), interval_ms);
        let mut due_ms = group.next_due(now_ms);
        if let Some(old) = replaced {
            if old.group.interval_ms() == interval_ms {
                due_ms = old.due_ms;
            }
            alerts.carry_over_history(&old.alerts);
            alerts.carry_over(&mut old.alerts.into_alerts().collect());
            group.carry_over(old.group);
        }
        let view = Arc::new(alerts.view());
        Scheduled { group, defaults_ms: self.defaults_ms(), alerts, view, due_ms }
    }

    /// Returns when the next group is due, ms; none without groups.
    pub fn next_due(&self) -> Option<i64> {
        self.groups.iter().map(|scheduled| scheduled.due_ms).min()
    }

    /// Evaluates every group that is due at or before `now_ms`, in time order. Of several slots of
    /// one group that have passed only the last is evaluated; the others are counted as missed.
    /// Where the clock was set back, groups follow it instead of waiting for the time that was.
    pub fn evaluate_due(&mut self, now_ms: i64) {
        let mut due: Vec<(i64, usize)> = Vec::new();
        for (index, scheduled) in self.groups.iter_mut().enumerate() {
            let interval_ms = scheduled.group.interval_ms().max(1);
            if scheduled.due_ms.saturating_sub(now_ms) > interval_ms {
                scheduled.due_ms = scheduled.group.next_due(now_ms);
            }
            if scheduled.due_ms <= now_ms {
                let missed = (now_ms - scheduled.due_ms) / interval_ms;
                scheduled.alerts.miss(missed.unsigned_abs());
                due.push((scheduled.due_ms + missed * interval_ms, index));
            }
        }
        if due.is_empty() {
            return;
        }
        due.sort_unstable();
        for (at_ms, index) in due {
            self.evaluate(index, at_ms);
        }
        self.publish();
        self.save(now_ms, false);
    }

    fn evaluate(&mut self, index: usize, at_ms: i64) {
        let Scheduled { group, alerts, view, due_ms, .. } = &mut self.groups[index];
        let query = |text: &str| query(self.evaluator.as_ref(), at_ms, text);
        let around = Surroundings {
            external_labels: &self.options.external_labels,
            external_url: &self.options.external_url,
            query: &query,
        };
        let mut outbox = Vec::new();
        let report = group.evaluate(at_ms, &mut |found| {
            let judged = alerts.judge(found, around, self.options.resend_delay_ms);
            outbox.extend(judged.due);
            judged.samples
        });
        alerts.finish(at_ms, &report);
        *view = Arc::new(alerts.view());
        *due_ms = at_ms + group.interval_ms().max(1);
        if !outbox.is_empty() {
            (self.sink)(outbox);
        }
    }

    fn publish(&self) {
        let groups = self.groups.iter().map(|scheduled| Arc::clone(&scheduled.view)).collect();
        self.view.store(Arc::new(RulesView { groups }));
    }

    /// Writes the state of alerts where it changed, or where the last writing is long ago.
    fn save(&mut self, now_ms: i64, is_last: bool) {
        let Some(file) = &mut self.state_file else { return };
        let mut is_changed = false;
        let mut is_active = false;
        for alerts in self.groups.iter_mut().flat_map(|scheduled| scheduled.alerts.alerts_mut()) {
            is_changed |= std::mem::take(&mut alerts.is_changed);
            is_active |= alerts.active().next().is_some();
        }
        let is_old = now_ms.saturating_sub(self.saved_at_ms) >= SAVE_EVERY_MS;
        if is_changed || (is_active && (is_old || is_last)) {
            let rules = self.groups.iter().flat_map(|scheduled| scheduled.alerts.alerts());
            file.save(&SavedAlerts::collect(rules, now_ms));
            self.saved_at_ms = now_ms;
        }
    }

    /// Writes the state of alerts for the last time.
    pub fn close(&mut self, now_ms: i64) {
        self.save(now_ms, true);
    }

    /// Returns the present picture.
    pub fn view(&self) -> Arc<RulesView> {
        self.view.load_full()
    }

    /// Returns where the present picture is always found, also by other threads.
    pub fn shared_view(&self) -> SharedView {
        Arc::clone(&self.view)
    }
}

/// Answers a template's `query`.
fn query(evaluator: &dyn Evaluator, at_ms: i64, text: &str) -> Result<Vec<(Labels, f64)>, String> {
    let expr = promql::parse(text).map_err(|mistakes| {
        mistakes.first().map_or_else(String::new, |mistake| mistake.message.clone())
    })?;
    if let Expr::String(literal) = &expr {
        return Ok(vec![(Labels::from_pairs([("__value__", &literal.value)]), 0.0)]);
    }
    let elements = evaluator.instant(&expr, at_ms).map_err(|error| error.to_string())?;
    let elements = elements
        .into_iter()
        .map(|element| (element.labels, element.value.as_float().unwrap_or(f64::NAN)));
    Ok(elements.collect())
}
