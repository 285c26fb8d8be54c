//! EBML (RFC 8794) as far as writing it goes: elements with their identifiers, sizes and values.

/// Appends an element with this body.
pub(super) fn element(id: u32, body: &[u8], out: &mut Vec<u8>) {
    append_id(id, out);
    append_size(body.len() as u64, out);
    out.extend_from_slice(body);
}

/// Appends an unsigned integer in as few bytes as it takes.
pub(super) fn unsigned(id: u32, value: u64, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    let zeros = (value.leading_zeros() as usize / 8).min(7);
    element(id, &bytes[zeros..], out);
}

/// Appends a floating-point number of eight bytes.
pub(super) fn float(id: u32, value: f64, out: &mut Vec<u8>) {
    element(id, &value.to_be_bytes(), out);
}

/// Appends a string.
pub(super) fn text(id: u32, value: &str, out: &mut Vec<u8>) {
    element(id, value.as_bytes(), out);
}

/// Appends an element that holds what `fill` appends.
pub(super) fn master(id: u32, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    fill(&mut body);
    element(id, &body, out);
}

/// Appends an element of `length` bytes, header included, that readers skip: room for another. At least 2, at most 128.
pub(super) fn void(length: usize, out: &mut Vec<u8>) {
    element(id::VOID, &vec![0; length.saturating_sub(2)], out);
}

/// An identifier, whose length is in its first bits.
pub(super) fn append_id(id: u32, out: &mut Vec<u8>) {
    let bytes = id.to_be_bytes();
    out.extend_from_slice(&bytes[id.leading_zeros() as usize / 8..]);
}

/// A size in as few bytes as it takes; all ones is kept for [`UNKNOWN`].
pub(super) fn append_size(size: u64, out: &mut Vec<u8>) {
    let length = (1..8).find(|length| size < (1 << (7 * length)) - 1).unwrap_or(8);
    let marked = size | 1 << (7 * length);
    out.extend_from_slice(&marked.to_be_bytes()[8 - length..]);
}

/// A size in eight bytes, which can take the place of [`UNKNOWN`].
pub(super) const fn size_of_eight(size: u64) -> [u8; 8] {
    (size | 1 << 56).to_be_bytes()
}

/// The size of an element that is still being written.
pub(super) const UNKNOWN: [u8; 8] = [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// Identifiers of RFC 9559 and RFC 8794.
pub(super) mod id {
    pub const EBML: u32 = 0x1A45_DFA3;
    pub const EBML_VERSION: u32 = 0x4286;
    pub const EBML_READ_VERSION: u32 = 0x42F7;
    pub const EBML_MAX_ID_LENGTH: u32 = 0x42F2;
    pub const EBML_MAX_SIZE_LENGTH: u32 = 0x42F3;
    pub const DOC_TYPE: u32 = 0x4282;
    pub const DOC_TYPE_VERSION: u32 = 0x4287;
    pub const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub const VOID: u32 = 0xEC;
    pub const SEGMENT: u32 = 0x1853_8067;
    pub const SEEK_HEAD: u32 = 0x114D_9B74;
    pub const SEEK: u32 = 0x4DBB;
    pub const SEEK_ID: u32 = 0x53AB;
    pub const SEEK_POSITION: u32 = 0x53AC;
    pub const INFO: u32 = 0x1549_A966;
    pub const TIMESTAMP_SCALE: u32 = 0x002A_D7B1;
    pub const DURATION: u32 = 0x4489;
    pub const MUXING_APP: u32 = 0x4D80;
    pub const WRITING_APP: u32 = 0x5741;
    pub const TRACKS: u32 = 0x1654_AE6B;
    pub const TRACK_ENTRY: u32 = 0xAE;
    pub const TRACK_NUMBER: u32 = 0xD7;
    pub const TRACK_UID: u32 = 0x73C5;
    pub const TRACK_TYPE: u32 = 0x83;
    pub const FLAG_LACING: u32 = 0x9C;
    pub const FLAG_DEFAULT: u32 = 0x88;
    pub const NAME: u32 = 0x536E;
    pub const LANGUAGE: u32 = 0x0022_B59C;
    pub const CODEC_ID: u32 = 0x86;
    pub const DEFAULT_DURATION: u32 = 0x0023_E383;
    pub const VIDEO: u32 = 0xE0;
    pub const FLAG_INTERLACED: u32 = 0x9A;
    pub const PIXEL_WIDTH: u32 = 0xB0;
    pub const PIXEL_HEIGHT: u32 = 0xBA;
    pub const COLOUR: u32 = 0x55B0;
    pub const MATRIX: u32 = 0x55B1;
    pub const RANGE: u32 = 0x55B9;
    pub const AUDIO: u32 = 0xE1;
    pub const SAMPLING_FREQUENCY: u32 = 0xB5;
    pub const CHANNELS: u32 = 0x9F;
    pub const BIT_DEPTH: u32 = 0x6264;
    pub const CLUSTER: u32 = 0x1F43_B675;
    pub const TIMESTAMP: u32 = 0xE7;
    pub const SIMPLE_BLOCK: u32 = 0xA3;
    pub const BLOCK_GROUP: u32 = 0xA0;
    pub const BLOCK: u32 = 0xA1;
    pub const BLOCK_DURATION: u32 = 0x9B;
    pub const CUES: u32 = 0x1C53_BB6B;
    pub const CUE_POINT: u32 = 0xBB;
    pub const CUE_TIME: u32 = 0xB3;
    pub const CUE_POSITIONS: u32 = 0xB7;
    pub const CUE_TRACK: u32 = 0xF7;
    pub const CUE_CLUSTER: u32 = 0xF1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn sizes_take_as_few_bytes_as_they_can() {
        // RFC 8794, table 2 and section 4.4: all ones is no size.
        for (size, bytes) in [
            (0, &[0x80][..]),
            (126, &[0xFE]),
            (127, &[0x40, 0x7F]),
            (16_382, &[0x7F, 0xFE]),
            (16_383, &[0x20, 0x3F, 0xFF]),
            (1 << 49, &[1, 2, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(written(|out| append_size(size, out)), bytes, "{size}");
        }
        assert_eq!(size_of_eight(258), [1, 0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn values_are_big_endian() {
        assert_eq!(written(|out| unsigned(0x4286, 1, out)), [0x42, 0x86, 0x81, 1]);
        assert_eq!(written(|out| unsigned(0xD7, 0, out)), [0xD7, 0x81, 0]);
        assert_eq!(written(|out| unsigned(0x002A_D7B1, 10_000, out)), [0x2A, 0xD7, 0xB1, 0x82, 0x27, 0x10]);
        assert_eq!(written(|out| float(0xB5, 1.0, out)), [0xB5, 0x88, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]);
        let nested = written(|out| master(0x1A45_DFA3, out, |out| text(0x4282, "ab", out)));
        assert_eq!(nested, [0x1A, 0x45, 0xDF, 0xA3, 0x85, 0x42, 0x82, 0x82, b'a', b'b']);
        assert_eq!(written(|out| void(21, out)).len(), 21);
    }
}
