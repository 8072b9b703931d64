"""A seeded population: who there is, which identifiers each has, and what several of them share.

Identifiers are held in their normalised form; `behaviour` writes them as people and systems do. What people share is
chosen so that the identity rules decide clearly: each case is one that the rules name.
"""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

#: A CRM number that somebody once typed into a mandatory field; it belongs to nobody.
PLACEHOLDER_CRM: Final = "0000"
# A line a name would be longer than all the rest of the module.
# fmt: off
FIRST_NAMES: Final = (
    "Ada", "Amir", "Bea", "Bram", "Carla", "Chen", "Daan", "Dora", "Elif", "Emil", "Fatima", "Finn", "Greta",
    "Guus", "Hanna", "Hugo", "Ines", "Ivan", "Jana", "Joost", "Kaia", "Karim", "Lena", "Luuk", "Mara", "Milan",
    "Nadia", "Noor", "Olga", "Omar", "Petra", "Pim", "Rosa", "Ruben", "Sara", "Sem", "Tess", "Tomas", "Uma",
    "Vera", "Wim", "Yara", "Zeno",
)
LAST_NAMES: Final = (
    "Adams", "Bakker", "Costa", "Dekker", "Eriksen", "Fontein", "Garcia", "Hendriks", "Ivanov", "Jansen",
    "Kaya", "Lindberg", "Maas", "Novak", "Okafor", "Peters", "Quist", "Rossi", "Silva", "Tanaka", "Uzun",
    "Visser", "Weber", "Yilmaz", "Zijlstra",
)
# fmt: on
CITIES: Final = ("Amsterdam", "Utrecht", "Gent", "Köln", "Lille", "Aarhus", "Málaga", "Kraków")
_COMPANIES: Final = ("acme", "globex", "initech", "umbra", "vandelay")
_DOMAINS: Final = ("example.com", "example.org", "example.net", "mail.example")
# One in so many lives in Belgium, and the others in the Netherlands.
_BELGIAN_EVERY: Final = 6
_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
_SAFARI: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
#: What people browse with: user agents, each with the class of device that it belongs to.
AGENTS: Final = (
    ("desktop", f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/131.0.0.0 Safari/537.36"),
    ("phone", f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {_SAFARI}"),
    ("phone", f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/131.0.0.0 Mobile Safari/537.36"),
    ("tablet", f"Mozilla/5.0 (iPad; CPU OS 18_1 like Mac OS X) {_SAFARI}"),
    ("desktop", "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"),
    ("tv", f"Mozilla/5.0 (Web0S; Linux/SmartTV) {_WEBKIT} Chrome/108.0.5359.211 Safari/537.36"),
)
# Shares of the sorts of people, in percent: the rest are customers whom every system knows.
_SORTS: Final = (("full", 40), ("online", 20), ("prospect", 18), ("shopper", 12), ("anonymous", 10))


@dataclass(frozen=True, slots=True)
class Person:
    """One made-up person. An empty text or tuple says that there is no such identifier."""

    number: int
    #: full, online, prospect, shopper or anonymous: which systems know this person.
    sort: str
    first_name: str
    last_name: str
    city: str
    company: str = ""
    household: str = ""
    crm: str = ""
    account: str = ""
    emails: tuple[str, ...] = ()
    phone: str = ""
    landline: str = ""
    #: Two letters; what this person's numbers are written for.
    country: str = "NL"
    loyalty: str = ""
    social: str = ""
    meter: str = ""
    #: In the order in which the browser had them: a later one renews the one before.
    cookies: tuple[str, ...] = ()
    app: str = ""
    device: str = ""
    #: What a login proves about this person though it is another's: an e-mail of the household, a recycled number.
    borrowed_email: str = ""
    borrowed_phone: str = ""
    #: A cookie of the other one's browser, at which this person once typed an address.
    borrowed_cookie: str = ""
    #: How often this person acts, relative to the others.
    activity: float = 1.0

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"

    @property
    def agent(self) -> str:
        """The user agent of the browser that this person goes about with."""
        return AGENTS[self.number % len(AGENTS)][1]


@dataclass(frozen=True, slots=True)
class Population:
    """All people, and the things that belong to nobody."""

    people: tuple[Person, ...]
    kiosk_cookies: tuple[str, ...]
    #: A screen in the lobby: one member of the staff logs in at it, very many visitors type their address.
    lobby_cookie: str
    tablet_device: str


def example_person() -> Person:
    """Ann Example, whom the demo and its printed commands show."""
    return Person(
        number=0,
        sort="full",
        first_name="Ann",
        last_name="Example",
        city="Utrecht",
        company="acme",
        household="h-0",
        crm="8812",
        account="ann",
        emails=("ann@example.com",),
        phone="+31612345678",
        loyalty="7000000000",
        social="mastodon:ann",
        meter="m-0",
        cookies=("c-77", "c-78"),
        app="6f1c2f0e-8d7a-4b52-9a57-0f6f2f8d1a01",
        device="0d3c9f52-1a44-4d0c-8f7e-5b7c0a9e4d02",
        activity=25.0,
    )


def make_population(customers: int, seed: int) -> Population:
    """`customers` people, Ann Example the first of them; the same for the same arguments, for ever.

    Raises:
        ValueError: there must be at least one customer.
    """
    if customers < 1:
        raise ValueError(f"{customers} customers: at least 1 is needed")
    dice = random.Random(f"population/{seed}")
    people = [example_person()]
    while len(people) < customers:
        number = len(people)
        left = customers - number
        before = people[-1]
        # Every eighth household has a second person, who shares what households share.
        if number % 8 == 3 and before.sort == "full" and left > 0:
            people.append(_partner(before, _person(number, "full", dice), dice))
        else:
            people.append(_person(number, _sort(dice), dice))
    people = _two_of_one_name(_recycled_numbers(people))
    kiosks = tuple(f"kiosk-{place}" for place in range(1 + customers // 100))
    return Population(tuple(people), kiosks, "lobby", _uuid(dice))


def _sort(dice: random.Random) -> str:
    names = [name for name, _ in _SORTS]
    return dice.choices(names, [share for _, share in _SORTS])[0]


def _person(number: int, sort: str, dice: random.Random) -> Person:
    first, last = dice.choice(FIRST_NAMES), dice.choice(LAST_NAMES)
    known, online = sort == "full", sort in ("full", "online")
    address = f"{first}.{last}.{number}".lower()
    emails = tuple(
        f"{address}{suffix}@{dice.choice(_DOMAINS)}" for suffix in ("", ".work")[: 1 + (dice.random() < 0.3)]
    )
    return Person(
        number=number,
        sort=sort,
        first_name=first,
        last_name=last,
        city=dice.choice(CITIES),
        company=dice.choice(_COMPANIES) if dice.random() < 0.2 else "",
        crm=f"{10_000 + number}" if known else "",
        account=f"u{number:06d}" if online and dice.random() < 0.9 else "",
        emails=() if sort in ("shopper", "anonymous") else emails,
        phone="" if sort == "anonymous" else _mobile(number, dice),
        country=_country(number),
        loyalty=f"7{number:09d}" if sort == "shopper" or (online and dice.random() < 0.5) else "",
        social=f"mastodon:{address}" if dice.random() < 0.1 and sort != "anonymous" else "",
        meter=f"m-{number}" if known and dice.random() < 0.4 else "",
        cookies=() if sort == "shopper" else tuple(f"c-{number}-{turn}" for turn in range(dice.choice((1, 1, 2, 3)))),
        app=_uuid(dice) if sort != "shopper" and dice.random() < 0.5 else "",
        device=_uuid(dice) if online and dice.random() < 0.5 else "",
        activity=dice.paretovariate(1.5),
    )


def _country(number: int) -> str:
    return "BE" if number % _BELGIAN_EVERY == 5 else "NL"


def _mobile(number: int, dice: random.Random) -> str:
    if _country(number) == "BE":
        return f"+3247{dice.randint(1, 9)}{number % 1_000_000:06d}"
    return f"+316{dice.randint(1, 5)}{number % 10_000_000:07d}"


def _partner(first: Person, second: Person, dice: random.Random) -> Person:
    """The second person of a household: the landline of both, and sometimes the first one's e-mail or account."""
    landline = f"+3120{2_000_000 + first.number % 1_000_000:07d}"
    habit = dice.choice(("landline", "email on two records", "login with the other's email"))
    return replace(
        second,
        household=f"h-{first.number}",
        last_name=first.last_name,
        landline=landline,
        emails=(*second.emails, first.emails[0]) if habit == "email on two records" else second.emails,
        borrowed_cookie=first.cookies[-1] if habit == "landline" else "",
        borrowed_email=first.emails[0] if habit == "login with the other's email" else "",
    )


def _recycled_numbers(people: Sequence[Person]) -> list[Person]:
    """Households get their landline on both sides, and some online accounts a number that was another's."""
    changed = list(people)
    for place, person in enumerate(people):
        if person.landline:
            first = changed[place - 1]
            changed[place - 1] = replace(first, landline=person.landline, household=person.household)
        if person.sort == "online" and person.account and place % 5 == 0:
            owners = [other for other in people[:place] if other.sort == "full" and other.number]
            if owners:
                changed[place] = replace(changed[place], borrowed_phone=owners[-1].phone)
    return changed


def _two_of_one_name(people: list[Person]) -> list[Person]:
    """The last two people have one name between them, and nothing else."""
    if len(people) > 3:
        people[-1] = replace(people[-1], first_name=people[-2].first_name, last_name=people[-2].last_name)
    return people


def _uuid(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))
