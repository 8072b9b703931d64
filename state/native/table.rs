//! A table of rows on disk, as RocksDB reads and takes in ("ingests") one: block based, format 5, nothing compressed.
//!
//! A store that is filled from its topic gets tables that are written here. RocksDB would copy each row through a batch,
//! a table in memory and a block, in threads that run beside, and Python's lock would be held for the first half of it.
//! What RocksDB merges later it compresses as all of its tables. `tests/state/native/test_table.py` reads back what is
//! written here by RocksDB itself.

use std::fs::File;
use std::io::{Error, ErrorKind, Result, Write};
use std::path::Path;

use crate::msgpack::Reader;
use crate::refusal::{demand, Read};
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
struct Row<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// Where a block lies, without its checksum.
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
/// A batch is an array of MessagePack with two arrays in it: keys, and the value of each, nil where it is deleted. Keys
/// may come in any order; where one comes again, what came last counts.
pub fn write(path: &Path, batches: &[&[u8]]) -> Result<()> {
    let rows = sorted(batches).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    if rows.is_empty() {
        return Err(Error::from(ErrorKind::InvalidInput));
    }
    let file = File::create_new(path)?;
    // A block may go past it by a row, which is a record of Kafka at the most.
    let mut table = Table { file, pending: Vec::with_capacity(2 * WRITE_SIZE_BYTES), written: 0 };
    table.write(&rows)?;
    table.file.sync_data()
}

/// A file, and what goes there next: blocks are made where they are written from.
struct Table {
    file: File,
    pending: Vec<u8>,
    written: u64,
}

impl Table {
    /// 1. Rows in blocks. 2. The filter. 3. Where each block begins. 4. What the table says of itself. 5. Where all is.
    fn write(&mut self, rows: &[Row]) -> Result<()> {
        // 1. Rows.
        let (mut index, mut places) = (Block::new(1), Vec::new());
        let mut block = Block::new(RESTART_INTERVAL);
        let (mut blocks, mut hashes) = (0, Vec::with_capacity(rows.len()));
        let mut size_bytes = 0;
        for (number, row) in rows.iter().enumerate() {
            let kind = if row.value.is_some() { &PUT } else { &DELETED };
            let before = self.pending.len();
            block.add(&mut self.pending, row.key, kind, row.value.unwrap_or_default());
            hashes.push(table_filter::hashed(row.key));
            size_bytes += self.pending.len() - before;
            if size_bytes >= BLOCK_SIZE_BYTES || number + 1 == rows.len() {
                let start = block.finish(&mut self.pending);
                index.add(&mut places, row.key, &[], &self.end_block(start)?.encoded());
                blocks += 1;
                size_bytes = 0;
            }
        }
        let data_size = self.written + self.pending.len() as u64;
        // 2. The filter.
        let filter = self.block(&table_filter::filter(&hashes))?;
        // 3. The index.
        index.finish(&mut places);
        let index = self.block(&places)?;
        // 4. Properties.
        let properties = self.block(&properties(rows, blocks, data_size, &index, &filter))?;
        let (mut names, mut named) = (Block::new(1), Vec::new());
        names.add(&mut named, FILTER_NAME, &[], &filter.encoded());
        names.add(&mut named, PROPERTIES_NAME, &[], &properties.encoded());
        names.finish(&mut named);
        let names = self.block(&named)?;
        // 5. The end.
        let mut handles = [names.encoded(), index.encoded()].concat();
        handles.resize(HANDLES_SIZE_BYTES, 0);
        self.pending.push(CHECKSUM_XXH64);
        self.pending.extend(handles);
        self.pending.extend(FORMAT_VERSION.to_le_bytes());
        self.pending.extend(MAGIC.to_le_bytes());
        self.file.write_all(&self.pending)
    }

    fn block(&mut self, bytes: &[u8]) -> Result<Handle> {
        let start = self.pending.len();
        self.pending.extend_from_slice(bytes);
        self.end_block(start)
    }

    /// Add to the block that begins there what RocksDB keeps behind each one.
    fn end_block(&mut self, start: usize) -> Result<Handle> {
        let size = (self.pending.len() - start) as u64;
        let handle = Handle { offset: self.written + start as u64, size };
        self.pending.push(UNCOMPRESSED);
        let checksum = xxh64::checksum(&self.pending[start..]) as u32;
        self.pending.extend(checksum.to_le_bytes());
        if self.pending.len() >= WRITE_SIZE_BYTES {
            self.file.write_all(&self.pending)?;
            self.written += self.pending.len() as u64;
            self.pending.clear();
        }
        Ok(handle)
    }
}

/// What RocksDB wants to know of a table that it takes in; in the order of the names.
fn properties(rows: &[Row], blocks: u64, data_size: u64, index: &Handle, filter: &Handle) -> Vec<u8> {
    let numeral = |value: u64| {
        let mut bytes = Vec::new();
        number(&mut bytes, value);
        bytes
    };
    let deleted = rows.iter().filter(|row| row.value.is_none()).count() as u64;
    let keys_size: usize = rows.iter().map(|row| row.key.len() + PUT.len()).sum();
    let values_size: usize = rows.iter().filter_map(|row| row.value).map(<[u8]>::len).sum();
    let (mut block, mut bytes) = (Block::new(1), Vec::new());
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
        block.add(&mut bytes, name.as_bytes(), &[], &value);
    }
    block.finish(&mut bytes);
    bytes
}

/// Each key once, in their order.
fn sorted<'a>(batches: &[&'a [u8]]) -> Read<Vec<Row<'a>>> {
    let mut found = Vec::new();
    for batch in batches {
        add(&mut found, Reader::new(batch))?;
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
    Ok(sorted)
}

/// Add the rows of a batch, each with what its key begins with: most keys differ in that, so nobody looks where they lie.
fn add<'a>(found: &mut Vec<(u64, Row<'a>)>, mut batch: Reader<'a>) -> Read<()> {
    batch.array_of(2)?;
    let (first, count) = (found.len(), batch.array()?);
    for _ in 0..count {
        let key = batch.bytes()?;
        let mut begin = [0; 8];
        let length = key.len().min(8);
        begin[..length].copy_from_slice(&key[..length]);
        found.push((u64::from_be_bytes(begin), Row { key, value: None }));
    }
    batch.array_of(count)?;
    for (_, row) in &mut found[first..] {
        if batch.is_nil() {
            batch.nil()?;
        } else {
            row.value = Some(batch.bytes()?);
        }
    }
    demand(batch.is_done())
}
