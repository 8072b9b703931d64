//! A table of rows on disk, as RocksDB reads and takes in ("ingests") one: block based, format 5, nothing compressed.
//!
//! A store that is filled from its topic gets tables that are written here. RocksDB would copy each row through a batch,
//! a table in memory and a block, in threads that run beside, and Python's lock would be held for the first half of it.
//! What RocksDB merges later it compresses as all of its tables. `tests/state/native/test_table.py` reads back what is
//! written here by RocksDB itself.

use std::fs::File;
use std::io::{BufWriter, Error, ErrorKind, Result, Write};
use std::path::Path;

use crate::table_block::{number, Block};
use crate::table_filter;
use crate::xxh64;

// RocksDB's own default: what one look-up reads from disk.
const BLOCK_SIZE_BYTES: usize = 4 * 1024;
const RESTART_INTERVAL: usize = 16;
const WRITE_SIZE_BYTES: usize = 256 * 1024;
const FORMAT_VERSION: u32 = 5;
const MAGIC: u64 = 0x88e2_41b7_85f4_cff7;
const UNCOMPRESSED: u8 = 0;
const CHECKSUM_XXH64: u8 = 3;
const HANDLES_SIZE_BYTES: usize = 40;
// What follows a key in a table. Its number in the store's order of writes is given when the table is taken in.
const PUT: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];
const DELETED: [u8; 8] = [0; 8];
const FILTER_NAME: &[u8] = b"fullfilter.rocksdb.BuiltinBloomFilter";
const PROPERTIES_NAME: &[u8] = b"rocksdb.properties";
/// The size of a value that deletes its key.
const NO_VALUE: u32 = u32::MAX;

/// Rows as they come from Python: keys and values each in one piece, and their sizes as 32-bit numbers, low byte first.
pub struct Batch<'a> {
    pub keys: &'a [u8],
    pub key_sizes: &'a [u8],
    pub values: &'a [u8],
    pub value_sizes: &'a [u8],
}

struct Row<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// Where a block lies, without its checksum.
#[derive(Default)]
struct Handle {
    offset: u64,
    size: u64,
}

impl Handle {
    fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        number(&mut bytes, self.offset);
        number(&mut bytes, self.size);
        bytes
    }
}

/// Write the rows of some batches, at least one row, and see that they are on the disk.
///
/// Keys may come in any order; where one comes again, what came last counts.
pub fn write(path: &Path, batches: &[Batch]) -> Result<()> {
    let sorted = sorted(batches).ok_or_else(|| Error::from(ErrorKind::InvalidInput))?;
    let file = File::create_new(path)?;
    let mut table = Table { file: BufWriter::with_capacity(WRITE_SIZE_BYTES, file), offset: 0 };
    table.write(&sorted)?;
    table.file.into_inner()?.sync_data()
}

struct Table {
    file: BufWriter<File>,
    offset: u64,
}

impl Table {
    /// 1. Rows in blocks. 2. The filter. 3. Where each block begins. 4. What the table says of itself. 5. Where all is.
    fn write(&mut self, rows: &[Row]) -> Result<()> {
        // 1. Rows.
        let (mut index, mut block) = (Block::new(1), Block::new(RESTART_INTERVAL));
        let (mut blocks, mut key, mut hashes) = (0, Vec::new(), Vec::with_capacity(rows.len()));
        for row in rows {
            key.clear();
            key.extend_from_slice(row.key);
            key.extend(if row.value.is_some() { PUT } else { DELETED });
            block.add(&key, row.value.unwrap_or_default());
            hashes.push(table_filter::hashed(row.key));
            if block.bytes.len() >= BLOCK_SIZE_BYTES {
                index.add(row.key, &self.block(&mut block)?.encoded());
                blocks += 1;
            }
        }
        if let (false, Some(last)) = (block.is_empty(), rows.last()) {
            index.add(last.key, &self.block(&mut block)?.encoded());
            blocks += 1;
        }
        let data_size = self.offset;
        // 2. The filter.
        let filter = self.raw(&mut table_filter::filter(&hashes))?;
        // 3. The index.
        let index = self.block(&mut index)?;
        // 4. Properties.
        let properties = self.block(&mut properties(rows, blocks, data_size, &index, &filter))?;
        let mut names = Block::new(1);
        names.add(FILTER_NAME, &filter.encoded());
        names.add(PROPERTIES_NAME, &properties.encoded());
        let names = self.block(&mut names)?;
        // 5. The end.
        let mut handles = [names.encoded(), index.encoded()].concat();
        handles.resize(HANDLES_SIZE_BYTES, 0);
        self.file.write_all(&[CHECKSUM_XXH64])?;
        self.file.write_all(&handles)?;
        self.file.write_all(&FORMAT_VERSION.to_le_bytes())?;
        self.file.write_all(&MAGIC.to_le_bytes())
    }

    fn block(&mut self, block: &mut Block) -> Result<Handle> {
        block.finish();
        let handle = self.raw(&mut block.bytes);
        block.clear();
        handle
    }

    fn raw(&mut self, bytes: &mut Vec<u8>) -> Result<Handle> {
        let handle = Handle { offset: self.offset, size: bytes.len() as u64 };
        bytes.push(UNCOMPRESSED);
        let checksum = xxh64::checksum(bytes) as u32;
        bytes.extend(checksum.to_le_bytes());
        self.file.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(handle)
    }
}

/// What RocksDB wants to know of a table that it takes in; in the order of the names.
fn properties(rows: &[Row], blocks: u64, data_size: u64, index: &Handle, filter: &Handle) -> Block {
    let numeral = |value: u64| {
        let mut bytes = Vec::new();
        number(&mut bytes, value);
        bytes
    };
    let deleted = rows.iter().filter(|row| row.value.is_none()).count() as u64;
    let keys_size: usize = rows.iter().map(|row| row.key.len() + PUT.len()).sum();
    let values_size: usize = rows.iter().filter_map(|row| row.value).map(<[u8]>::len).sum();
    let mut block = Block::new(1);
    for (name, value) in [
        ("rocksdb.block.based.table.index.type", vec![0; 4]),
        ("rocksdb.block.based.table.prefix.filtering", b"0".to_vec()),
        ("rocksdb.block.based.table.whole.key.filtering", b"1".to_vec()),
        ("rocksdb.comparator", b"leveldb.BytewiseComparator".to_vec()),
        ("rocksdb.compression", b"NoCompression".to_vec()),
        ("rocksdb.data.size", numeral(data_size)),
        ("rocksdb.deleted.keys", numeral(deleted)),
        ("rocksdb.external_sst_file.global_seqno", vec![0; 8]),
        ("rocksdb.external_sst_file.version", 2_u32.to_le_bytes().to_vec()),
        ("rocksdb.filter.policy", b"bloomfilter".to_vec()),
        ("rocksdb.filter.size", numeral(filter.size)),
        ("rocksdb.format.version", numeral(u64::from(FORMAT_VERSION))),
        ("rocksdb.index.key.is.user.key", numeral(1)),
        ("rocksdb.index.size", numeral(index.size)),
        ("rocksdb.index.value.is.delta.encoded", numeral(0)),
        ("rocksdb.key.largest.seqno", numeral(0)),
        ("rocksdb.merge.operands", numeral(0)),
        ("rocksdb.num.data.blocks", numeral(blocks)),
        ("rocksdb.num.entries", numeral(rows.len() as u64)),
        ("rocksdb.num.filter_entries", numeral(rows.len() as u64)),
        ("rocksdb.num.range-deletions", numeral(0)),
        ("rocksdb.raw.key.size", numeral(keys_size as u64)),
        ("rocksdb.raw.value.size", numeral(values_size as u64)),
    ] {
        block.add(name.as_bytes(), &value);
    }
    block
}

/// Each key once, in their order; None where the sizes of a batch do not add up, or there is no row.
fn sorted<'a>(batches: &[Batch<'a>]) -> Option<Vec<Row<'a>>> {
    let mut found = Vec::new();
    for batch in batches {
        add(&mut found, batch)?;
    }
    // Stable: of rows with the same key, what came last stays last.
    found.sort_by(|(one, row), (other, next)| one.cmp(other).then_with(|| row.key.cmp(next.key)));
    let mut sorted: Vec<Row> = Vec::with_capacity(found.len());
    for (_, row) in found {
        match sorted.last_mut() {
            Some(last) if last.key == row.key => *last = row,
            _ => sorted.push(row),
        }
    }
    (!sorted.is_empty()).then_some(sorted)
}

/// Add the rows of a batch, each with what its key begins with: most keys differ in that, so nobody looks where they lie.
fn add<'a>(found: &mut Vec<(u64, Row<'a>)>, batch: &Batch<'a>) -> Option<()> {
    let (mut keys, mut values) = (batch.keys, batch.values);
    if batch.key_sizes.len() != batch.value_sizes.len() || batch.key_sizes.len() % 4 != 0 {
        return None;
    }
    for (key_size, value_size) in batch.key_sizes.chunks_exact(4).zip(batch.value_sizes.chunks_exact(4)) {
        let key = taken(&mut keys, u32::from_le_bytes(key_size.try_into().ok()?))?;
        let value_size = u32::from_le_bytes(value_size.try_into().ok()?);
        let value = if value_size == NO_VALUE { None } else { Some(taken(&mut values, value_size)?) };
        let mut begin = [0; 8];
        let length = key.len().min(8);
        begin[..length].copy_from_slice(&key[..length]);
        found.push((u64::from_be_bytes(begin), Row { key, value }));
    }
    (keys.is_empty() && values.is_empty()).then_some(())
}

fn taken<'a>(bytes: &mut &'a [u8], size: u32) -> Option<&'a [u8]> {
    let (taken, left) = bytes.split_at_checked(size as usize)?;
    *bytes = left;
    Some(taken)
}
