"""How far a stage has come, by a clock that the test turns."""

import pytest

from video_assets.domain.progress import Counter, LineProgress, after_first, progress_line, silent


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("encoding", 20, 100, 4e6, 2.0), "encoding: 20 of 100 clips, 10.0 clips/s, 8 s left"),
        (("probing", 0, 100, 0, 0.0), "probing: 0 of 100 clips, 0.0 clips/s"),
        (("probing", 100, 100, 1e6, 10.0), "probing: 100 of 100 clips, 10.0 clips/s"),
        (("probing", 0, 0, 0, 0.0), "probing: 0 of 0 clips, 0.0 clips/s"),
    ],
)
def test_a_line_says_how_much_how_fast_and_how_long(args: tuple[str, int, int, float, float], line: str) -> None:
    assert progress_line(*args) == line


def test_lines_come_at_most_every_few_seconds_and_at_the_end() -> None:
    said: list[str] = []
    now = [100.0]
    count = LineProgress(said.append, every_seconds=5.0, clock=lambda: now[0])("encoding", 10, 1000)
    for _ in range(10):
        now[0] += 2.0
        count(1, 100)
    assert [line.partition(",")[0] for line in said] == [
        "encoding: 3 of 10 clips",
        "encoding: 6 of 10 clips",
        "encoding: 9 of 10 clips",
        "encoding: 10 of 10 clips",
    ]


def test_phases_count_for_themselves() -> None:
    said: list[str] = []
    progress = LineProgress(said.append, clock=lambda: 0.0)
    first, second = progress("a", 1, 1), progress("b", 1, 1)
    second(1, 1)
    first(1, 1)
    assert [line[:14] for line in said] == ["b: 1 of 1 clip", "a: 1 of 1 clip"]


def test_silence_says_nothing() -> None:
    assert silent("encoding", 1, 1)(1, 1) is None


def test_the_first_clip_of_a_phase_is_the_moment_to_begin_something() -> None:
    begun: list[int] = []
    counted: list[int] = []

    def listen(_phase: str, num_clips: int, _num_bytes: int) -> Counter:
        return lambda clips, _bytes: counted.append(num_clips * clips)

    progress = after_first(lambda: begun.append(len(counted)), listen)
    first = progress("encoding", 10, 0)
    assert begun == []
    first(1, 0)
    first(2, 0)
    progress("encoding", 100, 0)(3, 0)
    assert begun == [0, 2]
    assert counted == [10, 20, 300]


def test_a_phase_of_too_few_clips_begins_nothing() -> None:
    begun: list[str] = []
    progress = after_first(lambda: begun.append("checks"), silent, min_clips=2)
    progress("probing", 1, 0)(1, 0)
    assert begun == []
    progress("encoding", 2, 0)(1, 0)
    assert begun == ["checks"]
