//! A block of a table: rows in the order of their keys, of which each leaves out what it begins with as the one before.

/// What is known of a block while its rows are written, one after the other, to the end of some bytes.
pub struct Block {
    /// Where in those bytes it begins.
    start: usize,
    last_key: Vec<u8>,
    restarts: Vec<u32>,
    since_restart: usize,
    restart_interval: usize,
}

impl Block {
    /// Of which every so manieth key is whole, so that a reader can begin there.
    pub fn new(restart_interval: usize) -> Self {
        Block { start: 0, last_key: Vec::new(), restarts: Vec::new(), since_restart: 0, restart_interval }
    }

    pub fn is_empty(&self) -> bool {
        self.restarts.is_empty()
    }

    /// Add a row; its key, which comes in two pieces, is greater than that of the one before.
    pub fn add(&mut self, out: &mut Vec<u8>, key: &[u8], rest_of_key: &[u8], value: &[u8]) {
        if self.is_empty() {
            self.start = out.len();
        }
        let mut shared = 0;
        if self.is_empty() || self.since_restart == self.restart_interval {
            self.restarts.push((out.len() - self.start) as u32);
            self.since_restart = 0;
        } else {
            shared = key.iter().zip(&self.last_key).take_while(|(one, other)| one == other).count();
        }
        self.since_restart += 1;
        for size in [shared, key.len() - shared + rest_of_key.len(), value.len()] {
            number(out, size as u64);
        }
        out.extend_from_slice(&key[shared..]);
        out.extend_from_slice(rest_of_key);
        out.extend_from_slice(value);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
    }

    /// End it, where to begin being said at the end, and be ready for the next one; gives where it began.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> usize {
        for restart in &self.restarts {
            out.extend(restart.to_le_bytes());
        }
        out.extend((self.restarts.len() as u32).to_le_bytes());
        self.restarts.clear();
        self.since_restart = 0;
        self.start
    }
}

/// Add a number, seven bits a byte, the lowest first.
pub fn number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
