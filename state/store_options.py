"""RocksDB's settings for a store: one set for its use, one for filling it."""

from typing import Final

from rocksdict import BlockBasedOptions, DBCompressionType, MemtableFactory, Options

from state.store_cache import StoreCache

# One store's share at the most; `state.store_cache` bounds those of all stores together.
WRITE_BUFFER_SIZE_BYTES: Final = 32 * 1024 * 1024
_FILLING_BUFFERS_MAX: Final = 4
# So many new tables, or so many bytes of them, are merged at once; RocksDB's own default.
_USING_FILES_MAX: Final = 4
_USING_SIZE_BYTES_MAX: Final = 256 * 1024 * 1024
# Of a store that is being filled many more, which saves merging the same rows time and again. Whoever uses it next
# merges them beside its work, and no writer is to be slowed down by as many as that.
_FILLING_FILES_MAX: Final = 32
_FILLING_SIZE_BYTES_MAX: Final = 1024 * 1024 * 1024
_SLOWING_FILES: Final = 40
_STOPPING_FILES: Final = 56
# Ten bits a key give one false positive in a hundred; most look-ups of new customers are misses.
_BLOOM_BITS_PER_KEY: Final = 10
_OPEN_FILES_MAX: Final = 256
_LEVELS: Final = 7
# What was just put on disk is merged, and compressed, within moments where much is written: to compress it before takes
# a quarter of what RocksDB's own threads do.
_COMPRESSION: Final = [DBCompressionType.none()] + [DBCompressionType.lz4()] * (_LEVELS - 1)
# RocksDB's own diary, of which two files are kept.
_LOG_SIZE_BYTES_MAX: Final = 1024 * 1024


def _triggers(files: int, size_bytes: int) -> dict[str, str]:
    return {"level0_file_num_compaction_trigger": str(files), "max_bytes_for_level_base": str(size_bytes)}


#: What a store that is open is told before it is filled, and when it is used again.
FILLING_TRIGGERS: Final = _triggers(_FILLING_FILES_MAX, _FILLING_SIZE_BYTES_MAX)
USING_TRIGGERS: Final = _triggers(_USING_FILES_MAX, _USING_SIZE_BYTES_MAX)


def store_options(cache: StoreCache) -> Options:
    """For a store in use."""
    table = BlockBasedOptions()
    table.set_block_cache(cache.blocks)
    table.set_bloom_filter(_BLOOM_BITS_PER_KEY, block_based=False)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(WRITE_BUFFER_SIZE_BYTES)
    options.set_write_buffer_manager(cache.write_buffers)
    options.set_max_open_files(_OPEN_FILES_MAX)
    options.set_num_levels(_LEVELS)
    options.set_compression_per_level(_COMPRESSION)
    options.set_level_zero_file_num_compaction_trigger(_USING_FILES_MAX)
    options.set_max_bytes_for_level_base(_USING_SIZE_BYTES_MAX)
    options.set_level_zero_slowdown_writes_trigger(_SLOWING_FILES)
    options.set_level_zero_stop_writes_trigger(_STOPPING_FILES)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(_LOG_SIZE_BYTES_MAX)
    options.set_stats_dump_period_sec(0)
    return options


def filling_options(cache: StoreCache) -> Options:
    """For many rows that nobody reads meanwhile: they are sorted once, by the thread that puts them on disk.

    Sorted one by one as they come they cost the writing thread three times as much, which holds Python's lock.
    """
    options = store_options(cache)
    options.set_memtable_factory(MemtableFactory.vector())
    options.set_allow_concurrent_memtable_write(False)
    # While one is sorted and written the next ones fill.
    options.set_max_write_buffer_number(_FILLING_BUFFERS_MAX)
    options.set_level_zero_file_num_compaction_trigger(_FILLING_FILES_MAX)
    options.set_max_bytes_for_level_base(_FILLING_SIZE_BYTES_MAX)
    return options
