//! What an error of the API server means for the caller.

use std::fmt;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The object is gone: there is no more to do.
    NotFound,
    /// Somebody else was first: look again.
    Conflict,
    /// The version asked for is too old: list again.
    Expired,
    /// The API server is away, busy, or does not trust us yet: try again later.
    Transient,
    /// Asking again will not help: a rule or a permission is missing.
    Bug,
}

impl Class {
    /// Classifies an error.
    pub fn of(error: &kube::Error) -> Class {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Class::NotFound,
                409 => Class::Conflict,
                410 => Class::Expired,
                // 401: while the API server starts, it knows no tokens yet.
                401 | 408 | 429 | 500.. => Class::Transient,
                _ => Class::Bug,
            },
            kube::Error::SerdeError(_)
            | kube::Error::BuildRequest(_)
            | kube::Error::HttpError(_)
            | kube::Error::FromUtf8(_) => Class::Bug,
            _ => Class::Transient,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::NotFound => "not found",
            Class::Conflict => "conflict",
            Class::Expired => "expired",
            Class::Transient => "transient",
            Class::Bug => "bug",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    /// What goes away by itself is tried again; what does not is said.
    #[test]
    fn errors_are_told_apart_by_what_helps() {
        for (code, class) in [
            (404, Class::NotFound),
            (409, Class::Conflict),
            (410, Class::Expired),
            (429, Class::Transient),
            (503, Class::Transient),
            (403, Class::Bug),
            (422, Class::Bug),
        ] {
            let status = Status::failure("no", "Because").with_code(code);
            assert_eq!(
                Class::of(&kube::Error::Api(status.boxed())),
                class,
                "{code}"
            );
        }
    }
}
