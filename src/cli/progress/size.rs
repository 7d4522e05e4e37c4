//! Sizes in displays, as BuildKit's progress has them: `3.64MB`.

/// Writes a size as BuildKit does: decimal units, three or four digits.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes}B");
    }
    // Hundredths of a unit, since a `u64` loses nothing.
    let mut hundredths = u128::from(bytes) * 100 / 1000;
    let mut unit = 0;
    while hundredths >= 100_000 && unit + 1 < UNITS.len() {
        hundredths /= 1000;
        unit += 1;
    }
    format!(
        "{}.{:02}{}",
        hundredths / 100,
        hundredths % 100,
        UNITS[unit]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_units() {
        for (bytes, expected) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.00kB"),
            (3_640_000, "3.64MB"),
            (999_999, "999.99kB"),
            (1_000_000, "1.00MB"),
            (u64::MAX, "18446744.07TB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }
}
