"""What a caller must not write: each line is an error that mypy and pyright both have to see.

An ignore of theirs that nothing needs is an error too, so that no line here can lose its fault.
"""

from __future__ import annotations

from imagegen import AsyncClient, Client, Cost, Generation, ImageGenError, ImageRequest


def requests() -> None:
    ImageRequest()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ImageRequest(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ImageRequest("a fox", 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ImageRequest("a fox", n="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ImageRequest("a fox", size=512)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ImageRequest("a fox", output="file")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ImageRequest("a fox", quality="high")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def values_are_frozen(request: ImageRequest, made: Generation) -> None:
    request.prompt = "a wolf"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    made.cost = Cost()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def verbs(client: Client, asynchronous: AsyncClient, made: Generation) -> None:
    client.generate("a fox", "minimax:image-01")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.generate("a fox", fit="stretch")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.generate("a fox", max_cost=b"1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.result("a job's id")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.save(made)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.draw("a fox")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    client.fetch(asynchronous.generate("a fox"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def results(made: Generation, error: ImageGenError) -> bool:
    made.images[0].url.lower()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    made.cost.amount.is_nan()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    return error.charged == "perhaps"  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
