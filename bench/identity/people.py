"""A labelled population: people of two brands, what each is known by, and what they share without being one person.

Identifiers are held in their normalised form. Times are fractions of the run, from 0 to 1. Who has which difficulty is
drawn so that the shares hold for the whole; one person may have several.
"""

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from bench.identity.shares import Shares
from bench.population import CITIES, FIRST_NAMES, LAST_NAMES

#: The second brand: a realm of its own, whose CRM counts from the same number as the first one's.
OUTLET: Final = "outlet"
DEFAULT_REALM: Final = "default"
NEVER: Final = 2.0
_DOMAINS: Final = ("example.com", "example.org", "example.net", "mail.example", "post.example")
# Shares of the sorts of people, in percent.
_SORTS: Final = (("full", 45), ("online", 25), ("visitor", 13), ("shopper", 12), ("anonymous", 5))
#: Addresses that the operator knows: of the company's own tests, and those of roles rather than people.
TEST_DOMAIN: Final = "test.shop.example"
KNOWN_ROLES: Final = ("info", "sales", "office")
_FIRST_CRM: Final = 10_000
# With fewer there is nobody to share anything with.
_PERSONS_MIN: Final = 10
_PERSONS_PER_KIOSK: Final = 200
# Names that are drawn until one is free; past that two people have one.
_NAME_TRIES: Final = 20
# The busiest act so often as so many of the quietest: one person alone decides no score.
_ACTIVITY_MAX: Final = 20.0
_TESTERS: Final = 3
_COMPANY_SIZES: Final = (3, 6)
_HOUSEHOLD_SIZES: Final = (2, 2, 3, 4)


@dataclass(slots=True)
class Person:
    """One made-up person. An empty text or tuple says that there is no such identifier."""

    number: int
    #: full (every system knows them), online (an account), visitor (an address), shopper (a card), anonymous.
    sort: str
    first_name: str
    last_name: str
    city: str
    crm: str = ""
    #: A second record of the same person in the same system, and when (if ever) it is merged into the first.
    second_crm: str = ""
    second_from: float = NEVER
    merged_at: float = NEVER
    #: The number that another system, with a namespace of its own, has for this person.
    billing: str = ""
    account: str = ""
    #: The address, and the one after a change.
    emails: tuple[str, ...] = ()
    changes_email_at: float = NEVER
    #: The number, and the one after it was given up, which somebody else may then get.
    phones: tuple[str, ...] = ()
    changes_phone_at: float = NEVER
    #: Before that, a recycled number was not this person's.
    phone_from: float = 0.0
    landline: str = ""
    loyalty: str = ""
    app: str = ""
    #: In the order in which the browser had them.
    cookies: tuple[str, ...] = ()
    #: A browser and a tablet that a household shares.
    home_cookie: str = ""
    home_device: str = ""
    #: Of contacts of a company: its role mailbox, besides an address of their own; its switchboard is their landline.
    company: str = ""
    mailbox: str = ""
    outlet_crm: str = ""
    outlet_cookie: str = ""
    known_from: float = 0.0
    registered_from: float = 0.0
    activity: float = 1.0
    difficulties: set[str] = field(default_factory=set)

    def email(self, now: float) -> str:
        """The address that this person has at the time."""
        return self.emails[-1] if now >= self.changes_email_at else self.emails[0]

    def phone(self, now: float) -> str:
        """The number that this person has at the time; empty where there is none."""
        if not self.phones or now < self.phone_from:
            return ""
        return self.phones[-1] if now >= self.changes_phone_at else self.phones[0]

    def is_known(self, now: float) -> bool:
        """Whether the CRM has a record of this person."""
        return bool(self.crm) and now >= self.known_from

    def is_registered(self, now: float) -> bool:
        """Whether this person has an account."""
        return bool(self.account) and now >= self.registered_from

    def truths(self) -> dict[str, set[str]]:
        """Trait to all values that are or were true of this person."""
        return {
            "first_name": {self.first_name},
            "last_name": {self.last_name},
            "city": {self.city},
            "email": {*self.emails, self.mailbox} - {""},
            "phone": {*self.phones, self.landline} - {""},
        }


@dataclass(frozen=True, slots=True)
class People:
    """Everybody, and the things that belong to nobody."""

    customers: tuple[Person, ...]
    #: Employees who try the shop out.
    testers: tuple[Person, ...]
    kiosk_cookies: tuple[str, ...]


def make_people(persons: int, seed: int, shares: Shares) -> People:
    """`persons` customers with their difficulties; the same for the same arguments, for ever.

    Raises:
        ValueError: fewer than ten people share nothing.
    """
    if persons < _PERSONS_MIN:
        raise ValueError(f"{persons} persons: at least {_PERSONS_MIN} are needed")
    dice = random.Random(f"identity/people/{seed}")
    names: set[tuple[str, str]] = set()
    people = [_person(number, names, dice) for number in range(persons)]
    for name, give in _GIVERS.items():
        give(people, round(getattr(shares, name) * persons), dice)
    testers = tuple(_tester(persons + place) for place in range(_TESTERS))
    kiosks = tuple(f"kiosk-{place}" for place in range(1 + persons // _PERSONS_PER_KIOSK))
    return People(tuple(people), testers, kiosks)


def _person(number: int, names: set[tuple[str, str]], dice: random.Random) -> Person:
    sort = dice.choices([name for name, _ in _SORTS], [share for _, share in _SORTS])[0]
    first, last = _name(names, dice)
    known, online = sort == "full", sort in ("full", "online")
    address = f"{first}.{last}{number}".lower()
    return Person(
        number=number,
        sort=sort,
        first_name=first,
        last_name=last,
        city=dice.choice(CITIES),
        crm=f"{_FIRST_CRM + number}" if known else "",
        # The other system counts for itself, so its numbers are other people's numbers in the CRM.
        billing=f"{_FIRST_CRM + number * 7 % 9_973}" if known and dice.random() < 0.5 else "",
        account=f"u{number:06d}" if online and dice.random() < 0.9 else "",
        emails=() if sort in ("shopper", "anonymous") else (f"{address}@{dice.choice(_DOMAINS)}",),
        phones=() if sort == "anonymous" or dice.random() < 0.1 else (_mobile(number, dice),),
        loyalty=f"7{number:09d}" if sort == "shopper" or (online and dice.random() < 0.4) else "",
        app=_uuid(dice) if online and dice.random() < 0.4 else "",
        cookies=() if sort == "shopper" else tuple(f"c-{number}-{turn}" for turn in range(dice.choice((1, 1, 2, 3)))),
        known_from=dice.random() * 0.7,
        registered_from=dice.random() * 0.7,
        activity=min(dice.paretovariate(1.8), _ACTIVITY_MAX),
    )


def _name(names: set[tuple[str, str]], dice: random.Random) -> tuple[str, str]:
    """A name that nobody has yet, as long as there are enough; `same_name` gives some to a second person."""
    name = "", ""
    for _ in range(_NAME_TRIES):
        name = dice.choice(FIRST_NAMES), f"{dice.choice(LAST_NAMES)}-{dice.choice(LAST_NAMES)}"
        if name not in names:
            break
    names.add(name)
    return name


def _tester(number: int) -> Person:
    """An employee who tries things out: known addresses on the company's test domain, and unknown ones."""
    return Person(
        number, "tester", "Test", f"Tester-{number}", "Testville",
        account=f"test-{number}",
        emails=(f"tester{number}@{TEST_DOMAIN}",),
        cookies=("office-browser",),
    )  # fmt: skip


def _mobile(number: int, dice: random.Random) -> str:
    return f"+316{dice.randint(1, 5)}{number % 10_000_000:07d}"


def _uuid(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


# Each giver below gives one difficulty to about so many persons.


def _households(people: list[Person], count: int, dice: random.Random) -> Iterator[list[Person]]:
    """Groups of people who live together, `count` people in all: the same households for every difficulty."""
    places = list(range(0, len(people) - 1, max(_HOUSEHOLD_SIZES)))
    dice.shuffle(places)
    given = 0
    for place in places:
        if given >= count:
            return
        household = people[place : place + _HOUSEHOLD_SIZES[place // max(_HOUSEHOLD_SIZES) % len(_HOUSEHOLD_SIZES)]]
        given += len(household)
        yield household


def _landline(people: list[Person], count: int, dice: random.Random) -> None:
    for household in _households(people, count, dice):
        number = f"+3120{2_000_000 + household[0].number:07d}"
        for person in household:
            person.landline = number
            person.difficulties.add("landline")


def _shared_device(people: list[Person], count: int, dice: random.Random) -> None:
    for household in _households(people, count, dice):
        tablet = _uuid(dice) if dice.random() < 0.5 else ""
        for person in household:
            person.home_cookie, person.home_device = f"home-{household[0].number}", tablet
            person.difficulties.add("shared_device")


def _family_email(people: list[Person], count: int, dice: random.Random) -> None:
    """Two of a household have one address, in every system."""
    given = 0
    for household in _households(people, len(people), dice):
        one, other = household[:2]
        if one.emails and other.emails and given + 2 <= max(count, 2):
            other.emails = one.emails
            one.difficulties.add("family_email")
            other.difficulties.add("family_email")
            given += 2


def _some(people: list[Person], count: int, dice: random.Random, fits: Callable[[Person], object]) -> list[Person]:
    fitting = [person for person in people if fits(person)]
    return dice.sample(fitting, min(count, len(fitting)))


def _changed_email(people: list[Person], count: int, dice: random.Random) -> None:
    for person in _some(people, count, dice, lambda one: one.emails and "family_email" not in one.difficulties):
        person.emails = (person.emails[0], person.emails[0].replace("@", ".new@"))
        person.changes_email_at = dice.uniform(0.3, 0.8)
        person.difficulties.add("changed_email")


def _recycled_number(people: list[Person], count: int, dice: random.Random) -> None:
    """The number that one gives up is another's some time later; both count, the other as its owner."""
    givers = _some(people, count, dice, lambda one: one.phones)
    takers = _some(people, count, dice, lambda one: one.phones and one not in givers)
    for giver, taker in zip(givers, takers, strict=False):
        given_up = dice.uniform(0.2, 0.6)
        taker.phones = (giver.phones[0],)
        giver.phones = (giver.phones[0], f"+3168{giver.number:07d}")
        giver.changes_phone_at, taker.phone_from = given_up, given_up + dice.uniform(0.02, 0.2)
        taker.difficulties.add("recycled_number")


def _two_records(people: list[Person], count: int, dice: random.Random) -> None:
    for turn, person in enumerate(_some(people, count, dice, lambda one: one.crm)):
        person.second_crm = f"{_FIRST_CRM + len(people) + person.number}"
        person.second_from = dice.uniform(person.known_from, 0.8)
        person.merged_at = dice.uniform(person.second_from + 0.02, 0.95) if turn % 2 == 0 else NEVER
        person.difficulties.add("two_records")


def _business(people: list[Person], count: int, dice: random.Random) -> None:
    """Contacts of companies. Of each second company the operator knows that its mailbox is a role's."""
    contacts = _some(people, count, dice, lambda one: one.sort in ("full", "online", "visitor"))
    company = 0
    while contacts:
        size = dice.randint(*_COMPANY_SIZES)
        known = company % 2 == 0
        mailbox = f"{dice.choice(KNOWN_ROLES) if known else 'team.north'}@company-{company}.example"
        for person in contacts[:size]:
            person.company, person.mailbox = f"company-{company}", mailbox
            person.landline = person.landline or f"+3130{3_000_000 + company:07d}"
            person.difficulties.add("business")
        del contacts[:size]
        company += 1


def _two_brands(people: list[Person], count: int, dice: random.Random) -> None:
    """Customers of the outlet too. Its CRM counts like the first brand's, so its numbers are other people's there."""
    numbers = [_FIRST_CRM + number for number in range(len(people))]
    dice.shuffle(numbers)
    for person in _some(people, count, dice, lambda one: one.emails):
        person.outlet_crm, person.outlet_cookie = f"{numbers.pop()}", f"oc-{person.number}"
        person.difficulties.add("two_brands")


def _same_name(people: list[Person], count: int, dice: random.Random) -> None:
    some = _some(people, count, dice, lambda _: True)
    for one, other in zip(some[::2], some[1::2], strict=False):
        other.first_name, other.last_name, other.city = one.first_name, one.last_name, one.city
        one.difficulties.add("same_name")
        other.difficulties.add("same_name")


_GIVERS: Final[dict[str, Callable[[list[Person], int, random.Random], None]]] = {
    "landline": _landline,
    "shared_device": _shared_device,
    "family_email": _family_email,
    "changed_email": _changed_email,
    "recycled_number": _recycled_number,
    "two_records": _two_records,
    "business": _business,
    "two_brands": _two_brands,
    "same_name": _same_name,
}
