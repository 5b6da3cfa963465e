//! What is allowed of other people's work, and what is not.

/// Licenses that let Ebb be given to anyone under its own, Apache-2.0. Where a package offers
/// several, one is enough.
pub(super) const LICENSES: [&str; 9] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "NCSA",
    "Unicode-3.0",
    "Zlib",
];

/// Packages that never get in, and why.
pub(super) const BANNED: [(&str, &str); 12] = [
    ("openssl", ONE_TLS),
    ("openssl-sys", ONE_TLS),
    ("native-tls", ONE_TLS),
    ("boring-sys", ONE_TLS),
    ("aws-lc-rs", ONE_CRYPTOGRAPHY),
    ("aws-lc-sys", ONE_CRYPTOGRAPHY),
    ("async-std", ONE_RUNTIME),
    ("smol", ONE_RUNTIME),
    ("async-executor", ONE_RUNTIME),
    ("chrono", "jiff is what kube and we tell the time with"),
    ("reqwest", "hyper is the one client of HTTP"),
    (
        "serde_yaml",
        "nobody maintains it; serde-saphyr does the same",
    ),
];

const ONE_TLS: &str = "rustls is the one TLS stack";
const ONE_CRYPTOGRAPHY: &str = "ring is the one library of cryptography, also below rustls";
const ONE_RUNTIME: &str = "tokio is the one runtime";

/// A package that is built in more than one version.
pub(super) struct Duplicate {
    pub(super) name: &'static str,
    /// How many.
    pub(super) versions: usize,
    /// Who needs the older one.
    #[expect(dead_code, reason = "for readers")]
    pub(super) reason: &'static str,
}

/// Each exception from "one version of each package".
pub(super) const DUPLICATES: [Duplicate; 7] = [
    Duplicate {
        name: "base64",
        versions: 2,
        reason: "k8s-openapi and tower-http stay at 0.22, kube and rcgen are at 0.23",
    },
    Duplicate {
        name: "darling",
        versions: 2,
        reason: "oci-spec's builders need 0.20, kube's derive 0.24: neither is in a program",
    },
    Duplicate {
        name: "darling_core",
        versions: 2,
        reason: "as darling",
    },
    Duplicate {
        name: "darling_macro",
        versions: 2,
        reason: "as darling",
    },
    Duplicate {
        name: "getrandom",
        versions: 3,
        reason: "ring needs 0.2, kube's ahash 0.3, and the tests' tempfile and rand 0.4",
    },
    Duplicate {
        name: "hashbrown",
        versions: 2,
        reason: "kube's runtime needs 0.16, indexmap 0.17",
    },
    Duplicate {
        name: "syn",
        versions: 2,
        reason: "macros move to 3 one by one; it is in no program",
    },
];
