"""A real browser on a page of another site, which tries to command the UI behind its guard."""

import http.server
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from video_assets.defs.ui import Guard
from video_assets_tests.browser.browsing import Page, browse
from video_assets_tests.defs.test_ui_guard import Echo, served
from video_assets_tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

REBOUND = "rebound.example"
"""A name that the browser believes to be this machine, as after DNS rebinding."""
PAGE = """<!doctype html><title>another site</title>
<form method="post" enctype="ENC" action="UI/graphql?query=mutation{a}" target="f">
<input name="a" value="b"></form><iframe name="f"></iframe><script>
const ui = "UI", mutation = "/graphql?query=mutation{launchRun}";
let left = 7; const done = () => { if (--left === 0) document.title = "tried"; };
const picture = new Image(); picture.onload = picture.onerror = done; picture.src = ui + mutation;
const tries = [["text/plain", "{}"], ["application/x-www-form-urlencoded", "query=mutation{a}"],
               ["multipart/form-data; boundary=x", "--x--"]];
for (const [type, body] of tries)
  fetch(ui + mutation, {method: "POST", mode: "no-cors", headers: {"Content-Type": type}, body}).finally(done);
fetch(ui + "/graphql", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"}).catch(done);
const socket = new WebSocket(ui.replace("http", "ws") + "/graphql", "graphql-ws"); socket.onclose = done;
document.querySelector("iframe").onload = done;
document.forms[0].submit();
</script>"""


class _Foreign(http.server.BaseHTTPRequestHandler):
    page = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture(scope="module")
def rebinding_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    rules = f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"
    with browse(tmp_path_factory.mktemp("profile"), flags=[rules]) as page:
        yield page


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def port(echo: Echo) -> Iterator[int]:
    with served(Guard(echo)) as number:
        yield number


def try_everything(page: Page, ui: str, form: str) -> None:
    """Show a page of another site, and wait until it has tried to command the UI in every way."""
    handler = type("Handler", (_Foreign,), {"page": PAGE.replace("UI", ui).replace("ENC", form).encode()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as foreign:
        thread = threading.Thread(target=foreign.serve_forever)
        thread.start()
        try:
            page.driver.get(f"http://localhost:{foreign.server_port}/")
            wait_until(lambda: page.driver.title == "tried", seconds=60, what="all tries", every=0.1)
        finally:
            foreign.shutdown()
            thread.join()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("form", ["text/plain", "application/x-www-form-urlencoded"])
def test_nothing_that_another_page_sends_reaches_the_ui(
    name: str, form: str, port: int, echo: Echo, rebinding_browser: Page
) -> None:
    try_everything(rebinding_browser, f"http://{name}:{port}", form)
    assert echo.reached == []


def test_without_the_guard_all_of_it_would_reach_the_ui(echo: Echo, rebinding_browser: Page) -> None:
    with served(echo) as port:
        try_everything(rebinding_browser, f"http://127.0.0.1:{port}", "text/plain")
    assert {"GET /graphql", "POST /graphql", "WS /graphql"} <= set(echo.reached)


def test_a_name_that_was_bound_to_this_machine_shows_a_refusal(port: int, echo: Echo, rebinding_browser: Page) -> None:
    rebinding_browser.open(f"http://{REBOUND}:{port}/", "Refused: the Host header is", REBOUND)
    assert echo.reached == []


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_ui_s_own_page_commands_it(name: str, port: int, echo: Echo, rebinding_browser: Page) -> None:
    """Otherwise the tests above prove nothing; any port is right, as of an SSH tunnel."""
    rebinding_browser.open(f"http://{name}:{port}/", "the page of the UI")
    script = """const done = arguments[0];
        fetch("/graphql", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"})
          .then(answer => {
            const socket = new WebSocket(`ws://${location.host}/graphql`);
            socket.onclose = () => done(answer.status);
          });"""
    assert rebinding_browser.driver.execute_async_script(script) == 200
    assert {"POST /graphql", "WS /graphql"} <= set(echo.reached)
