"""Which requests the UI answers: those of its own pages and of programs, never those that another web page makes.

A browser sends requests to 127.0.0.1 for any page that asks it to. Dagster's server answers them all, and one GET can
launch a run. See docs/SECURITY.md.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_GRAPHQL: Final = "/graphql"


@dataclass(frozen=True, slots=True)
class Guard:
    """An ASGI application that passes on to `app` what `why_refused` lets pass, websockets included.

    `hosts` are names, with a port or without, under which people reach the UI beside those of loopback.
    """

    app: AsgiApp
    hosts: frozenset[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        reason = _why_refused(scope, self.hosts) if scope["type"] in {"http", "websocket"} else ""
        if not reason:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": f"Refused: {reason}.\n".encode()})


def _why_refused(scope: Scope, hosts: frozenset[str]) -> str:
    method = "GET" if scope["type"] == "websocket" else scope["method"]
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    query = scope.get("query_string", b"").decode("latin-1")
    return why_refused(method, scope["path"], query, headers, hosts)


def why_refused(method: str, path: str, query: str, headers: Mapping[str, list[str]], hosts: Iterable[str] = ()) -> str:
    """Return why a request is refused, as a sentence without its full stop; empty if it is answered.

    The port of a Host header is not compared: an SSH tunnel has its own. So is a page's own origin known by the Host
    header that came with it. A program sends no Origin; a browser always does where another page could do harm, but
    for GET, hence the rules for that.

    Args:
        method: Of HTTP; GET for a websocket.
        path: Without the query.
        query: What follows the question mark.
        headers: All values of each header, by its name in lower case.
        hosts: Further names of the UI, with a port or without.
    """
    host = _only(headers, "host")
    if host is None or not _is_ours(host, hosts):
        return (
            f"the Host header is {host!r}, and this UI goes by {', '.join(sorted({*LOOPBACK_NAMES, *hosts}))} "
            "(video-assets ui --allow-host NAME adds a name)"
        )
    origin = _only(headers, "origin")
    if (origin is None and "origin" in headers) or (origin is not None and not _is_own_origin(origin, host, hosts)):
        return f"the request comes from a page of {origin!r}, which is another site than {host!r}"
    if _is_of_another_page(method, path, headers):
        return "the request is made by a page of another site"
    if path.rstrip("/").endswith(_GRAPHQL):
        return _why_not_graphql(method, query, headers)
    return ""


def _only(headers: Mapping[str, list[str]], name: str) -> str | None:
    """Return the value of a header that came once, in lower case."""
    values = headers.get(name, [])
    return values[0].strip().lower() if len(values) == 1 else None


def _is_ours(host: str, hosts: Iterable[str]) -> bool:
    return _without_port(host) in LOOPBACK_NAMES | {_without_port(name.lower()) for name in hosts}


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _is_own_origin(origin: str, host: str, hosts: Iterable[str]) -> bool:
    """Whether an origin is the page that this UI served: by the address of the request, or by a name that is allowed.

    A proxy in front may ask under another Host than its own, so an allowed name counts on its own.
    """
    place = urlsplit(origin)
    return place.scheme in {"http", "https"} and place.netloc in {host, *(name.lower() for name in hosts)}


def _is_of_another_page(method: str, path: str, headers: Mapping[str, list[str]]) -> bool:
    """Whether a browser says that another page asks; a link to a page of the UI may be followed."""
    site = _only(headers, "sec-fetch-site")
    if site in {None, "same-origin", "none"}:
        return False
    is_link = _only(headers, "sec-fetch-mode") == "navigate" and _only(headers, "sec-fetch-dest") == "document"
    return method not in _READS or not is_link or path.rstrip("/").endswith(_GRAPHQL)


def _why_not_graphql(method: str, query: str, headers: Mapping[str, list[str]]) -> str:
    """Return why a request to the API is refused: it changes something by GET, or is what an HTML form sends."""
    if method in _READS:
        documents = parse_qs(query).get("query", [])
        return "" if all(map(_only_reads, documents)) else "a GraphQL mutation must be sent by POST, as JSON"
    kind = (_only(headers, "content-type") or "").partition(";")[0].strip()
    return "" if kind == "application/json" else f"GraphQL is taken as application/json, not as {kind or 'nothing'}"


def _only_reads(document: str) -> bool:
    try:
        definitions = parse(document).definitions
    except GraphQLError:
        return False
    operations = [item.operation for item in definitions if isinstance(item, OperationDefinitionNode)]
    return all(operation is OperationType.QUERY for operation in operations)
