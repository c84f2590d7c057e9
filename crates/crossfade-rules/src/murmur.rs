//! MurmurHash3 x86 32: the hash by which every flagd provider assigns users.

use std::fmt;

/// MurmurHash3, x86, 32 bits, of bytes that come piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Murmur3 {
    hash: u32,
    /// Bytes that do not fill a block yet, the first in the lowest place.
    tail: u32,
    length: u32,
}

impl Murmur3 {
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        let held = self.length % 4;
        // The algorithm counts the length modulo 2^32.
        self.length = self.length.wrapping_add(bytes.len() as u32);
        if held > 0 {
            let missing = (4 - held) as usize;
            let (first, rest) = bytes.split_at(missing.min(bytes.len()));
            self.tail |= little_endian(first) << (8 * held);
            if first.len() < missing {
                return;
            }
            self.mix(self.tail);
            bytes = rest;
        }
        let (blocks, rest) = bytes.as_chunks::<4>();
        for block in blocks {
            self.mix(u32::from_le_bytes(*block));
        }
        self.tail = little_endian(rest);
    }

    pub(crate) fn finish(self) -> u32 {
        avalanche(self.hash ^ scramble(self.tail) ^ self.length)
    }

    fn mix(&mut self, block: u32) {
        self.hash ^= scramble(block);
        self.hash = self.hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
}

impl fmt::Write for Murmur3 {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// At most four bytes, the first in the lowest place.
fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |block, byte| (block << 8) | u32::from(*byte))
}

fn scramble(block: u32) -> u32 {
    block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

fn avalanche(mut hash: u32) -> u32 {
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: impl AsRef<[u8]>, seed: u32, expect: u32) {
        let input = input.as_ref();
        for cut in 0..=input.len() {
            for end in [cut, (cut + 1).min(input.len()), input.len()] {
                let mut hasher = Murmur3 { hash: seed, ..Murmur3::default() };
                hasher.write(&input[..cut]);
                hasher.write(&input[cut..end]);
                hasher.write(&input[end..]);
                let hash = hasher.finish();
                assert_eq!(hash, expect, "{hash:#x} is not {expect:#x}, cut at {cut} and {end}");
            }
        }
    }

    #[test]
    fn published_vectors() {
        check("", 0, 0);
        check("", 1, 0x514e_28b7);
        check("", 0xffff_ffff, 0x81f1_6f39);
        check([0xff; 4], 0, 0x7629_3b50);
        check([0x21, 0x43, 0x65, 0x87], 0, 0xf55b_516b);
        check([0x21, 0x43, 0x65, 0x87], 0x5082_edee, 0x2362_f9de);
        check([0x21, 0x43, 0x65], 0, 0x7e4a_8634);
        check([0x21, 0x43], 0, 0xa0f7_b07a);
        check([0x21], 0, 0x7266_1cf4);
        check([0; 4], 0, 0x2362_f9de);
        check([0; 3], 0, 0x85f0_b427);
        check([0; 2], 0, 0x30f4_c306);
        check([0; 1], 0, 0x514e_28b7);
        check("aaaa", 0x9747_b28c, 0x5a97_808a);
        check("aaa", 0x9747_b28c, 0x283e_0130);
        check("aa", 0x9747_b28c, 0x5d21_1726);
        check("a", 0x9747_b28c, 0x7fa0_9ea6);
        check("test", 0, 0xba6b_d213);
        check("Hello, world!", 0, 0xc036_3e43);
        check("The quick brown fox jumps over the lazy dog", 0, 0x2e4f_f723);
        check("ππππππππ", 0x9747_b28c, 0xd580_63c1);
    }

    /// Keys that flagd's conformance suite uses because they hash to the ends and the middle.
    #[test]
    fn keys_at_the_edges() {
        check("ejOoVL", 0, 0);
        check("bY9fO-", 0, 1);
        check("SI7p-", 0, 0x7fff_ffff);
        check("6LvT0", 0, 0x8000_0000);
        check("ceQdGm", 0, 0xffff_ffff);
    }
}
