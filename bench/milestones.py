"""What happens once in a person's life with the organisation, in this order: how each person becomes known.

Together these exercise every case that the identity rules name: an anonymous visitor who types an address, a login, a
record that links several identifiers, a renewed cookie, and the links that must join nobody.
"""

import random
from typing import Any, Final

from bench.behaviour import Draft, typed_name, written_email, written_phone
from bench.population import Person, Population

# A forger types the address of a person this many places further on.
_VICTIM_DISTANCE: Final = 3


def milestones(person: Person, world: Population, dice: random.Random) -> list[Draft]:
    """What happens to the person, first to last."""
    drafts = _first_visits(person)
    if person.sort == "anonymous" and person.cookies and person.number % 3 == 0:
        victim = world.people[(person.number + _VICTIM_DISTANCE) % len(world.people)]
        drafts += _forged(person, victim)
    if person.emails and person.cookies:
        drafts += _typed(person, dice)
    if person.crm:
        drafts += _recorded(person, dice)
    if person.account:
        drafts += _online(person, dice)
    if person.device:
        drafts += _paired(person)
    return drafts


def _first_visits(person: Person) -> list[Draft]:
    drafts = []
    for old, new in zip(person.cookies, person.cookies[1:], strict=False):
        data: dict[str, Any] = {"identifiers": {"cookie": [new, old]}, "url": "https://shop.example/"}
        drafts.append(Draft("shop-web", "web", "cookie.renewed", data))
    # Nobody but these two knows the visitor, so the app is what the cookie goes with.
    if person.app and person.cookies and person.sort == "anonymous":
        data = {"identifiers": {"app": person.app, "cookie": person.cookies[0]}, "url": "https://shop.example/app"}
        drafts.append(Draft("shop-app", "app", "app.installed", data))
    return drafts


def _forged(person: Person, victim: Person) -> list[Draft]:
    if not victim.emails:
        return []
    data = {
        "identifiers": {"cookie": person.cookies[0], "email": victim.emails[0]},
        "traits": {"first_name": "Mallory", "phone": "+31600000000"},
        "summary": "Asked for a discount",
        "direction": "in",
    }
    return [Draft("shop-web", "web", "form.sent", data)]


def _typed(person: Person, dice: random.Random) -> list[Draft]:
    data = {
        "identifiers": {"cookie": person.cookies[0], "email": written_email(person.emails[0], dice)},
        "traits": {
            "first_name": typed_name(person.first_name, dice),
            "last_name": typed_name(person.last_name, dice),
            "email": written_email(person.emails[0], dice),
        },
        "permissions": {"email": {"newsletter": True}},
        "summary": "Subscribed to the newsletter",
        "direction": "in",
    }
    drafts = [Draft("shop-web", "web", "newsletter.subscribed", data)]
    if person.borrowed_cookie:
        identifiers = {"cookie": person.borrowed_cookie, "email": person.emails[0]}
        drafts.append(
            Draft("shop-web", "web", "form.sent", {"identifiers": identifiers, "summary": "Asked for a quote"})
        )
    return drafts


def _recorded(person: Person, dice: random.Random) -> list[Draft]:
    phones = [written_phone(number, dice) for number in (person.phone, person.landline) if number]
    identifiers: dict[str, Any] = {"crm": person.crm, "email": list(person.emails), "phone": phones}
    if person.loyalty:
        identifiers["loyalty"] = person.loyalty
    # Half of the records know the account too; elsewhere a verified address is the way to it, or there is none.
    if person.account and person.number % 2 == 0:
        identifiers["account"] = person.account
    data: dict[str, Any] = {
        "identifiers": identifiers,
        "traits": {
            "first_name": person.first_name,
            "last_name": person.last_name,
            "city": person.city,
            "email": person.emails[0],
            "phone": person.phone,
            "customer_since": f"{2010 + person.number % 15}-03-01T00:30:00+01:00",
        },
        "groups": {"household": person.household} if person.household else {},
        "permissions": {"voice": {"service": True}},
        "summary": f"Record of {person.name} made",
    }
    drafts = [Draft("crm", "crm", "customer.created", data)]
    if person.meter:
        data = {"identifiers": {"crm": person.crm, "meter": person.meter}, "summary": "Meter installed"}
        drafts.append(Draft("crm", "crm", "meter.installed", data))
    return drafts


def _online(person: Person, dice: random.Random) -> list[Draft]:
    registered: dict[str, Any] = {
        "identifiers": {"account": person.account, "cookie": person.cookies[-1], "email": person.emails[0]},
        "traits": {"email": written_email(person.emails[0], dice), "language": "nl"},
        "summary": "Registered an account",
        "direction": "in",
    }
    identifiers = {"account": person.account, "cookie": person.cookies[-1]}
    logged_in = {"identifiers": identifiers, "summary": "Logged in", "direction": "in"}
    drafts = [
        Draft("shop-web", "web", "account.registered", registered),
        Draft("shop-web", "web", "account.logged_in", logged_in),
    ]
    if dice.random() < 0.7:
        address = person.borrowed_email or person.emails[0]
        data = {"identifiers": {"account": person.account, "email": written_email(address, dice)}}
        drafts.append(Draft("shop-web", "web", "account.verified", data | {"summary": "Verified an address"}))
    if person.borrowed_phone:
        data = {"identifiers": {"account": person.account, "phone": written_phone(person.borrowed_phone, dice)}}
        drafts.append(Draft("shop-app", "app", "account.logged_in", data | {"summary": "Logged in with a text code"}))
    return drafts


def _paired(person: Person) -> list[Draft]:
    identifiers = {"device": person.device.upper()}
    if person.account:
        identifiers["account"] = person.account
    return [Draft("home-hub", "iot", "device.paired", {"identifiers": identifiers, "summary": "Thermostat paired"})]
