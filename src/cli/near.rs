//! Which of some words was meant by one that is none of them.

/// The word that differs least, if it differs so little that it may have been meant.
pub fn nearest<'a>(wanted: &str, words: &[&'a str]) -> Option<&'a str> {
    let most = (wanted.chars().count() / 3).clamp(1, 3);
    let near = words.iter().map(|word| (distance(wanted, word), *word)).min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, _)| *distance <= most).map(|(_, word)| word)
}

/// Letters to be changed, put in, left out or swapped with their neighbours (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let swapped = i > 0 && j > 0 && from[i - 1] == *b && to[j - 1] == *a;
            let swap = if swapped { rows[i - 1][j - 1] + 1 } else { usize::MAX };
            let change = rows[i][j] + usize::from(a != b);
            row.push(change.min(rows[i][j + 1] + 1).min(row[j] + 1).min(swap));
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_known_and_far_ones_are_not() {
        let words = ["width", "quality", "loop", "fps"];
        for (wanted, meant) in [("widht", Some("width")), ("qualty", Some("quality")), ("lop", Some("loop"))] {
            assert_eq!(nearest(wanted, &words), meant, "{wanted}");
        }
        for far in ["height", "x", "", "mp4"] {
            assert_eq!(nearest(far, &words), None, "{far}");
        }
        assert_eq!((distance("", "abc"), distance("abc", "abc"), distance("ab", "ba")), (3, 0, 1));
    }
}
