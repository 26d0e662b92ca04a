"""Tests are skipped for what a machine lacks, all of it named; and none uses the corpus in secret."""

from pathlib import Path

import pytest

pytest_plugins = "pytester"

TESTS = """
    import pytest
    from video_assets_tests.corpus import corpus_files, needs_corpus, require_corpus

    @pytest.fixture(scope="module")
    def its_folder():
        return require_corpus()

    @pytest.mark.corpus
    def test_marked(its_folder): assert (its_folder / "index.csv").is_file()

    @pytest.mark.parametrize("size", [1, 2])
    @pytest.mark.parametrize("name", needs_corpus(corpus_files("formats/")))
    def test_of_each_file(name, size): assert (require_corpus() / name).name == "a.mp4"

    @pytest.mark.corpus
    @pytest.mark.program("there-is-no-such-program")
    def test_of_two_needs(): pass
"""
NOT_MARKED = """
    from video_assets_tests.corpus import corpus_files, require_corpus

    def test_by_path(): require_corpus()
    def test_by_names(): assert not [name for name in corpus_files("formats/") if "b" in name]
"""


@pytest.fixture(params=["there", "absent"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether tests below find a corpus of one file."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    if request.param == "there":
        (folder / "index.csv").write_text("path\nformats/a.mp4\n")
    monkeypatch.setenv("VIDEO_ASSETS_CORPUS", str(folder))
    return request.param


def run(pytester: pytest.Pytester, tests: str) -> pytest.RunResult:
    pytester.makepyfile(tests)
    return pytester.runpytest_subprocess("-p", "video_assets_tests.conftest", "-p", "no:cacheprovider", "-rs")


@pytest.mark.slow
def test_a_marked_test_runs_with_the_corpus_and_is_skipped_by_name_without(
    corpus: str, pytester: pytest.Pytester
) -> None:
    result = run(pytester, TESTS)
    result.assert_outcomes(**({"passed": 3, "skipped": 1} if corpus == "there" else {"skipped": 4}))
    needs_corpus = "the corpus of real videos (set VIDEO_ASSETS_CORPUS to the folder that has its index.csv)"
    needs_program = "the program there-is-no-such-program"
    if corpus == "there":
        result.stdout.fnmatch_lines([f"SKIPPED* needs {needs_program}"])
    else:
        result.stdout.fnmatch_lines_random(
            [f"SKIPPED* needs {needs_corpus}", f"SKIPPED* {needs_corpus} and {needs_program}"]
        )


@pytest.mark.slow
def test_a_test_that_is_not_marked_may_not_use_the_corpus_even_where_it_is(
    corpus: str, pytester: pytest.Pytester
) -> None:
    assert corpus
    result = run(pytester, NOT_MARKED)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*test_by_path uses the corpus of real videos: mark it with @pytest.mark.corpus*"])
