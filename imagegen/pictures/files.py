"""Writing pictures to a folder: names of our own, whole files or none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from imagegen.errors import ConfigurationError
from imagegen.media import EXTENSIONS
from imagegen.result import Generation


def require_writable(directory: Path) -> None:
    """Make *directory*, before anything is paid for.

    Raises:
        ConfigurationError: it cannot be made, or nothing can be written into it.
    """
    probe = directory / f".imagegen-{uuid4().hex}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"nothing can be written to {str(directory)!r}: {error}",
            advice="Name another folder",
        ) from error


def require_writable_file(path: Path) -> None:
    """Make the folder of *path*, and see that a file can be written there, before it is needed.

    Raises:
        ConfigurationError: it cannot.
    """
    require_writable(path.parent)
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        part = _part(path)
        part.touch()
        part.unlink()
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{str(path)!r} cannot be written: {error}", advice="Name another file"
        ) from error


def write_images(
    generation: Generation, directory: Path, *, provenance: bool = True
) -> list[Path | None]:
    """Write each picture of *generation*; return the paths in order, None for one without bytes.

    With *provenance*, the file says how the picture came about, where its type has a place for
    that (see `imagegen.pictures.provenance.marked`). Without, its bytes are the provider's.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return [
            write_whole(directory / _name(generation, index), *pieces) if pieces else None
            for index, pieces in enumerate(_contents(generation, provenance=provenance))
        ]
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{str(directory)!r} cannot be written: {error}",
            advice="The Generation still holds the pictures: save them elsewhere",
        ) from error


def _contents(
    generation: Generation, *, provenance: bool
) -> Iterator[Sequence[bytes | memoryview]]:
    """Each picture's file in pieces; none without bytes."""
    from imagegen.pictures.provenance import marked_pieces, provenance_of  # noqa: PLC0415 - only to save pictures

    for index, image in enumerate(generation.images):
        if image.data is None:
            yield ()
        elif provenance and image.media_type is not None:
            yield marked_pieces(image.data, image.media_type, provenance_of(generation, index))
        else:
            yield (image.data,)


def _name(generation: Generation, index: int) -> str:
    """Provider, request id and place, in safe letters only: the words come from outside."""
    image = generation.images[index]
    words = (generation.provider, image.request_id or uuid4().hex)
    provider, request_id = (re.sub(r"[^A-Za-z0-9-]", "", word)[:64] or "x" for word in words)
    return f"{provider}-{request_id}-{index}{EXTENSIONS.get(image.media_type or '', '')}"


def write_whole(path: Path, *pieces: bytes | memoryview) -> Path:
    """Write *pieces* beside *path*, then move into place: nobody sees half a picture."""
    part = _part(path)
    try:
        with part.open("xb") as file:
            file.writelines(pieces)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return path


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex}.part")
