use hyper::Method;

use super::app::App;
use super::error::ApiError;
use super::request::Call;
use super::response::Reply;
use super::{manage, status};

/// Answers one request. Runs on the blocking pool.
pub(super) type Handler = fn(&App, &Call) -> Result<Reply, ApiError>;

/// Which methods a path takes; `OPTIONS` is answered everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) enum Methods {
    /// GET and HEAD.
    Get,
    /// POST and PUT.
    Post,
}

impl Methods {
    pub(super) fn allow(self, method: &Method) -> bool {
        match self {
            Methods::Get => method == Method::GET || method == Method::HEAD,
            Methods::Post => method == Method::POST || method == Method::PUT,
        }
    }

    /// Returns the value of the header `Allow`.
    pub(super) fn names(self) -> &'static str {
        match self {
            Methods::Get => "GET, HEAD, OPTIONS",
            Methods::Post => "POST, PUT, OPTIONS",
        }
    }
}

/// One path and who answers it.
pub(super) struct Route {
    /// The path below the route prefix; `*` stands for one segment.
    pub(super) path: &'static str,
    pub(super) methods: Methods,
    pub(super) handler: Handler,
}

const fn get(path: &'static str, handler: Handler) -> Route {
    Route { path, methods: Methods::Get, handler }
}

const fn post(path: &'static str, handler: Handler) -> Route {
    Route { path, methods: Methods::Post, handler }
}

/// Every path, but for `/-/healthy` and `/-/ready`, which are answered without waiting for anything.
pub(super) const ROUTES: &[Route] = &[
    get("/api/v1/status/config", status::config),
    get("/api/v1/status/flags", status::flags),
    get("/api/v1/status/runtimeinfo", status::runtime_info),
    get("/api/v1/status/buildinfo", status::build_info),
    get("/api/v1/targets", status::targets),
    get("/api/v1/targets/metadata", status::empty_list),
    get("/api/v1/scrape_pools", status::scrape_pools),
    get("/api/v1/notifications", status::empty_list),
    get("/version", status::version),
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
