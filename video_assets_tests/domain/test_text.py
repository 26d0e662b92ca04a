"""No secret in what is shown; everything else unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.text import redacted, secrets_of

CANARY = "c4n4ry-value"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"s3://me:{CANARY}@bucket/x is not there", "s3://***@bucket/x is not there"),
        (f"postgresql://dagster:{CANARY}@db:5432/d", "postgresql://***@db:5432/d"),
        (f"https://{CANARY}@github.example/a.git", "https://***@github.example/a.git"),
        (f"GET https://h/x?X-Amz-Credential={CANARY}&X-Amz-Date=1&X-Amz-Signature={CANARY}",
         "GET https://h/x?X-Amz-Credential=***&X-Amz-Date=1&X-Amz-Signature=***"),
        (f"'https://h/x?sv=1&sig={CANARY}'", "'https://h/x?sv=1&sig=***'"),
        (f'{{"url": "https://h/?token={CANARY}"}}', '{"url": "https://h/?token=***"}'),
        ("AKIAIOSFODNN7EXAMPLE may not read it", "*** may not read it"),
        (f"the key {CANARY} was refused", "the key *** was refused"),
    ],
)  # fmt: skip
def test_secrets_are_hidden(text: str, shown: str) -> None:
    assert redacted(text, [CANARY]) == shown


@pytest.mark.parametrize(
    "text",
    [
        "/videos/a@b/clip.mp4",
        "v_Token_g01_c01.avi",
        "s3://bucket/a/b@2x.mp4",
        "the path ../a.mp4 leads out of the table's folder",
        "https://example.com/?page=2",
        "me@example.com",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


@given(st.text(), st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8), st.text())
def test_a_known_secret_is_never_left(before: str, secret: str, after: str) -> None:
    assert secret not in redacted(before + secret + after, [secret])
    assert redacted(redacted(before, [secret]), [secret]) == redacted(before, [secret])


def test_the_secrets_of_an_environment_are_told_by_their_names() -> None:
    environment = {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "s" * 40,
        "DAGSTER_PG_PASSWORD": "correct horse",
        "HF_TOKEN": "hf_12345",
        "SHORT_TOKEN": "x",
        "GOOGLE_APPLICATION_CREDENTIALS": "/etc/key.json",
        "PATH": "/usr/bin:/bin",
    }
    assert secrets_of(environment) == ["AKIAIOSFODNN7EXAMPLE", "s" * 40, "correct horse", "hf_12345"]
