//! The one table of functions: Go's built-in ones and Prometheus'.

use super::value::Value;
use super::{TemplateContext, builtin, prometheus};

/// One function that templates may call.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) arguments_min: usize,
    pub(super) arguments_max: usize,
    pub(super) call: Call,
}

/// How a function gets its arguments.
pub(super) enum Call {
    /// Evaluated, all of them.
    Eager(fn(&TemplateContext<'_>, &[Value]) -> Result<Value, String>),
    /// One by one, until the truth of one is `at_true`.
    Stops { at_true: bool },
}

impl Function {
    /// Returns how many arguments it takes, in words.
    pub(super) fn wants(&self) -> String {
        match (self.arguments_min, self.arguments_max) {
            (min, ANY) => format!("at least {min} arguments"),
            (1, 1) => "1 argument".to_owned(),
            (min, max) if min == max => format!("{min} arguments"),
            (min, max) => format!("{min} to {max} arguments"),
        }
    }
}

/// No upper limit.
const ANY: usize = usize::MAX;

const fn eager(
    name: &'static str,
    arguments_min: usize,
    arguments_max: usize,
    call: fn(&TemplateContext<'_>, &[Value]) -> Result<Value, String>,
) -> Function {
    Function { name, arguments_min, arguments_max, call: Call::Eager(call) }
}

const fn lazy(name: &'static str, at_true: bool) -> Function {
    Function { name, arguments_min: 1, arguments_max: ANY, call: Call::Stops { at_true } }
}

static FUNCTIONS: [Function; 49] = [
    lazy("and", false),
    lazy("or", true),
    eager("not", 1, 1, builtin::not),
    eager("eq", 2, ANY, builtin::eq),
    eager("ne", 2, 2, builtin::ne),
    eager("lt", 2, 2, builtin::lt),
    eager("le", 2, 2, builtin::le),
    eager("gt", 2, 2, builtin::gt),
    eager("ge", 2, 2, builtin::ge),
    eager("len", 1, 1, builtin::len),
    eager("index", 1, ANY, builtin::index),
    eager("slice", 1, 3, builtin::slice),
    eager("print", 0, ANY, builtin::print),
    eager("println", 0, ANY, builtin::println),
    eager("printf", 1, ANY, builtin::printf),
    eager("html", 1, ANY, builtin::html),
    eager("js", 1, ANY, builtin::js),
    eager("urlquery", 1, ANY, builtin::urlquery),
    eager("call", 1, ANY, builtin::call),
    eager("query", 1, 1, prometheus::query),
    eager("first", 1, 1, prometheus::first),
    eager("label", 2, 2, prometheus::label),
    eager("value", 1, 1, prometheus::value),
    eager("strvalue", 1, 1, prometheus::strvalue),
    eager("sortByLabel", 2, 2, prometheus::sort_by_label),
    eager("humanize", 1, 1, prometheus::humanize),
    eager("humanize1024", 1, 1, prometheus::humanize_1024),
    eager("humanizeDuration", 1, 1, prometheus::humanize_duration),
    eager("humanizePercentage", 1, 1, prometheus::humanize_percentage),
    eager("humanizeTimestamp", 1, 1, prometheus::humanize_timestamp),
    eager("toTime", 1, 1, prometheus::to_time),
    eager("toDuration", 1, 1, prometheus::to_duration),
    eager("now", 0, 0, prometheus::now),
    eager("parseDuration", 1, 1, prometheus::parse_duration),
    eager("title", 1, 1, prometheus::title),
    eager("toUpper", 1, 1, prometheus::to_upper),
    eager("toLower", 1, 1, prometheus::to_lower),
    eager("stripPort", 1, 1, prometheus::strip_port),
    eager("stripDomain", 1, 1, prometheus::strip_domain),
    eager("urlQueryEscape", 1, 1, prometheus::url_query_escape),
    eager("match", 2, 2, prometheus::is_match),
    eager("reReplaceAll", 3, 3, prometheus::replace_all),
    eager("args", 0, ANY, prometheus::args),
    eager("graphLink", 1, 1, prometheus::graph_link),
    eager("tableLink", 1, 1, prometheus::table_link),
    eager("externalURL", 0, 0, prometheus::external_url),
    eager("pathPrefix", 0, 0, prometheus::path_prefix),
    eager("safeHtml", 1, 1, prometheus::safe_html),
    eager("tmpl", 1, ANY, prometheus::tmpl),
];

/// Returns the function of a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Returns all names, for "did you mean".
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}
