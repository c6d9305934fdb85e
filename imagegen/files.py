"""Writing pictures to a folder: names of our own, whole files or none."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

from imagegen.errors import ConfigurationError
from imagegen.media import extension
from imagegen.result import Generation


def write_images(generation: Generation, directory: Path) -> list[Path | None]:
    """Write each picture of *generation*; return the paths in order, None for one without bytes.

    Raises:
        ConfigurationError: the folder can not be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return [
            None if image.data is None else _write(directory / _name(generation, index), image.data)
            for index, image in enumerate(generation.images)
        ]
    except OSError as error:
        raise ConfigurationError(
            f"{str(directory)!r} can not be written: {error.strerror}",
            advice="The Generation still holds the pictures: save them elsewhere",
        ) from error


def _name(generation: Generation, index: int) -> str:
    """Provider, request id and place; of the provider's id only the safe letters are used."""
    image = generation.images[index]
    safe = re.sub(r"[^A-Za-z0-9-]", "", image.request_id or "")[:64] or "unnamed"
    return f"{generation.provider}-{safe}-{index}{extension(image.media_type)}"


def _write(path: Path, data: bytes) -> Path:
    """Write beside *path*, then move into place: nobody sees half a picture."""
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path
