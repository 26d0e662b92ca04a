"""`video-assets build` under want: few files to open, another user, and a source that changes at a chosen moment."""

import ctypes
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.reliability.faults import FaultyDisk, Journal
from video_assets.cli import main
from video_assets_tests.waiting import wait_until

SETTINGS = (
    "--workers=1",
    "--set=manifest.max_failed_fraction=0.5",
    "--set=splits.test_fraction=0.3",
    "--set=plan.clips_per_shard=2",
    "--set=plan.encoding.resolution=32",
    "--set=plan.encoding.num_frames=3",
    "--set=dataset.retired_grace_minutes=0",
)
CAPABILITY_VERSION = 0x20080522
"""Linux's `_LINUX_CAPABILITY_VERSION_3`, with two words of 32 bits for each set."""
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2
MOMENT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Want:
    """What a build has to do without.

    When the file `at` of the root has got its name, the paths of `changes` get another content or (None) are removed;
    and if `until` is given, the build makes the file `reached` and stands still until the file `until` is there.
    """

    max_open_files: int = 0
    max_file_bytes: int = 0
    without_override: bool = False
    at: str = ""
    changes: Mapping[Path, bytes | None] = field(default_factory=dict[Path, bytes | None])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    reached: Path | None = None
    until: Path | None = None


def command(arguments: Sequence[str | Path], want: Want = Want()) -> None:
    """The command in this process, for `children.Child`; ends it with the command's exit code."""
    os.environ.update(want.environment)
    if want.at:
        root = Path(arguments[list(arguments).index("--root") + 1])
        journal = root.parent / f"{root.name}.journal"
        FaultyDisk(root, Journal(journal), None, lambda path: _moment(root, path, want)).install()
    if want.max_open_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want.max_open_files, want.max_open_files))
    if want.max_file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (want.max_file_bytes, want.max_file_bytes))
    if want.without_override:
        _obey_modes()
    code = main([str(argument) for argument in arguments])
    peak_megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak {peak_megabytes:.0f} MB, processor {time.process_time():.1f} s", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _moment(root: Path, path: Path, want: Want) -> None:
    if str(path.relative_to(root)) != want.at:
        return
    for changed, content in want.changes.items():
        if content is None:
            changed.unlink()
        else:
            changed.write_bytes(content)
    if want.reached is not None and want.until is not None:
        want.reached.touch()
        wait_until(want.until.exists, seconds=MOMENT_SECONDS, what="to go on", every=0.05)


def _obey_modes() -> None:
    """Root may read and write what the modes of a file forbid; for the rest of this process's life no longer."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    sets[0] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
