"""What others could reach or read: sockets that listen, and secrets of the environment in what is written and said."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.videos import write_class
from video_assets_tests.waiting import end_process_group, free_port, wait_until

REPOSITORY = Path(__file__).parents[1]
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7CANARY0",
    "AWS_SECRET_ACCESS_KEY": "canary/of/aws+secret0123456789",
    "AWS_SESSION_TOKEN": "canary-of-aws-session",
    "DAGSTER_PG_PASSWORD": "canary-of-postgres",
    "HF_TOKEN": "hf_canaryofhuggingface",
}


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """Address and port of every internet socket on which a process, or one below it, waits for others."""
    found: set[tuple[str, int]] = set()
    for one in (process, *process.children(recursive=True)):
        try:
            connections = one.net_connections("inet")
        except psutil.Error:  # it has just ended
            continue
        found |= {(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN}
        found |= {(c.laddr.ip, c.laddr.port) for c in connections if c.type == socket.SOCK_DGRAM}
    return found


@pytest.fixture
def ui(built: Built, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    command = [sys.executable, "-m", "video_assets.cli", "ui", "--source", str(built.source)]
    command += ["--root", str(built.paths.root), "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environment["VIDEO_ASSETS_AUTOMATION"] = "off"
    with (tmp_path / "ui.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process, port
    finally:
        end_process_group(process)


@pytest.mark.slow
def test_the_ui_and_all_that_it_starts_listen_on_loopback_only(ui: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = ui

    def answers() -> bool:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    wait_until(answers, seconds=200, what="the UI answers")
    found = listening(psutil.Process(process.pid))
    assert ("127.0.0.1", port) in found
    assert {place for place in found if place[0] not in LOOPBACK} == set()
    mutation = f"http://127.0.0.1:{port}/graphql?query=mutation%7BsetNuxSeen%7D"
    for headers in ({}, {"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(mutation, headers=headers), timeout=20)


def test_the_watch_on_sockets_sees_one_that_listens_everywhere() -> None:
    """Otherwise the test above proves nothing. It listens for a moment, and nobody is answered."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert ("0.0.0.0", server.getsockname()[1]) in listening(psutil.Process())


def test_no_telemetry_leaves_the_machine() -> None:
    from video_assets.defs.instance import _instance_config

    project = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text("utf-8"))
    for config in (project, _instance_config()):
        assert config["telemetry"] == {"enabled": False}


def command_with_secrets(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "VIDEO_ASSETS_"))}
    return subprocess.run(
        [sys.executable, "-m", "video_assets.cli", *arguments],
        env={**kept, **SECRETS},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def leaks(folder: Path) -> list[str]:
    """Secrets in files: tables and databases, logs and metadata; and which."""
    return [
        f"{name} in {path}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for name, value in SECRETS.items()
        if value.encode() in path.read_bytes()
    ]


@pytest.mark.slow
def test_no_secret_of_the_environment_is_written_or_said(tmp_path: Path) -> None:
    """A build that succeeds, and one that is refused with a secret in its own words."""
    source, root = tmp_path / "videos", tmp_path / "root"
    for class_name in ("jump", "run"):
        write_class(source, class_name, range(1, 4))
    settings = ["--set", "plan.encoding.resolution=24", "--set", "plan.clips_per_shard=6", "--workers", "1"]
    place = ["--source", str(source), "--root", str(root)]
    built = command_with_secrets(tmp_path, "build", *place, *settings, "--json")
    assert built.returncode == 0, built.stderr
    (source / f"{SECRETS['HF_TOKEN']}.csv").write_text("one,two\n1,2\n")
    table = str(source / f"{SECRETS['HF_TOKEN']}.csv")
    refused = command_with_secrets(tmp_path, "build", "--source", table, "--root", str(tmp_path / "other"), "--json")
    assert refused.returncode == 2
    assert "has no column path and no label" in " ".join(refused.stderr.split())
    said = f"{built.stdout}{built.stderr}{refused.stdout}{refused.stderr}"
    assert [name for name, value in SECRETS.items() if value in said] == []
    assert leaks(root) == []


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIAIOSFODNN7CANARY0:canary-of-aws-session@bucket/videos",
        "https://me:canary-of-postgres@host.example/videos",
        "https://host.example/videos?X-Amz-Signature=canary-of-postgres",
    ],
)
def test_an_address_with_a_secret_is_refused_without_saying_it(tmp_path: Path, address: str) -> None:
    done = command_with_secrets(tmp_path, "status", "--root", address)
    assert done.returncode == 2
    assert "canary" not in (done.stdout + done.stderr).lower()


def test_the_watch_on_files_sees_a_secret(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"{time.time()} {SECRETS['HF_TOKEN']}\n")
    assert leaks(tmp_path) == [f"HF_TOKEN in {tmp_path / 'log'}"]
