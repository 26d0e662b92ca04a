"""Builds that are killed and go on: a sample of what `python -m tools.reliability` does at full length."""

import errno
import random
import shutil
from dataclasses import replace

import pytest

from tools.reliability.builds import run_build
from tools.reliability.campaign import Outcome, kill_at_operations, kill_at_times
from tools.reliability.children import RAISED, Child
from tools.reliability.faults import Fault, noted
from tools.reliability.invariants import differences, seen_by_readers
from tools.reliability.looks import look_at_operations
from tools.reliability.scenarios import KINDS, Kind, Scenario, prepare

pytestmark = pytest.mark.long
SEED = 20


@pytest.fixture(scope="module", params=KINDS)
def scenario(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    kind: Kind = request.param
    return prepare(kind, tmp_path_factory.mktemp(kind) / "scenario")


def faults_of(outcomes: list[Outcome]) -> list[str]:
    return [f"{outcome.point}: {fault}" for outcome in outcomes for fault in outcome.faults]


def test_killed_before_an_operation_or_amid_a_write_a_build_goes_on_to_the_same_bytes(scenario: Scenario) -> None:
    step = len(scenario.operations) // 4
    outcomes = list(kill_at_operations(scenario, step, first=random.Random(SEED).randrange(step)))
    assert faults_of(outcomes) == []
    assert all(outcome.was_killed for outcome in outcomes)
    assert len(outcomes) >= 4


def test_killed_at_any_moment_with_its_decoding_processes_a_build_goes_on_to_the_same_bytes(scenario: Scenario) -> None:
    assert faults_of(list(kill_at_times(scenario, 2, SEED))) == []


def test_the_command_killed_with_dagster_and_all_goes_on_to_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    scenario = prepare("growth", tmp_path_factory.mktemp("command") / "scenario", by_command=True)
    assert faults_of(list(kill_at_times(scenario, 1, SEED))) == []


def test_without_room_at_any_operation_a_build_says_so_and_goes_on_to_the_same_bytes(scenario: Scenario) -> None:
    step = len(scenario.operations) // 3
    for number in range(step // 2, len(scenario.operations), step):
        root = scenario.root("full")
        seen = seen_by_readers(root)
        build = replace(scenario.build, root=root)
        log, journal = scenario.folder / "full.log", scenario.folder / "full.journal"
        child = Child(log, run_build, build, journal, Fault(number, "fail", errno.ENOSPC))
        code = child.wait(120)
        words = log.read_text("utf-8")
        # What comes after the commit is removal, which needs no room.
        assert code == 0 or (code == RAISED and "No space left on device; make room there" in words), words
        assert code == 0 or seen_by_readers(root).items() <= seen.items()
        Child(log, run_build, build, journal).finish()
        assert differences(root, scenario.final) == []
        shutil.rmtree(root)


def test_the_harness_sees_a_writer_that_does_not_write_beside(tmp_path_factory: pytest.TempPathFactory) -> None:
    scenario = prepare("first", tmp_path_factory.mktemp("careless") / "scenario")
    careless = replace(scenario, build=replace(scenario.build, is_careless=True))
    undone = replace(careless, operations=_operations_of(careless))
    write = next(i for i, text in enumerate(undone.operations) if " write " in text and ".tfrecord" in text)
    outcomes = list(kill_at_operations(undone, step=len(undone.operations), first=write))
    assert [outcome.was_killed for outcome in outcomes] == [True, True]
    assert any("clips-train-00000.tfrecord is incomplete" in fault for fault in faults_of(outcomes))


def _operations_of(scenario: Scenario) -> list[str]:
    root, journal = scenario.root("careless"), scenario.folder / "careless.journal"
    Child(scenario.folder / "careless.log", run_build, replace(scenario.build, root=root), journal).finish()
    shutil.rmtree(root)
    return noted(journal, "operation")


def test_every_reader_sees_one_commit_whatever_a_kill_leaves(scenario: Scenario) -> None:
    found = look_at_operations(scenario, step=20)
    assert found.faults == ()
    assert found.num_states >= 2
    assert found.num_points > 200


def test_the_looks_see_a_writer_that_does_not_write_beside(tmp_path_factory: pytest.TempPathFactory) -> None:
    scenario = prepare("growth", tmp_path_factory.mktemp("careless") / "scenario")
    found = look_at_operations(replace(scenario, build=replace(scenario.build, is_careless=True)), step=9)
    assert found.faults
