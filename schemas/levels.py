"""How sure it is who a customer is: words in documents, metrics and on the page alike, beside `roles.SHARED`."""

from typing import Final

#: A login or a system of record ties it together.
IDENTIFIED: Final = "identified"
#: Known by something that was only typed, or that others may use too.
RECOGNISED: Final = "recognised"
#: Only a browser or a device is known.
ANONYMOUS: Final = "anonymous"
