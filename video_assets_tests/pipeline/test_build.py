"""The conductor begins beside decoding what takes long, and only what is needed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from video_assets.pipeline.build import BuildReport, build
from video_assets.settings import Settings
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.stages import InThisProcess, copied_source, steps_of
from video_assets_tests.pipeline.videos import write_class


@dataclass
class Prepared(InThisProcess):
    """Remembers what was loaded ahead of its jobs."""

    ahead: list[Callable[[Any], object]] = field(default_factory=list[Callable[[Any], object]])

    def prepare(self, function: Callable[[Any], Any], job: Any) -> None:
        self.ahead.append(function)


@pytest.mark.parametrize(("num_others", "is_loaded"), [(0, False), (2, True)])
def test_tensorflow_is_not_loaded_for_an_unreadable_video_that_comes_alone(
    built: Built, tmp_path: Path, *, num_others: int, is_loaded: bool
) -> None:
    source = copied_source(built.source, tmp_path)
    (source / "run" / "late.mp4").write_bytes(b"no video")
    write_class(source, "run", range(5, 5 + num_others // 2))  # two videos each
    pool, report = Prepared(), BuildReport()
    build(steps_of(built.paths, pool), source, Settings(), report)
    assert report.manifest is not None
    assert report.manifest.num_files_probed == 1 + num_others
    assert bool(pool.ahead) == is_loaded
