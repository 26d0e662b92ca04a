"""`video-assets doctor`: examine all that a build and the UI need, and say what to fix."""

import os
import platform
import resource
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from video_assets.domain.checks import Finding, ok, problem, warning
from video_assets.domain.clips import Loss
from video_assets.media.workers.pool import DecodingPool, num_cores
from video_assets.pipeline.upkeep.doctor_places import check_clock, check_disk, check_locks, check_root, check_source
from video_assets.settings import ManifestSettings
from video_assets.storage.addresses import is_remote

PYTHON_RANGE = ((3, 11), (3, 13))
MIN_OPEN_FILES = 1024
MIN_MEMORY_BYTES, GOOD_MEMORY_BYTES = 1.5e9, 4e9
"""A build holds TensorFlow and Dagster (about 1 GB) and 100 to 350 MB a decoding process."""
_CGROUP = Path("/sys/fs/cgroup")


def examine(
    source: Path | None,
    root: Path | None,
    port: int,
    environment: Mapping[str, str],
    reading: ManifestSettings | None = None,
) -> list[Finding]:
    """All findings; those about a source and a root only where they are given. `reading` is how the source is read."""
    checks: list[Callable[[], Finding | list[Finding]]] = [
        check_python,
        check_packages,
        check_processor,
        check_codecs,
        check_cores,
        check_memory,
        check_open_files,
        lambda: check_dagster_home(environment),
        lambda: check_port(port),
        lambda: check_temporary(Path(tempfile.gettempdir())),
    ]
    if root is not None:
        checks += _checks_of_root(root.absolute())
    if source is not None:
        checks += [_check_of_source(source.absolute(), reading)]
    return [finding for check in checks for finding in _listed(check())]


def _checks_of_root(root: Path) -> list[Callable[[], Finding | list[Finding]]]:
    if not is_remote(root):
        return [partial(check, root) for check in (check_root, check_disk, check_locks, check_clock)]
    from video_assets.pipeline.upkeep.doctor_places import check_store_root

    # What goes to a store is written to a local file first.
    return [partial(check_store_root, root), partial(check_disk, Path(tempfile.gettempdir()))]


def _check_of_source(source: Path, reading: ManifestSettings | None) -> Callable[[], Finding | list[Finding]]:
    if not is_remote(source):
        return partial(check_source, source, reading)
    from video_assets.pipeline.upkeep.doctor_places import check_store_source

    return partial(check_store_source, source)


def _listed(found: Finding | list[Finding]) -> list[Finding]:
    return found if isinstance(found, list) else [found]


def check_python(running: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Python is one of those that this was tested with."""
    lowest, highest = PYTHON_RANGE
    found = f"Python {running[0]}.{running[1]} ({platform.python_implementation()})"
    if lowest <= running <= highest:
        return ok("python", found)
    return problem("python", found, "Make .venv with Python 3.11, 3.12 or 3.13: make setup PYTHON=python3.12")


def check_packages(wanted: Iterable[str] | None = None, installed: Callable[[str], str] = version) -> Finding:
    """Every package that is needed is installed, in the range that is asked for."""
    lines = (requires("video_assets") or []) if wanted is None else wanted
    needed = [requirement for requirement in map(Requirement, lines) if _applies(requirement)]
    faults: list[str] = []
    for requirement in needed:
        try:
            found = installed(requirement.name)
        except PackageNotFoundError:
            faults.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            faults.append(f"{requirement.name} is {found}, wanted is {requirement.specifier}")
    if faults:
        return problem("packages", "; ".join(faults), "Install what constraints.txt names: make setup")
    return ok("packages", f"{len(needed)} packages, all in their ranges")


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def check_processor(flags: Path = Path("/proc/cpuinfo")) -> Finding:
    """The processor knows what TensorFlow's wheel is compiled for."""
    machine = platform.machine()
    if machine != "x86_64" or not flags.exists():
        return ok("processor", machine)
    known = next((line.split() for line in flags.read_text("ascii", "replace").splitlines() if "flags" in line), [])
    if "avx" in known:
        return ok("processor", f"{machine} with AVX")
    remedy = "TensorFlow's wheel stops here: build on another machine, or let a virtual one have AVX."
    return problem("processor", f"{machine} without AVX", remedy)


def check_codecs(check_all: "Callable[[DecodingPool], Mapping[str, str]] | None" = None) -> Finding:
    """Made clips of the usual codecs are decoded, in a decoding process."""
    with DecodingPool(1, ManifestSettings(clip_seconds=30).limits) as pool:
        wrong = (check_all or _check_codecs)(pool)
    faults = [f"{name}: {fault}" for name, fault in wrong.items() if fault]
    if faults:
        return problem("codecs", "; ".join(faults), "Install PyAV's own wheel again: pip install --force-reinstall av")
    return ok("codecs", f"{len(wrong)} kinds of made clips decode")


def _check_codecs(pool: DecodingPool) -> dict[str, str]:
    from video_assets.media.codec_check import CODEC_CHECKS, check_codec

    results = pool.map(check_codec, CODEC_CHECKS)
    return {r.job.name: r.outcome.detail if isinstance(r.outcome, Loss) else r.outcome for r in results}


def check_cores(cgroup: Path = _CGROUP, available: int | None = None) -> Finding:
    """As many cores may be used as there are processes by default."""
    available = available or num_cores()
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    allowed = int(quota) / int(period) if quota.isdecimal() and period.strip().isdecimal() else float(available)
    if allowed < available - 0.5:
        found = f"{available} cores, of which this container may use {allowed:.1f}"
        return warning("cores", found, f"Give --workers {max(1, round(allowed))}: more processes would only wait.")
    return ok("cores", f"{available} cores")


def check_memory(cgroup: Path = _CGROUP, available: int | None = None) -> Finding:
    """There is memory for TensorFlow, Dagster and the decoding processes."""
    num_bytes = psutil.virtual_memory().available if available is None else available
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
    where = ""
    if limit.isdecimal() and int(limit) - int(used or 0) < num_bytes:
        num_bytes, where = int(limit) - int(used or 0), " in this container"
    found = f"{num_bytes / 1e9:.1f} GB free{where}"
    if num_bytes < MIN_MEMORY_BYTES:
        return problem("memory", found, f"Make {MIN_MEMORY_BYTES / 1e9:.1f} GB free, or raise the container's limit.")
    if num_bytes < GOOD_MEMORY_BYTES:
        return warning("memory", found, "Take few processes: --workers 1, and manifest.clip_memory_megabytes=512.")
    return ok("memory", found)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def check_open_files(limit: int | None = None) -> Finding:
    """Enough files may be open at once."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    if allowed == resource.RLIM_INFINITY or allowed >= MIN_OPEN_FILES:
        return ok("open files", "no limit" if allowed == resource.RLIM_INFINITY else f"{allowed} may be open")
    return problem("open files", f"only {allowed} may be open", "Raise the limit in this shell: ulimit -n 4096")


def check_dagster_home(environment: Mapping[str, str]) -> Finding:
    """DAGSTER_HOME, where it is set, is a folder that can be written."""
    given = environment.get("DAGSTER_HOME", "")
    if not given:
        return ok("DAGSTER_HOME", "not set: the instance is kept with the dataset")
    home = Path(given)
    if not home.is_absolute():
        remedy = f"Give the whole path: export DAGSTER_HOME={home.absolute()}"
        return problem("DAGSTER_HOME", f"{given} is relative", remedy)
    if not home.is_dir():
        return problem("DAGSTER_HOME", f"{given} is not there", f"Make it (mkdir -p {given}), or unset DAGSTER_HOME.")
    if not os.access(home, os.W_OK | os.X_OK):
        return problem("DAGSTER_HOME", f"{given} cannot be written", f"Give user {os.geteuid()} the right to it.")
    return ok("DAGSTER_HOME", given)


def check_port(port: int) -> Finding:
    """The UI's port is free."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            remedy = f"End who listens there, or give another: video-assets ui --port {port + 1}"
            return problem("port", f"{port} on 127.0.0.1: {error.strerror}", remedy)
    return ok("port", f"{port} on 127.0.0.1 is free")


def check_temporary(folder: Path) -> Finding:
    """The folder for temporary files can be written; a plan keeps its tables there."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"video-assets")
    except OSError as error:
        return problem("temporary files", f"{folder}: {error.strerror}", "Name another folder: export TMPDIR=…")
    return ok("temporary files", str(folder))
