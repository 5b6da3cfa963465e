//! Numbers of a policy that are out of their range. Only an API server without Ebb's rules, or with
//! those of an earlier version, has let them in.

use super::DrainPolicySpec;

impl DrainPolicySpec {
    /// A sentence for each number for which [`resolve`](DrainPolicySpec::resolve) takes another:
    /// which, its value, and what counts in its place.
    pub fn corrected(&self) -> Vec<String> {
        let used = self.resolve("");
        let deregistration = self.deregistration.clone().unwrap_or_default();
        let connections = self.connections.clone().unwrap_or_default();
        let code = u32::from(used.connections.web_socket_code.get());
        let numbers = [
            ("timeoutSeconds", self.timeout_seconds, used.timeout_seconds),
            (
                "shutdownSeconds",
                self.shutdown_seconds,
                used.shutdown_seconds.unwrap_or_default(),
            ),
            (
                "deregistration.minSeconds",
                deregistration.min_seconds,
                used.deregistration.min_seconds,
            ),
            (
                "deregistration.quietSeconds",
                deregistration.quiet_seconds,
                used.deregistration.quiet_seconds,
            ),
            (
                "deregistration.idleSeconds",
                deregistration.idle_seconds,
                used.deregistration.idle_seconds,
            ),
            (
                "deregistration.maxSeconds",
                deregistration.max_seconds,
                used.deregistration.max_seconds,
            ),
            (
                "connections.idleSeconds",
                connections.idle_seconds,
                used.connections.idle_seconds,
            ),
            (
                "connections.paceSeconds",
                connections.pace_seconds,
                used.connections.pace_seconds,
            ),
            (
                "connections.webSocketCode",
                connections.web_socket_code,
                code,
            ),
        ];
        let corrected = numbers.into_iter().filter_map(|(name, given, used)| {
            let given = given.filter(|given| i64::from(*given) != i64::from(used))?;
            Some(format!(
                "{name} {given} is not allowed, and {used} counts in its place"
            ))
        });
        corrected.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrected(spec: &str) -> Vec<String> {
        let spec: DrainPolicySpec = serde_json::from_str(spec).unwrap();
        spec.corrected()
    }

    /// Every number that does not count as it stands is told, and no other.
    #[test]
    fn numbers_that_do_not_count_are_told() {
        let told = corrected(
            r#"{"selector":{},"timeoutSeconds":-5,"shutdownSeconds":3601,
                "deregistration":{"minSeconds":-1,"quietSeconds":301,"idleSeconds":301,"maxSeconds":3601},
                "connections":{"idleSeconds":0,"paceSeconds":-1,"webSocketCode":1006}}"#,
        );
        assert_eq!(
            told,
            [
                "timeoutSeconds -5 is not allowed, and 1 counts in its place",
                "shutdownSeconds 3601 is not allowed, and 3600 counts in its place",
                "deregistration.minSeconds -1 is not allowed, and 0 counts in its place",
                "deregistration.quietSeconds 301 is not allowed, and 300 counts in its place",
                "deregistration.idleSeconds 301 is not allowed, and 300 counts in its place",
                "deregistration.maxSeconds 3601 is not allowed, and 3600 counts in its place",
                "connections.idleSeconds 0 is not allowed, and 1 counts in its place",
                "connections.paceSeconds -1 is not allowed, and 0 counts in its place",
                "connections.webSocketCode 1006 is not allowed, and 1012 counts in its place",
            ]
        );
        let allowed = r#"{"selector":{},"timeoutSeconds":30,"connections":{"webSocketCode":1001}}"#;
        assert!(corrected(allowed).is_empty());
        assert!(corrected(r#"{"selector":{}}"#).is_empty());
    }
}
