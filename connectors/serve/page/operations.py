"""The page's routes, and the page put together from what the lookup has."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from connectors.serve.answers import Answers
from connectors.serve.explaining.explanations import Explanations
from connectors.serve.finding import Finder
from connectors.serve.layout import LookupRows
from connectors.serve.page.activity import Activity
from connectors.serve.page.dead_watch import DeadWatch
from connectors.serve.page.door import LOGIN_PATH, Door
from connectors.serve.page.handlers import PageHandlers, PageParts, newest_renderer
from connectors.serve.page.hanging import Links
from connectors.serve.page.live import Live, LiveLimits
from connectors.serve.page.login import Attempts
from connectors.serve.page.newest import NewestEvents
from connectors.serve.page.rendering import Assets, Templates
from connectors.serve.page.sessions import Sessions
from connectors.serve.page.snapshot import LagKnower, Overview
from connectors.serve.page.views import Views
from connectors.serve.page.why import WhyHandlers
from connectors.serve.timeline import Timeline
from connectors.web.access import IN_HANDLER, OPEN, Access, Admission
from connectors.web.operations import Answer, Handler, Operation
from connectors.web.standard import ReadyReport
from schemas.clock import Clock
from schemas.identity_policy import Policy
from schemas.keys import Keyring
from streams.metrics import Metrics

_SHOWN: Final = {200: Answer("HTML.")}


@dataclass(frozen=True, kw_only=True)
class PageSources:
    """What the lookup has that the page shows."""

    rows: LookupRows
    finder: Finder
    answers: Answers
    timeline: Timeline
    explanations: Explanations
    keyring: Keyring
    policy: Policy
    activity: Activity
    freshness: LagKnower
    dead: DeadWatch
    ready: Callable[[], ReadyReport]
    metrics: Metrics
    access: Access
    clock: Clock
    limits: LiveLimits = field(default_factory=LiveLimits)


@dataclass(frozen=True)
class Page:
    """The page: its routes, and its live updates, which run with the application."""

    operations: tuple[Operation, ...]
    live: Live


def make_page(sources: PageSources) -> Page:
    """Put the page together."""
    assets = Assets()
    views = Views(Templates(assets), sources.policy)
    newest = NewestEvents(sources.rows, sources.finder)
    overview = Overview(
        sources.rows,
        sources.activity,
        freshness=sources.freshness,
        dead=lambda: sources.dead.known,
        ready=sources.ready,
        clock=sources.clock,
    )
    live = Live(
        overview,
        newest,
        render=newest_renderer(views, newest),
        dead=sources.dead,
        metrics=sources.metrics,
        limits=sources.limits,
    )
    parts = PageParts(
        answers=sources.answers,
        timeline=sources.timeline,
        explanations=sources.explanations,
        links=Links(sources.rows, sources.finder, sources.keyring, sources.policy),
        newest=newest,
        overview=overview,
        live=live,
        dead=sources.dead.current,
        ready=sources.ready,
        metrics=sources.metrics,
    )
    door = Door(
        sources.access,
        Sessions(sources.keyring.session_key, sources.access, sources.clock),
        Attempts(sources.clock),
        views,
    )
    handlers = PageHandlers(parts, views, assets)
    return Page(_operations(door, handlers, WhyHandlers(parts, views, handlers)), live)


def _operations(door: Door, handlers: PageHandlers, why: WhyHandlers) -> tuple[Operation, ...]:
    return (
        _get("/", door.inside(handlers.overview), "page"),
        _post("/search", door.inside(handlers.search), "pageSearch"),
        _get("/customers/{customer}", door.inside(handlers.customer), "pageCustomer"),
        _get("/customers/{customer}/why", door.inside(why.customer), "pageWhy"),
        _get("/customers/{customer}/why/{fragment}", door.inside(why.identifier), "pageWhyIdentifier"),
        _get("/customers/{customer}/traits/{trait}/why", door.inside(why.trait), "pageWhyTrait"),
        _get("/customers/{customer}/timeline", door.inside(handlers.timeline), "pageTimeline"),
        _get("/live", door.inside(handlers.live), "pageLive"),
        _get(LOGIN_PATH, door.outside(door.login_form), "pageLoginForm", OPEN),
        _post(LOGIN_PATH, door.outside(door.login), "pageLogin", OPEN),
        _post("/logout", door.outside(door.logout), "pageLogout", OPEN),
        _get("/static/{version}/{name}", door.outside(handlers.static), "pageStatic", OPEN),
    )


def _get(path: str, handler: Handler, name: str, access: Admission = IN_HANDLER) -> Operation:
    return Operation("GET", path, handler, name, name, _SHOWN, access=access, documented=False)


def _post(path: str, handler: Handler, name: str, access: Admission = IN_HANDLER) -> Operation:
    return Operation("POST", path, handler, name, name, _SHOWN, access=access, documented=False)
