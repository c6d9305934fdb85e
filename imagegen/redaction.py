"""Untrusted or secret text, made fit to be shown."""

import re

_USER_INFO = re.compile(r"((?:\\?/){2})[^/\\?#]*@")
_ASSIGNMENT = re.compile(r"[?&#][^\s=]{1,60}=\S*")
_BLOB = re.compile(r"[A-Za-z0-9+/_=-]{70,}")
_PUNCTUATION = "\"'>)]},.;:!"
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069]+"
)


def without_query(url: str) -> str:
    """Return *url* without user info, query and fragment, which is where signatures are kept."""
    return _USER_INFO.sub(r"\1", re.split(r"[?#]", url, maxsplit=1)[0])


def shown(text: str, limit: int = 300) -> str:
    """Return *text* as one line without signed queries and blobs, of at most *limit* characters."""
    words = _UNPRINTABLE.sub(" ", text[: limit * 20]).split()
    plain = " ".join(_plain(word) if _has_url(word) else word for word in words)
    clean = _BLOB.sub("…", _ASSIGNMENT.sub("", plain))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _plain(word: str) -> str:
    """A word with a URL in it: what follows the query's beginning goes, but for punctuation."""
    body = word.rstrip(_PUNCTUATION)
    return without_query(body) + word[len(body) :]


def _has_url(word: str) -> bool:
    return "//" in word or "\\/\\/" in word


def brief(value: object) -> str:
    """Return a short repr of anything that a caller may have given."""
    try:
        return shown(repr(value), 80)
    except Exception:  # noqa: BLE001 - a repr can raise anything, a huge integer's does
        return f"a {type(value).__name__}"


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
