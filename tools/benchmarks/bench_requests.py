"""How many requests a build in a store makes, by stage: for each clip, for each shard, and for a build at all.

A real S3 server on loopback, behind a proxy that counts. Clips are built three times: in many shards, in few, and half
of them, as a build does that alone writes; requests of a stage are `build + clips x a + shards x b`. With `--source`,
these videos are built too, in turn from and to local folders, the store as it is, and the store with answers that take
20 ms more. Server and proxy run on the same cores.

Run: python -m tools.benchmarks.bench_requests [--source FOLDER] [--rounds 3] [--json FILE]
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

import boto3
import numpy as np

from tools.benchmarks.bench_build import build_command
from tools.benchmarks.watching import Watched, run_watched
from video_assets.pipeline.shards.pending import read_backlog
from video_assets.settings import PlanSettings
from video_assets.storage.addresses import open_address
from video_assets.storage.locks import known_to_writer
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import Stages
from video_assets_tests.pipeline.videos import write_class
from video_assets_tests.stores.serving import Proxy, s3_server

BUCKET = "bucket"
_DELAYS = {"store": 0.0, "store, 20 ms away": 0.02}
"""Where a build may be, and how many seconds each answer takes more there."""
STAGES = ("manifest", "splits", "plan", "shards", "tick", "commit", "commit again")
BUILDS = ((24, 1), (24, 6), (12, 3))
"""Clips, and clips of a shard."""


def _count(stages: Stages, proxy: Proxy, clips_per_shard: int) -> dict[str, dict[str, int]]:
    doing = {
        "manifest": stages.manifest,
        "splits": stages.splits,
        "plan": lambda: stages.plan(sharding=PlanSettings(clips_per_shard=clips_per_shard)),
        "shards": stages.shards,
        "tick": lambda: read_backlog(DatasetPaths(open_address(str(stages.paths.root)), "clips")),
        "commit": stages.commit,
        "commit again": stages.commit,
    }
    counted: dict[str, dict[str, int]] = {}
    for name in STAGES:
        before = len(proxy.log)
        doing[name]()
        made = proxy.log[before:]
        writes = sum(request.method in ("PUT", "POST") or "list-type=2" in request.path for request in made)
        counted[name] = {"all": len(made), "writes and listings": writes}
    return counted


def measure() -> dict[str, dict[str, list[float]]]:
    """Requests by stage, all and those that stores charge more for: of a build, of each clip, of each shard."""
    builds: list[tuple[int, int, dict[str, dict[str, int]]]] = []
    with tempfile.TemporaryDirectory(prefix="video-assets-requests-") as folder, s3_server() as port:
        proxy = Proxy(port)
        os.environ |= {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
        with proxy.serve() as url:
            os.environ["AWS_ENDPOINT_URL"] = url
            client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
            client.create_bucket(Bucket=BUCKET)
            for number, (num_clips, clips_per_shard) in enumerate(BUILDS):
                videos = Path(folder) / str(number)
                for name in ("jump", "run"):
                    write_class(videos, name, range(1, num_clips // 2 + 1), range(1, 2))
                for file in videos.rglob("*.mp4"):
                    client.put_object(
                        Bucket=BUCKET, Key=f"{number}/videos/{file.relative_to(videos)}", Body=file.read_bytes()
                    )
                root = DatasetPaths(open_address(f"s3://{BUCKET}/{number}/root"), "clips")
                stages = Stages(open_address(f"s3://{BUCKET}/{number}/videos"), known_to_writer(root))
                counted = _count(stages, proxy, clips_per_shard)
                builds.append((num_clips, len(list((root.version("1.0.0").directory / "shards").iterdir())), counted))
            client.close()
    unknowns = np.array([[1, num_clips, num_shards] for num_clips, num_shards, _ in builds], float)
    return {
        stage: {
            kind: np.linalg.solve(unknowns, [counted[stage][kind] for *_, counted in builds]).round(2).tolist()
            for kind in ("all", "writes and listings")
        }
        for stage in STAGES
    }


def compare_builds(source: Path, rounds: int) -> None:
    """Print what builds take from and to local folders, from and to a store, and to one that is 20 ms away."""
    found: dict[str, list[Watched]] = {name: [] for name in ("local", *_DELAYS)}
    requests: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="video-assets-requests-") as folder, s3_server() as port:
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
        client.create_bucket(Bucket=BUCKET)
        for file in source.rglob("*"):
            if file.is_file():
                client.upload_file(str(file), BUCKET, f"videos/{file.relative_to(source)}")
        client.close()
        for number in range(rounds):
            local = run_watched([*build_command(source, Path(folder, str(number))), "--no-dagster"])
            found["local"].append(local)
            for name, delay_seconds in _DELAYS.items():
                proxy = Proxy(port, delay_seconds=delay_seconds)
                root = open_address(f"s3://{BUCKET}/{name}/{number}")
                with proxy.serve() as url:
                    os.environ["AWS_ENDPOINT_URL"] = url
                    command = build_command(open_address(f"s3://{BUCKET}/videos"), root)
                    found[name].append(run_watched([*command, "--no-dagster"]))
                requests[name] = len(proxy.log)
    for name, builds in found.items():
        pairs = list(zip(builds, found["local"], strict=True))
        seconds, cpu_seconds = [b.seconds for b in builds], [b.cpu_seconds for b in builds]
        times = statistics.median(b.seconds / local.seconds for b, local in pairs)
        times_cpu = statistics.median(b.cpu_seconds / local.cpu_seconds for b, local in pairs)
        print(f"{name}: {requests.get(name, 0)} requests, {statistics.median(seconds):.1f} s, {times:.2f} times local;")
        print(f"  {statistics.median(cpu_seconds):.1f} CPU s, {times_cpu:.2f} times local")


def print_table(figures: dict[str, dict[str, list[float]]]) -> None:
    """A line a stage."""
    print(f"{'requests':14}{'a build':>10}{'a clip':>9}{'a shard':>9}   of which writes and listings")
    for stage, kinds in figures.items():
        (base, clip, shard), writes = kinds["all"], kinds["writes and listings"]
        print(f"{stage:14}{base:10.1f}{clip:9.2f}{shard:9.2f}   {writes[0]:.1f} + {writes[1]:.2f} + {writes[2]:.2f}")


def main() -> None:
    """Counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--source", type=Path, help="also build these videos, with a store that is 20 ms away")
    parser.add_argument("--rounds", type=int, default=3, help="how often")
    options = parser.parse_args()
    figures = measure()
    print_table(figures)
    if options.source:
        compare_builds(options.source, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), "utf-8")


if __name__ == "__main__":
    main()
