//! Which requests the admin port answers.

use hyper::{Method, StatusCode};

/// What a request is answered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Live,
    Ready,
    Metrics,
    Status,
    Desired,
    Hook,
}

struct Route {
    method: Method,
    /// One that ends with `/` is followed by a name.
    path: &'static str,
    endpoint: Endpoint,
}

/// All of them, with what each is for and who may call it.
const ROUTES: [Route; 6] = [
    // For kubelet's liveness probe; anybody.
    route(Method::GET, "/livez", Endpoint::Live),
    // For kubelet's readiness probe; anybody.
    route(Method::GET, "/readyz", Endpoint::Ready),
    // For Prometheus; anybody.
    route(Method::GET, "/metrics", Endpoint::Metrics),
    // For the controller and for people, once or, with `?watch=true`, as a stream; anybody: it has
    // no secret.
    route(Method::GET, "/v1/status", Endpoint::Status),
    // For the controller; who has the signing key.
    route(Method::PUT, "/v1/desired", Endpoint::Desired),
    // For kubelet's preStop hooks, one for each container; who knows the pod's token.
    route(Method::GET, "/hook/", Endpoint::Hook),
];

const fn route(method: Method, path: &'static str, endpoint: Endpoint) -> Route {
    Route {
        method,
        path,
        endpoint,
    }
}

/// What answers this request, and the name at the end of its path (empty where there is none).
///
/// # Errors
///
/// There is no such path (404), or not for this method (405).
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<(Endpoint, &'a str), StatusCode> {
    let mut status = StatusCode::NOT_FOUND;
    for route in &ROUTES {
        let Some(name) = route.name(path) else {
            continue;
        };
        if route.method == *method {
            return Ok((route.endpoint, name));
        }
        status = StatusCode::METHOD_NOT_ALLOWED;
    }
    Err(status)
}

// === impl Route ===

impl Route {
    fn name<'a>(&self, path: &'a str) -> Option<&'a str> {
        let name = path.strip_prefix(self.path)?;
        (name.is_empty() || self.path.ends_with('/')).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path is matched as a whole, and a wrong method is told apart from a wrong path.
    #[test]
    fn requests_are_told_apart() {
        let not_found = Err(StatusCode::NOT_FOUND);
        let not_allowed = Err(StatusCode::METHOD_NOT_ALLOWED);
        for (method, path, expected) in [
            (Method::GET, "/livez", Ok((Endpoint::Live, ""))),
            (Method::GET, "/livezz", not_found),
            (Method::GET, "/livez/", not_found),
            (Method::POST, "/livez", not_allowed),
            (Method::PUT, "/v1/desired", Ok((Endpoint::Desired, ""))),
            (Method::GET, "/v1/desired", not_allowed),
            (Method::GET, "/hook/web", Ok((Endpoint::Hook, "web"))),
            (Method::GET, "/hook/", Ok((Endpoint::Hook, ""))),
            (Method::GET, "/hook", not_found),
            (Method::POST, "/hook/web", not_allowed),
            (Method::GET, "/", not_found),
        ] {
            assert_eq!(find(&method, path), expected, "{method} {path}");
        }
    }
}
