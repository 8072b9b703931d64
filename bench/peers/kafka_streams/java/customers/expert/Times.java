package customers.expert;

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

    /** Write the time with as many digits of the second as it needs (none, three or six); returns where it ends. */
    static int write(long timeUs, byte[] to, int at) {
        int day = day(timeUs);
        long within = timeUs - day * (SECONDS_PER_DAY * MICROS_PER_SECOND);
        int second = (int) (within / MICROS_PER_SECOND);
        int micros = (int) (within % MICROS_PER_SECOND);
        writeDay(day, to, at);
        to[at + 10] = 'T';
        putTwo(to, at + 11, second / 3600);
        to[at + 13] = ':';
        putTwo(to, at + 14, second / 60 % 60);
        to[at + 16] = ':';
        putTwo(to, at + 17, second % 60);
        int end = at + WHOLE_LENGTH;
        if (micros != 0) {
            to[end] = '.';
            putTwo(to, end + 1, micros / 10_000);
            to[end + 3] = (byte) ('0' + micros / 1000 % 10);
            end += 4;
            if (micros % 1000 != 0) {
                to[end] = (byte) ('0' + micros / 100 % 10);
                putTwo(to, end + 1, micros % 100);
                end += 3;
            }
        }
        to[end] = 'Z';
        return end + 1;
    }

    /** Write the day as {@code 2026-11-22}; returns where it ends. */
    static int writeDay(int day, byte[] to, int at) {
        // Years that begin in March have their leap day at the end; eras of 400 years are alike.
        int shifted = day + 719_468;
        int era = Math.floorDiv(shifted, 146_097);
        int ofEra = shifted - era * 146_097;
        int yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365;
        int ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
        int shiftedMonth = (5 * ofYear + 2) / 153;
        int month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
        int year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
        putTwo(to, at, year / 100);
        putTwo(to, at + 2, year % 100);
        to[at + 4] = '-';
        putTwo(to, at + 5, month);
        to[at + 7] = '-';
        putTwo(to, at + 8, ofYear - (153 * shiftedMonth + 2) / 5 + 1);
        return at + 10;
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

    private static void putTwo(byte[] to, int at, int value) {
        to[at] = (byte) ('0' + value / 10);
        to[at + 1] = (byte) ('0' + value % 10);
    }
}
