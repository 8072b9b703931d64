"""What browser and mobile SDKs ask for at their start: which destinations there are, and where messages go.

There is one destination, this service. Nothing of an answer is secret: who asks has the write key already.
"""

from typing import Any, Final

from aiohttp import web

from connectors.web.problems import MALFORMED_REQUEST, ProblemError

#: The name under which SDKs know the destination that takes everything.
_DESTINATION: Final = "Segment.io"
_FORWARDED_PROTO: Final = "X-Forwarded-Proto"
_PROTOCOLS: Final = frozenset({"http", "https"})


def sdk_settings(request: web.Request, write_key: str) -> dict[str, Any]:
    """The settings of a source: send all to the address under which this service was asked.

    Behind a proxy that ends TLS, the proxy has to keep `Host` and to say `X-Forwarded-Proto: https`. Whoever lies
    about either misleads himself alone, since no answer is kept.

    Raises:
        ProblemError: 400, `Host` is nothing that an answer could hold.
    """
    if not request.host.isascii():
        raise ProblemError(MALFORMED_REQUEST, "The Host header is no name of a host.")
    forwarded = request.headers.get(_FORWARDED_PROTO, "").strip().lower()
    protocol = forwarded if forwarded in _PROTOCOLS else request.scheme
    return {
        "integrations": {
            _DESTINATION: {
                "apiKey": write_key,
                "apiHost": f"{request.host}/v1",
                "protocol": protocol,
                "addBundledMetadata": False,
                "unbundledIntegrations": [],
                "maybeBundledConfigIds": {},
                "versionSettings": {"version": "4.4.7", "componentTypes": ["browser", "ios", "android", "server"]},
            }
        },
        # Nothing is filtered, rewritten or sampled at the sender.
        "plan": {name: {"__default": {"enabled": True, "integrations": {}}} for name in ("track", "identify", "group")},
        "edgeFunction": {},
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0},
        "consentSettings": {"allCategories": []},
        "remotePlugins": [],
        "legacyVideoPluginsEnabled": False,
        "analyticsNextEnabled": True,
    }
