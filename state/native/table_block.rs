//! A block of a table: rows in the order of their keys, of which each leaves out what it begins with as the one before.

/// A block that is being made.
pub struct Block {
    pub bytes: Vec<u8>,
    last_key: Vec<u8>,
    restarts: Vec<u32>,
    since_restart: usize,
    restart_interval: usize,
}

impl Block {
    /// Of which every so manieth key is whole, so that a reader can begin there.
    pub fn new(restart_interval: usize) -> Self {
        Block { bytes: Vec::new(), last_key: Vec::new(), restarts: Vec::new(), since_restart: 0, restart_interval }
    }

    pub fn is_empty(&self) -> bool {
        self.restarts.is_empty()
    }

    /// Add a row; its key is greater than that of the one before.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        let shared = if self.restarts.is_empty() || self.since_restart == self.restart_interval {
            self.restarts.push(self.bytes.len() as u32);
            self.since_restart = 0;
            0
        } else {
            key.iter().zip(&self.last_key).take_while(|(one, other)| one == other).count()
        };
        self.since_restart += 1;
        for size in [shared, key.len() - shared, value.len()] {
            number(&mut self.bytes, size as u64);
        }
        self.bytes.extend_from_slice(&key[shared..]);
        self.bytes.extend_from_slice(value);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
    }

    /// End it: where to begin is said at the end.
    pub fn finish(&mut self) {
        if self.restarts.is_empty() {
            self.restarts.push(0);
        }
        for restart in &self.restarts {
            self.bytes.extend(restart.to_le_bytes());
        }
        self.bytes.extend((self.restarts.len() as u32).to_le_bytes());
    }

    /// Make it empty again, for the next one.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.restarts.clear();
        self.since_restart = 0;
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
