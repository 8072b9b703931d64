"""What goes wrong: identifiers in an event that are not those of the person who did it.

Each mishap says so by its name, and which kinds in it are foreign; the truth is always the person who acted.
"""

import random
from typing import Any, Final

from bench.behaviour import written_email
from bench.identity.acting import address, browser
from bench.identity.draft import Draft, draft, name_of
from bench.identity.people import People, Person

#: What an exchange writes for the caller where the call centre dialled. Of the last one the operator does not know.
OWN_NUMBERS: Final = ("+31880001000", "+31880002000", "+31880003000")
#: What cashiers type into a mandatory field. Of the last one the operator does not know.
DUMMY_CRM: Final = ("0000", "99999")
_WITHHELD: Final = ("anonymous", "+266696687", "-")
# A mistyped address is a real person's in one case of three.
_REAL_EVERY: Final = 3
# Of what happens at a kiosk, the share that is a login by those who have one.
_KIOSK_LOGINS: Final = 0.1
# Of the employees' tests, the share under addresses that the operator does not know.
_UNKNOWN_TESTS: Final = 0.3


def at_kiosk(person: Person, now: float, people: People, dice: random.Random) -> Draft:
    """Somebody types an address at a kiosk, or logs in there."""
    identifiers: dict[str, Any] = {"cookie": people.kiosk_cookies[person.number % len(people.kiosk_cookies)]}
    if person.is_registered(now) and dice.random() < _KIOSK_LOGINS:
        identifiers["account"] = person.account
        made = draft(person, "shop-kiosk", "account.logged_in", identifiers)
    else:
        identifiers["email"] = address(person, now, dice)
        made = draft(person, "shop-kiosk", "kiosk.used", identifiers, traits={"first_name": person.first_name})
    return made._replace(foreign=frozenset({"cookie"}), mishaps=("kiosk",))


def mistyped(person: Person, now: float, people: People, turn: int, dice: random.Random) -> Draft:
    """An order with an address that is nobody's or, each third time, somebody else's."""
    mishaps: tuple[str, ...] = ("mistyped",)
    if turn % _REAL_EVERY == 0:
        others = (dice.choice(people.customers) for _ in range(100))
        other = next(one for one in others if one.emails and one.emails[0] not in person.emails)
        wrong, mishaps = other.email(now), ("mistyped", "mistyped_real")
    else:
        wrong = _with_typo(person.email(now), dice)
    identifiers: dict[str, Any] = {"cookie": browser(person, dice), "email": written_email(wrong, dice)}
    if person.is_registered(now) and dice.random() < 0.3:
        identifiers["account"] = person.account
    made = draft(person, "shop-web", "order.placed", identifiers, traits=name_of(person) | {"city": person.city})
    return made._replace(foreign=frozenset({"email"}), mishaps=mishaps)


def _with_typo(email: str, dice: random.Random) -> str:
    """Two letters exchanged, or one doubled."""
    local, _, domain = email.partition("@")
    place = dice.randrange(1, len(local) - 2)
    exchanged = local[:place] + local[place + 1] + local[place] + local[place + 2 :]
    if dice.random() < 0.5 and exchanged != local:
        return f"{exchanged}@{domain}"
    return f"{local[:place]}{local[place]}{local[place:]}@{domain}"


def forged(person: Person, now: float, people: People, dice: random.Random) -> Draft:
    """Somebody types another one's address on purpose, in a browser of his own."""
    victims = (dice.choice(people.customers) for _ in range(100))
    victim = next(one for one in victims if one.emails and one.emails[0] not in person.emails)
    identifiers = {"cookie": person.cookies[0], "email": victim.email(now)}
    traits = {"first_name": victim.first_name, "phone": person.phone(now) or "+31600000000"}
    made = draft(person, "shop-web", "form.sent", identifiers, traits=traits)
    return made._replace(foreign=frozenset({"email"}), mishaps=("forged",))


def tested(people: People, dice: random.Random) -> Draft:
    """An employee tries the shop out, mostly with what the operator knows of."""
    tester = dice.choice(people.testers)
    identifiers: dict[str, Any] = {"cookie": tester.cookies[0], "account": tester.account, "email": tester.emails[0]}
    if dice.random() < _UNKNOWN_TESTS:
        identifiers = {"cookie": tester.cookies[0], "email": f"private{tester.number}@mail.example"}
    made = draft(tester, "shop-web", "order.placed", identifiers, traits=name_of(tester))
    return made._replace(mishaps=("tests",))


def call_in_other_words(made: Draft, own_share: float, withheld_share: float, dice: random.Random) -> Draft:
    """A call whose number is the call centre's own, or withheld, in these shares."""
    turn = dice.random()
    if turn >= own_share + withheld_share:
        return made
    own = turn < own_share
    number = dice.choice(OWN_NUMBERS if own else _WITHHELD)
    identifiers = made.data["identifiers"] | {"phone": number}
    return made._replace(
        data=made.data | {"identifiers": identifiers},
        foreign=made.foreign | {"phone"},
        mishaps=("own_number" if own else "withheld",),
    )


def sale_in_other_words(made: Draft, dummy_share: float, dice: random.Random) -> Draft:
    """A sale at which the cashier filled in a customer number that is nobody's."""
    if dice.random() >= dummy_share:
        return made
    identifiers = {"crm": dice.choice(DUMMY_CRM)} | made.data["identifiers"]
    return made._replace(
        data=made.data | {"identifiers": identifiers}, foreign=made.foreign | {"crm"}, mishaps=("dummy_crm",)
    )
