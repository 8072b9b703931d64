"""What can go wrong on the page, in words that people understand, with what to do."""

from dataclasses import dataclass
from typing import Final

from schemas.errors import GoldenthreadError


@dataclass(frozen=True)
class Fault:
    """One way in which a page can't be shown."""

    status: int
    title: str
    meaning: str
    #: What to do.
    advice: str


class PageFault(GoldenthreadError):
    """Ends the request with a page that says so.

    Args:
        fault: Which one.
        retry_after_s: When it is worth trying again, for machines.
        candidates: Customers that it may be about.
    """

    def __init__(self, fault: Fault, *, retry_after_s: int | None = None, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(fault.title)
        self.fault = fault
        self.retry_after_s = retry_after_s
        self.candidates = candidates


NOT_KNOWN: Final = Fault(
    404,
    "Nobody is known by this",
    "No event with this identifier has come yet, or its customer is not known any more.",
    "Look for a typing error, choose another kind, or try another identifier, such as an e-mail address or a customer "
    "number. What was sent a moment ago may still be on its way: look at the lag.",
)
SHARED_IDENTIFIER: Final = Fault(
    409,
    "Several people use this identifier",
    "It is a shared one, such as a landline, a family's mailbox or a kiosk. So it shows nobody's data.",
    "Ask for something that only one person has, such as an e-mail address of their own.",
)
BECAME_SHARED: Final = Fault(
    410,
    "This is nobody's any more",
    "The identifier behind this customer turned out to be used by several people, so it is not shown as one of them.",
    "Forget the link, and ask by an identifier that only one person has.",
)
UNUSABLE: Final = Fault(
    400,
    "Nobody can be found by this",
    "Such a kind or value never tells who somebody is: sessions and addresses, withheld numbers, placeholders like "
    "“null”, a value that does not fit its kind.",
    "Check kind and value: an e-mail address has an @, a phone number begins with + and the country's code.",
)
CATCHING_UP: Final = Fault(
    503,
    "Still catching up",
    "The lookup is reading what happened before its start, and shows no customer before it has all of it.",
    "Try again in a few seconds. The overview shows what it waits for.",
)
TOO_MANY_CLIENTS: Final = Fault(
    503, "Too many watch already", "As many live views are open as may.", "Close one, or reload the page now and then."
)
WRONG_HOST: Final = Fault(
    421,
    "Not under this name",
    "Without access keys the page answers only under this machine's own addresses, so that no other site can read it "
    "through your browser.",
    "Open it as http://127.0.0.1 or http://localhost with the same port. To reach it under another name, configure "
    "access keys.",
)
FOREIGN_FORM: Final = Fault(
    403,
    "Not from this page",
    "The form was sent by another site, or under another name of this one.",
    "Open the overview here, and fill in the form again.",
)
UNREADABLE_FORM: Final = Fault(
    400, "The form can't be read", "It does not hold the fields of the page's form.", "Go back and fill it in again."
)
NO_SUCH_PAGE: Final = Fault(404, "No such page", "There is nothing under this address.", "Go to the overview.")
LOGIN_REFUSED: Final = Fault(
    401,
    "This key does not open the page",
    "It is not known, has expired, or is not for reading customers.",
    "Check that all of it was pasted. Whoever runs Goldenthread gives out keys with the role “lookup”.",
)
TOO_MANY_LOGINS: Final = Fault(
    429, "Too many attempts", "Too many keys were tried from here.", "Wait a minute, then try again."
)
TOO_MANY_REQUESTS: Final = Fault(
    429, "Too many requests", "The key was used more often than it may.", "Wait a moment, then reload."
)
