"""What happens once: how people become known to each system, and how what they are known by changes.

Each happening has its time, a fraction of the run; those of one moment come in the order of persons.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from bench.behaviour import written_email, written_phone
from bench.identity.draft import Draft, draft, name_of
from bench.identity.people import NEVER, Person

# Which share of people a system hears of when an address changes; the others just use the new one.
_TELLS_OF_CHANGE = 0.8
# Which share of second records has the first one's address as well; the others have the telephone number alone.
_SAME_ADDRESS_TWICE = 0.6
_MOMENT = 0.001


class Happening(NamedTuple):
    """Something that is due at a time."""

    at: float
    serial: int
    person: Person
    make: Callable[[Person, random.Random], Draft]


def happenings(people: Iterable[Person], dice: random.Random) -> list[Happening]:
    """All of them, in the order of their times."""
    found: list[Happening] = []
    for person in people:
        for at, make in _of(person, dice):
            if at < 1:
                found.append(Happening(at, len(found), person, make))
    return sorted(found)


def _of(person: Person, dice: random.Random) -> Iterator[tuple[float, Callable[[Person, random.Random], Draft]]]:
    if person.crm:
        yield person.known_from, _recorded
    if person.billing:
        yield person.known_from + _MOMENT, _billed
    if person.account:
        yield person.registered_from, _registered
        yield person.registered_from + _MOMENT, _first_login
        if dice.random() < 0.7:
            yield person.registered_from + 2 * _MOMENT, _verified
    for turn in range(1, len(person.cookies)):
        if dice.random() < 0.5:
            yield dice.random(), _renewing(turn)
    if person.changes_email_at < NEVER and dice.random() < _TELLS_OF_CHANGE:
        yield person.changes_email_at, _told_of_address
    if person.changes_phone_at < NEVER and person.crm:
        yield max(person.changes_phone_at, person.known_from + _MOMENT), _told_of_number
    if person.second_crm:
        yield person.second_from, _second_record
        yield person.merged_at, _merged
    if person.outlet_crm:
        yield dice.random() * 0.6, _outlet_record


def _recorded(person: Person, dice: random.Random) -> Draft:
    now = person.known_from
    addresses = [person.email(now), person.mailbox] if person.mailbox and dice.random() < 0.5 else [person.email(now)]
    phones = [written_phone(number, dice) for number in (person.phone(now), person.landline) if number]
    identifiers = {"crm": person.crm, "email": addresses, "phone": phones, "loyalty": person.loyalty}
    if person.is_registered(now) and dice.random() < 0.5:
        identifiers["account"] = person.account
    traits = name_of(person) | {"city": person.city, "email": person.email(now)}
    if person.phone(now):
        traits["phone"] = person.phone(now)
    return draft(person, "crm", "customer.created", identifiers, traits=traits)


def _billed(person: Person, _dice: random.Random) -> Draft:
    identifiers = {"crm": person.billing, "email": person.email(person.known_from)}
    return draft(person, "billing", "customer.created", identifiers, traits={"city": person.city})


def _registered(person: Person, dice: random.Random) -> Draft:
    identifiers = {
        "account": person.account,
        "cookie": _browser(person, dice),
        "email": written_email(person.email(person.registered_from), dice),
    }
    return draft(person, "shop-web", "account.registered", identifiers, traits=name_of(person))


def _first_login(person: Person, dice: random.Random) -> Draft:
    identifiers = {"account": person.account, "cookie": _browser(person, dice)}
    return draft(person, "shop-web", "account.logged_in", identifiers)


def _verified(person: Person, _dice: random.Random) -> Draft:
    identifiers = {"account": person.account, "email": person.email(person.registered_from)}
    return draft(person, "shop-web", "account.verified", identifiers)


def _renewing(turn: int) -> Callable[[Person, random.Random], Draft]:
    def renewed(person: Person, _dice: random.Random) -> Draft:
        identifiers = {"cookie": [person.cookies[turn], person.cookies[turn - 1]]}
        return draft(person, "shop-web", "cookie.renewed", identifiers)

    return renewed


def _told_of_address(person: Person, _dice: random.Random) -> Draft:
    now = person.changes_email_at
    address, traits = person.email(now), {"email": person.email(now)}
    if person.is_known(now):
        return draft(person, "crm", "customer.changed", {"crm": person.crm, "email": address}, traits=traits)
    if person.is_registered(now):
        identifiers = {"account": person.account, "email": address}
        return draft(person, "shop-web", "account.verified", identifiers, traits=traits)
    return draft(person, "mail-desk", "mail.received", {"email": [address, person.emails[0]]}, traits=traits)


def _told_of_number(person: Person, _dice: random.Random) -> Draft:
    number = person.phones[-1]
    return draft(person, "crm", "customer.changed", {"crm": person.crm, "phone": number}, traits={"phone": number})


def _second_record(person: Person, dice: random.Random) -> Draft:
    now = person.second_from
    identifiers = {"crm": person.second_crm, "phone": person.phone(now) or person.landline}
    if dice.random() < _SAME_ADDRESS_TWICE:
        identifiers["email"] = person.email(now)
    return draft(person, "crm", "customer.created", identifiers, traits=name_of(person) | {"city": person.city})


def _merged(person: Person, _dice: random.Random) -> Draft:
    return draft(person, "crm", "identity.merged", {"crm": person.crm}, other={"crm": person.second_crm})


def _outlet_record(person: Person, _dice: random.Random) -> Draft:
    identifiers = {
        "crm": person.outlet_crm,
        "email": person.emails[0],
        "phone": person.phones[0] if person.phones else "",
    }
    traits = name_of(person) | {"city": person.city}
    return draft(person, "outlet-crm", "customer.created", identifiers, traits=traits)


def _browser(person: Person, dice: random.Random) -> str:
    """Where several use one browser, that one half of the time."""
    return person.home_cookie if person.home_cookie and dice.random() < 0.5 else person.cookies[0]
