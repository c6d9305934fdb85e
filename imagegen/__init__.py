"""Pictures from any image-generation provider through one interface.

    from imagegen import Client, ImageRequest

    with Client() as client:
        generation = client.generate(ImageRequest("a red fox", n=2), model="minimax:image-01")
        client.save(generation, "out/")

The public names below are loaded on first use, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagegen.backends.minimax import MiniMax as MiniMax
    from imagegen.backends.wavespeed import WaveSpeed as WaveSpeed
    from imagegen.client import AsyncClient as AsyncClient, Client as Client, generate as generate
    from imagegen.defaults import Defaults as Defaults
    from imagegen.errors import (
        AllRoutesFailedError as AllRoutesFailedError,
        AuthenticationError as AuthenticationError,
        BackendError as BackendError,
        BudgetExceededError as BudgetExceededError,
        ConfigurationError as ConfigurationError,
        ContentPolicyError as ContentPolicyError,
        DeadlineExceededError as DeadlineExceededError,
        ImageGenError as ImageGenError,
        InsufficientBalanceError as InsufficientBalanceError,
        InvalidRequestError as InvalidRequestError,
        JobFailedError as JobFailedError,
        MalformedReplyError as MalformedReplyError,
        ProviderUnavailableError as ProviderUnavailableError,
        RateLimitError as RateLimitError,
        SubmissionUnknownError as SubmissionUnknownError,
        TransportError as TransportError,
        UnsupportedFeatureError as UnsupportedFeatureError,
    )
    from imagegen.ledger import Budget as Budget, Ledger as Ledger
    from imagegen.limits import Limits as Limits
    from imagegen.pricing import Price as Price
    from imagegen.purchase.comparison import Comparison as Comparison, Contender as Contender
    from imagegen.purchase.planning import ModelPlan as ModelPlan
    from imagegen.purchase.policy import Retries as Retries
    from imagegen.purchase.routing import Route as Route
    from imagegen.request import (
        ImageRequest as ImageRequest,
        ReferenceImage as ReferenceImage,
        Size as Size,
    )
    from imagegen.result import (
        Attempt as Attempt,
        Cost as Cost,
        GeneratedImage as GeneratedImage,
        Generation as Generation,
        ImageFailure as ImageFailure,
        Job as Job,
        Notice as Notice,
    )

__version__ = "0.1.0"

_HOMES = {
    "backends.minimax": ("MiniMax",),
    "backends.wavespeed": ("WaveSpeed",),
    "client": ("AsyncClient", "Client", "generate"),
    "purchase.comparison": ("Comparison", "Contender"),
    "defaults": ("Defaults",),
    "errors": (
        "AllRoutesFailedError",
        "AuthenticationError",
        "BackendError",
        "BudgetExceededError",
        "ConfigurationError",
        "ContentPolicyError",
        "DeadlineExceededError",
        "ImageGenError",
        "InsufficientBalanceError",
        "InvalidRequestError",
        "JobFailedError",
        "MalformedReplyError",
        "ProviderUnavailableError",
        "RateLimitError",
        "SubmissionUnknownError",
        "TransportError",
        "UnsupportedFeatureError",
    ),
    "ledger": ("Budget", "Ledger"),
    "limits": ("Limits",),
    "purchase.planning": ("ModelPlan",),
    "purchase.policy": ("Retries",),
    "pricing": ("Price",),
    "request": ("ImageRequest", "ReferenceImage", "Size"),
    "result": (
        "Attempt",
        "Cost",
        "GeneratedImage",
        "Generation",
        "ImageFailure",
        "Job",
        "Notice",
    ),
    "purchase.routing": ("Route",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AllRoutesFailedError",
    "AsyncClient",
    "Attempt",
    "AuthenticationError",
    "BackendError",
    "Budget",
    "BudgetExceededError",
    "Client",
    "Comparison",
    "ConfigurationError",
    "Contender",
    "ContentPolicyError",
    "Cost",
    "DeadlineExceededError",
    "Defaults",
    "GeneratedImage",
    "Generation",
    "ImageFailure",
    "ImageGenError",
    "ImageRequest",
    "InsufficientBalanceError",
    "InvalidRequestError",
    "Job",
    "JobFailedError",
    "Ledger",
    "Limits",
    "MalformedReplyError",
    "MiniMax",
    "ModelPlan",
    "Notice",
    "Price",
    "ProviderUnavailableError",
    "RateLimitError",
    "ReferenceImage",
    "Retries",
    "Route",
    "Size",
    "SubmissionUnknownError",
    "TransportError",
    "UnsupportedFeatureError",
    "WaveSpeed",
    "__version__",
    "generate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'imagegen' has no attribute {name!r}")
    value = getattr(import_module(f"imagegen.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
