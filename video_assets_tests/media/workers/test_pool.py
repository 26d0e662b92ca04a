"""The pool of decoding processes: order, limits, and what a dead process costs."""

import ast
import functools
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from video_assets.domain.clips import Loss
from video_assets.domain.errors import SettingsError
from video_assets.media.workers.pool import JOBS_AHEAD, DecodingPool
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests import waiting
from video_assets_tests.media import pool_jobs

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodingPool]:
    """A pool of two processes, with limits that no job reaches by accident."""
    with DecodingPool(2, replace(DEFAULT_LIMITS, clip_seconds=60.0, memory_bytes=200 * MEBIBYTE)) as pool:
        yield pool


def outcomes(pool: DecodingPool, function: Callable[..., object], jobs: Sequence[object]) -> list[object]:
    """Return the outcome of each job."""
    return [result.outcome for result in pool.map(function, jobs)]


def decoding_processes() -> list[psutil.Process]:
    """Return all processes below this one."""
    return psutil.Process().children(recursive=True)


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return as soon as the condition holds; fail if it never does."""
    waiting.wait_until(condition, seconds=seconds, what="the condition", every=0.01)


def test_results_come_in_the_order_of_the_jobs(pool: DecodingPool) -> None:
    delays = [0.2, 0.0, 0.05, 0.0, 0.0]
    results = list(pool.map(pool_jobs.work, delays))
    assert [result.job for result in results] == delays
    assert [result.outcome for result in results] == delays
    assert results[0].seconds >= 0.2 > results[1].seconds
    assert {result.attempts for result in results} == {1}


def test_jobs_are_shared_by_the_processes(pool: DecodingPool) -> None:
    ran_at_once = list(pool.map(pool_jobs.work, [0.3, 0.3]))
    assert len(set(outcomes(pool, pool_jobs.process_id, list(range(20))))) <= 2
    assert len(ran_at_once) == 2


def test_no_jobs_give_no_results(pool: DecodingPool) -> None:
    assert outcomes(pool, pool_jobs.double, []) == []


def test_a_partial_function_is_a_function(pool: DecodingPool) -> None:
    assert outcomes(pool, functools.partial(pow, 2), [3, 4]) == [8, 16]


def test_results_of_several_megabytes_arrive_whole(pool: DecodingPool) -> None:
    lengths = [8_000_001, 0, 3_000_003, 5_000_000, 1]
    assert outcomes(pool, pool_jobs.bytes_of_length, lengths) == [bytes([n % 251]) * n for n in lengths]


@pytest.mark.parametrize(
    ("window", "num_bytes", "bound"),
    [(1, 1, 1), (3, 1, 3), (None, 1, 64), (None, 4 << 20, 15), (None, 9 << 20, 8)],
)
def test_jobs_are_taken_no_further_ahead_than_the_window(
    pool: DecodingPool, window: int | None, num_bytes: int, bound: int
) -> None:
    taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        for number in range(bound + 20):
            taken += 1
            yield num_bytes + number

    ahead = []
    for consumed, result in enumerate(pool.map(pool_jobs.bytes_of_length, jobs(), window=window)):
        assert result.outcome == pool_jobs.bytes_of_length(num_bytes + consumed)
        ahead.append(taken - consumed)
    assert ahead[0] == min(bound, 8)
    assert max(ahead) == bound


def test_others_go_on_behind_a_job_that_takes_long(pool: DecodingPool, tmp_path: Path) -> None:
    first, *others = [str(tmp_path / str(number)) for number in range(41)]
    wait_for_others = functools.partial(pool_jobs.touch_or_wait_for, others)
    assert outcomes(pool, wait_for_others, [first, "", *others]) == [first, "", *others]


def test_workers_go_on_while_the_consumer_is_busy(pool: DecodingPool, tmp_path: Path) -> None:
    markers = [str(tmp_path / str(number)) for number in range(4)]
    results = pool.map(pool_jobs.touch, markers, window=4)
    next(results)
    wait_until(lambda: all(Path(marker).exists() for marker in markers))
    results.close()


def test_later_jobs_are_fetched_while_one_runs_and_no_more_than_eight_per_process(tmp_path: Path) -> None:
    markers = [str(tmp_path / str(number)) for number in range(20)]
    wait_for_first = functools.partial(pool_jobs.touch_or_wait_for, [markers[0]])
    fetched: list[str] = []
    ahead: list[int] = []

    def fetch(marker: str) -> str:
        fetched.append(marker)
        ahead.append(len(fetched) - sum(Path(other).exists() for other in markers))
        return marker

    with DecodingPool(1) as pool:
        results = pool.map(wait_for_first, ["", *markers], window=20, fetch=fetch)
        first = threading.Thread(target=next, args=(results,))
        first.start()
        wait_until(lambda: len(fetched) >= JOBS_AHEAD)
        assert set(fetched) == {"", *markers[: JOBS_AHEAD - 1]}
        Path(markers[0]).touch()
        first.join()
        assert [result.job for result in results] == markers
    assert len(fetched) == 21
    assert max(ahead) <= JOBS_AHEAD + 1  # the first one leaves no file


def test_what_was_fetched_is_what_runs_and_an_error_of_it_is_raised(pool: DecodingPool) -> None:
    results = pool.map(pool_jobs.double, [1, 2], fetch=lambda number: number + 10)
    assert [(result.job, result.outcome) for result in results] == [(1, 22), (2, 24)]
    results = pool.map(pool_jobs.double, [1, 0, 1], fetch=lambda number: 1 // number)
    assert next(results).outcome == 2
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert outcomes(pool, pool_jobs.double, [1]) == [2]


def test_a_lost_video_is_a_loss(pool: DecodingPool) -> None:
    found = outcomes(pool, pool_jobs.lose, ["", "only sound", ""])
    assert found == ["", Loss("no_video", "no video: only sound"), ""]


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL", "SIGTERM"])
def test_a_process_that_dies_costs_its_own_clip_only(pool: DecodingPool, name: str) -> None:
    results = list(pool.map(pool_jobs.kill_self, [0, 0, signal.Signals[name], 0, 0, 0]))
    loss = results[2].outcome
    assert isinstance(loss, Loss) and loss.reason == "crashed"
    assert f"killed by {name}" in loss.detail
    assert results[2].attempts == 2
    assert all(isinstance(result.outcome, int) for index, result in enumerate(results) if index != 2)


@pytest.mark.parametrize("leave", [pool_jobs.leave, pool_jobs.leave_politely])
@pytest.mark.parametrize("exit_code", [0, 7])
def test_a_process_that_ends_itself_is_a_crash(
    pool: DecodingPool, leave: Callable[[int], None], exit_code: int
) -> None:
    (loss,) = outcomes(pool, leave, [exit_code])
    assert loss == Loss("crashed", f"the decoding process ended twice: exit code {exit_code}")


def test_a_crash_that_does_not_come_back_is_forgiven(pool: DecodingPool, tmp_path: Path) -> None:
    (result,) = pool.map(pool_jobs.crash_once, [str(tmp_path / "marker")])
    assert (result.outcome, result.attempts) == ("passed", 2)


def test_idle_processes_that_are_killed_from_outside_cost_nothing(pool: DecodingPool) -> None:
    idle = set(outcomes(pool, pool_jobs.process_id, list(range(10))))
    for process_id in idle:
        assert isinstance(process_id, int)
        os.kill(process_id, signal.SIGKILL)
    assert outcomes(pool, pool_jobs.double, [1, 2, 3, 4]) == [2, 4, 6, 8]


def test_a_process_that_dies_while_it_sends_harms_no_other(pool: DecodingPool) -> None:
    """Killed up to 40 ms after the job while 20 MB are pickled and sent: in the middle of a message."""
    delays = [milliseconds / 1000 for milliseconds in range(1, 41, 3)]
    found = outcomes(pool, pool_jobs.die_while_sending, [part for delay in delays for part in (0.0, delay)])
    whole = bytes(pool_jobs.DYING_BYTES)
    ends = {outcome.reason if isinstance(outcome, Loss) else outcome for outcome in found[1::2]}
    assert all(outcome == whole for outcome in found[0::2])
    assert "crashed" in ends <= {"crashed", whole}


def test_a_job_that_hangs_is_a_timeout_and_harms_no_other() -> None:
    with DecodingPool(2, replace(DEFAULT_LIMITS, clip_seconds=2.0)) as pool:
        began = time.monotonic()
        results = list(pool.map(pool_jobs.hang, [0.0, 3600.0, 0.0, 0.0]))
        seconds = time.monotonic() - began
        loss = Loss("timeout", "decoding was stopped after 2 s, the limit for one clip")
        assert [result.outcome for result in results] == [0.0, loss, 0.0, 0.0]
        assert results[1].attempts == 1
        assert seconds < 60.0


@pytest.mark.slow
def test_the_time_limit_does_not_count_waiting_for_a_process() -> None:
    """Twelve jobs of 0.3 s wait for one process: the last for 3.3 s, more than the limit."""
    with DecodingPool(1, replace(DEFAULT_LIMITS, clip_seconds=2.0)) as pool:
        assert outcomes(pool, pool_jobs.work, [0.3] * 12) == [0.3] * 12


@pytest.mark.parametrize("allocate", [pool_jobs.allocate, pool_jobs.allocate_in_opencv, pool_jobs.hide_lack_of_memory])
def test_memory_beyond_the_limit_is_a_loss(pool: DecodingPool, allocate: Callable[[int], int]) -> None:
    found = outcomes(pool, allocate, [10, 500, 10])
    assert found[1] == Loss("out_of_memory", "decoding needed more than 200 MiB, the limit for one clip")
    assert isinstance(found[0], int) and isinstance(found[2], int)


def test_what_earlier_clips_left_behind_is_not_held_against_a_clip() -> None:
    """Each job keeps 80 of 200 MiB, so every third one finds too little, and gets a fresh process."""
    with DecodingPool(1, replace(DEFAULT_LIMITS, memory_bytes=200 * MEBIBYTE)) as pool:
        results = list(pool.map(pool_jobs.allocate_and_keep, [80] * 5))
    assert all(isinstance(result.outcome, int) for result in results)
    assert [result.attempts for result in results] == [1, 1, 2, 1, 2]


def test_the_largest_memory_of_a_process_is_reported() -> None:
    with DecodingPool(1) as pool:
        (result,) = pool.map(pool_jobs.allocate, [300])
        assert 300 * MEBIBYTE < result.peak_rss_bytes < 800 * MEBIBYTE


def test_a_bug_is_raised_with_its_job_and_its_traceback(pool: DecodingPool) -> None:
    results = pool.map(pool_jobs.divide_by, [1, 0, 2])
    assert next(results).outcome == 1.0
    with pytest.raises(ZeroDivisionError) as raised:
        next(results)
    notes = "\n".join(raised.value.__notes__)
    assert "return 1 / number" in notes
    assert "The job was video_assets_tests.media.pool_jobs.divide_by(0)." in notes
    assert outcomes(pool, pool_jobs.double, [1]) == [2]


def test_an_error_that_cannot_be_pickled_is_raised_in_words(pool: DecodingPool) -> None:
    with pytest.raises(RuntimeError, match="AwkwardError: this and that"):
        list(pool.map(pool_jobs.raise_awkward, [1]))


def test_a_result_that_cannot_be_pickled_is_a_bug_of_its_job(pool: DecodingPool) -> None:
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        list(pool.map(pool_jobs.give_unpicklable, [1]))
    assert outcomes(pool, pool_jobs.double, [1]) == [2]


def test_an_error_of_the_iterable_of_jobs_comes_through(pool: DecodingPool) -> None:
    def jobs() -> Iterator[int]:
        yield 1
        raise LookupError("no more jobs")

    with pytest.raises(LookupError, match="no more jobs"):
        list(pool.map(pool_jobs.double, jobs()))


@pytest.mark.parametrize("ending", ["close", "error"])
def test_leaving_early_leaves_no_process(ending: str) -> None:
    before = {process.pid for process in decoding_processes()}
    began = time.monotonic()
    try:
        with DecodingPool(2) as pool:
            results = pool.map(pool_jobs.work, itertools.chain([0.0], itertools.repeat(3600.0)))
            assert next(results).outcome == 0.0
            assert len(decoding_processes()) > len(before)
            if ending == "error":
                raise LookupError
            results.close()
    except LookupError:
        pass
    assert {process.pid for process in decoding_processes()} == before
    assert time.monotonic() - began < 60.0


def test_a_map_that_is_left_early_frees_the_pool_for_the_next() -> None:
    with DecodingPool(1) as pool:
        results = pool.map(pool_jobs.work, itertools.chain([0.0], itertools.repeat(3600.0)))
        next(results)
        results.close()
        assert outcomes(pool, pool_jobs.double, [1, 2]) == [2, 4]


def test_a_closed_pool_refuses_work() -> None:
    with DecodingPool(1) as pool:
        pass
    pool.close()
    with pytest.raises(RuntimeError, match="this pool of decoding processes is closed"):
        pool.map(pool_jobs.double, [1])


def test_no_workers_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match="workers is 0; at least 1 process is needed"):
        DecodingPool(0)


def test_an_empty_window_is_refused(pool: DecodingPool) -> None:
    with pytest.raises(ValueError, match="window is 0; at least 1 job must be under way"):
        pool.map(pool_jobs.double, [1], window=0)


SCRIPT = """
    import sys
    sys.path.insert(0, {modules!r})
    import heavy_framework
    SECRET = "the parent's main module"
    from video_assets.media.workers.pool import DecodingPool
    from video_assets_tests.media import pool_jobs

    def in_main(job):
        return job

    if __name__ == "__main__":
        with DecodingPool(2) as pool:
            {body}
"""


def run_script(tmp_path: Path, body: str) -> "subprocess.Popen[str]":
    """Run a program that has imported a heavy module, as dagster or a user's script would."""
    (tmp_path / "heavy_framework.py").write_text("")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(modules=str(tmp_path), body=body))
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    # A session of its own, as a terminal gives: a signal to its group does not reach the tests.
    return subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def test_a_decoding_process_imports_nothing_of_the_main_module(tmp_path: Path) -> None:
    body = "print(next(pool.map(pool_jobs.surroundings, [1])).outcome)"
    output, errors = run_script(tmp_path, body).communicate(timeout=60)
    assert errors == ""
    found: dict[str, object] = ast.literal_eval(output)
    modules = found["modules"]
    assert isinstance(modules, list)
    assert not {"heavy_framework", "tensorflow", "dagster"} & set(modules)
    assert {"av", "cv2", "numpy"} <= set(modules)
    assert (found["main"], found["av_log_level"], found["cv2_threads"]) == (None, None, 1)


def test_a_function_of_the_main_module_is_refused(tmp_path: Path) -> None:
    _, errors = run_script(tmp_path, "list(pool.map(in_main, [1]))").communicate(timeout=60)
    assert "__main__.in_main must be defined in an importable module: decoding processes have no __main__" in errors


def hanging_script(tmp_path: Path) -> tuple["subprocess.Popen[str]", list[psutil.Process]]:
    """Run a program with two hanging jobs; return it with every process below it."""
    one, other = tmp_path / "one", tmp_path / "other"
    program = run_script(tmp_path, f"list(pool.map(pool_jobs.hang_and_say_so, [{str(one)!r}, {str(other)!r}]))")
    wait_until(lambda: (one.exists() and other.exists()) or program.poll() is not None, seconds=60.0)
    assert program.poll() is None, program.communicate()[1]
    below = psutil.Process(program.pid).children(recursive=True)
    assert {int(one.read_text()), int(other.read_text())} <= {process.pid for process in below}
    return program, below


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tie a process to its parent's death")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
@pytest.mark.slow
def test_decoding_processes_die_with_their_program(tmp_path: Path, name: str) -> None:
    program, below = hanging_script(tmp_path)
    program.send_signal(signal.Signals[name])
    program.communicate(timeout=30)
    _, alive = psutil.wait_procs(below, timeout=10)
    assert alive == []


def test_ctrl_c_ends_everything_quickly(tmp_path: Path) -> None:
    program, below = hanging_script(tmp_path)
    os.killpg(program.pid, signal.SIGINT)  # a terminal sends it to the whole group
    _, errors = program.communicate(timeout=30)  # its jobs would take an hour
    assert errors.rstrip().endswith("KeyboardInterrupt")
    _, alive = psutil.wait_procs(below, timeout=10)
    assert alive == []


def test_an_open_pool_loads_modules_before_its_first_job(tmp_path: Path) -> None:
    body = """
        import psutil
        (server,) = psutil.Process().children()
        print(next(pool.map(pool_jobs.parent_of_this_process, [1])).outcome == server.pid)
        print(psutil.Process().children() == [server])
    """
    output, errors = run_script(tmp_path, in_script(body)).communicate(timeout=60)
    assert errors == ""
    assert output.split() == ["True", "True"]


def test_the_server_of_an_open_pool_ends_with_its_program(tmp_path: Path) -> None:
    body = """
        import os, psutil
        print(psutil.Process().children()[0].pid, flush=True)
        os._exit(0)
    """
    output, errors = run_script(tmp_path, in_script(body)).communicate(timeout=60)
    assert errors == ""
    wait_until(lambda: not psutil.pid_exists(int(output)))


def test_a_server_that_is_killed_costs_nothing(pool: DecodingPool) -> None:
    (server,) = {result.outcome for result in pool.map(pool_jobs.parent_of_this_process, [1, 2, 3])}
    assert isinstance(server, int)
    process = psutil.Process(server)
    process.kill()
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    assert outcomes(pool, pool_jobs.double, [1, 2, 3, 4]) == [2, 4, 6, 8]


def test_a_pool_beside_another_has_its_server_and_leaves_it_running(pool: DecodingPool) -> None:
    (server,) = {result.outcome for result in pool.map(pool_jobs.parent_of_this_process, [1, 2])}
    with DecodingPool(1, replace(DEFAULT_LIMITS, clip_seconds=0.5), beside=pool) as other:
        assert outcomes(other, pool_jobs.parent_of_this_process, [1]) == [server]
        (late,) = outcomes(other, pool_jobs.work, [30.0])
        assert isinstance(late, Loss)
        assert late.reason == "timeout"
    assert outcomes(pool, pool_jobs.parent_of_this_process, [1, 2]) == [server, server]


def test_what_jobs_need_is_loaded_in_their_process_while_the_program_goes_on(tmp_path: Path) -> None:
    marker = tmp_path / "loaded"
    with DecodingPool(1) as pool:
        pool.prepare(pool_jobs.crash_once, str(marker))  # it has its second try, as a job has
        wait_until(marker.exists)
        (first,) = outcomes(pool, pool_jobs.process_id, [1])
        pool.prepare(pool_jobs.double, 2)
        assert outcomes(pool, pool_jobs.process_id, [1]) == [first]


def test_processes_that_cannot_begin_are_an_error(tmp_path: Path) -> None:
    """The module ends the server as it is loaded; three servers are tried."""
    (tmp_path / "ends_its_process.py").write_text("import os; os._exit(3)")
    body = in_script("""
        with DecodingPool(1, modules=["ends_its_process"]) as broken:
            list(broken.map(pool_jobs.double, [1]))
    """)
    _, errors = run_script(tmp_path, body).communicate(timeout=60)
    assert "BrokenProcessPool: decoding processes end before they begin to work, 3 times in a row" in errors


def in_script(lines: str) -> str:
    """Indent lines as the body of the script."""
    return textwrap.dedent(lines).strip().replace("\n", "\n" + 8 * " ")
