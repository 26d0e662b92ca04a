"""What the UI's guard refuses: what other web pages can make a browser send, and hosts that are not the UI's."""

import asyncio
import http.client
import threading
import urllib.parse
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from video_assets.defs.ui import AsgiApp, Guard, Receive, Scope, Send, why_refused
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.waiting import wait_until

MUTATION = "mutation { launchRun }"
JSON = {"Content-Type": "application/json"}


@dataclass
class Echo:
    """An application behind a guard that remembers what reached it."""

    reached: list[str] = field(default_factory=list[str])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        self.reached.append(f"{scope.get('method', 'WS')} {scope['path']}")
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<title>ours</title>the page of the UI"})


@contextmanager
def served(app: AsgiApp) -> Generator[int]:
    """Serve an application on a port of loopback."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, seconds=20, what="the server listens", every=0.02)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def echo() -> Echo:
    return Echo()


@pytest.fixture(scope="module")
def port(echo: Echo) -> Iterator[int]:
    with served(Guard(echo, frozenset({"ui.example", "lab.example:8443"}))) as number:
        yield number


def ask(port: int, method: str, path: str, headers: dict[str, str], body: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, {"Host": f"127.0.0.1:{port}", **headers})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
QUERY = f"/graphql?query={urllib.parse.quote(MUTATION)}"
FOREIGN = {
    "another name for this machine": ("POST", "/graphql", {**JSON, "Host": "evil.example:80"}, "Host header"),
    "a name that begins as ours": ("GET", "/", {"Host": "127.0.0.1.evil.example"}, "Host header"),
    "a name that ends as ours": ("GET", "/", {"Host": "evil-localhost"}, "Host header"),
    "no name": ("GET", "/", {"Host": ""}, "Host header"),
    "a page of another site": ("POST", "/graphql", {**JSON, "Origin": "http://evil.example"}, "another site"),
    "a page of another port": ("POST", "/graphql", {**JSON, "Origin": "http://127.0.0.1:1"}, "another site"),
    "a page in a sandbox": ("POST", "/graphql", {**JSON, "Origin": "null"}, "another site"),
    "a report by a page": (
        "POST",
        "/report_asset_materialization/x",
        {"Origin": "http://evil.example"},
        "another site",
    ),
    "a mutation by GET": ("GET", QUERY, {}, "must be sent by POST"),
    "a mutation by GET, as for people": ("GET", QUERY, {"Accept": "text/html"}, "must be sent by POST"),
    "a mutation after a query": ("GET", "/graphql?query=query+a{b}+mutation+c{d}&operationName=c", {}, "sent by POST"),
    "text that is no GraphQL": ("GET", "/graphql?query=}{", {}, "by POST"),
    "a form": ("POST", QUERY, {"Content-Type": "application/x-www-form-urlencoded"}, "application/json"),
    "text": ("POST", QUERY, {"Content-Type": "text/plain"}, "application/json"),
    "nothing said of the body": ("POST", QUERY, {}, "application/json"),
    "a picture on a page": ("GET", "/logs/x", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, "page"),
    "a frame on a page of another port": (
        "GET",
        "/",
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        "page",
    ),
    "a websocket of a page": ("GET", "/graphql", {**UPGRADE, "Origin": "http://evil.example"}, ""),
    "a websocket by another name": ("GET", "/graphql", {**UPGRADE, "Host": "evil.example"}, ""),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_a_web_page_may_send_is_refused(case: str, port: int, echo: Echo) -> None:
    method, path, headers, reason = FOREIGN[case]
    echo.reached.clear()
    status, text = ask(port, method, path, headers, "{}" if method == "POST" else None)
    assert (status, echo.reached) == (403, [])
    assert reason in text


def test_a_card_is_served_to_the_ui_alone_and_can_command_nothing(tmp_path: Path, echo: Echo) -> None:
    from video_assets.defs.ui import CardPage

    paths = DatasetPaths(tmp_path, "clips")
    card = paths.version("1.0.0").card_html
    card.parent.mkdir(parents=True)
    card.write_text("<title>the card</title>", "utf-8")
    echo.reached.clear()
    with served(Guard(CardPage(echo, paths))) as number:
        assert ask(number, "GET", "/card/clips/1.0.0", {}) == (200, "<title>the card</title>")
        assert ask(number, "GET", "/card/clips/2.0.0", {})[0] == 404
        assert ask(number, "GET", "/card/clips/1.0.0", {"Host": "evil.example"})[0] == 403
        assert echo.reached == []
        for passed_on in ("/card/other/1.0.0", "/card/clips/../1.0.0", "/card/clips/", "/"):
            assert ask(number, "GET", passed_on, {})[0] == 200
        assert len(echo.reached) == 4
        connection = http.client.HTTPConnection("127.0.0.1", number, timeout=20)
        connection.request("HEAD", "/card/clips/1.0.0")
        assert connection.getresponse().headers["Content-Security-Policy"] == "sandbox allow-scripts"
        connection.close()


OURS: dict[str, tuple[str, str, dict[str, str]]] = {
    "a page": ("GET", "/runs", {}),
    "localhost": ("GET", "/", {"Host": "localhost:3000"}),
    "a tunnel's port": ("POST", "/graphql", {**JSON, "Host": "localhost:4000", "Origin": "http://localhost:4000"}),
    "IPv6": ("POST", "/graphql", {**JSON, "Host": "[::1]:3000", "Origin": "http://[::1]:3000"}),
    "a program": ("POST", "/graphql", {"Content-Type": "application/json; charset=utf-8"}),
    "a program's report": ("POST", "/report_asset_materialization/x", JSON),
    "a query by GET": ("GET", "/graphql?query={version}", {}),
    "GraphQL's playground": ("GET", "/graphql", {"Accept": "text/html"}),
    "a link on another page": (
        "GET",
        "/runs/1",
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ),
    "an allowed name": ("POST", "/graphql", {**JSON, "Host": "UI.example", "Origin": "https://ui.example"}),
    "a proxy that asks under its own name": (
        "POST",
        "/graphql",
        {**JSON, "Origin": "https://lab.example:8443", "Host": "127.0.0.1:3000"},
    ),
}


@pytest.mark.parametrize("case", OURS)
def test_what_the_ui_and_programs_send_is_answered(case: str, port: int, echo: Echo) -> None:
    method, path, headers = OURS[case]
    echo.reached.clear()
    assert ask(port, method, path, headers, "{}" if method == "POST" else None)[0] == 200
    assert echo.reached == [f"{method} {path.partition('?')[0]}"]


def test_a_websocket_of_the_ui_is_let_through(port: int, echo: Echo) -> None:
    echo.reached.clear()
    assert ask(port, "GET", "/graphql", {**UPGRADE, "Origin": f"http://127.0.0.1:{port}"})[0] == 101
    assert echo.reached == ["WS /graphql"]


def test_an_allowed_name_counts_with_its_port_only() -> None:
    headers = {"host": ["lab.example:8443"], "origin": ["https://lab.example:9999"]}
    assert "another site" in why_refused("POST", "/graphql", "", headers, ["lab.example:8443"])


def test_a_header_that_comes_twice_is_refused() -> None:
    assert "Host header is None" in why_refused("GET", "/", "", {"host": ["localhost", "evil.example"]})
    assert "page of None" in why_refused("GET", "/", "", {"host": ["localhost"], "origin": ["http://localhost", "x"]})


def test_dagster_itself_still_answers_what_the_guard_refuses(tmp_path: Path) -> None:
    """When this fails, Dagster refuses it too, and neither the guard nor what is private in serving it is needed."""
    import dagster as dg

    from video_assets.defs.private_dagster import webserver_app

    workspace = tmp_path / "workspace.yaml"
    workspace.write_text("load_from: []\n")
    text = "mutation { setNuxSeen }"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "root_path": "",
        "query_string": f"query={urllib.parse.quote(text)}".encode(),
        "headers": [(b"host", b"evil.example"), (b"origin", b"http://evil.example")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance, webserver_app(instance, workspace) as app:
        asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 200
    assert b"setNuxSeen" in b"".join(message.get("body", b"") for message in sent)
