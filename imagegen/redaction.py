"""Untrusted or secret text, made fit to be shown."""

import re

_URL_QUERY = re.compile(r"(https?://[^\s\"'<>?#]+)[?#][^\s\"'<>]*")
_USER_INFO = re.compile(r"(https?://)[^\s/@\"'<>]+@")
_BLOB = re.compile(r"[A-Za-z0-9+/_=-]{120,}")
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]+"
)


def without_query(url: str) -> str:
    """Return *url* without user info, query and fragment, which is where signatures are kept."""
    return _URL_QUERY.sub(r"\1", _USER_INFO.sub(r"\1", url))


def shown(text: str, limit: int = 300) -> str:
    """Return *text* as one line without signed queries and blobs, of at most *limit* characters."""
    head = text[: limit * 20]
    clean = _BLOB.sub("…", without_query(_UNPRINTABLE.sub(" ", head)))
    clean = " ".join(clean.split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def printable(text: str) -> str:
    """Return *text* without the characters that move a terminal's cursor or hide words."""
    return _UNPRINTABLE.sub("�", text)


class Secret:
    """An API key that no repr, log, pickle or traceback shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value.strip()

    def reveal(self) -> str:
        """Return the key itself; only the drivers call this, to write the header."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled; give the key again where it is needed")
