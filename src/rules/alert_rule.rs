/// What the alerts room has to know of an alerting rule, of either language.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// The `alertname`.
    pub name: String,
    /// The file it stands in, as it was given to `load`.
    pub file: String,
    /// Its group; a `.rules` file is one group.
    pub group: String,
    /// The rule as written.
    pub source_text: String,
    /// The signal, or the expression of a Prometheus rule, formatted.
    pub expr_text: String,
    /// Which language it is written in.
    pub dialect: Dialect,
    /// The severities in their order, page before ticket before note; one clause for a Prometheus rule.
    pub clauses: Vec<AlertClause>,
    /// The most alerts, pending and firing, that the rule may have; 0 = no limit.
    pub limit: usize,
}

/// The language of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Our rule language.
    Forewarn,
    /// A Prometheus rule file.
    Prometheus,
}

/// One alert that a rule can raise for each watched series.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertClause {
    /// Value of the label `severity`; none for Prometheus rules, whose labels say it.
    pub severity: Option<String>,
    /// Order of severities: page 2, ticket 1, note 0.
    pub rank: u8,
    /// How long the condition must hold before the alert fires, ms.
    pub for_ms: i64,
    /// When a firing alert ends.
    pub ending: Ending,
    /// Labels added to the series', templates unexpanded.
    pub labels: Vec<(String, String)>,
    /// Annotations, templates unexpanded.
    pub annotations: Vec<(String, String)>,
}

/// When a firing alert ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As soon as the condition does not hold.
    AtOnce,
    /// Once the condition has not held for this long, ms.
    Keep(i64),
    /// Once the condition of `clear when` has held without a break for this long.
    Clear {
        /// How long, ms.
        for_ms: i64,
    },
}
