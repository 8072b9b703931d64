"""What happens to many people at once: an import of leads, and an open day in the lobby.

Both make one identifier shared by a limit. How many people take part is kept well away from that limit, so that the
rules decide clearly in a population of any size.
"""

import random
from typing import Any, Final

from bench.behaviour import Draft, written_email
from bench.population import PLACEHOLDER_CRM, Person, Population

# A crm id is shared past twenty e-mails: an import has clearly fewer of them or clearly more.
_LEADS_FEW: Final = 12
_LEADS_MANY: Final = 28
# A cookie is shared past six customers who claim it, though somebody logged in at it.
_VISITORS_MIN: Final = 12
_VISITORS_MAX: Final = 40


def gatherings(world: Population, dice: random.Random) -> list[list[Draft]]:
    """Each gathering's events, which happen one after the other without a break."""
    return [_import_of_leads(world), _open_day(world, dice)]


def _import_of_leads(world: Population) -> list[Draft]:
    """The same placeholder stands in the number of every lead."""
    leads = [person for person in world.people if person.sort == "prospect" and person.emails]
    if len(leads) < _LEADS_MANY:
        leads = leads[:_LEADS_FEW]
    return [_lead(person) for person in leads]


def _lead(person: Person) -> Draft:
    data = {
        "identifiers": {"crm": PLACEHOLDER_CRM, "email": person.emails[0]},
        "traits": {"first_name": person.first_name},
        "summary": "Lead imported",
    }
    return Draft("crm", "crm", "lead.imported", data)


def _open_day(world: Population, dice: random.Random) -> list[Draft]:
    """One of the staff logs in at the lobby's screen, and very many visitors type their address there."""
    staff = next((person for person in world.people if person.number and person.account), None)
    # Leads may be one customer by their number, and the limit counts customers.
    others = [person for person in world.people if person.emails and person.sort != "prospect" and person is not staff]
    visitors = others[::2]
    if staff is None or len(visitors) < _VISITORS_MIN:
        return []
    identifiers: dict[str, Any] = {"cookie": world.lobby_cookie, "account": staff.account}
    drafts = [Draft("shop-web", "store", "account.logged_in", {"identifiers": identifiers, "summary": "Opened up"})]
    for visitor in visitors[:_VISITORS_MAX]:
        identifiers = {"cookie": world.lobby_cookie, "email": written_email(visitor.emails[0], dice)}
        data = {"identifiers": identifiers, "summary": "Came to visit", "direction": "in"}
        drafts.append(Draft("shop-web", "store", "visitor.registered", data))
    return drafts
