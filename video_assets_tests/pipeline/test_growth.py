"""Growth by property: any sequence of arrivals, deletions, renames, relabellings and changes keeps all invariants."""

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from video_assets.domain.clips import Loss, LostSource, WantedClip
from video_assets.domain.errors import BuildRefused
from video_assets.pipeline.manifest.stage import build_manifest
from video_assets.pipeline.plan.plan_table import partition_keys
from video_assets.pipeline.plan.stage import PlanReport, build_plan
from video_assets.pipeline.splits.stage import build_splits
from video_assets.settings import ManifestSettings, PlanSettings, SplitSettings
from video_assets.sources.source_clips import SourceClips
from video_assets.storage.files import read_lines
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.quarantine import quarantine_rows, read_quarantine, replace_stage
from video_assets_tests.invented import InventedPool, invented_clip

CLIPS_PER_SHARD = 3
LABELS = ("climb", "jump", "run")

ONE_CLASS = ManifestSettings(allow_single_class=True)


@dataclass
class Seen:
    """What was promised so far."""

    split_of_content: dict[str, str] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    shards: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    retired: set[tuple[str, int]] = field(default_factory=set)


class GrowingDataset(RuleBasedStateMachine):
    """A source that changes, and the three stages of planning after every change."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="growth-")
        self.paths = DatasetPaths(Path(self.folder.name), "clips")
        self.source: dict[str, WantedClip] = {}
        self.next_content = 0
        self.seen = Seen()
        self.rows = pd.DataFrame()

    def teardown(self) -> None:
        self.folder.cleanup()

    @initialize(labels=st.lists(st.sampled_from(LABELS), min_size=2, max_size=8))
    def first_build(self, labels: list[str]) -> None:
        self._arrive(labels, group=None)
        self._plan()

    def _arrive(self, labels: list[str], group: str | None) -> None:
        for label in labels:
            path = f"{label}/{self.next_content:04d}.mp4"
            self.source[path] = invented_clip(path, label, self.next_content, group)
            self.next_content += 1

    def _plan(self) -> None:
        clips = sorted(self.source.values(), key=lambda clip: clip.clip_id)
        asked = SourceClips(Path("videos"), clips)
        source_settings = ManifestSettings(allow_single_class=True, max_failed_fraction=1.0)
        try:
            build_manifest(Path("videos"), self.paths, source_settings, InventedPool, asked=asked)  # type: ignore[arg-type]
        except BuildRefused:
            self.rows = pd.DataFrame()  # nothing usable is left: the plan stands as it was
            return
        build_splits(self.paths, SplitSettings(test_fraction=0.3))
        self._check(build_plan(self.paths, PlanSettings(clips_per_shard=CLIPS_PER_SHARD)))

    @rule(labels=st.lists(st.sampled_from(LABELS), min_size=1, max_size=5), grouped=st.booleans())
    def videos_arrive(self, labels: list[str], grouped: bool) -> None:
        self._arrive(labels, f"group {self.next_content}" if grouped else None)
        self._plan()

    @precondition(lambda self: len(self.source) > 1)
    @rule(data=st.data())
    def a_video_is_deleted(self, data: st.DataObject) -> None:
        del self.source[data.draw(st.sampled_from(sorted(self.source)))]
        self._plan()

    @precondition(lambda self: self.source)
    @rule(data=st.data())
    def a_video_is_renamed(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(sorted(self.source)))
        clip = self.source.pop(old)
        path = old.replace(".mp4", "r.mp4")
        self.source[path] = replace(clip, file=replace(clip.file, path=path))
        self._plan()

    @precondition(lambda self: self.source)
    @rule(data=st.data(), label=st.sampled_from(LABELS))
    def a_video_is_relabelled(self, data: st.DataObject, label: str) -> None:
        path = data.draw(st.sampled_from(sorted(self.source)))
        self.source[path] = replace(self.source[path], label=label)
        self._plan()

    @precondition(lambda self: self.source)
    @rule(data=st.data())
    def a_video_is_changed(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.source)))
        old = self.source[path]
        self.source[path] = invented_clip(path, old.label, self.next_content, old.group)
        self.next_content += 1
        self._plan()

    @precondition(lambda self: self.source)
    @rule(data=st.data())
    def a_video_is_copied(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.source)))
        copy = path.replace(".mp4", "c.mp4")
        self.source[copy] = replace(self.source[path], file=replace(self.source[path].file, path=copy), group=None)
        self._plan()

    def _check(self, report: PlanReport) -> None:
        self.rows = rows = report.rows
        now = {
            (str(split), int(index)): tuple(members.sort_values("position")["row_digest"])
            for (split, index), members in rows.groupby(["split", "shard_index"])
        }
        kept = self.seen.shards.keys() & now.keys()
        assert all(now[key] == self.seen.shards[key] for key in kept), "a live shard changed its rows"
        assert not (now.keys() & self.seen.retired), "a retired index came back"
        self._check_superseded(now)
        self.seen.retired |= self.seen.shards.keys() - now.keys()
        self.seen.shards = now
        labels = read_lines(self.paths.labels)
        assert labels[: len(self.seen.labels)] == self.seen.labels, "a label's index changed"
        self.seen.labels = labels

    def _check_superseded(self, now: dict[tuple[str, int], tuple[str, ...]]) -> None:
        """Only shards that lost a row go, and in each split at most the last one that was not full."""
        present = {digest for members in now.values() for digest in members}
        for split in ("train", "test"):
            gone = [key for key in self.seen.shards if key[0] == split and key not in now]
            unharmed = [key for key in gone if present.issuperset(self.seen.shards[key])]
            assert len(unharmed) <= 1
            assert all(len(self.seen.shards[key]) < CLIPS_PER_SHARD for key in unharmed)

    @invariant()
    def every_clip_is_in_one_shard_or_quarantined(self) -> None:
        if self.rows.empty:
            return
        assert self.rows["clip_id"].is_unique
        assert self.rows.groupby(["split", "shard_index"]).size().max() <= CLIPS_PER_SHARD
        planned, lost = set(self.rows["clip_id"]), set(read_quarantine(self.paths.quarantine)["clip_id"])
        assert planned.isdisjoint(lost)
        assert planned | lost == set(self.source)

    @invariant()
    def no_content_is_in_two_splits_and_none_moves(self) -> None:
        if self.rows.empty:
            return
        for content, split in zip(self.rows["content_hash"], self.rows["split"], strict=True):
            assert self.seen.split_of_content.setdefault(content, split) == split

    @invariant()
    def no_group_is_in_two_splits(self) -> None:
        if self.rows.empty:
            return
        groups = {path: clip.group for path, clip in self.source.items() if clip.group is not None}
        grouped = self.rows.assign(group=self.rows["path"].map(groups)).dropna(subset=["group"])
        assert grouped.groupby("group")["split"].nunique().le(1).all()


GrowingDataset.TestCase.settings = settings(
    max_examples=10,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
test_any_sequence_of_changes_keeps_all_invariants = pytest.mark.slow(GrowingDataset.TestCase)


def test_clips_lost_to_a_passing_fault_are_placed_again_when_asked_for(tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path, "clips")
    clips = [invented_clip(f"run/{n}.mp4", "run", n) for n in range(8)]
    asked = SourceClips(Path("videos"), clips)
    build_manifest(Path("videos"), paths, ONE_CLASS, InventedPool, asked=asked)  # type: ignore[arg-type]
    build_splits(paths, SplitSettings(test_fraction=0.0))
    sharding = PlanSettings(clips_per_shard=4)
    first = build_plan(paths, sharding)
    assert first.added == ["train-00000", "train-00001"]
    version = paths.version("1.0.0")
    version.directory.mkdir()
    version.shard("train", 0).touch()  # the version exists, so indices go on
    lost = first.rows.loc[first.rows["shard_index"] == 1, "clip_id"].iloc[0]
    loss = LostSource(lost, Loss("timeout", "decoding took longer than 120 s"))
    replace_stage(paths.quarantine, "shards", quarantine_rows([loss]))
    assert build_plan(paths, sharding).added == []
    again = build_plan(paths, sharding.replace(retry_lost=True))
    assert (again.superseded, again.added) == (["train-00001"], ["train-00002"])
    assert set(again.rows["clip_id"]) == {clip.clip_id for clip in clips}


def test_growing_two_thousand_clips_by_one_percent_places_the_new_ones_and_one_partial_shard_a_split(
    tmp_path: Path,
) -> None:
    paths = DatasetPaths(tmp_path, "clips")
    clips = [invented_clip(f"{LABELS[n % 3]}/{n:04d}.mp4", LABELS[n % 3], n) for n in range(2020)]
    sharding = PlanSettings(clips_per_shard=64)

    def plan_of(present: list[WantedClip]) -> PlanReport:
        ordered = sorted(present, key=lambda clip: clip.clip_id)
        asked = SourceClips(Path("videos"), ordered)
        build_manifest(Path("videos"), paths, ONE_CLASS, InventedPool, asked=asked)  # type: ignore[arg-type]
        build_splits(paths, SplitSettings())
        return build_plan(paths, sharding)

    first = plan_of(clips[:2000]).rows
    paths.version("1.0.0").directory.mkdir()
    for split, index in set(zip(first["split"], first["shard_index"], strict=True)):
        paths.version("1.0.0").shard(split, index).touch()
    grown = plan_of(clips)
    placed = grown.rows[np.isin(partition_keys(grown.rows), grown.added)]
    assert len(grown.superseded) <= 2
    partial = first[np.isin(partition_keys(first), grown.superseded)]
    assert len(placed) == 20 + len(partial)
    assert len(partial) < 2 * 64
    before, after = (rows.set_index("clip_id")[["split", "label_index"]] for rows in (first, grown.rows))
    assert after.loc[before.index].equals(before)
