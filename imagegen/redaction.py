"""Untrusted or secret text, made fit to be shown."""

import json
import os
import re
from collections.abc import Iterator, Sequence

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

    A quotation may differ in case, space and escapes, those of a URL among them, once or twice
    over. One that is broken off, or changed within, is recognised by any twelve letters or digits
    in a row.
    """
    if not prompts_hidden():
        return text
    escaped = {json.dumps(prompt)[1:-1], json.dumps(prompt, ensure_ascii=False)[1:-1]}
    forms = {prompt, *escaped, "+".join(prompt.split())}
    whole = "|".join(sorted(filter(None, map(_quotation, forms)), key=len, reverse=True))
    known = {piece for form in forms for piece, _, _ in _pieces(form)}
    places = list[tuple[int, int]]()
    for plain, at in _readings(text):
        found = re.finditer(whole, plain, re.IGNORECASE) if whole else ()
        places += [(at[match.start()], at[match.end()]) for match in found]
        places += [(at[a], at[b]) for piece, a, b in _pieces(plain) if piece in known]
    return _replaced(text, sorted(places))


_STAND_IN = "<prompt>"
_PIECE = 12
_GAP = r"(?:\\[nrt]|\s)+"
_ENCODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_READINGS = 3
"""As it is, and without percent-encoding once and twice: a URL may be within another's query."""


def _quotation(form: str) -> str:
    """A pattern for *form*, but not within a longer word: a short prompt may be a part of many."""
    words = _GAP.join(map(re.escape, form.split()))
    return words and f"(?<![A-Za-z0-9]){words}(?![A-Za-z0-9])"


def _readings(text: str) -> Iterator[tuple[str, Sequence[int]]]:
    """How *text* can be read, and where in it each character of that begins; last, its end."""
    at: Sequence[int] = range(len(text) + 1)
    for _ in range(_READINGS):
        yield text, at
        if not _ENCODED.search(text):
            break
        text, begins = _decoded(text)
        at = [at[place] for place in begins]


def _decoded(text: str) -> tuple[str, list[int]]:
    """*text* without percent-encoding, and where each character was; last, the end."""
    parts, begins, kept = list[str](), list[int](), 0
    for run in _ENCODED.finditer(text):
        parts.append(text[kept : run.start()])
        begins += range(kept, run.start())
        kept = run.start()
        parts.append(bytes.fromhex(run[0].replace("%", "")).decode("utf-8", "surrogateescape"))
        for char in parts[-1]:
            begins.append(kept)
            kept += 3 * len(char.encode("utf-8", "surrogateescape"))
    return "".join([*parts, text[kept:]]), [*begins, *range(kept, len(text) + 1)]


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
        end = kept = max(end, stop)
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
