package customers.usual;

/** Times as they come, RFC 3339 in UTC with any digits of the second: {@code 2026-11-22T10:00:00.125Z}. */
final class Times {
    private static final int DAY_LENGTH = 10;
    private static final int SECOND_LENGTH = 19;

    private Times() {
    }

    /** Which is the later; digits that one of them leaves out are zeros. */
    static int compare(String one, String other) {
        for (int place = 0; place < SECOND_LENGTH; place++) {
            int difference = one.charAt(place) - other.charAt(place);
            if (difference != 0) {
                return difference;
            }
        }
        int length = Math.max(one.length(), other.length());
        for (int place = SECOND_LENGTH + 1; place < length; place++) {
            int difference = digit(one, place) - digit(other, place);
            if (difference != 0) {
                return difference;
            }
        }
        return 0;
    }

    static String earlier(String time, String known) {
        return known == null || compare(time, known) < 0 ? time : known;
    }

    static String later(String time, String known) {
        return known == null || compare(time, known) > 0 ? time : known;
    }

    static String day(String time) {
        return time.substring(0, DAY_LENGTH);
    }

    private static char digit(String time, int place) {
        // The last character is the Z.
        return place < time.length() - 1 ? time.charAt(place) : '0';
    }
}
