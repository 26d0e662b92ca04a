"""Ways in which many clips leave a source at once. Each gives the settings of the build that comes after."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from video_assets_tests.pipeline.videos import write_class

Removal = Callable[[Path], dict[str, Any]]


def delete_a_quarter(source: Path) -> dict[str, Any]:
    for path in sorted(source.glob("*/*_c02.mp4"))[::2]:
        path.unlink()
    return {}


def empty_a_class(source: Path) -> dict[str, Any]:
    shutil.rmtree(source / "jump")
    (source / "jump").mkdir()
    return {}


def leave_out_by_include(source: Path) -> dict[str, Any]:
    return {"include": ["*c01.mp4"]}


def shorten_the_table(source: Path) -> dict[str, Any]:
    rows = [f"{path.relative_to(source)},{path.parent.name}" for path in sorted(source.glob("*/[!.]*.mp4"))]
    (source / "labels.csv").write_text("\n".join(["path,label", *rows[: len(rows) * 2 // 3]]), "utf-8")
    return {"source_format": "table"}


def put_others_there(source: Path) -> dict[str, Any]:
    for path in list(source.glob("*/[!.]*.mp4")):
        path.rename(path.with_name(f"other_{path.name}"))
        path.with_name(f"other_{path.name}").write_bytes(path.with_name(f"other_{path.name}").read_bytes() + b"\0" * 9)
    return {}


def go_to_another_source(source: Path) -> dict[str, Any]:
    shutil.rmtree(source)
    write_class(source, "swim", range(1, 3))
    return {}


REMOVALS: dict[Removal, str] = {
    delete_a_quarter: "clips of the dataset",
    empty_a_class: "all of the class jump",
    leave_out_by_include: "manifest.include or manifest.exclude leaves them out",
    shorten_the_table: "would leave it",
    put_others_there: "none of the",
    go_to_another_source: "Name the source that it was built from",
}
"""How clips leave, and what the refusal says then."""
