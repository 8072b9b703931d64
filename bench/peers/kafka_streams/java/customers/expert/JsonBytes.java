package customers.expert;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * JSON as UTF-8 into one buffer that is used again. Names of fields come with their punctuation and are copied.
 *
 * <p>Jackson's generator does the same with a context for every object and a look-up for every name; writing documents
 * by hand took less than half of its time, and documents are the largest part of the job.
 */
final class JsonBytes {
    private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);
    /** As many as the longest escape of one character takes. */
    private static final int ESCAPE_MAX = 6;

    private byte[] bytes = new byte[8192];
    private int at;

    /** What always stands so: punctuation and names. */
    static byte[] constant(String json) {
        return json.getBytes(StandardCharsets.US_ASCII);
    }

    void clear() {
        at = 0;
    }

    byte[] toBytes() {
        return Arrays.copyOf(bytes, at);
    }

    void raw(byte[] json) {
        reserve(json.length);
        System.arraycopy(json, 0, bytes, at, json.length);
        at += json.length;
    }

    void raw(char punctuation) {
        reserve(1);
        bytes[at++] = (byte) punctuation;
    }

    /** Take back a comma that nothing follows. */
    void dropComma() {
        if (bytes[at - 1] == ',') {
            at--;
        }
    }

    void number(long number) {
        reserve(20);
        if (number >= 0 && number < 10) {
            bytes[at++] = (byte) ('0' + number);
            return;
        }
        raw(constant(Long.toString(number)));
    }

    void time(long timeUs) {
        reserve(Times.LENGTH_MAX + 2);
        bytes[at++] = '"';
        at = Times.write(timeUs, bytes, at);
        bytes[at++] = '"';
    }

    void day(int day) {
        reserve(12);
        bytes[at++] = '"';
        at = Times.writeDay(day, bytes, at);
        bytes[at++] = '"';
    }

    void text(String text) {
        int length = text.length();
        reserve(ESCAPE_MAX * length + 2);
        byte[] to = bytes;
        int next = at;
        to[next++] = '"';
        for (int place = 0; place < length; place++) {
            char character = text.charAt(place);
            if (character >= 0x80) {
                // All of it anew: surrogates belong together.
                beyondAscii(text);
                return;
            }
            if (character < 0x20 || character == '"' || character == '\\') {
                next = escape(to, next, character);
            } else {
                to[next++] = (byte) character;
            }
        }
        to[next++] = '"';
        at = next;
    }

    private void beyondAscii(String text) {
        byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
        reserve(ESCAPE_MAX * encoded.length + 2);
        bytes[at++] = '"';
        for (byte each : encoded) {
            if (each >= 0 && (each < 0x20 || each == '"' || each == '\\')) {
                at = escape(bytes, at, (char) each);
            } else {
                bytes[at++] = each;
            }
        }
        bytes[at++] = '"';
    }

    private static int escape(byte[] to, int at, char character) {
        to[at] = '\\';
        if (character == '"' || character == '\\') {
            to[at + 1] = (byte) character;
            return at + 2;
        }
        to[at + 1] = 'u';
        to[at + 2] = '0';
        to[at + 3] = '0';
        to[at + 4] = HEX[character >> 4];
        to[at + 5] = HEX[character & 15];
        return at + ESCAPE_MAX;
    }

    private void reserve(int size) {
        if (bytes.length - at < size) {
            bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, at + size));
        }
    }
}
