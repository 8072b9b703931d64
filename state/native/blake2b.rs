//! BLAKE2b (RFC 7693), by which copies of an event are known.

const INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];
const ORDERS: [[usize; 16]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const BLOCK_SIZE_BYTES: usize = 128;

/// The digest of the bytes, of `SIZE` bytes, which are at most 64.
pub fn digest<const SIZE: usize>(input: &[u8]) -> [u8; SIZE] {
    let mut state = INITIAL;
    // Neither key nor salt: one tree of depth and fan-out 1.
    state[0] ^= 0x0101_0000 ^ SIZE as u64;
    let mut done: usize = 0;
    while input.len() - done > BLOCK_SIZE_BYTES {
        let mut block = [0; BLOCK_SIZE_BYTES];
        block.copy_from_slice(&input[done..done + BLOCK_SIZE_BYTES]);
        done += BLOCK_SIZE_BYTES;
        compress(&mut state, &block, done as u64, false);
    }
    let mut block = [0; BLOCK_SIZE_BYTES];
    block[..input.len() - done].copy_from_slice(&input[done..]);
    compress(&mut state, &block, input.len() as u64, true);
    let mut digest = [0; SIZE];
    for (part, word) in digest.chunks_mut(8).zip(state) {
        part.copy_from_slice(&word.to_le_bytes()[..part.len()]);
    }
    digest
}

fn compress(state: &mut [u64; 8], block: &[u8; BLOCK_SIZE_BYTES], counted: u64, is_last: bool) {
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(8)) {
        let mut digits = [0; 8];
        digits.copy_from_slice(bytes);
        *word = u64::from_le_bytes(digits);
    }
    let mut work = [0; 16];
    work[..8].copy_from_slice(state);
    work[8..].copy_from_slice(&INITIAL);
    work[12] ^= counted;
    if is_last {
        work[14] = !work[14];
    }
    // Each round by itself: where its order is known to the compiler all of it stays in registers.
    round::<0>(&mut work, &words);
    round::<1>(&mut work, &words);
    round::<2>(&mut work, &words);
    round::<3>(&mut work, &words);
    round::<4>(&mut work, &words);
    round::<5>(&mut work, &words);
    round::<6>(&mut work, &words);
    round::<7>(&mut work, &words);
    round::<8>(&mut work, &words);
    round::<9>(&mut work, &words);
    round::<0>(&mut work, &words);
    round::<1>(&mut work, &words);
    for place in 0..8 {
        state[place] ^= work[place] ^ work[place + 8];
    }
}

#[inline(always)]
fn round<const NUMBER: usize>(work: &mut [u64; 16], words: &[u64; 16]) {
    let order = const { &ORDERS[NUMBER] };
    mix(work, [0, 4, 8, 12], words[order[0]], words[order[1]]);
    mix(work, [1, 5, 9, 13], words[order[2]], words[order[3]]);
    mix(work, [2, 6, 10, 14], words[order[4]], words[order[5]]);
    mix(work, [3, 7, 11, 15], words[order[6]], words[order[7]]);
    mix(work, [0, 5, 10, 15], words[order[8]], words[order[9]]);
    mix(work, [1, 6, 11, 12], words[order[10]], words[order[11]]);
    mix(work, [2, 7, 8, 13], words[order[12]], words[order[13]]);
    mix(work, [3, 4, 9, 14], words[order[14]], words[order[15]]);
}

#[inline(always)]
fn mix(work: &mut [u64; 16], [a, b, c, d]: [usize; 4], one: u64, other: u64) {
    work[a] = work[a].wrapping_add(work[b]).wrapping_add(one);
    work[d] = (work[d] ^ work[a]).rotate_right(32);
    work[c] = work[c].wrapping_add(work[d]);
    work[b] = (work[b] ^ work[c]).rotate_right(24);
    work[a] = work[a].wrapping_add(work[b]).wrapping_add(other);
    work[d] = (work[d] ^ work[a]).rotate_right(16);
    work[c] = work[c].wrapping_add(work[d]);
    work[b] = (work[b] ^ work[c]).rotate_right(63);
}
