"""The dataset card, in Markdown."""

from collections.abc import Mapping, Sequence

from video_assets.domain.encoding import Encoding
from video_assets.domain.splits import Split
from video_assets.report.escape import markdown_text


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

Each record holds `video` (T frames), `label`, `id`, `source` and `timestamps_us`: the presentation times, in
microseconds, at which the source shows the stored frames. `index.parquet` says in which shard, and at which byte,
each clip lies.

## How to read it

```python
import tensorflow_datasets as tfds

builder = tfds.builder_from_directory("path/to/{name}/{version}")
train = builder.as_dataset(split="train")
```

```python
from video_assets.reader import load_dataset

train = load_dataset("path/to/{name}/{version}", "train")
```
"""
