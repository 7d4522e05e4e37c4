//! The path that was perhaps meant.

use rootfs::{Root, RootPath};

/// Returns the name beside a missing one that is most like it, if one is.
pub(crate) fn similar(root: &Root, missing: &RootPath) -> Option<String> {
    let wanted = String::from_utf8_lossy(missing.file_name()?).into_owned();
    let parent = root.open_dir(&missing.parent()?).ok()?;
    let names = parent.names().ok()?;
    let names = names
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned());
    let limit = wanted.chars().count() / 3 + 1;
    let near = names.map(|name| (distance(&wanted, &name), name));
    let (_, name) = near.filter(|(distance, _)| *distance <= limit).min()?;
    let parent = missing.parent()?;
    let path = parent.child(name.as_bytes()).ok()?;
    Some(path.to_string())
}

/// Returns how many insertions, deletions and replacements make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_the_edits() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("same", "same", 0),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
