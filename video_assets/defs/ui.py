"""`video-assets ui`: the Dagster UI and its daemon for one dataset, on this machine only, behind a guard.

A browser sends requests to 127.0.0.1 for any page that asks it to. Dagster's server answers them all, and one GET can
launch a run. Only requests of the UI's own pages and of programs pass. See docs/SECURITY.md.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import uvicorn
import yaml
from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

from video_assets.defs.graph import CARD_ADDRESS
from video_assets.defs.instance import prepare_home
from video_assets.defs.private_dagster import webserver_app
from video_assets.domain.errors import EXIT_FAILED, EXIT_OK, StorageFailed, VideoAssetsError
from video_assets.environment import Environment, variable_name
from video_assets.storage.files import write_text
from video_assets.storage.paths import DatasetPaths, parse_version

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


_Process: TypeAlias = "subprocess.Popen[bytes]"
HOST: Final = "127.0.0.1"
LOG_NAME: Final = "ui.log"
"""In the home of the instance: what code server and daemon say. The terminal shows the address alone."""
_MODULE, _LOCATION = "video_assets.definitions", "video_assets"
_START_SECONDS: Final = 300.0
_END_SECONDS: Final = 60.0


def serve_ui(source: Path, paths: DatasetPaths, port: int, built_on: Environment, hosts: Sequence[str] = ()) -> int:
    """Serve until it is interrupted or a part of it ends; return the exit code.

    This process is the web server. A code server loads the definitions in processes of its own, and the daemon runs
    sensors, schedules and the queue.

    Args:
        source: The labelled videos.
        paths: The dataset.
        port: Of loopback.
        built_on: What the environment says of engine and processes.
        hosts: Further names under which people reach the UI; see `Guard`.

    Raises:
        StorageFailed: if the port is taken, or the code server does not start.
    """
    home = prepare_home(paths)
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home.absolute()),
        **built_on.as_variables(),
        variable_name("source"): str(source.absolute()),
        variable_name("root"): str(paths.root),
        variable_name("name"): paths.name,
        variable_name("automation"): os.environ.get(variable_name("automation"), "on"),
    }
    _end_as_by_a_key()
    try:
        with (
            _listening(port) as listener,
            (home / LOG_NAME).open("ab") as log,
            _parts(home, environment, log) as (workspace, parts),
            dg.DagsterInstance.from_config(str(home)) as instance,
            webserver_app(instance, workspace) as app,
        ):
            sys.stdout.write(f"Log of code server and daemon: {home / LOG_NAME}\n")
            sys.stdout.write(f"Dagster UI of {paths.directory}: http://{HOST}:{port}\n")
            sys.stdout.flush()
            _serve(Guard(CardPage(app, paths), frozenset(hosts)), listener, parts)
            return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_OK


@dataclass(frozen=True, slots=True)
class CardPage:
    """An ASGI application that answers the addresses of the dataset's cards, and passes all others on to `app`."""

    app: AsgiApp
    paths: DatasetPaths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        version = scope.get("path", "").removeprefix(CARD_ADDRESS.format(name=self.paths.name, version=""))
        if scope["type"] != "http" or parse_version(version) is None:
            await self.app(scope, receive, send)
            return
        status, body = await asyncio.to_thread(self._read, version)
        # The page shows names that others gave to files: should one of them run, then not as a page of this UI.
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", b"sandbox allow-scripts"),
            (b"cache-control", b"no-cache"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _read(self, version: str) -> tuple[int, bytes]:
        try:
            return 200, self.paths.version(version).card_html.read_bytes()
        except (OSError, VideoAssetsError):
            return 404, f"There is no card of version {version} yet: it comes with the commit.".encode()


def _end_as_by_a_key() -> None:
    """Have both signals that end a program end this one in order.

    A shell script's background jobs ignore interrupts, and a service manager terminates.
    """

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


@contextmanager
def _listening(port: int) -> Generator[socket.socket]:
    """Take the port, before anything is started."""
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise StorageFailed(
            f"the port {port} of {HOST} cannot be used: {error.strerror}; choose another by --port"
        ) from error
    with listener:
        yield listener


@contextmanager
def _parts(home: Path, environment: Mapping[str, str], log: IO[bytes]) -> Generator[tuple[Path, Sequence[_Process]]]:
    """Run code server and daemon; give the workspace file that names the code server, and both processes."""
    with tempfile.TemporaryDirectory(prefix="video-assets-ui-") as folder:  # a socket's name has 107 characters
        place, workspace = Path(folder, "code"), home / "workspace.yaml"
        location = {"socket": str(place), "host": "localhost", "location_name": _LOCATION}
        write_text(workspace, yaml.safe_dump({"load_from": [{"grpc_server": location}]}))
        serve_code = [sys.executable, "-m", "dagster", "code-server", "start", "--socket", str(place)]
        serve_code += ["-m", _MODULE, "--location-name", _LOCATION, "--log-level", "warning"]
        with _running(serve_code, environment, log) as code_server:
            _wait_for(place, code_server, log.name)
            run_daemon = [_program("dagster-daemon"), "run", "-w", str(workspace)]
            with _running(run_daemon, environment, log) as daemon:
                yield workspace, (code_server, daemon)


def _program(name: str) -> str:
    """Return where a program of this Python environment lies."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or name


@contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> Generator[_Process]:
    """Run a program for as long as the block, and end it in order; what it says goes to the log."""
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(place: Path, code_server: _Process, log: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not place.exists():
        if code_server.poll() is not None or time.monotonic() > deadline:
            raise StorageFailed(f"Dagster's code server did not start; {log} says why")
        time.sleep(0.1)


def _serve(app: AsgiApp, listener: socket.socket, parts: Sequence[_Process]) -> None:
    """Serve until it is interrupted, or until one of these processes ends."""
    # Open pages keep their websockets; the end of the UI does not wait for them.
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3))
    for part in parts:
        threading.Thread(target=_stop_after, args=(part.wait, server), daemon=True).start()
    server.run(sockets=[listener])


def _stop_after(wait: Callable[[], object], server: uvicorn.Server) -> None:
    wait()
    server.should_exit = True
