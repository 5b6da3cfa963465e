//! Amounts of a resource, as Kubernetes writes them: `100m`, `0.5`, `64Mi`, `1e3`.

use std::fmt;

/// An amount of a resource: as it was written, and its size.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount {
    /// How many billionths of its unit.
    pub billionths: u128,
    text: String,
}

/// How many billionths of its unit an amount is, which is Kubernetes' own precision.
///
/// The grammar is that of `resource.Quantity` (apimachinery, pkg/api/resource/quantity.go), without
/// a sign, since there is no negative amount of a resource. `None` for anything else, and for more
/// than a number here can hold.
pub fn billionths(text: &str) -> Option<u128> {
    let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let end = text.bytes().position(|byte| !is_number(byte));
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    let value: u128 = digits.parse().ok()?;
    let (multiplier, exponent) = scale(suffix)?;
    let decimals = 9 + exponent - i32::try_from(fraction.len()).ok()?;
    let value = value.checked_mul(multiplier)?;
    let ten = 10_u128.checked_pow(decimals.unsigned_abs())?;
    if decimals < 0 {
        // What is finer than a billionth is rounded up, as Kubernetes does it.
        return Some(value.div_ceil(ten));
    }
    value.checked_mul(ten)
}

// === impl Amount ===

impl Amount {
    /// Reads an amount as Kubernetes does; `None` if it is none.
    pub fn read(text: &str) -> Option<Amount> {
        let billionths = billionths(text)?;
        let text = text.to_owned();
        Some(Amount { billionths, text })
    }

    /// An amount of that many thousandths of its unit, which is as fine as Kubernetes compares.
    pub fn thousandths(number: u128) -> Amount {
        let units = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"), (1, "")];
        let mut whole = units.iter().filter(|_| number.is_multiple_of(1000));
        let found = whole.find(|(unit, _)| number > 0 && (number / 1000).is_multiple_of(*unit));
        let text = match found {
            Some((unit, suffix)) => format!("{}{suffix}", number / 1000 / unit),
            None if number == 0 => "0".to_owned(),
            None => format!("{number}m"),
        };
        Amount {
            billionths: number.saturating_mul(1_000_000),
            text,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A suffix as a multiplier and a power of ten.
fn scale(suffix: &str) -> Option<(u128, i32)> {
    let decimal = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    if let Some(place) = decimal.iter().position(|known| *known == suffix) {
        return Some((1, 3 * i32::try_from(place).ok()? - 9));
    }
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(place) = binary.iter().position(|known| *known == suffix) {
        return Some((1 << (10 * (place + 1)), 0));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    // More than this is no amount of anything, and would be no number here.
    let exponent: i32 = exponent.parse().ok()?;
    (-30..=30).contains(&exponent).then_some((1, exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An amount that was computed is written as a person would, and means the same when it is
    /// read.
    #[test]
    fn amounts_are_written() {
        for (thousandths, expected) in [
            (0, "0"),
            (50, "50m"),
            (1500, "1500m"),
            (2000, "2"),
            (1000 << 10, "1Ki"),
            (1_536_000 << 10, "1536Ki"),
            (64_000 << 20, "64Mi"),
            (2000 << 30, "2Gi"),
        ] {
            let amount = Amount::thousandths(thousandths);
            assert_eq!(amount.to_string(), expected);
            assert_eq!(Amount::read(expected), Some(amount));
        }
    }

    /// Kubernetes' own examples, and what its parser refuses.
    #[test]
    fn amounts_are_read_as_kubernetes_reads_them() {
        let one = 1_000_000_000;
        for (text, expected) in [
            ("1", Some(one)),
            ("0", Some(0)),
            ("100m", Some(one / 10)),
            ("0.5", Some(one / 2)),
            (".5", Some(one / 2)),
            ("5.", Some(5 * one)),
            ("64Mi", Some((64 << 20) * one)),
            ("1.5Gi", Some((3 << 29) * one)),
            ("1k", Some(1000 * one)),
            ("1e3", Some(1000 * one)),
            ("1E3", Some(1000 * one)),
            ("1E", Some(10_u128.pow(18) * one)),
            ("1e-3", Some(one / 1000)),
            ("1n", Some(1)),
            ("0.1n", Some(1)),
            ("", None),
            (".", None),
            ("m", None),
            ("-1", None),
            ("1 Mi", None),
            ("1mi", None),
            ("1K", None),
            ("1MB", None),
            ("1.2.3", None),
            ("1e", None),
            ("1e99", None),
            ("99999999999999999999999999999999999999999", None),
            ("many", None),
        ] {
            assert_eq!(billionths(text), expected, "{text}");
        }
    }
}
