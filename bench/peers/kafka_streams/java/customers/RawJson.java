package customers;

import com.fasterxml.jackson.core.SerializableString;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** JSON that is there already as UTF-8: Jackson's generator copies it. */
final class RawJson implements SerializableString {
    private final byte[] json;

    RawJson(byte[] json) {
        this.json = json;
    }

    @Override
    public String getValue() {
        return new String(json, StandardCharsets.UTF_8);
    }

    @Override
    public int charLength() {
        return getValue().length();
    }

    @Override
    public byte[] asUnquotedUTF8() {
        return json;
    }

    @Override
    public int appendUnquotedUTF8(byte[] buffer, int offset) {
        if (offset + json.length > buffer.length) {
            // The generator then writes the bytes past its buffer.
            return -1;
        }
        System.arraycopy(json, 0, buffer, offset, json.length);
        return json.length;
    }

    @Override
    public int writeUnquotedUTF8(OutputStream out) throws IOException {
        out.write(json);
        return json.length;
    }

    @Override
    public char[] asQuotedChars() {
        throw unquoted();
    }

    @Override
    public byte[] asQuotedUTF8() {
        throw unquoted();
    }

    @Override
    public int appendQuotedUTF8(byte[] buffer, int offset) {
        throw unquoted();
    }

    @Override
    public int appendQuoted(char[] buffer, int offset) {
        throw unquoted();
    }

    @Override
    public int appendUnquoted(char[] buffer, int offset) {
        throw unquoted();
    }

    @Override
    public int writeQuotedUTF8(OutputStream out) {
        throw unquoted();
    }

    @Override
    public int putQuotedUTF8(ByteBuffer buffer) {
        throw unquoted();
    }

    @Override
    public int putUnquotedUTF8(ByteBuffer buffer) {
        throw unquoted();
    }

    private static UnsupportedOperationException unquoted() {
        return new UnsupportedOperationException("raw JSON is copied into UTF-8 output only");
    }
}
