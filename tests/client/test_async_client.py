"""What AsyncClient promises beyond its twin: side by side, and cancellable at once."""

from __future__ import annotations

import asyncio
import time as real_time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from imagegen import AsyncClient, Generation, ImageRequest, MiniMax, WaveSpeed
from imagegen.errors import ConfigurationError, DeadlineExceededError, SubmissionUnknownError
from imagegen.sandbox import Fault, Sandbox

MINIMAX, WAVESPEED = "minimax:image-01", "wavespeed:minimax/image-01"
MODELS = [MINIMAX, WAVESPEED]


class Counted(httpx.AsyncBaseTransport):
    """The sandbox's transport, every request counted by its method as it comes in."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._within = sandbox.async_transport()
        self.posts = 0
        self.gets = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.posts += 1
        else:
            self.gets += 1
        return await self._within.handle_async_request(request)


def client_on(
    sandbox: Sandbox, transport: httpx.AsyncBaseTransport | None = None, **options: Any
) -> AsyncClient:
    backends = [
        MiniMax(api_key="sandbox", base_url=sandbox.origin),
        WaveSpeed(api_key="sandbox", base_url=sandbox.origin, first_poll=0.02, slowest_poll=0.02),
    ]
    return AsyncClient(backends, transport=transport or sandbox.async_transport(), **options)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - the sandbox tells nobody
            await asyncio.sleep(0.005)


async def cancelled(task: asyncio.Task[Any]) -> asyncio.CancelledError:
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as error:
        return error
    raise AssertionError("the task went on")


@pytest.mark.parametrize("model", MODELS)
def test_sixty_four_generations_of_a_second_take_about_a_second(model: str) -> None:
    async def main() -> float:
        sandbox = Sandbox(latency=1.0)
        async with client_on(sandbox) as client:
            started = real_time.monotonic()
            many = [client.generate(f"fox {k}", model=model) for k in range(64)]
            generations = await asyncio.gather(*many)
            seconds = real_time.monotonic() - started
        assert all(len(generation.images) == 1 for generation in generations)
        assert len(sandbox.submissions) == 64
        return seconds

    assert 0.9 < asyncio.run(main()) < 4.0


def test_sixty_four_generations_on_a_port_take_about_a_second() -> None:
    async def main(origin: str) -> float:
        async with AsyncClient([MiniMax(api_key="k", base_url=origin)], timeout=30) as client:
            started = real_time.monotonic()
            await asyncio.gather(*(client.generate(f"fox {k}") for k in range(64)))
            return real_time.monotonic() - started

    with Sandbox(latency=1.0).running() as origin:
        assert 0.9 < asyncio.run(main(origin)) < 4.0


def test_the_parts_of_a_split_go_side_by_side() -> None:
    async def main() -> float:
        async with client_on(Sandbox(latency=0.5)) as client:
            started = real_time.monotonic()
            generation = await client.generate(ImageRequest("a fox", n=9 * 50), model=MINIMAX)
            assert len(generation.images) == 450
            return real_time.monotonic() - started

    assert asyncio.run(main()) < 4.0


def test_a_cancelled_generation_stops_polling_and_names_its_job() -> None:
    async def main() -> None:
        sandbox = Sandbox(latency=60.0)
        transport = Counted(sandbox)
        async with client_on(sandbox, transport) as client:
            task = asyncio.ensure_future(client.generate("a fox", model=WAVESPEED))
            await until(lambda: transport.gets >= 2)
            error = await cancelled(task)
            polls = transport.gets
            await asyncio.sleep(0.15)
        assert transport.gets == polls
        assert any(sandbox.submissions[0].id in note for note in error.__notes__)

    asyncio.run(main())


def test_a_submission_cancelled_under_way_says_that_it_may_be_billed() -> None:
    async def main() -> None:
        sandbox = Sandbox(latency=60.0)
        async with client_on(sandbox) as client:
            task = asyncio.ensure_future(client.generate("a fox", model=MINIMAX))
            await until(lambda: len(sandbox.submissions) == 1)
            error = await cancelled(task)
        assert any("may be billed" in note for note in error.__notes__)

    asyncio.run(main())


def test_cancelling_a_split_cancels_all_its_parts_and_names_their_jobs() -> None:
    async def main() -> None:
        sandbox = Sandbox(latency=60.0)
        transport = Counted(sandbox)
        async with client_on(sandbox, transport) as client:
            request = ImageRequest("a fox", n=20)
            task = asyncio.ensure_future(client.generate(request, model=WAVESPEED))
            await until(lambda: transport.gets >= 6)
            error = await cancelled(task)
            polls = transport.gets
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.sleep(0.15)
        assert not others
        assert (transport.gets, transport.posts) == (polls, 3)
        notes = " ".join(error.__notes__)
        assert all(submission.id in notes for submission in sandbox.submissions)

    asyncio.run(main())


def test_cancelling_a_split_under_way_says_that_it_may_be_billed() -> None:
    async def main() -> None:
        sandbox = Sandbox(latency=60.0)
        async with client_on(sandbox) as client:
            request = ImageRequest("a fox", n=20)
            task = asyncio.ensure_future(client.generate(request, model=MINIMAX))
            await until(lambda: len(sandbox.submissions) == 3)
            error = await cancelled(task)
        assert any("billed" in note for note in getattr(error, "__notes__", ()))

    asyncio.run(main())


@pytest.mark.parametrize("verb", ["generate", "submit"])
def test_cancelling_a_split_names_the_job_of_a_part_that_was_accepted(verb: str) -> None:
    """The other part's submission is not answered yet."""

    async def main() -> None:
        late = Fault("late", step="submit", seconds=60.0, after=1)
        sandbox = Sandbox(latency=60.0, faults=[late])
        async with client_on(sandbox) as client:
            work: Callable[..., Awaitable[Any]] = getattr(client, verb)
            task = asyncio.ensure_future(work(ImageRequest("a fox", n=18), model=WAVESPEED))
            await until(lambda: len(sandbox.submissions) == 2)
            await asyncio.sleep(0.05)
            error = await cancelled(task)
        notes = " ".join(getattr(error, "__notes__", ()))
        assert sandbox.submissions[0].id in notes

    asyncio.run(main())


def test_cancelling_a_download_does_not_speak_of_money() -> None:
    async def main() -> None:
        sandbox = Sandbox()
        async with client_on(sandbox) as client:
            generation = await client.generate(ImageRequest("a fox", n=3), model=MINIMAX)
            sandbox.inject(Fault("slow", step="download", seconds=60.0, times=None))
            task = asyncio.ensure_future(client.fetch(generation))
            await asyncio.sleep(0.05)
            error = await cancelled(task)
        assert "billed" not in " ".join(getattr(error, "__notes__", ()))

    asyncio.run(main())


@pytest.mark.parametrize("n", [1, 18])
@pytest.mark.parametrize("model", MODELS)
def test_a_timeout_of_asyncio_around_it_works(model: str, n: int) -> None:
    async def main() -> float:
        sandbox = Sandbox(latency=60.0)
        async with client_on(sandbox) as client:
            started = real_time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.generate(ImageRequest("a fox", n=n), model=model)
            assert len(sandbox.submissions) == (n + 8) // 9
            return real_time.monotonic() - started

    assert asyncio.run(main()) < 2.0


def test_its_own_deadline_ends_it_on_the_real_clock() -> None:
    async def main() -> None:
        async with client_on(Sandbox(latency=60.0)) as client:
            with pytest.raises(DeadlineExceededError) as late:
                await client.generate("a fox", model=WAVESPEED, timeout=0.2)
            assert late.value.job is not None
            with pytest.raises(SubmissionUnknownError):
                await client.generate("a fox", model=MINIMAX, timeout=0.2)

    asyncio.run(main())


def test_one_failing_task_of_a_group_cancels_the_others_cleanly() -> None:
    async def main() -> None:
        sandbox = Sandbox(latency=60.0)

        async def together(client: AsyncClient) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(client.generate("a fox", model=WAVESPEED))
                group.create_task(client.generate("a fox", model=MINIMAX))
                await until(lambda: len(sandbox.submissions) == 2)
                raise LookupError

        async with client_on(sandbox) as client:
            with pytest.raises(ExceptionGroup) as caught:
                await together(client)
        assert [type(error) for error in caught.value.exceptions] == [LookupError]

    asyncio.run(main())


def test_a_client_may_be_used_by_one_event_loop_after_another() -> None:
    """As long as no connection is kept: the sandbox's transport has none."""
    sandbox = Sandbox()
    client = client_on(sandbox)
    for _ in range(2):
        assert len(asyncio.run(client.generate("a fox", model=MINIMAX)).images) == 1
    asyncio.run(client.close())


def test_connections_of_another_event_loop_are_refused_before_anything_is_sent() -> None:
    sandbox = Sandbox()
    with sandbox.running() as origin:
        client = AsyncClient([MiniMax(api_key="any", base_url=origin)])

        async def make() -> Generation:
            return await client.generate("a fox")

        assert asyncio.run(make()).images
        with pytest.raises(ConfigurationError, match="another event loop"):
            asyncio.run(make())
    assert len(sandbox.submissions) == 1
