"""The dataset card, in Markdown."""

from collections.abc import Mapping, Sequence

from video_assets.domain.encoding import Encoding, Layout
from video_assets.domain.splits import Split
from video_assets.report.escape import markdown_text

_RECORDS: Mapping[Layout, str] = {
    "tfds": "Each record is a `tf.train.Example` of `video` (T images), `label`, `id`, `source` and `timestamps_us`.",
    "sequence_example": "Each record is a `tf.train.SequenceExample` of `image/encoded` and `image/timestamp`, with "
    "`clip/label/index`, `clip/label/text`, `example/id` and more as its context.",
    "movinets_helper": "Each record is a `tf.train.Example` in GZIP whose `video` is a serialized float32 tensor.",
}
_READERS: Mapping[Layout, str] = {
    "tfds": """```python
import tensorflow_datasets as tfds

builder = tfds.builder_from_directory("path/to/{name}/{version}")
train = builder.as_dataset(split="train")
```
""",
    "sequence_example": """TF Model Garden reads it, with `input_path: path/to/{name}/{version}/{name}-train-*.tfrecord`
in the data config of `video_classification`.
""",
    "movinets_helper": "",
}


def card_markdown(
    name: str,
    version: str,
    encoding: Encoding,
    labels: Sequence[str],
    records: Mapping[Split, int],
    num_bytes: Mapping[Split, int],
) -> str:
    """What the dataset is, and how to read it; labels are escaped."""
    splits = "\n".join(f"| {split} | {records[split]} | {num_bytes[split] / 1e6:.1f} |" for split in records)
    settings = "\n".join(f"| {field} | {value} |" for field, value in encoding.as_dict().items())
    classes = ", ".join(f"{index} {markdown_text(label)}" for index, label in enumerate(labels))
    return f"""# {name} {version}

| split | clips | MB |
| --- | --- | --- |
{splits}

Classes: {classes}

## How it is encoded

| setting | value |
| --- | --- |
{settings}

{_RECORDS[encoding.layout]} Times are those at which the source shows the stored frames,
in microseconds on its own time line. `index.parquet` says in which shard, and at which byte, each clip lies.

## How to read it

{_READERS[encoding.layout].format(name=name, version=version)}
```python
from video_assets.reader import load_dataset

train = load_dataset("path/to/{name}/{version}", "train")
```
"""
