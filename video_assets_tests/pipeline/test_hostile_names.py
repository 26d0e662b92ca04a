"""Labels and file names that want to be markup, formulas, commands or places: stored as the texts that they are."""

import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import yaml
from markdown_it import MarkdownIt

from video_assets.domain.labels import clean_label
from video_assets.report.escape import visible
from video_assets.report.screens import build_screen
from video_assets.report.terminal import as_text
from video_assets.storage.files import read_lines
from video_assets.storage.paths import DatasetPaths, parse_shard_file_name
from video_assets.storage.sidecars import read_sidecar
from video_assets_tests.pipeline.stages import Stages
from video_assets_tests.pipeline.videos import write_video

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[x](javascript:alert(1))",
    "![x](http://127.0.0.1:9/x.png)",
    "www.example.com a@b.example",
    "| a | b |\n| --- | --- |",
    "```\n# heading",
    "---\nkey: !!python/object/apply:os.system [id]",
    "=1+1+cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "\x1b]0;title\x07\x1b[2J\x1b[31mred",
    "\u202egpj.exe\u2066\u200b",
    "../../../tmp/escape",
    "/absolute",
    "$(touch pwned) `touch pwned`; touch pwned",
    "%s%n {0.__class__} {{7*7}} ${x}",
    "-rf --help",
    "CON",
    "' OR 1=1; DROP TABLE runs; --",
)
"""Each as a label, and, but for what a file system cannot hold, as a file name."""


def file_name(text: str) -> str:
    return text.replace("/", "\u2215") + ".mp4"


FOLDED_RECIPE = re.compile(r"<details><summary>movinet_a\d_(base|stream)</summary>\n|</details>\n")
"""The only HTML of the card's Markdown."""


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """A dataset of two clips of each class, built once; nothing but its root is written to."""
    folder = tmp_path_factory.mktemp("hostile")
    rows: list[dict[str, str]] = []
    for number, text in enumerate(HOSTILE):
        for clip in range(2):
            name = f"{clip}/{file_name(text)}"
            write_video(folder / "videos" / name, 10 * number + clip, num_frames=6)
            rows.append({"path": name, "label": text, "group": f"{text} {clip}", "caption": text})
    rows.append({"path": "gone " + HOSTILE[0], "label": HOSTILE[1]})
    rows.append({"path": "../" + HOSTILE[10], "label": HOSTILE[10]})
    table = folder / "videos" / "clips.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    before = set(files_below(folder))
    built = Stages(table, DatasetPaths(folder / "root", "clips"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        built.everything()
    written = set(files_below(folder)) - before
    assert all(path.is_relative_to(folder / "root" / "clips") for path in written)
    return built


def files_below(folder: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(folder):
        yield from (Path(directory) / name for name in names)


def version_files(stages: Stages, suffix: str) -> list[Path]:
    return [path for path in files_below(stages.paths.directory) if path.suffix == suffix]


@pytest.mark.slow
def test_every_clip_is_stored_or_named_with_a_reason(stages: Stages) -> None:
    index = pd.read_parquet(stages.paths.version("1.0.0").index)
    assert set(index["label"]) == {clean_label(text) for text in HOSTILE}
    assert set(index["clip_id"]) == {f"{clip}/{file_name(text)}" for text in HOSTILE for clip in range(2)}
    reasons = {source: reason for source, (reason, _) in stages.quarantined().items()}
    assert reasons == {f"gone {HOSTILE[0]}": "not_found", f"../{HOSTILE[10]}": "outside_source"}


def test_no_name_on_disk_is_made_of_a_label(stages: Stages) -> None:
    directory = stages.paths.version("1.0.0").directory
    for path in directory.iterdir():
        is_shard = parse_shard_file_name(path.name) is not None
        assert is_shard or path.name.isascii(), path
        assert not {"<", "'", "$", " ", "\x1b"}.intersection(path.name), path


def test_label_files_hold_a_class_a_line_in_the_same_order(stages: Stages) -> None:
    labels = read_lines(stages.paths.labels)
    assert labels == sorted({clean_label(text) for text in HOSTILE})
    assert read_lines(stages.paths.version("1.0.0").label_names) == labels
    assert all(label.strip() == label and "\x1b" not in label and "\x07" not in label for label in labels)


def test_sidecars_and_records_hold_the_texts_unchanged(stages: Stages) -> None:
    found: set[str] = set()
    for path in version_files(stages, ".json"):
        sidecar = read_sidecar(path)
        found |= {clip.clip_id for clip in sidecar.clips} if sidecar else set()
        json.loads(path.read_text("utf-8"))
    assert found == {f"{clip}/{file_name(text)}" for text in HOSTILE for clip in range(2)}


def test_tensorflow_datasets_reads_them_with_as_many_classes(stages: Stages, tfds: ModuleType) -> None:
    builder = tfds.builder_from_directory(stages.paths.version("1.0.0").directory)
    assert builder.info.features["label"].num_classes == len(HOSTILE)
    ids = {str(clip["id"], "utf-8") for clip in tfds.as_numpy(builder.as_dataset(split="train"))}
    assert ids <= {f"{clip}/{file_name(text)}" for text in HOSTILE for clip in range(2)}


def test_the_card_shows_every_class_and_none_is_markup(stages: Stages) -> None:
    _, front_matter, text = stages.paths.version("1.0.0").card_markdown.read_text("utf-8").split("---\n", 2)
    assert yaml.safe_load(front_matter)["pretty_name"] == "clips"
    tokens = MarkdownIt().enable(["table", "strikethrough"]).parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    tokens = [token for token in tokens if not FOLDED_RECIPE.fullmatch(token.content)]
    assert not {token.type for token in [*tokens, *inline]} & {"html_block", "html_inline", "image", "hr"}
    assert [token.attrs for token in inline if token.type == "link_open"] == [{"href": "card.html"}]  # the card's own
    shown = "".join(token.content for token in inline)
    assert [label for label in read_lines(stages.paths.labels) if visible(label) not in shown] == []
    assert visible(text, keep="\n") == text


class MarkupWatch(HTMLParser):
    """Notes what a browser would run or fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            is_address = name in ("src", "href", "action", "data", "srcset") and not (value or "").startswith(
                ("data:image/", "#")
            )
            is_shown = name in ("alt", "title", "aria-label", "data-class")  # words, whatever they say
            if name.startswith("on") or is_address or ("javascript:" in (value or "") and not is_shown):
                self.found.append(f"{tag} {name}={value}")


def test_pages_run_and_fetch_nothing(stages: Stages) -> None:
    """Whatever pages a commit writes; the first one proves that the watch sees what it looks for."""
    proof = MarkupWatch()
    proof.feed("".join(HOSTILE))
    assert proof.found == ["img src=x", "img onerror=alert(1)"]
    for page in version_files(stages, ".html"):
        watch = MarkupWatch()
        watch.feed(page.read_text("utf-8"))
        assert watch.found == []


def test_nothing_is_written_that_a_spreadsheet_would_calculate(stages: Stages) -> None:
    assert not [path for suffix in (".csv", ".tsv", ".xls", ".xlsx") for path in version_files(stages, suffix)]


def test_the_terminal_shows_them_and_obeys_none(stages: Stages) -> None:
    lost = [{"source": source, "reason": r, "detail": d} for source, (r, d) in stages.quarantined().items()]
    said = as_text(
        build_screen(
            {
                "refused": f"for the clip {HOSTILE[10]}",
                "splits": {},
                "clips_encoded": 0,
                "clips_reused": 0,
                "shards_written": 0,
                "shards_reused": 0,
                "seconds": 1.0,
                "quarantined": lost + [{"source": text, "reason": text, "detail": text} for text in HOSTILE],
                "left_out": [{"source": text, "reason": text} for text in HOSTILE],
                "checks": [
                    {"name": "x", "passed": False, "severity": "ERROR", "description": text} for text in HOSTILE
                ],
                "version_dir": "/r/clips/1.0.0",
                "root": "/r",
            }
        )
    )
    assert "\\x1b]0;title\\x07" in said
    assert visible(said, keep="\n") == said


def test_tables_in_the_ui_show_them_in_one_direction(stages: Stages) -> None:
    from video_assets.defs.metadata import of_manifest

    metadata = of_manifest(stages.manifest(), stages.paths)
    texts = [
        str(value)
        for name in ("clips_by_class", "quarantine")
        for record in metadata[name].value.records
        for value in record.data.values()
    ]
    assert len(texts) > 2 * len(HOSTILE)
    assert [text for text in texts if not text.isprintable()] == []
