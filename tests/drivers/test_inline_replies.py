"""Replies with pictures in base64, on real sockets and in flows: what comes of them."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import shake_256
from pathlib import Path
from typing import Any

import pytest

from imagegen import ImageRequest, MiniMax, WaveSpeed
from imagegen.backends.base import Terms
from imagegen.drivers.inline import LONG
from imagegen.errors import (
    ContentPolicyError,
    InvalidRequestError,
    MalformedReplyError,
    SubmissionUnknownError,
)
from imagegen.flow import Call, Flow, Reply
from imagegen.request import Output
from imagegen.testing import play, reply

KEY = "made-up-key-of-a-test"
ID = "6488c2754f6f4dfea924382fa14d11bd"
HEADER = b"\xff\xd8\xff\xc0\x00\x11\x08\x02\x00\x04\x00\x03"
PICTURES = [HEADER + shake_256(b"%d" % k).digest(100_000 + k) for k in range(3)]
TEXTS = [base64.b64encode(data).decode() for data in PICTURES]
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"

Answer = Callable[[bytes], bytes]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Answer each request on a connection of its own; *answer* is given its first line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, connection.makefile("rb") as stream:
                        connection.sendall(answer(request(stream)))
                        connection.shutdown(socket.SHUT_WR)
                        stream.read()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def request(stream: Any) -> bytes:
    first, length = stream.readline(), 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    stream.read(length)
    return bytes(first)


def made(texts: list[str], **more: Any) -> bytes:
    """MiniMax's answer."""
    data = {"data": {"image_base64": texts}, "base_resp": {"status_code": 0}, "id": ID}
    return json.dumps(data | more).encode()


def predicted(status: str, outputs: list[Any], **more: Any) -> bytes:
    """WaveSpeedAI's answer."""
    data = {"id": ID, "status": status, "outputs": outputs, "model": "minimax/image-01"} | more
    return json.dumps({"code": 200, "message": "success", "data": data}).encode()


def plain(body: bytes) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def packed(body: bytes) -> bytes:
    data = gzip.compress(body)
    return OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)


def chunked(body: bytes) -> bytes:
    parts = (body[start : start + 777] for start in range(0, len(body), 777))
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def cut(body: bytes) -> bytes:
    """Announce all of it, and break off in the middle of the last picture."""
    return plain(body).removesuffix(body[-60_000:])


def bought(kit: Any, answer: Answer, model: str, output: Output = "bytes") -> Any:
    with serving(answer) as origin:
        backends = [
            MiniMax(api_key=KEY, base_url=origin),
            WaveSpeed(api_key=KEY, base_url=origin, first_poll=0.01),
        ]
        desk = kit.desk(backends, retries=None)
        return desk.generate(ImageRequest("a fox", n=3, output=output), model=model, timeout=20)


def both(framed: Answer, texts: list[Any]) -> Answer:
    """Both providers: MiniMax answers at once, WaveSpeedAI when it is polled."""

    def answer(first: bytes) -> bytes:
        if b"image_generation" in first:
            return framed(made(texts))
        if first.startswith(b"POST"):
            return plain(predicted("created", []))
        return framed(predicted("completed", texts))

    return answer


@pytest.mark.parametrize("framed", [plain, packed, chunked])
@pytest.mark.parametrize("output", ["bytes", "url"])
def test_pictures_in_base64_come_whole(kit: Any, model: str, framed: Answer, output: Any) -> None:
    generation = bought(kit, both(framed, TEXTS), model, output)
    assert [image.data for image in generation.images] == PICTURES
    assert {(i.media_type, i.width, i.height) for i in generation.images} == {
        ("image/jpeg", 1024, 512)
    }
    assert generation.failures == ()
    told = json.dumps(generation.raw)
    assert [f"<{len(text):,} characters>" in told for text in TEXTS] == [True] * 3
    assert len(told) < 1000
    assert ID in told


def test_a_prediction_may_complete_at_once(kit: Any) -> None:
    generation = bought(kit, lambda _: plain(predicted("completed", TEXTS)), "wavespeed:")
    assert [image.data for image in generation.images] == PICTURES


DAMAGES = {
    "a letter that is none": TEXTS[1][:70_000] + "!" + TEXTS[1][70_001:],
    "a letter too few": TEXTS[1][:-4] + "A",
    "padding in the middle": TEXTS[1][:70_000] + "=" + TEXTS[1][70_001:],
    "no picture": base64.b64encode(bytes(100_000)).decode(),
}


@pytest.mark.parametrize("text", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_picture_does_not_cost_the_others(kit: Any, model: str, text: str) -> None:
    generation = bought(kit, both(plain, [TEXTS[0], text, TEXTS[2]]), model)
    assert [image.data for image in generation.images] == [PICTURES[0], PICTURES[2]]
    (failure,) = generation.failures
    assert (failure.error, failure.index) == (MalformedReplyError.__name__, 1)


@pytest.mark.parametrize("framed", [cut, lambda body: packed(body)[:-2000]])
def test_an_answer_that_breaks_off_in_a_picture_is_of_unknown_outcome(
    kit: Any, framed: Answer
) -> None:
    with pytest.raises(SubmissionUnknownError, match="breaks off") as caught:
        bought(kit, both(framed, TEXTS), "minimax:image-01")
    assert caught.value.charged == "unknown"
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("framed", [cut, lambda body: packed(body)[:-2000]])
@pytest.mark.parametrize("first", [{}, {"note": TEXTS[0]}])
def test_the_paid_id_beside_a_picture_that_breaks_off_is_kept(
    kit: Any, framed: Answer, first: dict[str, str]
) -> None:
    def answer(line: bytes) -> bytes:
        whole = predicted("completed", TEXTS)
        if line.startswith(b"GET"):
            return plain(whole)
        whole = json.dumps({**first, **json.loads(whole)}).encode()
        return framed(whole)

    generation = bought(kit, answer, "wavespeed:minimax/image-01")
    assert generation.job.id == ID
    assert [image.data for image in generation.images] == PICTURES


def test_a_key_that_is_echoed_beside_a_picture_is_hidden(kit: Any) -> None:
    answer = made(TEXTS, trace=f"Bearer {KEY}", note=[TEXTS[0]])
    generation = bought(kit, lambda _: plain(answer), "minimax:image-01")
    assert [image.data for image in generation.images] == PICTURES
    assert KEY not in str(generation.raw)
    assert generation.raw[0]["trace"] == "Bearer ***"


@pytest.mark.parametrize("place", ["name", "value"])
def test_a_key_that_is_echoed_in_base64_is_hidden(kit: Any, place: str) -> None:
    key = "madeUpKeyOfATest"
    text = "A" * LONG + key
    more = {text: 1} if place == "name" else {"echo": text}
    with serving(lambda _: plain(made(TEXTS[:1], **more))) as origin:
        generation = kit.desk([MiniMax(api_key=key, base_url=origin)]).generate("a fox")
    assert len(generation.images) == 1
    assert key not in repr(generation.raw)


def test_saved_pictures_are_what_came(kit: Any, tmp_path: Path) -> None:
    with serving(both(plain, TEXTS)) as origin:
        desk = kit.desk([MiniMax(api_key=KEY, base_url=origin)], retries=None)
        generation = desk.generate(ImageRequest("a fox", n=3, output="bytes"), timeout=20)
        paths = desk.save(generation, tmp_path, provenance=False)
    assert [path.read_bytes() for path in paths] == PICTURES


# In flows


def submission(backend: Any, model: str, answer: Reply) -> Any:
    wanted = ImageRequest("a fox", n=3, output="bytes")
    return play(backend.submit(wanted, model, Terms()), answer).value.settled


def test_a_flow_is_played_with_replies_as_drivers_give_them() -> None:
    seen: list[Reply] = []

    def flow(*, pictures: bool) -> Flow[None]:
        answer: Reply = yield Call("GET", "https://h.example/", pictures=pictures)
        seen.append(answer)

    whole = reply({"outputs": TEXTS})
    play(flow(pictures=True), whole)
    play(flow(pictures=False), whole)
    assert list(seen[0].pictures.values()) == PICTURES
    assert len(seen[0].body) < 1000
    assert "pictures" not in repr(seen[0])
    assert seen[1] is whole


@pytest.mark.parametrize(
    ("backend", "model", "body"),
    [
        (MiniMax(), "image-01", made(TEXTS)),
        (WaveSpeed(), "minimax/image-01", predicted("completed", TEXTS)),
        (WaveSpeed(), "minimax/image-01", predicted("completed", [{"url": t} for t in TEXTS])),
        (
            WaveSpeed(),
            "minimax/image-01",
            predicted("completed", [f"data:image/jpeg;base64,{t}" for t in TEXTS]),
        ),
    ],
)
def test_a_backend_reads_pictures_wherever_a_provider_puts_them(
    backend: Any, model: str, body: bytes
) -> None:
    settled = submission(backend, model, reply(body=body))
    assert [image.data for image in settled.images] == PICTURES


@pytest.mark.parametrize("field", ["model", "error", "created_at", "code", "executionTime"])
def test_base64_in_another_field_does_not_cost_the_pictures(field: str) -> None:
    body = predicted("completed", TEXTS, **{field: TEXTS[0]})
    settled = submission(WaveSpeed(), "minimax/image-01", reply(body=body))
    assert [image.data for image in settled.images] == PICTURES


def test_base64_for_a_status_is_no_status_that_is_known() -> None:
    body = predicted(TEXTS[0], TEXTS)
    assert submission(WaveSpeed(), "minimax/image-01", reply(body=body)) is None


def test_base64_is_no_id() -> None:
    body = predicted("completed", TEXTS, id=TEXTS[0])
    with pytest.raises(SubmissionUnknownError) as caught:
        submission(WaveSpeed(), "minimax/image-01", reply(body=body))
    assert caught.value.job is None


@pytest.mark.parametrize(
    ("code", "kind"), [(1026, ContentPolicyError), (2013, InvalidRequestError)]
)
def test_a_refusal_is_read_beside_base64(code: int, kind: type[Exception]) -> None:
    base_resp = {"status_code": code, "status_msg": TEXTS[0]}
    body = made([], base_resp=base_resp, note=TEXTS[1])
    with pytest.raises(kind) as caught:
        submission(MiniMax(), "image-01", reply(body=body))
    assert len(str(caught.value)) < 500
