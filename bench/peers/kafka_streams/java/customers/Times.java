package customers;

import java.nio.charset.StandardCharsets;

/** Times as microseconds since 1970 (UTC), and their RFC 3339 text; the civil calendar by whole-number arithmetic. */
final class Times {
    private static final long MICROS_PER_SECOND = 1_000_000L;
    private static final int SECONDS_PER_DAY = 86_400;
    /** The length of {@code 2026-11-22T10:00:00}. */
    private static final int WHOLE_LENGTH = 19;
    /** The longest text that {@link #write} gives. */
    static final int LENGTH_MAX = 27;

    private Times() {
    }

    /** Microseconds of a time such as {@code 2026-11-22T10:00:00.123456Z}; finer digits are cut. */
    static long parse(String text) {
        int length = text.length();
        if (length <= WHOLE_LENGTH || text.charAt(length - 1) != 'Z' || text.charAt(10) != 'T') {
            throw new IllegalArgumentException("no time such as 2026-11-22T10:00:00Z: " + text);
        }
        long day = dayOf(digits(text, 0, 4), digits(text, 5, 7), digits(text, 8, 10));
        int second = digits(text, 11, 13) * 3600 + digits(text, 14, 16) * 60 + digits(text, 17, 19);
        int micros = 0;
        for (int place = WHOLE_LENGTH + 1, scale = 100_000; place < length - 1 && scale > 0; place++, scale /= 10) {
            micros += (text.charAt(place) - '0') * scale;
        }
        return (day * SECONDS_PER_DAY + second) * MICROS_PER_SECOND + micros;
    }

    /** Whole days since 1970. */
    static int day(long timeUs) {
        return (int) Math.floorDiv(timeUs, SECONDS_PER_DAY * MICROS_PER_SECOND);
    }

    /** Write the time with as many digits of the second as it needs (none, three or six); returns the length. */
    static int write(long timeUs, byte[] to) {
        int day = day(timeUs);
        long within = timeUs - day * (SECONDS_PER_DAY * MICROS_PER_SECOND);
        int second = (int) (within / MICROS_PER_SECOND);
        int micros = (int) (within % MICROS_PER_SECOND);
        writeDay(day, to);
        to[10] = 'T';
        put(to, 11, second / 3600, 2);
        to[13] = ':';
        put(to, 14, second / 60 % 60, 2);
        to[16] = ':';
        put(to, 17, second % 60, 2);
        int end = WHOLE_LENGTH;
        if (micros != 0) {
            to[end++] = '.';
            int count = micros % 1000 == 0 ? 3 : 6;
            put(to, end, count == 3 ? micros / 1000 : micros, count);
            end += count;
        }
        to[end] = 'Z';
        return end + 1;
    }

    private static void writeDay(int day, byte[] to) {
        // Years that begin in March have their leap day at the end; eras of 400 years are alike.
        int shifted = day + 719_468;
        int era = Math.floorDiv(shifted, 146_097);
        int ofEra = shifted - era * 146_097;
        int yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365;
        int ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
        int shiftedMonth = (5 * ofYear + 2) / 153;
        int month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
        put(to, 0, yearOfEra + era * 400 + (month <= 2 ? 1 : 0), 4);
        to[4] = '-';
        put(to, 5, month, 2);
        to[7] = '-';
        put(to, 8, ofYear - (153 * shiftedMonth + 2) / 5 + 1, 2);
    }

    /** The day as {@code 2026-11-22}. */
    static String dayText(int day) {
        byte[] text = new byte[10];
        writeDay(day, text);
        return new String(text, StandardCharsets.US_ASCII);
    }

    private static long dayOf(int year, int month, int day) {
        int shifted = month <= 2 ? year - 1 : year;
        int era = Math.floorDiv(shifted, 400);
        int yearOfEra = shifted - era * 400;
        int ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
        return era * 146_097L + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + ofYear - 719_468;
    }

    private static int digits(String text, int from, int to) {
        int value = 0;
        for (int place = from; place < to; place++) {
            value = value * 10 + text.charAt(place) - '0';
        }
        return value;
    }

    private static void put(byte[] to, int at, int value, int count) {
        for (int place = at + count - 1; place >= at; place--) {
            to[place] = (byte) ('0' + value % 10);
            value /= 10;
        }
    }
}
