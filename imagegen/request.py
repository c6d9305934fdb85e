"""What is wanted, in no provider's words: ImageRequest and the values it is made of."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from attrs import field, frozen

from imagegen.errors import InvalidRequestError
from imagegen.media import sniff
from imagegen.redaction import brief, shown_prompt, without_query

PROMPT_CHARACTERS = 1500
REFERENCE_BYTES = 10_000_000
MOST_IMAGES = 10_000
SEEDS = range(-(2**63), 2**63)
LONGEST_SIDE = 16_384
OPTION_DEPTH = 12

Output = Literal["url", "bytes"]
Role = Literal["character", "source"]


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@frozen(order=True)
class Size:
    """Width and height in pixels, each 1–16384."""

    width: int
    height: int

    def __attrs_post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            if not _is_int(side) or not 1 <= side <= LONGEST_SIDE:
                raise InvalidRequestError(
                    f"size: {name} must be a whole number of pixels from 1 to {LONGEST_SIDE}, "
                    f"not {brief(side)}",
                    field="size",
                )

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, value: Size | str | tuple[int, int]) -> Size:
        """Read ``"1280x720"``, ``"1280*720"``, ``(1280, 720)`` or a Size.

        Raises:
            InvalidRequestError: *value* is none of these.
        """
        if isinstance(value, Size):
            return value
        if isinstance(value, str):
            match = re.fullmatch(r"\s*([0-9]{1,5})\s*[xX*×]\s*([0-9]{1,5})\s*", value)
            if match:
                return cls(int(match[1]), int(match[2]))
        elif isinstance(value, tuple) and len(value) == 2:
            return cls(*value)
        raise InvalidRequestError(
            f'size must be "WIDTHxHEIGHT" in pixels, such as "1280x720", not {brief(value)}',
            field="size",
        )


def _aspect_ratio(value: str) -> str:
    match = (
        re.fullmatch(r"\s*([1-9][0-9]?)\s*:\s*([1-9][0-9]?)\s*", value)
        if isinstance(value, str)
        else None
    )
    if not match:
        raise InvalidRequestError(
            f'aspect_ratio must be "WIDTH:HEIGHT" with numbers from 1 to 99, such as "16:9", '
            f"not {brief(value)}",
            field="aspect_ratio",
        )
    return f"{match[1]}:{match[2]}"


@frozen(init=False)
class ReferenceImage:
    """A picture that the new one is to follow: JPEG or PNG, under 10 MB.

    Two references are equal if their URL or their bytes are. JSON keeps the digest of the bytes,
    not the bytes: a reference read back from JSON compares equal but cannot be sent again.

    Attributes:
        url: where the provider fetches it, or None.
        data: the bytes that are sent, or None.
        media_type: ``"image/jpeg"`` or ``"image/png"``; None for a URL.
        sha256: hexadecimal digest of the bytes; None for a URL.
        role: ``"character"`` (keep this person) or ``"source"`` (change this picture).
    """

    url: str | None = field(repr=lambda url: repr(url and without_query(url)))
    data: bytes | None = field(eq=False, repr=False)
    media_type: str | None
    sha256: str | None
    role: Role

    def __init__(self, source: str | Path | bytes, role: Role = "character") -> None:
        """Take an http(s) URL, a data URL, a file's path, or the bytes themselves.

        Raises:
            InvalidRequestError: not JPEG or PNG by its bytes, 10 MB or more, or not readable.
        """
        if role not in ("character", "source"):
            raise InvalidRequestError(
                f'a reference\'s role must be "character" or "source", not {brief(role)}',
                field="references",
            )
        if isinstance(source, str) and re.match(r"https?://[^\s/]", source, re.IGNORECASE):
            _require_utf8(source, "references")
            _fill(self, url=source, data=None, media_type=None, sha256=None, role=role)
            return
        data = _reference_bytes(source)
        media = sniff(data)
        if media is None or media.type not in ("image/jpeg", "image/png"):
            raise InvalidRequestError(
                f"a reference must be a JPEG or PNG picture by its own bytes; {_named(source)} is "
                f"{media.type if media else 'no picture that we know'}",
                field="references",
            )
        if len(data) >= REFERENCE_BYTES:
            raise InvalidRequestError(
                f"a reference must be under 10 MB (10,000,000 bytes); {_named(source)} is not",
                field="references",
            )
        digest = hashlib.sha256(data).hexdigest()
        _fill(self, url=None, data=data, media_type=media.type, sha256=digest, role=role)

    @classmethod
    def remembered(
        cls, url: str | None, media_type: str | None, sha256: str | None, role: Role
    ) -> ReferenceImage:
        """Rebuild what JSON kept of a reference: everything but the bytes."""
        reference = cls.__new__(cls)
        _fill(reference, url=url, data=None, media_type=media_type, sha256=sha256, role=role)
        return reference

    @property
    def wire(self) -> str:
        """The URL, or the bytes as a data URL, as most providers take it."""
        if self.url is not None:
            return self.url
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode('ascii')}"

    @property
    def content(self) -> bytes:
        """The bytes of a reference that is no URL, for a provider that takes files.

        Raises:
            InvalidRequestError: they are not here.
        """
        if self.data is None:
            raise InvalidRequestError(
                "this reference is a URL, or was read back from JSON, which keeps only its digest; "
                "make the ReferenceImage again from the picture",
                field="references",
            )
        return self.data


def _named(source: str | Path | bytes) -> str:
    if isinstance(source, bytes):
        return f"one of {len(source):,} bytes"
    text = str(source)
    if text[:5].lower() == "data:":
        return "a data URL"
    return brief(text if len(text) <= 60 else Path(text).name)


def _fill(reference: ReferenceImage, **values: object) -> None:
    """Set the fields of a frozen value: its constructor takes what they are made from."""
    for name, value in values.items():
        object.__setattr__(reference, name, value)


def _reference_bytes(source: str | Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str) and source[:5].lower() == "data:":
        return _data_url_bytes(source)
    if isinstance(source, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        raise InvalidRequestError(
            f"a reference's URL must be http(s) with a host, not {brief(source)}",
            field="references",
        )
    if not isinstance(source, (str, Path)):
        raise InvalidRequestError(
            "a reference must be an http(s) URL, a data URL, a path or bytes, "
            f"not {type(source).__name__}",
            field="references",
        )
    try:
        with Path(source).open("rb") as file:
            return file.read(REFERENCE_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidRequestError(
            f"the reference {_named(source)} cannot be read: {reason}", field="references"
        ) from error


def _data_url_bytes(source: str) -> bytes:
    head, comma, payload = source.partition(",")
    try:
        if not comma:
            raise ValueError("no comma")  # noqa: TRY301 - one handler for everything malformed
        if head.lower().endswith(";base64"):
            return base64.b64decode(payload, validate=True)
        return unquote_to_bytes(payload)
    except (ValueError, binascii.Error) as error:
        raise InvalidRequestError(
            'a data URL reference must read "data:image/jpeg;base64,…" with valid base64',
            field="references",
        ) from error


def _references(value: Any) -> tuple[ReferenceImage, ...]:
    single = isinstance(value, (ReferenceImage, str, bytes, Path))
    try:
        items = (value,) if single else tuple(value)
    except TypeError:
        items = (value,)
    return tuple(i if isinstance(i, ReferenceImage) else ReferenceImage(i) for i in items)


def _require_utf8(text: str, name: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            f"{name} has a lone surrogate at position {error.start}, which no encoding can carry",
            field=name,
        ) from error


def _json_copy(value: Any, where: str, depth: int = 0) -> Any:
    """Copy a JSON value, so that a later change of the caller's own cannot reach the request."""
    if depth > OPTION_DEPTH:
        raise InvalidRequestError(
            f"provider_options may be nested {OPTION_DEPTH} deep", field="provider_options"
        )
    match value:
        case None | bool():
            return value
        case int() if value in SEEDS:
            return value
        case str():
            _require_utf8(value, "provider_options")
            return value
        case float() if isfinite(value):
            return value
        case Mapping() if all(isinstance(key, str) for key in value):
            for key in value:
                _require_utf8(key, "provider_options")
            return {k: _json_copy(v, f"{where}.{k}", depth + 1) for k, v in value.items()}
        case list() | tuple():
            return [_json_copy(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
        case _:
            raise InvalidRequestError(
                f"{where} must be a JSON value (integers of 64 bits, finite numbers), "
                f"not {type(value).__name__}",
                field="provider_options",
            )


def _provider_options(value: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    copied = _json_copy(value, "provider_options")
    if not isinstance(copied, dict) or not all(isinstance(v, dict) for v in copied.values()):
        raise InvalidRequestError(
            'provider_options must map a provider to its fields, such as {"minimax": {…}}',
            field="provider_options",
        )
    return copied


def _optional_size(value: Size | str | tuple[int, int] | None) -> Size | None:
    return None if value is None else Size.parse(value)


def _optional_ratio(value: str | None) -> str | None:
    return None if value is None else _aspect_ratio(value)


def _check_prompt(_: object, __: object, value: str) -> None:
    length = len(value) if isinstance(value, str) else 0
    if not 1 <= length <= PROMPT_CHARACTERS or not value.strip():
        found = f"{length} characters" if isinstance(value, str) else type(value).__name__
        raise InvalidRequestError(
            f"prompt must be 1–{PROMPT_CHARACTERS} characters, not all blank; this one is {found}",
            field="prompt",
        )
    _require_utf8(value, "prompt")


def _check_n(_: object, __: object, value: int) -> None:
    if not _is_int(value) or not 1 <= value <= MOST_IMAGES:
        raise InvalidRequestError(
            f"n must be a whole number of pictures, 1 or more (at most {MOST_IMAGES}), "
            f"not {brief(value)}",
            field="n",
        )


def _check_seed(_: object, __: object, value: int | None) -> None:
    if value is not None and not (_is_int(value) and value in SEEDS):
        raise InvalidRequestError(
            f"seed must be an integer from -2**63 to 2**63-1 or None, not {brief(value)}",
            field="seed",
        )


def _check_enhance_prompt(_: object, __: object, value: Any) -> None:
    if not isinstance(value, (bool, type(None))):
        raise InvalidRequestError(
            f"enhance_prompt must be True, False or None, not {brief(value)}",
            field="enhance_prompt",
        )


def _check_output(_: object, __: object, value: str) -> None:
    if value not in ("url", "bytes"):
        raise InvalidRequestError(
            f'output must be "url" or "bytes", not {brief(value)}', field="output"
        )


@frozen
class ImageRequest:
    """What to draw, for any provider.

    Args:
        prompt: 1–1500 characters, not all blank.
        n: how many pictures, 1–10000; more than a provider takes in one call is split.
        size: pixels, ``"1280x720"`` or Size; not together with *aspect_ratio*.
        aspect_ratio: such as ``"16:9"``; the provider's own size for it is used.
        seed: a 64-bit integer; None lets the provider choose.
        references: ReferenceImage values (or what makes one: a URL, path, bytes, data URL).
        enhance_prompt: True or False to ask for the provider's prompt rewriting or against it,
            None for its default.
        output: ``"url"`` or ``"bytes"``; what the pictures of the result carry.
        provider_options: ``{"minimax": {...}}``: fields merged last into that provider's body.

    Raises:
        InvalidRequestError: a field is not as said above; `.field` names it.
    """

    prompt: str = field(validator=_check_prompt, repr=shown_prompt)
    n: int = field(default=1, kw_only=True, validator=_check_n)
    size: Size | None = field(default=None, kw_only=True, converter=_optional_size)
    aspect_ratio: str | None = field(default=None, kw_only=True, converter=_optional_ratio)
    seed: int | None = field(default=None, kw_only=True, validator=_check_seed)
    references: tuple[ReferenceImage, ...] = field(default=(), kw_only=True, converter=_references)
    enhance_prompt: bool | None = field(default=None, kw_only=True, validator=_check_enhance_prompt)
    output: Output = field(default="url", kw_only=True, validator=_check_output)
    provider_options: Mapping[str, Mapping[str, Any]] = field(
        factory=dict, kw_only=True, converter=_provider_options, hash=False
    )

    def __attrs_post_init__(self) -> None:
        if self.size is not None and self.aspect_ratio is not None:
            raise InvalidRequestError(
                "give size or aspect_ratio, not both: they could disagree", field="aspect_ratio"
            )
        if self.seed is not None and self.seed + self.n - 1 not in SEEDS:
            raise InvalidRequestError(
                "seed + n - 1 must not pass 2**63-1: a split request counts its seeds up",
                field="seed",
            )
