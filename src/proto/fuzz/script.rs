//! The fuzzer's bytes as a script: numbers off its front; when it is used up, zeros and the end.

pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        head
    }

    pub fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) << 32 | u64::from(self.u32())
    }

    /// One of so many.
    pub fn choice(&mut self, of: usize) -> usize {
        usize::from(self.u8()) % of.max(1)
    }

    /// Some bytes, at most 255.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = self.u8();
        self.take(usize::from(length))
    }
}
