"""Untrusted or secret text, made fit to be shown."""

import json
import os
import re
from collections.abc import Iterator

VARIABLE = "IMAGEGEN_HIDE_PROMPTS"

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
    clean = _BLOB.sub(_unless_path, _ASSIGNMENT.sub("", plain))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _unless_path(blob: re.Match[str]) -> str:
    """Keep a long path of a file; base64 has longer stretches between its slashes."""
    names = blob[0].split("/")
    return blob[0] if names[0] == "" and max(map(len, names)) < 48 else "…"


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


class _Prompts:
    """Whether prompts are hidden in this process; None until somebody asks."""

    hidden: bool | None = None


def hide_prompts(hide: bool = True) -> None:  # noqa: FBT001, FBT002 - it is a switch
    """Hide prompts in reprs and messages from now on, everywhere in this process, or show them.

    Until it is called, the environment decides: `IMAGEGEN_HIDE_PROMPTS` hides them unless it is
    empty or ``"0"``. It is read once, when a prompt is first to be shown.
    """
    _Prompts.hidden = bool(hide)


def prompts_hidden() -> bool:
    """Tell whether prompts are hidden."""
    if _Prompts.hidden is None:
        _Prompts.hidden = os.environ.get(VARIABLE, "").strip() not in ("", "0")
    return _Prompts.hidden


def shown_prompt(prompt: str) -> str:
    """Return the repr of *prompt*, or only its length if prompts are hidden."""
    return f"<{len(prompt):,} characters>" if prompts_hidden() else repr(prompt)


def without_prompt(text: str, prompt: str) -> str:
    """Return *text* with ``<prompt>`` wherever it quotes *prompt*, if prompts are hidden.

    A quotation may differ in case, space and escapes. One that is broken off, or changed within,
    is recognised by any twelve letters or digits in a row.
    """
    if not prompts_hidden():
        return text
    forms = {prompt, json.dumps(prompt)[1:-1], json.dumps(prompt, ensure_ascii=False)[1:-1]}
    whole = "|".join(sorted(filter(None, map(_quotation, forms)), key=len, reverse=True))
    if whole:
        text = re.sub(whole, _STAND_IN, text, flags=re.IGNORECASE)
    known = {piece for form in forms for piece, _, _ in _pieces(form)}
    return _replaced(text, [(a, b) for piece, a, b in _pieces(text) if piece in known])


_STAND_IN = "<prompt>"
_PIECE = 12
_GAP = r"(?:\\[nrt]|\s)+"


def _quotation(form: str) -> str:
    """A pattern for *form*, but not within a longer word: a short prompt may be a part of many."""
    words = _GAP.join(map(re.escape, form.split()))
    return words and f"(?<![A-Za-z0-9]){words}(?![A-Za-z0-9])"


def _pieces(text: str) -> Iterator[tuple[str, int, int]]:
    """Every twelve letters or digits in a row, whatever is between them, and where they are."""
    letters = [(c, i) for i, char in enumerate(text) if char.isalnum() for c in char.casefold()]
    for window in zip(*(letters[k:] for k in range(_PIECE)), strict=False):
        yield "".join(c for c, _ in window), window[0][1], window[-1][1] + 1


def _replaced(text: str, places: list[tuple[int, int]]) -> str:
    """*text* with the stand-in for each run of *places*, which are in order and may overlap."""
    parts, kept, end = list[str](), 0, -1
    for start, stop in places:
        if start > end:
            parts += [text[kept:start], _STAND_IN]
        end = kept = stop
    return "".join([*parts, text[kept:]])


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
