//! Texts from outside, cut to a length that the API server takes and a person reads.

/// The beginning of a text, of at most that many bytes, ending in "…" where something was cut.
/// `most` leaves room for that: it is at least 3.
pub fn truncate(text: &str, most: usize) -> String {
    const CUT: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(CUT.len()));
    format!("{}{CUT}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fits stays; what does not is cut between two letters.
    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!(truncate("short", 5), "short");
        assert_eq!(truncate("longer", 5), "lo…");
        assert_eq!(truncate("ä".repeat(5).as_str(), 8), "ää…");
    }
}
