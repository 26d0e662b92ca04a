"""The bytes of a record: TFRecord framing, and one module per layout."""
