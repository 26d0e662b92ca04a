"""Script: as `lose_a_node`, with source and root in an S3 store that fails at times. Prints what happened, as JSON.

python -m video_assets_tests.engines.lose_a_node_in_a_store SOURCE FOLDER [SETTING …]

The store is moto's server, behind a proxy that answers one request in ten with 500 or 503, or drops its connection,
sometimes after the store has done what was asked. The dataset's version is copied to FOLDER/version in the end, past
the proxy.
"""

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import boto3

from video_assets_tests.engines.lose_a_node import build_that_lost_a_node
from video_assets_tests.stores.serving import Proxy, s3_server

BUCKET = "bucket"
SECRET = "secret-of-nobody-5c1d7e"  # what nothing may write down
FAILURES = 0.1


def let_lead_to(url: str, folder: Path, temporary: Path) -> None:
    """Lets this process's environment, and so those of the nodes and of the build, lead to the store."""
    os.environ.update(
        AWS_ACCESS_KEY_ID="nobody", AWS_SECRET_ACCESS_KEY=SECRET, AWS_DEFAULT_REGION="us-east-1", AWS_ENDPOINT_URL=url
    )
    os.environ.update(XDG_STATE_HOME=str(folder / "state"), XDG_CACHE_HOME=str(folder / "cache"), TMPDIR=str(temporary))
    tempfile.tempdir = None  # what was found before


def copy_version(client: Any, target: Path) -> None:
    """The version as it stands in the store."""
    prefix = "root/clips/1.0.0/"
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
        for entry in page.get("Contents", ()):
            file = target / entry["Key"].removeprefix(prefix)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(client.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read())


def shards_put(proxy: Proxy) -> dict[str, int]:
    """How often the store took each shard."""
    taken = (r.path.rpartition("/")[2] for r in proxy.log if r.method == "PUT" and r.status == 200)
    return Counter(name.partition("?")[0] for name in taken if name.partition("?")[0].endswith(".tfrecord"))


def files_that_hold(text: str, folder: Path) -> list[str]:
    """Files below a folder in which a text stands."""
    wanted = text.encode()
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and wanted in path.read_bytes()
    ]


def main(source: str, place: str, *settings: str) -> int:
    """Serves, builds, kills, copies."""
    folder = Path(place)
    # Ray makes its sockets in the folder for temporary files; their names may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="store-") as short, s3_server() as port:
        temporary = Path(short)
        proxy = Proxy(port, FAILURES, seed=5)
        with proxy.serve() as url:
            let_lead_to(url, folder, temporary)
            client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
            client.create_bucket(Bucket=BUCKET)
            for file in sorted(path for path in Path(source).rglob("*") if path.is_file()):
                client.put_object(Bucket=BUCKET, Key=f"videos/{file.relative_to(source)}", Body=file.read_bytes())
            spool = temporary / f"video-assets-{os.getuid()}"
            places = (f"s3://{BUCKET}/videos", f"s3://{BUCKET}/root")
            with build_that_lost_a_node(*places, settings, spool) as said:
                said["files_with_the_secret"] = files_that_hold(SECRET, folder) + files_that_hold(SECRET, temporary)
                said["ray_logs"] = sum(path.stat().st_size for path in temporary.rglob("*.log"))
            said |= {"num_failed": proxy.num_failed, "shards_put": shards_put(proxy)}
        copy_version(client, folder / "version")
        client.close()
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
