//! What a person reads: `kubectl describe drainpolicy`, `kubectl get dp`, Events. Names and times
//! are masked; every other word is compared.
