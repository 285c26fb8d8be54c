//! Letters in the order in which they are read → rows, in the order in which they stand (UAX #9, L1 and L2).

use std::ops::Range;

/// What is broken and ordered as a whole: a letter with its marks, or a ligature.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Of the text.
    pub bytes: Range<usize>,
    pub width: f32,
    /// The embedding level: odd ones are written from the right.
    pub level: u8,
    pub is_blank: bool,
}

impl Cluster {
    /// Of letters of one pixel → of `size` pixels.
    pub fn at_size(&self, size: f32) -> Self {
        Self { width: self.width * size, ..self.clone() }
    }
}

/// Breaks clusters into rows of at most `room` pixels: at the last of `breaks` (bytes in front of which a line may begin) that
/// fits, or before the cluster that does not. Blanks at the end of a row take no room and are no part of it, but for those
/// at the very end.
pub fn fill(clusters: &[Cluster], breaks: &[usize], room: f32) -> Vec<Range<usize>> {
    let mut rows = Vec::new();
    let (mut first, mut possible, mut width) = (0, None, 0.0);
    for (at, cluster) in clusters.iter().enumerate() {
        if at > first && breaks.binary_search(&cluster.bytes.start).is_ok() {
            possible = Some(at);
        }
        if at > first && !cluster.is_blank && width + cluster.width > room {
            let next = possible.take().unwrap_or(at);
            rows.push(first..trimmed(clusters, first..next));
            first = next;
            width = clusters[first..at].iter().map(|cluster| cluster.width).sum();
        }
        width += cluster.width;
    }
    rows.push(first..clusters.len());
    rows
}

fn trimmed(clusters: &[Cluster], row: Range<usize>) -> usize {
    let seen = clusters[row.clone()].iter().rposition(|cluster| !cluster.is_blank);
    seen.map_or(row.start, |last| row.start + last + 1)
}

/// The clusters of a row from left to right, in a paragraph of this level.
pub fn order(clusters: &[Cluster], row: Range<usize>, paragraph: u8) -> Vec<usize> {
    let end = trimmed(clusters, row.clone());
    let level = |at: usize| if at < end { clusters[at].level } else { paragraph };
    let mut order: Vec<usize> = row.collect();
    let highest = order.iter().map(|at| level(*at)).max().unwrap_or(0);
    for lowest in (1..=highest).rev() {
        let mut start = 0;
        while start < order.len() {
            let length = order[start..].iter().take_while(|at| level(**at) >= lowest).count();
            order[start..start + length].reverse();
            start += length.max(1);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One cluster a letter; capitals are written from the right, digits among them are not.
    fn clusters(text: &str, paragraph: u8) -> Vec<Cluster> {
        let level = |letter: char| match letter {
            'A'..='Z' => 1,
            '0'..='9' => 2 * paragraph,
            'a'..='z' => 2 * paragraph,
            _ => paragraph,
        };
        let cluster = |(at, letter): (usize, char)| Cluster {
            bytes: at..at + 1,
            width: 1.0,
            level: level(letter),
            is_blank: letter == ' ',
        };
        text.char_indices().map(cluster).collect()
    }

    fn set(text: &str, room: f32, paragraph: u8) -> Vec<String> {
        let clusters = clusters(text, paragraph);
        let breaks: Vec<usize> = text.match_indices(' ').map(|(at, _)| at + 1).collect();
        let letter = |at: usize| &text[clusters[at].bytes.clone()];
        let row = |row: Range<usize>| order(&clusters, row, paragraph).into_iter().map(letter).collect();
        fill(&clusters, &breaks, room).into_iter().map(row).collect()
    }

    #[test]
    fn rows_end_at_blanks_and_long_words_are_cut() {
        assert_eq!(set("the film could not be opened", 10.0, 0), ["the film", "could not", "be opened"]);
        assert_eq!(set("a /very/long/path b", 6.0, 0), ["a", "/very/", "long/p", "ath b"]);
        assert_eq!(
            (set("", 5.0, 0), set("abc", 0.0, 0)),
            (vec![String::new()], ["a", "b", "c"].map(String::from).to_vec())
        );
        assert_eq!(set("ab ABC de", 5.0, 0), ["ab", "CBA", "de"], "a word of another direction does not reach over");
    }

    #[test]
    fn each_direction_stands_as_it_is_read() {
        assert_eq!(set("ab CDE fg", 99.0, 0), ["ab EDC fg"]);
        assert_eq!(set("CDE ab 12 FG.", 99.0, 1), [".GF 12 ab EDC"]);
        assert_eq!(set("CDE ab 12 FG", 6.0, 1), ["ab EDC", "GF 12"], "the beginning stands at the right, in each row");
        assert_eq!(set("AB  ", 99.0, 1), ["  BA"]);
    }
}
