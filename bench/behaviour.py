"""What people do from day to day, over every channel: one function for each habit, giving one event's content.

A habit writes identifiers as people and systems write them (capitals, spaces, lists), so that normalising matters.
Which person may have which habit is in `HABITS`; `milestones` has what happens once in a person's life.
"""

import random
import unicodedata
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from bench.population import Person, Population


class Draft(NamedTuple):
    """An event before it has an id and a time."""

    source: str
    channel: str
    type: str
    data: dict[str, Any]


class Habit(NamedTuple):
    """Something that a person does again and again; `weight` is how often, relative to the other habits."""

    weight: float
    possible: Callable[[Person], object]
    act: Callable[[Person, Population, random.Random], Draft]


_PRODUCTS: Final = ("running shoes", "a rain jacket", "a thermostat", "a tent", "a head torch", "a water bottle")
_WORRIES: Final = ("a late parcel", "an invoice", "a return", "the warranty", "a wrong size", "a lost password")
#: What people write in a chat, each with the language that it is in.
MESSAGES: Final = (
    ("nl", "Goedemiddag, waar blijft mijn pakket?"),
    ("nl", "Ik wil graag mijn bestelling annuleren"),
    ("en", "Where is my parcel? It should have been here yesterday"),
    ("fr", "Bonjour, je veux annuler ma commande"),
    ("de", "Guten Tag, ich habe eine Frage zu meiner Rechnung"),
)
# One summary in a hundred is longer than a context shows.
_LONG: Final = " The customer told the whole story from the beginning, and then once more." * 6


def written_email(email: str, dice: random.Random) -> str:
    """The address as somebody types it: sometimes with capitals or a space too many."""
    turn = dice.random()
    return email if turn < 0.6 else email.title() if turn < 0.8 else f" {email.upper()} "


def written_phone(phone: str, dice: random.Random) -> str:
    """The number as systems write it: bare, or with spaces or hyphens between groups of digits."""
    turn = dice.random()
    if turn < 0.5:
        return phone
    return (" " if turn < 0.8 else "-").join((phone[:3], phone[3:5], phone[5:9], phone[9:]))


def typed_phone(person: Person, dice: random.Random) -> str:
    """The number as the person types it at home: mostly without the country's code."""
    turn = dice.random()
    if turn < 0.3:
        return written_phone(person.phone, dice)
    national = f"0{person.phone[3:]}"
    if turn < 0.7:
        return f"{national[:2]}-{national[2:]}"
    return f"0{national[1:4]}/{national[4:6]}.{national[6:8]}.{national[8:]}" if turn < 0.9 else f" {national}"


def typed_name(name: str, dice: random.Random) -> str:
    """The name as it comes out of forms: sometimes with blanks around it, or with letters in two parts."""
    turn = dice.random()
    if turn < 0.7:
        return name
    return f" {name}\u00a0" if turn < 0.85 else unicodedata.normalize("NFD", name) + " "


def current_cookie(person: Person, dice: random.Random) -> str:
    """One of the browsers' cookies, mostly the last."""
    return person.cookies[-1] if dice.random() < 0.7 else dice.choice(person.cookies)


def order_ref(person: Person, dice: random.Random, status: str | None = None) -> dict[str, Any]:
    """One of the person's thirty orders; without a status where the event doesn't know it."""
    ref = {"kind": "order", "id": f"o-{person.number}-{dice.randint(1, 30)}"}
    return ref | {"status": status} if status else ref


def _page_viewed(person: Person, _world: Population, dice: random.Random) -> Draft:
    product = dice.choice(_PRODUCTS)
    data: dict[str, Any] = {
        "identifiers": {"cookie": current_cookie(person, dice), "ip": "192.0.2.7", "session": f"s-{person.number}"},
        "summary": f"Viewed {product}",
        "direction": "in",
        "session": f"s-{person.number}-{dice.randint(1, 9)}",
        "url": f"https://shop.example/p/{dice.randint(1, 400)}",
        "user_agent": person.agent,
        "referrer": {"campaign": dice.choice(("spring", "none")), "position": dice.randint(1, 5)},
    }
    return Draft("shop-web", "web", dice.choice(("page.viewed", "page.viewed", "product.searched")), data)


def _order_completed(person: Person, _world: Population, dice: random.Random) -> Draft:
    product = dice.choice(_PRODUCTS)
    data: dict[str, Any] = {
        "identifiers": {"email": [written_email(person.emails[0], dice)], "cookie": current_cookie(person, dice)},
        "traits": {"first_name": typed_name(person.first_name, dice), "city": typed_name(person.city, dice)},
        "summary": f"Bought {product}",
        "context": {"userAgent": person.agent, "locale": "nl-NL"},
        "direction": "in",
        "refs": [order_ref(person, dice, "paid")],
        "amount": {"value": dice.randint(5, 400), "currency": "EUR"},
        "items": [{"name": product, "count": dice.randint(1, 3)}],
    }
    if dice.random() < 0.2:
        data["permissions"] = {"email": {"marketing": dice.random() < 0.7}, "sms": {"marketing": False}}
    return Draft("shop-web", "web", "order.completed", data)


def _account_changed(person: Person, _world: Population, dice: random.Random) -> Draft:
    data: dict[str, Any] = {
        "identifiers": {"account": person.account},
        "traits": {
            "email": dice.choice(person.emails),
            "shoe_size": dice.choice((38, 40, 42.5, None)),
            "sizes": {"shirt": dice.choice("SML"), "fits": [dice.randint(1, 3)]},
            "city": dice.choice((person.city, "Rotterdam")),
        },
        "summary": "Changed the profile",
    }
    return Draft("shop-web", "web", "account.changed", data)


def _logged_in(person: Person, _world: Population, dice: random.Random) -> Draft:
    data: dict[str, Any] = {
        "identifiers": {"account": person.account, "cookie": person.cookies[-1]},
        "summary": "Logged in",
        "direction": "in",
    }
    if dice.random() < 0.3:
        data["traits"] = {"language": dice.choice(("nl", "en", "fr"))}
    return Draft("shop-web", "web", "account.logged_in", data)


def _app_opened(person: Person, _world: Population, dice: random.Random) -> Draft:
    app = person.app.upper() if dice.random() < 0.3 else person.app
    data: dict[str, Any] = {
        "identifiers": {"app": app},
        "summary": "Opened the app",
        "direction": "in",
        "screen": dice.choice(("home", "orders", "profile")),
        "traits": {"app_version": f"4.{dice.randint(0, 9)}"},
    }
    return Draft("shop-app", "app", "app.opened", data)


def _app_logged_in(person: Person, _world: Population, _dice: random.Random) -> Draft:
    data = {"identifiers": {"app": person.app, "account": person.account}, "summary": "Logged in", "direction": "in"}
    return Draft("shop-app", "app", "account.logged_in", data)


def _chat(person: Person, _world: Population, dice: random.Random) -> Draft:
    about = dice.choice(_WORRIES)
    identifiers: dict[str, Any] = {"cookie": current_cookie(person, dice)}
    if person.emails and dice.random() < 0.5:
        identifiers["email"] = written_email(person.emails[0], dice)
    data: dict[str, Any] = {
        "identifiers": identifiers,
        "summary": f"Chatted about {about}" + (_LONG if dice.random() < 0.05 else ""),
        "direction": dice.choice(("in", "in", "out")),
        "session": f"chat-{dice.randint(1, 10**6)}",
        "text": dice.choice(MESSAGES)[1],
        "parties": [{"role": "agent", "name": "Kim"}],
        "turns": dice.randint(2, 30),
    }
    return Draft("chat-desk", "chat", "chat.ended", data)


def _mail(person: Person, _world: Population, dice: random.Random) -> Draft:
    incoming = dice.random() < 0.4
    data: dict[str, Any] = {
        "identifiers": {"email": written_email(dice.choice(person.emails), dice)},
        "summary": f"{'Wrote' if incoming else 'Was written to'} about {dice.choice(_WORRIES)}",
        "direction": "in" if incoming else "out",
        "parties": [{"role": "cc", "email": "colleague@example.com"}],
    }
    if dice.random() < 0.4:
        data["refs"] = [{"kind": "ticket", "id": f"t-{person.number}-{dice.randint(1, 6)}", "status": "open"}]
    return Draft("mail-desk", "email", "mail.received" if incoming else "mail.sent", data)


def _call(person: Person, _world: Population, dice: random.Random) -> Draft:
    # Who calls from the household's landline is known by that number alone.
    number = person.landline if person.landline and dice.random() < 0.4 else person.phone
    incoming = dice.random() < 0.8
    data: dict[str, Any] = {
        "identifiers": {"phone": written_phone(number, dice)},
        "summary": f"Called about {dice.choice(_WORRIES)}" + (_LONG if dice.random() < 0.05 else ""),
        "direction": "in" if incoming else "out",
        "duration_seconds": dice.randint(20, 1800),
    }
    if dice.random() < 0.3:
        data["refs"] = [order_ref(person, dice)]
    return Draft("phone-desk", "voice", "call.ended", data)


def _call_identified(person: Person, _world: Population, dice: random.Random) -> Draft:
    identifiers = {"crm": person.crm, "phone": written_phone(person.phone, dice)}
    data = {"identifiers": identifiers, "summary": "Called and was identified", "direction": "in"}
    return Draft("phone-desk", "voice", "call.identified", data)


def _store_visit(person: Person, _world: Population, dice: random.Random) -> Draft:
    # The till prints the card's number in groups of digits.
    card = f"{person.loyalty[:4]} {person.loyalty[4:]}" if dice.random() < 0.3 else person.loyalty
    identifiers: dict[str, Any] = {"loyalty": card}
    if person.phone and dice.random() < 0.15:
        identifiers["phone"] = written_phone(person.phone, dice)
    data: dict[str, Any] = {
        "identifiers": identifiers,
        "summary": f"Bought {dice.choice(_PRODUCTS)} in the store",
        "direction": "in",
        "refs": [{"kind": "receipt", "id": f"r-{person.number}-{dice.randint(1, 99)}"}, order_ref(person, dice)],
        "till": dice.randint(1, 12),
    }
    return Draft("shop-till", "store", "purchase.made", data)


def _wifi(person: Person, _world: Population, dice: random.Random) -> Draft:
    data: dict[str, Any] = {"identifiers": {"cookie": person.cookies[0]}, "access_point": dice.randint(1, 40)}
    return Draft("guest-wifi", "store", "wifi.joined", data)


def _kiosk(person: Person, world: Population, dice: random.Random) -> Draft:
    # One kiosk stands where this person shops; everybody types their own address at it.
    kiosk = world.kiosk_cookies[person.number % len(world.kiosk_cookies)]
    data: dict[str, Any] = {
        "identifiers": {"cookie": kiosk, "email": written_email(person.emails[0], dice)},
        "summary": "Typed an address at the kiosk",
        "direction": "in",
        "traits": {"first_name": person.first_name},
    }
    return Draft("shop-web", "store", "kiosk.used", data)


def _tablet(person: Person, world: Population, _dice: random.Random) -> Draft:
    data: dict[str, Any] = {
        "identifiers": {"device": world.tablet_device.upper(), "loyalty": person.loyalty},
        "summary": "Was helped with the store's tablet",
        "direction": "in",
    }
    return Draft("shop-till", "store", "advice.given", data)


def _reading(person: Person, _world: Population, dice: random.Random) -> Draft:
    data: dict[str, Any] = {
        "identifiers": {"device": person.device},
        "reading": {"celsius": round(dice.uniform(15, 24), 1), "battery": dice.randint(5, 100)},
    }
    if dice.random() < 0.1:
        data["traits"] = {"firmware": f"1.{dice.randint(0, 20)}"}
    return Draft("home-hub", "iot", "thermostat.reported", data)


def _meter_read(person: Person, _world: Population, dice: random.Random) -> Draft:
    data = {"identifiers": {"meter": person.meter}, "summary": "Meter read", "kilowatt_hours": dice.randint(1, 90_000)}
    return Draft("home-hub", "iot", "meter.read", data)


def _record_changed(person: Person, _world: Population, dice: random.Random) -> Draft:
    traits: dict[str, Any] = {"segment": dice.choice(("gold", "silver", None)), "city": person.city}
    if dice.random() < 0.5:
        traits |= {"phone": typed_phone(person, dice), "country": person.country, "email": person.emails[0]}
    groups = {"company": [person.company]} if person.company else {}
    if dice.random() < 0.5:
        # Busy customers are on more lists than a context shows.
        groups["list"] = [f"list-{number}" for number in dice.sample(range(40), 6)]
    data = {"identifiers": {"crm": f" {person.crm} "}, "traits": traits, "groups": groups}
    return Draft("crm", "crm", "customer.changed", data)


def _invoice(person: Person, _world: Population, dice: random.Random) -> Draft:
    identifiers = {"crm": person.crm}
    if person.household:
        identifiers["household"] = person.household
    data: dict[str, Any] = {
        "identifiers": identifiers,
        "summary": "Invoice sent",
        "direction": "out",
        "refs": [{"kind": "invoice", "id": f"i-{person.number}-{dice.randint(1, 40)}", "status": "sent"}],
        "permissions": {"email": {"service": True}},
    }
    return Draft("billing", "billing", "invoice.sent", data)


def _text_message(person: Person, _world: Population, dice: random.Random) -> Draft:
    data = {"identifiers": {"phone": written_phone(person.phone, dice)}, "summary": "Parcel is on its way"}
    return Draft("sms-gateway", "sms", "sms.sent", data | {"direction": "out"})


def _post(person: Person, _world: Population, _dice: random.Random) -> Draft:
    data = {"identifiers": {"social": person.social}, "summary": "Mentioned us in a post", "direction": "in"}
    return Draft("social-desk", "social", "post.mentioned", data)


def _case(person: Person, _world: Population, dice: random.Random) -> Draft:
    data: dict[str, Any] = {
        "identifiers": {"email": person.emails[0], "phone": "anonymous"},
        "traits": {"nickname": dice.choice((person.first_name[:2], None)), "email": person.emails[-1]},
        "summary": f"Opened a case about {dice.choice(_WORRIES)}",
        "direction": "in",
        "refs": [{"kind": "case", "id": f"k-{person.number}-{dice.randint(1, 5)}", "status": "open"}],
    }
    return Draft("service-desk", "service", "case.opened", data)


def _gift(person: Person, _world: Population, dice: random.Random) -> Draft:
    # A borrowed browser: the sender knows that these two don't belong together and says so.
    data: dict[str, Any] = {
        "identifiers": {"cookie": f"guest-{person.number % 7}", "email": person.emails[0]},
        "link": False,
        "parties": [{"role": "recipient", "email": f"friend{dice.randint(1, 9)}@example.org"}],
        "summary": "Ordered a gift",
        "direction": "in",
    }
    return Draft("shop-web", "web", "gift.ordered", data)


HABITS: Final = (
    Habit(20, lambda person: person.cookies, _page_viewed),
    Habit(5, lambda person: person.emails and person.cookies, _order_completed),
    Habit(2, lambda person: person.emails and person.account, _account_changed),
    Habit(4, lambda person: person.account, _logged_in),
    Habit(6, lambda person: person.app, _app_opened),
    Habit(2, lambda person: person.app and person.account, _app_logged_in),
    Habit(3, lambda person: person.cookies and person.sort != "anonymous", _chat),
    Habit(5, lambda person: person.emails, _mail),
    Habit(5, lambda person: person.phone, _call),
    Habit(1, lambda person: person.crm, _call_identified),
    Habit(5, lambda person: person.loyalty, _store_visit),
    Habit(1, lambda person: person.cookies, _wifi),
    Habit(0.3, lambda person: person.emails, _kiosk),
    Habit(0.3, lambda person: person.loyalty, _tablet),
    Habit(5, lambda person: person.device, _reading),
    Habit(2, lambda person: person.meter, _meter_read),
    Habit(2, lambda person: person.crm and person.emails, _record_changed),
    Habit(2, lambda person: person.crm, _invoice),
    Habit(2, lambda person: person.phone, _text_message),
    Habit(2, lambda person: person.social, _post),
    Habit(1, lambda person: person.emails, _case),
    Habit(0.5, lambda person: person.emails, _gift),
)
