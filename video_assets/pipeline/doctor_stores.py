"""What the doctor looks at where source or root is in an object store."""

import secrets
import tempfile
from itertools import islice
from pathlib import Path
from typing import cast

from video_assets.domain.errors import SettingsError, StorageFailed
from video_assets.domain.findings import Finding, ok, problem, warning
from video_assets.pipeline.doctor_places import FILES_LOOKED_AT, PROBE
from video_assets.storage.files import read_part
from video_assets.storage.object_listing import list_objects
from video_assets.storage.objects import ObjectPath
from video_assets.storage.publishing import WrittenMeanwhile, publish_object


def check_store_root(root: Path) -> Finding:
    """Objects can be listed, written and removed there, and one that is there is not made a second time."""
    probe = cast("ObjectPath", root / f"{PROBE}-{secrets.token_hex(8)}")
    try:
        next(list_objects(root), None)
        try:
            has_conditions = _is_made_once(probe)
        finally:
            probe.unlink(missing_ok=True)
    except (StorageFailed, SettingsError) as error:
        return _failure("root", error)
    if not has_conditions:
        remedy = "See that only one build runs at a time, or take a store that refuses a write by If-None-Match."
        return warning("root", f"{root} can be written, but its store knows no conditional writes", remedy)
    return ok("root", f"{root} can be listed and written; of two who make one object one is refused")


def _is_made_once(probe: ObjectPath) -> bool:
    """Makes an object; whether the store refuses to make it again with another content."""
    with tempfile.NamedTemporaryFile() as first, tempfile.NamedTemporaryFile() as second:
        first.write(b"first")
        second.write(b"second")
        first.flush()
        second.flush()
        publish_object(Path(first.name), probe, None)
        try:
            publish_object(Path(second.name), probe, None)
        except WrittenMeanwhile:
            return True
    return False


def check_store_source(source: Path) -> Finding:
    """Objects of the source can be listed, and the first one can be read."""
    try:
        if source.is_file():
            read_part(source, 0, 1)
            return ok("source", f"{source} can be read")
        found = [file.path for file in islice(list_objects(source), FILES_LOOKED_AT)]
        if not found:
            return problem("source", f"{source} holds no object", "Put videos there, a folder for each class.")
        read_part(source / found[0], 0, 1)
    except (StorageFailed, SettingsError) as error:
        return _failure("source", error)
    more = " or more" if len(found) == FILES_LOOKED_AT else ""
    return ok("source", f"{len(found)}{more} objects are listed, and the first can be read")


def _failure(check: str, error: StorageFailed | SettingsError) -> Finding:
    """A store that does not answer comes with its remedy; the other error is about a bucket that is not there."""
    sentence, _, remedy = str(error).partition("; ")
    return problem(check, sentence, remedy or "Make the bucket, or name another.")
