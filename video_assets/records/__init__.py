"""Bytes of a record: TFRecord framing, and one module a layout."""
