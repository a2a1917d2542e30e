//! The name that was probably meant.

/// Finds the name most like `name`, if one is near enough to be what was meant.
pub fn nearest<'a, N: AsRef<str> + ?Sized + 'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a N>,
) -> Option<&'a N> {
    let limit = (name.len() / 3).max(1);
    names
        .into_iter()
        .map(|other| (distance(name, other.as_ref()), other))
        .filter(|(distance, _)| *distance <= limit)
        .min_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.as_ref().cmp(y.as_ref())))
        .map(|(_, other)| other)
}

/// Counts the insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
/// (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_slip_away() {
        let names = ["leaf1", "leaf2", "spine1", "web"];
        assert_eq!(nearest("laef1", names), Some("leaf1"));
        assert_eq!(nearest("wbe", names), Some("web"));
        assert_eq!(nearest("spine11", names), Some("spine1"));
        assert_eq!(nearest("gateway", names), None);
    }
}
