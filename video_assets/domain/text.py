"""Lists of names for sentences, and removal of secrets from texts."""

import re
from collections.abc import Iterable, Mapping, Sequence

MAX_NAMED = 200
"""Clips that an event or a line of JSON names; the tables hold all."""


def sequence_of(names: Sequence[str]) -> str:
    """Return names for a sentence: the first five, and how many more there are.

    >>> sequence_of(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


_HIDDEN = "***"
_USER_OF_ADDRESS = re.compile(r"(?<=://)[^/\s@\"'<>]+@")
_SIGNED = (
    r"x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|awsaccesskeyid|googleaccessid|sig|"
    r"signature|token|access_token|api_?key|password|secret"
)
_PARAMETER = re.compile(rf"([?&;](?:{_SIGNED})=)[^&;\s\"'<>]+", re.IGNORECASE)
_AWS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_KEY", re.IGNORECASE)
_SHORTEST = 8
"""Shorter secrets are not searched for: they would hide ordinary words."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number and its noun.

    >>> counted(1, "clip"), counted(2000, "clip"), counted(2, "class", "classes")
    ('1 clip', '2 000 clips', '2 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}".replace(",", " ")


def format_size(num_bytes: float) -> str:
    """Return a size for people.

    >>> format_size(16_432_041), format_size(20e9)
    ('16.4 MB', '20.0 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} B" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without users, passwords and signatures in addresses, AWS keys, and the given secrets.

    >>> redacted("cannot open https://me:pw@host/x?sig=abc&v=1")
    'cannot open https://***@host/x?sig=***&v=1'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = _USER_OF_ADDRESS.sub(f"{_HIDDEN}@", text)
    return _AWS_KEY.sub(_HIDDEN, _PARAMETER.sub(rf"\1{_HIDDEN}", text))


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Return the values of variables whose names say that they are secret, but not paths to credential files.

    >>> secrets_of({"DB_PASSWORD": "correct horse", "HOME": "/root", "APP_CREDENTIALS": "/etc/app.json"})
    ['correct horse']
    """
    return [
        value
        for name, value in environment.items()
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST and not value.startswith("/")
    ]
