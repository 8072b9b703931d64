"""What a fragment is to the customer that it belongs to: words in rows, messages and documents alike."""

from typing import Final

#: The fragment whose id is its customer's.
HOME: Final = "home"
#: In the customer by identifying links or by requires.
JOINED: Final = "joined"
#: Belongs to the customer, but joins nobody else to it.
ATTACHED: Final = "attached"
#: Several people use it: it owns itself and is nobody's member.
SHARED: Final = "shared"
