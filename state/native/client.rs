//! Records of answers as the Kafka client takes many at once: an array of librdkafka's `rd_kafka_message_t`.

use crate::input::{write_size, Input};
use crate::refusal::{demand, Read, Refusal};

/// Of one message on a machine of 64 bits: the error, the topic's handle, the partition, value and key each with its
/// size, the offset and what is the caller's, as `rdkafka.h` has them.
const MESSAGE_SIZE_BYTES: usize = 72;
const PARTITION_PLACE: usize = 16;
const VALUE_PLACE: usize = 24;
const VALUE_SIZE_PLACE: usize = 32;
const KEY_PLACE: usize = 40;
const KEY_SIZE_PLACE: usize = 48;

/// What a record takes in a batch beside its key and its value; and no batch has more than some ten thousand.
const RECORD_SIZE_BYTES_MAX: usize = 128;

struct Marked {
    number: usize,
    partition: u32,
    key: (usize, usize),
    value: (usize, usize),
}

/// The messages of all marked records in the order of their numbers. An empty value is a tombstone: none.
///
/// The request has the number of partitions, or 0 and the one partition of all, how large a batch may be, and for each
/// answer how many marks follow and what their numbers begin at; a mark is the number of what a record came of, and where
/// its key, its value and their end are in that answer. After the messages there is how many of them fit into one batch
/// of each partition, and so on for those that follow.
pub fn messages(answers: &[&[u8]], request: &[u8]) -> Read<Vec<u8>> {
    let mut input = Input::new(request);
    let (partitions, one, batch_size) = (number(&mut input)?, number(&mut input)?, input.size()?);
    let mut found = Vec::new();
    for answer in answers {
        let (count, first) = (input.size()?, input.size()?);
        found.reserve(count.min(request.len()));
        for _ in 0..count {
            let (number, start, middle, end) = (input.size()?, input.size()?, input.size()?, input.size()?);
            demand(start <= middle && middle <= end && end <= answer.len())?;
            found.push(Marked {
                number: first + number,
                partition: if partitions == 0 { one } else { crc32(&answer[start..middle]) % partitions },
                key: (answer[start..].as_ptr() as usize, middle - start),
                value: (if middle == end { 0 } else { answer[middle..].as_ptr() as usize }, end - middle),
            });
        }
    }
    demand(input.is_done())?;
    found.sort_by_key(|marked| marked.number);
    let mut made = vec![0; found.len() * MESSAGE_SIZE_BYTES];
    for (message, marked) in made.chunks_exact_mut(MESSAGE_SIZE_BYTES).zip(&found) {
        put(message, PARTITION_PLACE, &marked.partition.to_ne_bytes());
        put(message, VALUE_PLACE, &marked.value.0.to_ne_bytes());
        put(message, VALUE_SIZE_PLACE, &marked.value.1.to_ne_bytes());
        put(message, KEY_PLACE, &marked.key.0.to_ne_bytes());
        put(message, KEY_SIZE_PLACE, &marked.key.1.to_ne_bytes());
    }
    for count in batches(&found, batch_size) {
        write_size(&mut made, count)?;
    }
    Ok(made)
}

/// How many messages, one after the other, make no partition's batch too large.
fn batches(found: &[Marked], batch_size: usize) -> Vec<usize> {
    // By partition: partitions are few, and records without end.
    let mut filled: Vec<(u32, usize)> = Vec::new();
    let (mut counts, mut count) = (Vec::new(), 0);
    for marked in found {
        let size = marked.key.1 + marked.value.1 + RECORD_SIZE_BYTES_MAX;
        let place = filled.iter().position(|(partition, _)| *partition == marked.partition);
        let before = place.map_or(0, |place| filled[place].1);
        count += 1;
        match place {
            Some(_) if before > 0 && before + size > batch_size => {
                counts.push(count - 1);
                count = 1;
                filled.clear();
                filled.push((marked.partition, size));
            }
            Some(place) => filled[place].1 += size,
            None => filled.push((marked.partition, size)),
        }
    }
    counts.push(count);
    counts
}

fn number(input: &mut Input) -> Read<u32> {
    u32::try_from(input.size()?).map_err(|_| Refusal)
}

fn put(message: &mut [u8], place: usize, bytes: &[u8]) {
    message[place..place + bytes.len()].copy_from_slice(bytes);
}

/// Bytes of a key that are looked up side by side: one after the other each would wait for the one before.
const CRC_BYTES: usize = 8;

/// As zlib has it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    let mut words = bytes.chunks_exact(CRC_BYTES);
    for word in &mut words {
        let mut mixed = 0;
        for (place, byte) in word.iter().enumerate() {
            let before = if place < 4 { (crc >> (8 * place)) as u8 } else { 0 };
            mixed ^= CRC_TABLES[CRC_BYTES - 1 - place][usize::from(byte ^ before)];
        }
        crc = mixed;
    }
    !words.remainder().iter().fold(crc, |crc, byte| (crc >> 8) ^ CRC_TABLES[0][usize::from(crc as u8 ^ byte)])
}

/// What becomes of a byte that so many others follow.
static CRC_TABLES: [[u32; 256]; CRC_BYTES] = crc_tables();

const fn crc_tables() -> [[u32; 256]; CRC_BYTES] {
    let mut tables = [crc_table(); CRC_BYTES];
    let mut place = 1;
    while place < CRC_BYTES {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[place - 1][byte];
            tables[place][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        place += 1;
    }
    tables
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut number = 0;
    while number < 256 {
        let mut crc = number as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[number] = crc;
        number += 1;
    }
    table
}
