//! XXH64 with the seed 0: a checksum that every processor is quick at.

const PRIMES: [u64; 5] =
    [0x9e37_79b1_85eb_ca87, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0x85eb_ca77_c2b2_ae63, 0x27d4_eb2f_1656_67c5];

/// Of the bytes.
pub fn checksum(bytes: &[u8]) -> u64 {
    let stripes = bytes.chunks_exact(32);
    let mut rest = stripes.remainder();
    let mut state = if bytes.len() < 32 {
        PRIMES[4]
    } else {
        let mut lanes = [PRIMES[0].wrapping_add(PRIMES[1]), PRIMES[1], 0, PRIMES[0].wrapping_neg()];
        for stripe in stripes {
            for (lane, word) in lanes.iter_mut().zip(stripe.chunks_exact(8)) {
                *lane = mixed(*lane, number(word));
            }
        }
        let together =
            [1, 7, 12, 18].iter().zip(lanes).fold(0_u64, |all, (turn, lane)| all.wrapping_add(lane.rotate_left(*turn)));
        lanes.iter().fold(together, |all, lane| (all ^ mixed(0, *lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]))
    };
    state = state.wrapping_add(bytes.len() as u64);
    while rest.len() >= 8 {
        let (word, left) = rest.split_at(8);
        state = (state ^ mixed(0, number(word))).rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
        rest = left;
    }
    if rest.len() >= 4 {
        let (word, left) = rest.split_at(4);
        state = (state ^ number(word).wrapping_mul(PRIMES[0]))
            .rotate_left(23)
            .wrapping_mul(PRIMES[1])
            .wrapping_add(PRIMES[2]);
        rest = left;
    }
    for byte in rest {
        state = (state ^ u64::from(*byte).wrapping_mul(PRIMES[4])).rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    state = (state ^ (state >> 33)).wrapping_mul(PRIMES[1]);
    state = (state ^ (state >> 29)).wrapping_mul(PRIMES[2]);
    state ^ (state >> 32)
}

fn mixed(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIMES[1])).rotate_left(31).wrapping_mul(PRIMES[0])
}

/// Low byte first.
fn number(word: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..word.len()].copy_from_slice(word);
    u64::from_le_bytes(bytes)
}
