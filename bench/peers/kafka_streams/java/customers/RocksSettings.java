package customers;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.Cache;
import org.rocksdb.CompressionType;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;
import org.rocksdb.WriteBufferManager;

/** RocksDB within one bound of memory for all partitions, as the page on memory management has it, and larger buffers. */
public final class RocksSettings implements RocksDBConfigSetter {
    private static final long BLOCKS_SIZE_BYTES = 256L << 20;
    private static final long BUFFERS_SIZE_BYTES = 128L << 20;
    private static final long BUFFER_SIZE_BYTES = 32L << 20;

    // All stores of the process share these, so no store closes them.
    private static final Cache BLOCKS = new LRUCache(BLOCKS_SIZE_BYTES);
    private static final WriteBufferManager BUFFERS = new WriteBufferManager(BUFFERS_SIZE_BYTES, BLOCKS);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configs) {
        BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(BLOCKS);
        table.setCacheIndexAndFilterBlocks(true);
        table.setFilterPolicy(new BloomFilter(10, false));
        options.setTableFormatConfig(table);
        options.setWriteBufferManager(BUFFERS);
        options.setWriteBufferSize(BUFFER_SIZE_BYTES);
        options.setCompressionType(CompressionType.LZ4_COMPRESSION);
    }

    @Override
    public void close(String store, Options options) {
        // The filter is closed with the table's configuration; what is shared stays.
    }
}
