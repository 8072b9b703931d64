//! The filter of a table: which keys are surely not in it. RocksDB's full Bloom filter, in its first and simplest form.

const BITS_PER_KEY: usize = 10;
// Of ten bits a key so many set bits let the fewest pass that are not there.
const PROBES: u8 = 6;
const LINE_SIZE_BYTES: usize = 64;
const LINE_BITS: u32 = 9;
const SEED: u32 = 0xbc9f_1d34;
const MULTIPLIER: u32 = 0xc6a4_a793;

/// The filter of keys that were hashed by `hashed`, as it lies in a table.
pub fn filter(hashes: &[u32]) -> Vec<u8> {
    // Odd, so that the line depends on more of a hash than its lowest bits.
    let lines = (hashes.len() * BITS_PER_KEY).div_ceil(LINE_SIZE_BYTES * 8) | 1;
    let mut bits = vec![0_u8; lines * LINE_SIZE_BYTES];
    for hash in hashes {
        let line = (*hash as usize % lines) * LINE_SIZE_BYTES;
        let (mut probe, step) = (*hash, hash.rotate_right(17));
        for _ in 0..PROBES {
            let bit = probe & ((1 << LINE_BITS) - 1);
            bits[line + (bit / 8) as usize] |= 1 << (bit % 8);
            probe = probe.wrapping_add(step);
        }
    }
    bits.push(PROBES);
    bits.extend((lines as u32).to_le_bytes());
    bits
}

/// Of a key.
pub fn hashed(key: &[u8]) -> u32 {
    let mut hash = SEED ^ (key.len() as u32).wrapping_mul(MULTIPLIER);
    let words = key.chunks_exact(4);
    let rest = words.remainder();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes([word[0], word[1], word[2], word[3]])).wrapping_mul(MULTIPLIER);
        hash ^= hash >> 16;
    }
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            // Bytes count as signed.
            hash = hash.wrapping_add((*byte as i8 as u32) << (8 * place));
        }
        hash = hash.wrapping_mul(MULTIPLIER);
        hash ^= hash >> 24;
    }
    hash
}
