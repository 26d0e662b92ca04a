"""Real stores on loopback: moto's S3 server in its own process, and a proxy before it that keeps a log and fails."""

import http.client
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

BUCKET = "bucket"
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@contextmanager
def s3_server() -> Generator[int]:
    """An S3 server's port on 127.0.0.1; the server ends with the block, or with this process."""
    command = [sys.executable, "-c", _SERVER]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


@dataclass
class Request:
    """One request as the server saw it, and the bytes of the body that it answered with."""

    method: str
    path: str
    status: int
    range: str = ""
    num_bytes: int = 0
    condition: str = ""


@dataclass
class Proxy:
    """Passes requests on, and keeps a log.

    One request in `1 / failures` fails, by a seeded draw: with 500, with 503, with a connection that is dropped before
    the answer, or in the middle of it. The last two happen after the store has done what was asked.
    """

    upstream_port: int
    failures: float = 0.0
    seed: int = 0
    log: list[Request] = field(default_factory=list)
    num_failed: int = 0
    refused: str = ""
    """A pattern of `METHOD path`; such a request is answered with 500 whenever it comes."""
    delay_seconds: float = 0.0
    """How long every answer takes more, as if the store were far away; requests at the same time wait side by side."""

    page: int = 0
    """How many objects the page of a listing has at most; 0: as many as the server gives."""

    speaks_google: bool = False
    """Whether it takes and tells generations, as Google Cloud Storage does by its XML API, which else is S3's."""

    knows_conditions: bool = True
    """Whether it takes writes under a condition, or answers 501 as some stores like S3 do."""
    url: str = ""

    def __post_init__(self) -> None:
        self._generations: dict[str, str] = {}
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    def draw(self) -> str:
        with self._lock:
            if self._random.random() >= self.failures:
                return ""
            self.num_failed += 1
            return self._random.choice(["500", "503", "dropped", "cut"])

    def condition_of(self, generation: str) -> dict[str, str]:
        """The header of S3 for "only if the object has this generation", 0 meaning that there is none."""
        return {"If-None-Match": "*"} if generation == "0" else {"If-Match": self._generations[generation]}

    def generation_of(self, etag: str) -> str:
        """A number for a content; it is remembered."""
        generation = str(int(etag.strip('"')[:12], 16))
        self._generations[generation] = etag
        return generation

    @contextmanager
    def serve(self) -> Generator[str]:
        """The proxy's address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self.url
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else an answer waits 40 ms for the acknowledgement of its head

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name in the base class)
            pass

        def handle_any(self) -> None:
            if self.headers.get("Expect", "").lower() == "100-continue":
                pass  # the base class has answered it
            body = self._body()
            time.sleep(proxy.delay_seconds)
            fault = "500" if proxy.refused and re.search(proxy.refused, f"{self.command} {self.path}") else proxy.draw()
            request = Request(
                self.command,
                self.path,
                0,
                self.headers.get("Range", ""),
                condition=self.headers.get("If-None-Match", "") or self.headers.get("If-Match", ""),
            )
            proxy.log.append(request)
            if request.condition and self.command == "PUT" and not proxy.knows_conditions:
                request.status = 501
                self._answer(501, [], b"")
                return
            if fault in ("500", "503"):
                request.status = int(fault)
                code = "InternalError" if fault == "500" else "SlowDown"
                text = f"<Error><Code>{code}</Code><Message>by lot</Message></Error>".encode()
                self._answer(int(fault), [("Content-Type", "application/xml")], b"" if self.command == "HEAD" else text)
                return
            status, headers, content = self._pass_on(body)
            request.status = status
            if fault == "dropped" or (fault == "cut" and len(content) < 2):
                self.close_connection = True
                self.connection.close()
                return
            if fault == "cut":
                self._head(status, headers, len(content))
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.close()
                return
            request.num_bytes = len(content)
            self._answer(status, headers, content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _pass_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            upstream = http.client.HTTPConnection("127.0.0.1", proxy.upstream_port, timeout=60)
            skipped = {"connection", "transfer-encoding", "content-length", "expect"}
            headers = {name: value for name, value in self.headers.items() if name.lower() not in skipped}
            if wanted := headers.pop("x-goog-if-generation-match", ""):
                headers |= proxy.condition_of(wanted)
            place, mark, query = self.path.partition("?")
            path = quote(unquote(place)) + mark + query  # Google's clients write dashes and slashes as codes
            path += f"&max-keys={proxy.page}" if proxy.page and "list-type=2" in self.path else ""
            try:
                upstream.request(self.command, path, body, {**headers, "Content-Length": str(len(body))})
                answer = upstream.getresponse()
                content = answer.read()
                told = answer.getheaders()
                if proxy.speaks_google and answer.headers["ETag"]:
                    told.append(("x-goog-generation", proxy.generation_of(answer.headers["ETag"])))
                return answer.status, told, content
            finally:
                upstream.close()

        def _head(self, status: int, headers: list[tuple[str, str]], num_bytes: int) -> None:
            self.send_response_only(status)
            told = {name.lower(): value for name, value in headers}
            for name, value in headers:
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                    self.send_header(name, value)
            length = told.get("content-length", str(num_bytes)) if self.command == "HEAD" else str(num_bytes)
            self.send_header("Content-Length", length)
            self.end_headers()

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self._head(status, headers, len(content))
            if self.command != "HEAD":
                self.wfile.write(content)

    return Handler
