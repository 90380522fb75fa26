use hyper::Method;

use super::app::App;
use super::error::ApiError;
use super::request::Call;
use super::response::Reply;
use super::{admin, manage, metrics, pages, query, rules, series, status, tree};

/// What a handler answers.
pub(super) type Answer = Result<Reply, ApiError>;

/// Answers one request. Runs on the blocking pool.
pub(super) type Handler = fn(&App, &Call) -> Answer;

/// Which methods a path takes; `OPTIONS` is answered everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) enum Methods {
    /// GET and HEAD.
    Get,
    /// GET and HEAD, and POST with a form.
    Form,
    /// POST and PUT.
    Post,
}

impl Methods {
    pub(super) fn allow(self, method: &Method) -> bool {
        let get = method == Method::GET || method == Method::HEAD;
        match self {
            Methods::Get => get,
            Methods::Form => get || method == Method::POST,
            Methods::Post => method == Method::POST || method == Method::PUT,
        }
    }

    /// Returns the value of the header `Allow`.
    pub(super) fn names(self) -> &'static str {
        match self {
            Methods::Get => "GET, HEAD, OPTIONS",
            Methods::Form => "GET, HEAD, POST, OPTIONS",
            Methods::Post => "POST, PUT, OPTIONS",
        }
    }
}

/// One path and who answers it.
pub(super) struct Route {
    /// The path below the route prefix; `*` stands for one segment.
    pub(super) path: &'static str,
    pub(super) methods: Methods,
    /// Whether it evaluates PromQL, of which only so many run at once.
    pub(super) is_query: bool,
    pub(super) handler: Handler,
}

const fn get(path: &'static str, handler: Handler) -> Route {
    Route { path, methods: Methods::Get, is_query: false, handler }
}

const fn form(path: &'static str, handler: Handler) -> Route {
    Route { path, methods: Methods::Form, is_query: false, handler }
}

const fn post(path: &'static str, handler: Handler) -> Route {
    Route { path, methods: Methods::Post, is_query: false, handler }
}

const fn query(path: &'static str, handler: Handler) -> Route {
    Route { path, methods: Methods::Form, is_query: true, handler }
}

/// Where samples are written; its headers are judged before its body is read.
pub(super) const WRITE_PATH: &str = "/api/v1/write";

/// Every path, but for [`WRITE_PATH`], and `/-/healthy` and `/-/ready`, which are answered without
/// waiting for anything.
pub(super) const ROUTES: &[Route] = &[
    query("/api/v1/query", query::instant),
    query("/api/v1/query_range", query::range),
    form("/api/v1/query_exemplars", query::exemplars),
    form("/api/v1/format_query", query::format),
    form("/api/v1/parse_query", tree::parse),
    form("/api/v1/series", series::series),
    form("/api/v1/labels", series::names),
    get("/api/v1/label/*/values", series::values),
    get("/api/v1/metadata", series::metadata),
    get("/api/v1/rules", rules::rules),
    get("/api/v1/alerts", rules::alerts),
    get("/api/v1/alertmanagers", rules::alertmanagers),
    get("/api/v1/status/config", status::config),
    get("/api/v1/status/flags", status::flags),
    get("/api/v1/status/runtimeinfo", status::runtime_info),
    get("/api/v1/status/buildinfo", status::build_info),
    get("/api/v1/status/tsdb", status::tsdb),
    get("/api/v1/status/tsdb/blocks", status::blocks),
    get("/api/v1/status/walreplay", status::wal_replay),
    get("/api/v1/features", status::features),
    get("/api/v1/targets", status::targets),
    get("/api/v1/targets/metadata", status::empty_list),
    get("/api/v1/scrape_pools", status::scrape_pools),
    get("/api/v1/notifications", status::empty_list),
    post("/api/v1/admin/tsdb/delete_series", admin::delete_series),
    post("/api/v1/admin/tsdb/clean_tombstones", admin::clean_tombstones),
    post("/api/v1/admin/tsdb/snapshot", admin::snapshot),
    get("/version", status::version),
    get("/metrics", metrics::metrics),
    get("/", pages::home),
    Route { path: "/graph", methods: Methods::Get, is_query: true, handler: pages::graph },
    post("/-/reload", manage::reload),
    post("/-/quit", manage::quit),
];

/// Finds the route of a path, and what stands for its `*`.
pub(super) fn find(path: &str) -> Option<(&'static Route, String)> {
    ROUTES.iter().find_map(|route| matched(route.path, path).map(|part| (route, part)))
}

fn matched(pattern: &str, path: &str) -> Option<String> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (pattern == path).then(String::new);
    };
    let part = path.strip_prefix(before)?.strip_suffix(after)?;
    (!part.contains('/')).then(|| part.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_segment() {
        let check = |path, expected: Option<&str>| {
            assert_eq!(matched("/label/*/values", path), expected.map(str::to_owned));
        };
        check("/label/job/values", Some("job"));
        check("/label/a%2Fb/values", Some("a%2Fb"));
        check("/label//values", Some(""));
        check("/label/a/b/values", None);
        check("/label/values", None);
    }
}
