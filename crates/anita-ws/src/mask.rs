//! Masking (RFC 6455 section 5.3), which is its own inverse.

/// Masks or unmasks in place, eight bytes at a time. `key` is the one for the first of the `bytes`.
pub(crate) fn apply(key: [u8; 4], bytes: &mut [u8]) {
    let [a, b, c, d] = key;
    let key_word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key_word).to_ne_bytes();
    }
    for (byte, key_byte) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key_byte;
    }
}

/// The key for the bytes that begin at this offset of a payload.
pub(crate) fn key_at(mut key: [u8; 4], offset: usize) -> [u8; 4] {
    key.rotate_left(offset % 4);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_is_masked_as_byte_by_byte() {
        let key = [0x12, 0x34, 0x56, 0x78];
        let plain: Vec<u8> = (0..64).collect();
        let masked: Vec<u8> = plain.iter().zip(key.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        for start in 0..plain.len() {
            for end in start..=plain.len() {
                let mut part = plain[start..end].to_vec();
                apply(key_at(key, start), &mut part);
                assert_eq!(part, masked[start..end], "{start}..{end}");
            }
        }
    }
}
