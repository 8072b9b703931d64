"""What people do from day to day, over every channel, as long as nothing goes wrong.

A habit writes identifiers as people and systems write them: capitals, spaces, national numbers.
"""

import random
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from bench.behaviour import written_email, written_phone
from bench.identity.draft import Draft, draft, name_of
from bench.identity.people import Person


class Habit(NamedTuple):
    """Something that a person does again and again; `weight` is how often, relative to the other habits."""

    weight: float
    possible: Callable[[Person, float], object]
    act: Callable[[Person, float, random.Random], Draft]


def browser(person: Person, dice: random.Random) -> str:
    """A cookie: of the browser that the household shares, or of one of the person's own."""
    if person.home_cookie and dice.random() < 0.4:
        return person.home_cookie
    return person.cookies[-1] if dice.random() < 0.7 else dice.choice(person.cookies)


def address(person: Person, now: float, dice: random.Random) -> str:
    """An address as it is typed: the person's own, or for a company's contact sometimes its role mailbox."""
    mailbox = person.mailbox and dice.random() < 0.4
    return written_email(person.mailbox if mailbox else person.email(now), dice)


def number_of(person: Person, now: float, dice: random.Random) -> str:
    """The number somebody calls from: their own, or the household's or company's."""
    own = person.phone(now)
    if person.landline and (not own or dice.random() < 0.4):
        return person.landline
    return own


def _viewed(person: Person, _now: float, dice: random.Random) -> Draft:
    return draft(person, "shop-web", "page.viewed", {"cookie": browser(person, dice)})


def _ordered(person: Person, now: float, dice: random.Random) -> Draft:
    identifiers: dict[str, Any] = {"cookie": browser(person, dice), "email": address(person, now, dice)}
    if person.is_registered(now) and dice.random() < 0.5:
        identifiers["account"] = person.account
    if person.phone(now) and dice.random() < 0.4:
        identifiers["phone"] = written_phone(person.phone(now), dice)
    return draft(person, "shop-web", "order.placed", identifiers, traits=name_of(person) | {"city": person.city})


def _logged_in(person: Person, _now: float, dice: random.Random) -> Draft:
    identifiers = {"account": person.account, "cookie": browser(person, dice)}
    return draft(person, "shop-web", "account.logged_in", identifiers)


def _opened_app(person: Person, now: float, dice: random.Random) -> Draft:
    identifiers = {"app": person.app.upper() if dice.random() < 0.3 else person.app}
    if person.is_registered(now) and dice.random() < 0.3:
        return draft(person, "shop-app", "account.logged_in", identifiers | {"account": person.account})
    return draft(person, "shop-app", "app.opened", identifiers)


def _used_tablet(person: Person, now: float, dice: random.Random) -> Draft:
    identifiers = {"device": person.home_device}
    if person.is_registered(now) and dice.random() < 0.3:
        return draft(person, "home-hub", "device.paired", identifiers | {"account": person.account})
    return draft(person, "home-hub", "device.used", identifiers)


def _chatted(person: Person, now: float, dice: random.Random) -> Draft:
    identifiers = {"cookie": browser(person, dice)}
    if person.emails and dice.random() < 0.5:
        identifiers["email"] = address(person, now, dice)
    return draft(person, "chat-desk", "chat.ended", identifiers, traits={"first_name": person.first_name})


def _mailed(person: Person, now: float, dice: random.Random) -> Draft:
    return draft(person, "mail-desk", "mail.received", {"email": address(person, now, dice)})


def called(person: Person, now: float, dice: random.Random) -> Draft:
    """A call; where the agent asks who calls, the record's number stands in it."""
    identifiers = {"phone": written_phone(number_of(person, now, dice), dice)}
    if person.is_known(now) and dice.random() < 0.25:
        return draft(person, "phone-desk", "call.identified", identifiers | {"crm": person.crm})
    return draft(person, "phone-desk", "call.ended", identifiers)


def _texted(person: Person, now: float, dice: random.Random) -> Draft:
    return draft(person, "sms-gateway", "sms.received", {"phone": written_phone(person.phone(now), dice)})


def bought(person: Person, now: float, dice: random.Random) -> Draft:
    """A sale in a store: a card, or an address or number for the receipt."""
    identifiers: dict[str, Any] = {}
    if person.loyalty:
        identifiers["loyalty"] = person.loyalty
    if person.emails and (not identifiers or dice.random() < 0.2):
        identifiers["email"] = address(person, now, dice)
    if person.phone(now) and (not identifiers or dice.random() < 0.1):
        identifiers["phone"] = written_phone(person.phone(now), dice)
    return draft(person, "shop-till", "sale.made", identifiers, traits={"first_name": person.first_name})


def _changed_record(person: Person, _now: float, _dice: random.Random) -> Draft:
    traits = name_of(person) | {"city": person.city}
    return draft(person, "crm", "customer.changed", {"crm": person.crm}, traits=traits)


def _second_record_used(person: Person, _now: float, _dice: random.Random) -> Draft:
    return draft(person, "crm", "case.opened", {"crm": person.second_crm})


def _invoiced(person: Person, _now: float, _dice: random.Random) -> Draft:
    return draft(person, "billing", "invoice.sent", {"crm": person.billing})


def _viewed_outlet(person: Person, _now: float, dice: random.Random) -> Draft:
    if dice.random() < 0.5:
        return draft(person, "outlet-web", "page.viewed", {"cookie": person.outlet_cookie})
    identifiers = {"cookie": person.outlet_cookie, "email": written_email(person.emails[0], dice)}
    return draft(person, "outlet-web", "order.placed", identifiers, traits=name_of(person))


HABITS: Final = (
    Habit(20, lambda person, _: person.cookies, _viewed),
    Habit(8, lambda person, _: person.cookies and person.emails, _ordered),
    Habit(8, lambda person, now: person.cookies and person.is_registered(now), _logged_in),
    Habit(6, lambda person, _: person.app, _opened_app),
    Habit(4, lambda person, _: person.home_device, _used_tablet),
    Habit(4, lambda person, _: person.cookies, _chatted),
    Habit(6, lambda person, _: person.emails, _mailed),
    Habit(10, lambda person, now: person.phone(now) or person.landline, called),
    Habit(2, lambda person, now: person.phone(now), _texted),
    Habit(10, lambda person, now: person.loyalty or person.emails or person.phone(now), bought),
    Habit(3, lambda person, now: person.is_known(now), _changed_record),
    Habit(3, lambda person, now: person.second_crm and now >= person.second_from, _second_record_used),
    Habit(3, lambda person, now: person.billing and now >= person.known_from, _invoiced),
    Habit(6, lambda person, _: person.outlet_crm, _viewed_outlet),
)
