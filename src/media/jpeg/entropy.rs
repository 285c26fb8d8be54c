//! Baseline entropy coding (ITU-T T.81 annex F) in both directions, one coefficient at a time: Huffman codes and the bits
//! behind them.

use super::JpegError;

/// Huffman codes of one table as a reader needs them.
pub(super) struct Decoding {
    /// By the next [`LOOK`] bits; see [`Found`]. 0 where the code is longer.
    short: Vec<u32>,
    /// The first code of each length that is too large for it, from the left in 16 bits; the last one ends all.
    limits: [u32; 17],
    /// What to add to a code of each length to find its value.
    offsets: [i32; 17],
    values: Vec<u8>,
}

/// What stands next in the data.
#[derive(Clone, Copy)]
pub(super) struct Found {
    /// Zeros before it and bits behind the code, four bits each.
    pub symbol: u8,
    /// The signed number behind the code.
    pub value: i32,
}

impl Decoding {
    /// `table` as in DHT: 16 counts, then the values.
    pub fn new(table: &[u8]) -> Result<Self, JpegError> {
        let (counts, values) = table.split_at_checked(16).ok_or(MALFORMED)?;
        let mut decoding = Self {
            short: vec![0; 1 << LOOK],
            limits: [0; 17],
            offsets: [0; 17],
            values: values.iter().copied().take(256).collect(),
        };
        let (mut code, mut at) = (0_u32, 0_usize);
        for (length, &count) in (1..=16_u32).zip(counts) {
            decoding.offsets[length as usize] = at as i32 - code as i32;
            for _ in 0..count {
                let symbol = *decoding.values.get(at).ok_or(MALFORMED)?;
                if code >= 1 << length {
                    return Err(MALFORMED);
                }
                decoding.enter(code, length, symbol);
                (code, at) = (code + 1, at + 1);
            }
            decoding.limits[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(decoding)
    }

    /// All look-aheads that begin with this code.
    fn enter(&mut self, code: u32, length: u32, symbol: u8) {
        let Some(rest) = LOOK.checked_sub(length) else { return };
        let size = u32::from(symbol & 15);
        for behind in 0..1_u32 << rest {
            let whole = (size <= rest).then(|| extend(behind >> (rest - size), size));
            let entry = whole.map_or(length, |value| (value as u32) << 16 | WHOLE | (length + size));
            if let Some(slot) = self.short.get_mut((code << rest | behind) as usize) {
                *slot = entry | u32::from(symbol) << 8;
            }
        }
    }

    /// A code longer than the look-ahead: its symbol and length.
    #[cold]
    fn long(&self, next16: u32) -> Option<(u8, u32)> {
        let length = (LOOK + 1..=16).find(|&length| next16 < self.limits[length as usize])?;
        let at = (next16 >> (16 - length)) as i32 + self.offsets[length as usize];
        Some((*self.values.get(usize::try_from(at).ok()?)?, length))
    }
}

/// The number that `size` bits stand for (T.81 table F.1).
fn extend(bits: u32, size: u32) -> i32 {
    let negative = size > 0 && bits >> (size - 1) == 0;
    bits as i32 - if negative { (1 << size) - 1 } else { 0 }
}

/// The bits of one restart interval, without its stuffed zeros.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bits, from the left.
    ahead: u64,
    /// How many they are.
    count: u32,
    /// Bits that stand in `ahead` though the data had ended.
    lent: u32,
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, ahead: 0, count: 0, lent: 0 }
    }

    /// Whether more was read than there was.
    pub const fn is_over(&self) -> bool {
        self.lent > self.count
    }

    /// The next code and the number behind it; `None` where no code begins so.
    #[inline]
    pub fn next(&mut self, decoding: &Decoding) -> Option<Found> {
        if self.count < 32 {
            self.fill();
        }
        let entry = *decoding.short.get((self.ahead >> (64 - LOOK)) as usize)?;
        if entry & WHOLE != 0 {
            self.skip(entry & 31);
            return Some(Found { symbol: (entry >> 8) as u8, value: entry as i32 >> 16 });
        }
        let (symbol, length) = match entry {
            0 => decoding.long((self.ahead >> 48) as u32)?,
            _ => ((entry >> 8) as u8, entry & 31),
        };
        self.skip(length);
        let size = u32::from(symbol & 15);
        // Two shifts, since one by 64 is none.
        let bits = (self.ahead >> 1 >> (63 - size)) as u32;
        self.skip(size);
        Some(Found { symbol, value: extend(bits, size) })
    }

    const fn skip(&mut self, bits: u32) {
        self.ahead <<= bits;
        self.count -= bits;
    }

    /// At least 32 bits, of zeros where the data has ended.
    fn fill(&mut self) {
        if let Some((word, rest)) = self.bytes.split_first_chunk::<4>()
            && !has_ff(u32::from_be_bytes(*word))
        {
            self.ahead |= u64::from(u32::from_be_bytes(*word)) << (32 - self.count);
            self.count += 32;
            self.bytes = rest;
            return;
        }
        while self.count <= 56 {
            let byte = self.byte();
            self.ahead |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.bytes.split_first() else {
            self.lent = self.lent.saturating_add(8);
            return 0;
        };
        self.bytes = if byte == 0xFF { rest.get(1..).unwrap_or_default() } else { rest };
        byte
    }
}

/// Huffman codes of one table as a writer needs them: each shifted left by 8, and its length.
pub(super) struct Coding([u32; 256]);

impl Coding {
    /// `counts` and `values` are those of a sound table.
    pub fn new(counts: &[u8; 16], values: &[u8]) -> Self {
        let (mut codes, mut code, mut values) = ([0; 256], 0_u32, values.iter());
        for (length, &count) in (1_u32..).zip(counts) {
            for &value in values.by_ref().take(count.into()) {
                codes[usize::from(value)] = code << 8 | length;
                code += 1;
            }
            code <<= 1;
        }
        Self(codes)
    }
}

/// Entropy-coded bytes in the making.
#[derive(Default)]
pub(super) struct Writer {
    pub bytes: Vec<u8>,
    /// The last `count` bits are not in `bytes` yet; always less than 32 between calls.
    pending: u64,
    count: u32,
}

impl Writer {
    /// A code and the number behind it; `zeros` (at most 15) is the symbol's upper half.
    #[inline]
    pub fn put(&mut self, coding: &Coding, zeros: u32, value: i32) {
        let size = 32 - value.unsigned_abs().leading_zeros();
        let entry = coding.0[(zeros << 4 | size) as usize & 255];
        let (code, length) = (u64::from(entry >> 8), entry & 255);
        // A negative number is written as one less in its lower bits (T.81 F.1.2.1).
        let bits = (value + (value >> 31)) as u32 & ((1_u32 << size) - 1);
        self.pending = (self.pending << length | code) << size | u64::from(bits);
        self.count += length + size;
        if self.count >= 32 {
            self.count -= 32;
            self.word((self.pending >> self.count) as u32);
        }
    }

    /// Ends an interval with ones up to a whole byte.
    pub fn align(&mut self) {
        let missing = self.count.wrapping_neg() % 8;
        self.pending = self.pending << missing | ((1 << missing) - 1);
        self.count += missing;
        while self.count > 0 {
            self.count -= 8;
            self.byte((self.pending >> self.count) as u8);
        }
    }

    fn word(&mut self, word: u32) {
        if has_ff(word) {
            word.to_be_bytes().into_iter().for_each(|byte| self.byte(byte));
        } else {
            self.bytes.extend_from_slice(&word.to_be_bytes());
        }
    }

    fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
        if byte == 0xFF {
            self.bytes.push(0);
        }
    }
}

/// Whether one of four bytes is 0xFF: the usual search for a zero byte, in the complement.
const fn has_ff(word: u32) -> bool {
    let word = !word;
    word.wrapping_sub(0x0101_0101) & !word & 0x8080_8080 != 0
}

/// Bits that are looked up at once; most codes and the numbers behind them are no longer.
const LOOK: u32 = 10;
/// In an entry of the look-up: the number is in it (above bit 16), and its length too (the lowest five bits).
const WHOLE: u32 = 1 << 7;
const MALFORMED: JpegError = JpegError::Segment(0xC4);

#[cfg(test)]
mod tests {
    use super::super::sample::Random;
    use super::super::tables;
    use super::*;

    fn standard(kind: usize, ac: bool) -> Vec<u8> {
        let (counts, values) = tables::huffman(kind, ac);
        [counts, values].concat()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut random = Random(1);
        for (kind, ac) in [(0, false), (0, true), (1, false), (1, true)] {
            let table = standard(kind, ac);
            let decoding = Decoding::new(&table).expect("the standard one");
            let coding = Coding::new(table[..16].try_into().unwrap(), &table[16..]);
            let numbers: Vec<(u32, i32)> = (0..5_000)
                .map(|_| {
                    let size = random.below(if ac { 11 } else { 12 }) as u32;
                    let value = extend(random.next() as u32 & ((1 << size) - 1), size);
                    let zeros = if ac && value != 0 { random.below(16) as u32 } else { 0 };
                    (zeros, value)
                })
                .collect();
            let mut writer = Writer::default();
            numbers.iter().for_each(|&(zeros, value)| writer.put(&coding, zeros, value));
            writer.align();
            assert!(writer.bytes.windows(2).all(|pair| pair[0] != 0xFF || pair[1] == 0), "stuffed");
            let mut reader = Reader::new(&writer.bytes);
            for &(zeros, value) in &numbers {
                let found = reader.next(&decoding).expect("a code");
                assert_eq!((u32::from(found.symbol >> 4), found.value), (zeros, value));
            }
            assert!(!reader.is_over() && reader.count - reader.lent < 8, "to the last byte");
        }
    }

    #[test]
    fn what_is_no_table_is_refused_and_what_is_no_code_is_not_read() {
        let table = |counts: &[u8], values: usize| {
            let mut table = counts.to_vec();
            table.resize(16, 0);
            table.extend((0..values).map(|at| at as u8));
            Decoding::new(&table)
        };
        assert!(table(&[3], 3).is_err(), "three codes of one bit");
        assert!(table(&[0, 3], 2).is_err(), "a value is missing");
        assert!(Decoding::new(&[0; 15]).is_err());
        let one = table(&[0, 1], 1).expect("one code, 00");
        assert!(Reader::new(&[0xC0]).next(&one).is_none());
        let long = table(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 1).expect("one code of twelve bits");
        assert!(Reader::new(&[0xF0, 0]).next(&long).is_none());
        assert_eq!(Reader::new(&[0, 0]).next(&long).map(|found| found.symbol), Some(0));
    }

    #[test]
    fn reading_past_the_end_is_noticed() {
        let table = standard(0, true);
        let decoding = Decoding::new(&table).expect("the standard one");
        let mut reader = Reader::new(&[0x55, 0x55]);
        let mut codes = 0;
        while !reader.is_over() {
            assert!(reader.next(&decoding).is_some() && codes < 16);
            codes += 1;
        }
    }
}
