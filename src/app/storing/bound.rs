//! What has to go so that all recordings in a folder stay within a bound: finished ones, the oldest first. Running ones are
//! closed, the largest first, when they alone take half of the room, so that there is always something finished that can go.

use crate::record::dated;

/// A recording in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub name: String,
    pub bytes: u64,
    /// It is being written.
    pub is_running: bool,
}

/// What is to be done: places in the list of recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub delete: Vec<usize>,
    /// To be closed, and a new file begun.
    pub part: Vec<usize>,
}

/// What keeps the recordings within `most` bytes until the next look, before which as much is written as since the last one:
/// `growth`.
pub fn plan(stored: &[Stored], most: u64, growth: u64) -> Plan {
    // Some files may be closed later than they are told to.
    let room = most.saturating_sub(growth.saturating_mul(2)).max(most / 2);
    let of = |is_running: bool| (0..stored.len()).filter(move |at| stored[*at].is_running == is_running);
    let sum = |all: &[usize]| all.iter().map(|at| stored[*at].bytes).sum::<u64>();
    let (mut finished, mut running): (Vec<usize>, Vec<usize>) = (of(false).collect(), of(true).collect());
    finished.sort_by_key(|at| (dated::moment(&stored[*at].name), &stored[*at].name));
    running.sort_by_key(|at| (std::cmp::Reverse(stored[*at].bytes), &stored[*at].name));
    let take = |from: &[usize], mut bytes: u64, room: u64| {
        let gives_way = |at: &&usize| {
            let exceeds = bytes > room;
            bytes = bytes.saturating_sub(stored[**at].bytes);
            exceeds
        };
        from.iter().take_while(gives_way).copied().collect()
    };
    let (delete, part) =
        (take(&finished, sum(&finished) + sum(&running), room), take(&running, sum(&running), room / 2));
    Plan { delete, part }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(name: &str, second: u32, bytes: u64, is_running: bool) -> Stored {
        Stored { name: format!("{name} 2026-11-30 08.39.{second:02}.mkv"), bytes, is_running }
    }

    #[test]
    fn the_oldest_finished_ones_go_first_whatever_they_are_called() {
        let all = [
            stored("b", 3, 40, false),
            stored("z", 1, 30, false),
            stored("a", 2, 20, false),
            stored("old", 0, 30, true),
        ];
        assert_eq!(plan(&all, 120, 0), Plan::default());
        assert_eq!(plan(&all, 119, 0), Plan { delete: vec![1], part: vec![] });
        assert_eq!(plan(&all, 89, 0), Plan { delete: vec![1, 2], part: vec![] });
        assert_eq!(plan(&all, 100, 6).delete, [1, 2], "what is written until the next look has room too");
    }

    #[test]
    fn running_ones_that_take_half_of_the_room_are_closed_the_largest_first() {
        let running = [("a", 20), ("b", 50), ("c", 35)].map(|(name, bytes)| stored(name, 1, bytes, true));
        assert_eq!(plan(&running, 210, 0), Plan::default());
        assert_eq!(plan(&running, 200, 0), Plan { delete: vec![], part: vec![1] });
        assert_eq!(plan(&running, 100, 0), Plan { delete: vec![], part: vec![1, 2] });
        assert_eq!(plan(&running, 10, 0), Plan { delete: vec![], part: vec![1, 2, 0] });
    }

    /// Ten streams that write different amounts, for an hour: what plan says is done a look later.
    #[test]
    fn ten_streams_stay_within_the_bound_and_use_most_of_it() {
        const MOST: u64 = 1_000_000;
        let (mut all, mut before, mut least): (Vec<Stored>, u64, u64) = (Vec::new(), 0, MOST);
        let mut parts: Vec<String> = Vec::new();
        for second in 0..3_600_u32 {
            let name = |stream: u32| format!("s{stream} 2026-11-30 08.{:02}.{:02}.mkv", second / 60, second % 60);
            all.iter_mut().filter(|file| parts.contains(&file.name)).for_each(|file| file.is_running = false);
            for stream in 0..10 {
                let own = format!("s{stream} ");
                match all.iter_mut().find(|file| file.is_running && file.name.starts_with(&own)) {
                    Some(file) => file.bytes += 100 + 400 * u64::from(stream),
                    None => all.push(Stored { name: name(stream), bytes: 0, is_running: true }),
                }
            }
            let total: u64 = all.iter().map(|file| file.bytes).sum();
            assert!(total <= MOST, "{total} bytes after {second} s");
            if second > 600 {
                least = least.min(total);
            }
            let Plan { delete, part } = plan(&all, MOST, total.saturating_sub(before));
            parts = part.iter().map(|at| all[*at].name.clone()).collect();
            let gone: Vec<String> = delete.iter().map(|at| all[*at].name.clone()).collect();
            all.retain(|file| !gone.contains(&file.name));
            before = all.iter().map(|file| file.bytes).sum();
        }
        assert!(least > MOST * 6 / 10, "{least} bytes are kept at least");
    }
}
