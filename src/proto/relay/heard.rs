//! Which of the last chunks or coded units of sound have come: each goes on once.

/// Numbers that are remembered.
const REMEMBERED: u32 = 64;

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    newest: Option<u32>,
    /// Bit i: the one i before the newest has come.
    came: u64,
}

impl Heard {
    /// Notes one that comes; whether it is new.
    pub const fn note(&mut self, number: u32) -> bool {
        let Some(newest) = self.newest else {
            (self.newest, self.came) = (Some(number), 1);
            return true;
        };
        if number > newest {
            let ahead = number - newest;
            self.came = if ahead < REMEMBERED { self.came << ahead | 1 } else { 1 };
            self.newest = Some(number);
            return true;
        }
        let new = self.wants(number);
        if new {
            self.came |= 1 << (newest - number);
        }
        new
    }

    /// Whether one with this number could still go on.
    pub const fn wants(&self, number: u32) -> bool {
        match self.newest {
            Some(newest) if number <= newest => newest - number < REMEMBERED && self.came >> (newest - number) & 1 == 0,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_new_once_and_old_ones_never() {
        let mut heard = Heard::default();
        let new: Vec<bool> = [5, 7, 6, 6, 5, 7, 100, 99, 36, 37, 8].into_iter().map(|n| heard.note(n)).collect();
        assert_eq!(new, [true, true, true, false, false, false, true, true, false, true, false]);
        assert!(heard.wants(98) && !heard.wants(99) && heard.wants(101));
    }
}
