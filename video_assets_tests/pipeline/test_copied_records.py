"""Growth copies records: what is stored of a clip is decoded once, and its record is what encoding it would give."""

import csv
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from video_assets.domain.encoding import Encoding
from video_assets.settings import PlanSettings, SplitSettings
from video_assets.storage.paths import DatasetPaths, parse_partition_key
from video_assets.storage.sidecars import read_sidecar
from video_assets_tests.media.decode.test_audio import write as write_sounding
from video_assets_tests.pipeline.stages import ENCODING, Stages
from video_assets_tests.pipeline.videos import write_video

SMALL = ENCODING.replace(num_frames=2, resolution=16)
SOUND = SMALL.replace(layout="sequence_example", audio_sample_rate=4000)
CASES: dict[str, Encoding] = {
    "tfds": SMALL,
    "sequence_example": SMALL.replace(layout="sequence_example"),
    "movinets_helper": SMALL.replace(layout="movinets_helper"),
    "png": SMALL.replace(image_format="png"),
    "sound": SOUND,
}
LABELS = ("jump", "run")


@dataclass
class Table:
    """A table of spans of some videos, which a test changes; and the dataset that is built from it."""

    folder: Path
    encoding: Encoding
    multi_label: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def stages(self, name: str = "root") -> Stages:
        with (self.folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, ["path", "label", "start", "end", "split", "caption"])
            table.writeheader()
            table.writerows(self.rows)
        return Stages(self.folder / "clips.csv", DatasetPaths(self.folder / name, "clips"))

    def build(self, name: str = "root", pool: Any = None) -> "Done":
        stages = self.stages(name)
        stages.manifest(multi_label=self.multi_label)
        stages.splits(SplitSettings(test_fraction=0.0))
        plan = stages.plan(self.encoding.replace(multi_label=False), PlanSettings(clips_per_shard=4))
        reports = stages.shards(pool=pool)
        assert [report.error for report in reports if report.error] == []
        encoded = sum(report.num_encoded for report in reports)
        return Done(stages, encoded, plan.shards, plan.added, plan.superseded, len(plan.new_rows()))


@dataclass(frozen=True)
class Done:
    """The planned shards after a build, and what the build did."""

    stages: Stages
    num_encoded: int
    shards: list[str]
    added: list[str]
    superseded: list[str]
    num_new: int

    def records(self) -> dict[str, bytes]:
        """The framed record of every stored clip."""
        version = self.stages.paths.version("1.0.0")
        found: dict[str, bytes] = {}
        for place in map(parse_partition_key, self.shards):
            sidecar, data = read_sidecar(version.sidecar(*place)), version.shard(*place).read_bytes()
            assert sidecar is not None
            found |= {clip.clip_id: data[clip.offset :][: clip.length] for clip in sidecar.clips}
        return found


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, one of them with sound."""
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "silent.mp4", 1, 30)
    write_sounding(folder / "tones.mov", "pcm_s16le", seconds=3)
    return folder


def table_of(clips: Path, folder: Path, encoding: Encoding, *, multi_label: bool = False) -> Table:
    for video in ("silent.mp4", "tones.mov"):
        shutil.copy(clips / video, folder / video)
    rows: list[dict[str, Any]] = [
        {"path": path, "label": LABELS[number % 2], "split": "train", "caption": f"clip {number}", **span}
        for number, (path, span) in enumerate(
            (path, span)
            for path in ("silent.mp4", "tones.mov")
            for span in ({"start": 0.2, "end": 1.4}, {"end": 2}, {"start": 1}, {"start": 0.5, "end": 2.5}, {})
        )
    ]
    if multi_label:
        rows[0]["label"], rows[3]["label"] = "jump|run", "run|jump"
    return Table(folder, encoding, multi_label, rows)


def relabel(table: Table) -> None:
    table.rows[1]["label"] = "jump"


def caption(table: Table) -> None:
    table.rows[1]["caption"] = "another"


def delete(table: Table) -> None:
    del table.rows[1]


def rename(table: Table) -> None:
    (table.folder / "silent.mp4").rename(table.folder / "renamed.mp4")
    for row in table.rows:
        row["path"] = row["path"].replace("silent", "renamed")


def add_label(table: Table) -> None:
    table.rows[1]["label"] = "run|jump"


@pytest.mark.parametrize("change", [delete, relabel, caption, rename])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_a_grown_dataset_encodes_nothing_and_has_the_records_of_a_fresh_one(
    clips: Path, tmp_path: Path, case: str, change: Callable[[Table], None]
) -> None:
    table = table_of(clips, tmp_path, CASES[case])
    assert table.build().num_encoded == 10
    change(table)
    grown, fresh = table.build(), table.build("fresh")
    assert (grown.num_encoded, grown.num_new, fresh.num_encoded) == (0, 0, len(table.rows))
    assert grown.records() == fresh.records()
    if change is not rename:
        assert (len(grown.added), len(grown.superseded)) == (1, 1)


def test_a_clip_that_gets_another_label_keeps_its_frames(clips: Path, tmp_path: Path) -> None:
    table = table_of(clips, tmp_path, SMALL.replace(layout="sequence_example"), multi_label=True)
    table.build()
    add_label(table)
    grown = table.build()
    assert grown.num_encoded == 0
    assert grown.records() == table.build("fresh").records()


def test_only_what_arrives_is_encoded(clips: Path, tmp_path: Path) -> None:
    table = table_of(clips, tmp_path, SMALL)
    table.build()
    table.rows.append({"path": "silent.mp4", "label": "run", "start": 0.1, "end": 2.9, "split": "train"})
    del table.rows[0]
    grown = table.build()
    assert (grown.num_encoded, grown.num_new) == (1, 1)
    assert grown.records() == table.build("fresh").records()


def test_a_pipe_in_the_place_of_a_superseded_shard_is_not_waited_for(clips: Path, tmp_path: Path) -> None:
    table = table_of(clips, tmp_path, SMALL)
    first = table.build()
    shard = first.stages.paths.version("1.0.0").shard(*parse_partition_key(first.shards[0]))
    shard.unlink()
    os.mkfifo(shard)
    del table.rows[0]
    grown = table.build()
    assert first.shards[0] in grown.superseded
    assert grown.num_encoded == 3
    assert grown.records() == table.build("fresh").records()


def test_clips_of_a_superseded_shard_that_was_never_written_are_to_be_encoded(clips: Path, tmp_path: Path) -> None:
    table = table_of(clips, tmp_path, SMALL)
    first = table.build()
    version = first.stages.paths.version("1.0.0")
    version.shard(*parse_partition_key(first.shards[0])).unlink()
    del table.rows[:4]
    grown = table.build()
    assert first.shards[0] in grown.superseded
    assert grown.num_new == grown.num_encoded


def test_a_damaged_record_is_encoded_again_and_the_others_are_copied(clips: Path, tmp_path: Path) -> None:
    table = table_of(clips, tmp_path, SMALL)
    first = table.build()
    version = first.stages.paths.version("1.0.0")
    sidecar = read_sidecar(version.sidecar("train", 0))
    assert sidecar is not None
    damaged, neighbour = sidecar.clips[:2]
    data = bytearray(version.shard("train", 0).read_bytes())
    data[damaged.offset + damaged.length // 2] ^= 1
    version.shard("train", 0).write_bytes(data)
    table.rows = [item for item in table.rows if clip_id_of(item) != neighbour.clip_id]
    grown = table.build()
    assert grown.num_encoded == 1
    assert grown.records() == table.build("fresh").records()


def clip_id_of(row: dict[str, Any]) -> str:
    start, end = row.get("start"), row.get("end")
    if start is None and end is None:
        return row["path"]
    return f"{row['path']}#t={'' if start is None else start}{'' if end is None else f',{end}'}"


def test_the_sidecar_says_which_software_wrote_the_records(clips: Path, tmp_path: Path) -> None:
    table = table_of(clips, tmp_path, SMALL)
    version = table.build().stages.paths.version("1.0.0")
    for place in version.sidecars():
        sidecar = read_sidecar(version.sidecar(*place))
        assert sidecar is not None
        replace(sidecar, versions={**sidecar.versions, "av": "0.1"}).write(version.sidecar(*place))
    relabel(table)
    grown = table.build()
    (key,) = grown.added
    sidecar = read_sidecar(version.directory / "shards" / f"{key}.json")
    assert sidecar is not None and sidecar.versions["av"] == "0.1"


class CountedGrowth(RuleBasedStateMachine):
    """A source that changes in any way; each build must encode just the contents that it did not have."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="counted-")
        self.source = Path(self.folder.name, "videos")
        self.stages = Stages(self.source, DatasetPaths(Path(self.folder.name, "root"), "clips"))
        self.contents: dict[str, int] = {}
        self.stored: set[int] = set()
        self.next_content = 0

    def teardown(self) -> None:
        self.folder.cleanup()

    @initialize(labels=st.lists(st.sampled_from(LABELS), min_size=5, max_size=8))
    def first(self, labels: list[str]) -> None:
        self._arrive(*labels)

    def _arrive(self, *labels: str) -> None:
        for label in labels:
            self._put(f"{label}/{self.next_content:03d}.mp4")

    def _put(self, path: str) -> None:
        (self.source / path).parent.mkdir(parents=True, exist_ok=True)
        write_video(self.source / path, self.next_content, 6)
        self.contents[path] = self.next_content
        self.next_content += 1

    def _move(self, path: str, target: str) -> None:
        (self.source / target).parent.mkdir(exist_ok=True)
        (self.source / path).rename(self.source / target)
        self.contents[target] = self.contents.pop(path)

    @rule(labels=st.lists(st.sampled_from(LABELS), min_size=1, max_size=3))
    def arrive(self, labels: list[str]) -> None:
        self._arrive(*labels)

    @precondition(lambda self: len(self.contents) > 3)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.contents)))
        (self.source / path).unlink()
        del self.contents[path]

    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.contents)))
        self._move(path, path.replace(".mp4", "r.mp4"))

    @rule(data=st.data())
    def relabel(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.contents)))
        label, _, name = path.partition("/")
        self._move(path, f"{'run' if label == 'jump' else 'jump'}/{name}")

    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        self._put(data.draw(st.sampled_from(sorted(self.contents))))

    @rule()
    def build(self) -> None:
        self.stages.manifest(max_failed_fraction=1.0)
        self.stages.splits(SplitSettings(test_fraction=0.3))
        plan = self.stages.plan(SMALL, PlanSettings(clips_per_shard=3))
        reports = self.stages.shards()
        new = set(self.contents.values()) - self.stored
        assert len(plan.new_rows()) == len(new)
        assert sum(report.num_encoded for report in reports) == len(new)
        self.stored = set(self.contents.values())


@pytest.mark.slow
def test_a_build_encodes_just_the_new_and_changed_clips_after_any_changes() -> None:
    options = settings(
        max_examples=3, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    run_state_machine_as_test(CountedGrowth, settings=options)
