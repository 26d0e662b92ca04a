"""Google Cloud Storage, by an emulator on loopback: the same calls as for S3. The stages are tested on S3.

The emulator knows no `ifGenerationMatch`, so that conditional writes to Google are not tested.
"""

import os
import subprocess
import sys

_SCRIPT = """
import logging, os
from gcp_storage_emulator.server import create_server
logging.disable(logging.CRITICAL)
server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
server.start()
try:
    os.environ["STORAGE_EMULATOR_HOST"] = "http://127.0.0.1:%d" % server._api._httpd.server_address[1]
    from video_assets.storage import objects
    objects._OPTIONS["gs"]["token"] = "anon"  # the emulator asks for no credentials
    from video_assets.storage.addresses import open_address
    from video_assets.storage.files import AtomicFile, read_part, write_if_changed
    from video_assets.sources.listing import list_videos
    from video_assets.storage.locks import current_holder, hold_lock
    root = open_address("gs://bucket/root")
    video = root / "run" / "a.mp4"
    assert not video.exists()
    assert write_if_changed(video, b"1")
    (first,) = list_videos(root).files
    assert not write_if_changed(video, b"1")
    assert write_if_changed(video, b"2")
    (second,) = list_videos(root).files
    assert (first.path, first.size_bytes) == (second.path, second.size_bytes) == ("run/a.mp4", 1)
    assert first != second
    assert video.stat().st_mtime_ns == second.mtime_ns
    assert video.read_bytes() == video.open("rb").read() == b"2"
    write_if_changed(root / "long", b"0123456789")
    assert read_part(root / "long", 3, 4) == b"3456"
    with AtomicFile(root / "b") as file:
        file.write(b"whole")
        assert not (root / "b").exists()
    assert (root / "b").read_bytes() == b"whole"
    lock = root / ".lock" / "build"
    with hold_lock(lock, "a build"):
        assert current_holder(lock).what == "a build"
    assert not lock.exists()
    video.unlink()
    assert not video.exists()
    print("done")
finally:
    server.stop()
"""


def test_files_listings_and_locks_work_on_google_cloud_storage() -> None:
    # Without this, gcsfs asks by gRPC what kind of bucket it is, which the emulator does not speak.
    environment = {**os.environ, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
    command = [sys.executable, "-c", _SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=200)
    assert done.stdout.strip() == "done", done.stderr
