from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path
from typing import Any

import pytest

from imagegen import GeneratedImage, Generation, ImageRequest
from imagegen.errors import ConfigurationError
from imagegen.pictures.files import require_writable, write_images

JPEG = b"\xff\xd8\xff\xe0 a picture"
PNG = b"\x89PNG\r\n\x1a\n a picture"
WEBP = b"RIFF\x00\x00\x00\x00WEBP a picture"


def image(data: bytes | None = JPEG, request_id: str | None = "req-1") -> GeneratedImage:
    blank = GeneratedImage(request_id=request_id)
    return blank if data is None else blank.with_data(data) or blank


def generation(*images: GeneratedImage, provider: str = "minimax") -> Generation:
    request = ImageRequest("a fox", n=max(len(images), 1))
    return Generation(images=images, provider=provider, model="m", request=request)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_pictures_are_written_in_order_under_names_of_our_own(tmp_path: Path) -> None:
    paths = write_images(generation(image(JPEG), image(PNG)), tmp_path)
    assert [path and path.name for path in paths] == ["minimax-req-1-0.jpg", "minimax-req-1-1.png"]
    assert [path and path.read_bytes() for path in paths] == [JPEG, PNG]


@pytest.mark.parametrize(("data", "ending"), [(JPEG, ".jpg"), (PNG, ".png"), (WEBP, ".webp")])
def test_the_ending_is_of_the_bytes(tmp_path: Path, data: bytes, ending: str) -> None:
    (path,) = write_images(generation(image(data)), tmp_path)
    assert path is not None
    assert path.suffix == ending


def test_a_picture_without_bytes_keeps_its_place(tmp_path: Path) -> None:
    paths = write_images(generation(image(None), image(JPEG)), tmp_path)
    assert paths[0] is None
    assert names(tmp_path) == ["minimax-req-1-1.jpg"]


@pytest.mark.parametrize(
    "hostile",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "a/b\\c",
        "C:\\x",
        "x\x00y",
        "x\ny",
        "\u202egpj.exe",
        "-rf",
        "a" * 5000,
        "💥",
        "CON",
        "~root",
        "$(id)",
        "%2e%2e%2f",
        "",
    ],
)
def test_a_hostile_request_id_stays_within_the_folder(tmp_path: Path, hostile: str) -> None:
    folder = tmp_path / "out"
    (path,) = write_images(generation(image(JPEG, hostile)), folder)
    assert path is not None
    assert path.resolve().parent == folder.resolve()
    assert names(tmp_path) == sorted(["out", path.name])
    assert path.name.startswith("minimax-")
    assert path.name.endswith("-0.jpg")
    assert len(path.name) < 120
    assert path.name.isascii()
    assert not set(path.name) & set('/\\:*?"<>|$%~ \n\x00')


def test_the_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    (path,) = write_images(generation(image()), tmp_path / "a" / "b")
    assert path is not None
    assert path.exists()


def test_saving_again_replaces_the_same_files(tmp_path: Path) -> None:
    first = write_images(generation(image()), tmp_path)
    assert write_images(generation(image()), tmp_path) == first
    assert len(names(tmp_path)) == 1


def test_pictures_without_request_id_do_not_replace_those_of_another_generation(
    tmp_path: Path,
) -> None:
    write_images(generation(image(JPEG, None)), tmp_path)
    write_images(generation(image(JPEG + b" and another", None)), tmp_path)
    assert len(names(tmp_path)) == 2


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "minimax-req-1-0.jpg").symlink_to(victim)
    write_images(generation(image()), folder)
    assert victim.read_bytes() == b"precious"
    assert (folder / "minimax-req-1-0.jpg").read_bytes() == JPEG


@pytest.mark.parametrize("raised", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_failure_to_move_into_place_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException
) -> None:
    def fail(*_: object) -> Any:
        raise raised

    monkeypatch.setattr(Path, "replace", fail)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises((ConfigurationError, KeyboardInterrupt)):
        write_images(generation(image()), tmp_path)
    assert names(tmp_path) == []


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    """The kernel itself refuses to let the file grow, half way through."""
    large = generation(image(JPEG + bytes(1_000_000)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(ConfigurationError, match="cannot be written"):
            write_images(large, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path) == []


def test_the_files_written_before_a_failure_stay_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = Path.replace

    def replace(self: Path, target: Any) -> Path:
        if "-1." in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        return genuine(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(ConfigurationError, match="No space left on device") as caught:
        write_images(generation(image(), image()), tmp_path)
    assert "save them elsewhere" in caught.value.advice
    assert names(tmp_path) == ["minimax-req-1-0.jpg"]


def test_others_may_not_write_the_files(tmp_path: Path) -> None:
    (path,) = write_images(generation(image()), tmp_path)
    assert path is not None
    mode = stat.S_IMODE(path.stat().st_mode)
    assert mode & 0o600 == 0o600
    assert mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH) == 0


def test_a_folder_that_is_a_file_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_images(generation(image()), tmp_path / "taken")


@pytest.mark.parametrize("folder", ["/proc/imagegen", "/proc/self", "/dev/null/pictures"])
def test_an_unwritable_folder_is_a_configuration_error(folder: str) -> None:
    """Nobody can write there, not even root."""
    with pytest.raises(ConfigurationError, match="cannot be written") as caught:
        write_images(generation(image()), Path(folder))
    assert folder in caught.value.message


@pytest.mark.parametrize("folder", ["a\0b", "x" * 5000])
def test_a_folder_that_cannot_exist_is_a_configuration_error(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_images(generation(image()), tmp_path / folder)


def test_no_pictures_are_no_files(tmp_path: Path) -> None:
    assert write_images(generation(), tmp_path) == []
    assert names(tmp_path) == []


def test_a_hostile_provider_name_stays_within_the_folder(tmp_path: Path) -> None:
    """A Generation may come from JSON that somebody else wrote."""
    folder = tmp_path / "out"
    write_images(generation(image(), provider="../evil"), folder)
    (written,) = folder.iterdir()
    assert names(tmp_path) == sorted(["out", written.name])


def test_a_folder_is_known_to_be_writable_and_left_as_it_was(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b")
    require_writable(tmp_path / "a" / "b")
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("folder", ["/proc/imagegen", "/dev/null/pictures", "/proc/self", "a\0b"])
def test_a_folder_is_known_not_to_be_writable_before_anything_is_paid(folder: str) -> None:
    with pytest.raises(ConfigurationError, match="nothing can be written to"):
        require_writable(Path(folder))
