"""Rules about what a backend is called, what it has, and how imagegen finds it."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from importlib.util import resolve_name
from types import ModuleType
from typing import Any

from imagegen import backends
from imagegen.backends.base import Backend
from imagegen.backends.options import optional_host
from imagegen.errors import ConfigurationError
from imagegen.pricing import Price
from imagegen.redaction import brief
from imagegen.testing.conformance.subject import Subject, fail, require, require_none

ARGUMENTS: Mapping[str, tuple[int, ...]] = {
    "check": (0,),
    "current_prices": (1,),
    "find": (4,),
    "images_per_call": (2,),
    "learned": (1,),
    "list_price": (2,),
    "members": (1,),
    "model_id": (2,),
    "models": (0,),
    "own_price": (1,),
    "price": (2,),
    "recall": (2,),
    "settle": (1, 2),
    "submit": (3,),
    "translate": (3,),
}
"""How many arguments imagegen calls each method of a backend with, by position."""

IMPURE = frozenset(
    {
        *("aiohttp", "anyio", "asyncio", "httpcore", "httpx", "httpx2", "multiprocessing", "os"),
        *("random", "requests", "secrets", "select", "shutil", "socket", "sqlite3", "ssl"),
        *("subprocess", "tempfile", "threading", "time", "trio", "urllib3"),
        *("http.client", "urllib.request"),
    }
)
LOCKS = frozenset({"threading.Lock", "threading.RLock"})
"""What flows share, threads share too."""
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


class FormRules(Subject):
    """Names, signatures, imports, prices."""

    def test_it_is_named(self) -> None:
        """Its name can stand in "name:model-id", and its variables in an environment."""
        backend = self.backend
        require(
            re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", str(getattr(backend, "name", ""))),
            f"name is {brief(getattr(backend, 'name', None))}; it must be small letters, digits, "
            '"-" and "_", such as "acme": it stands before the colon of a model string',
        )
        for label in ("key_variable", "host_variable"):
            value = str(getattr(backend, label, ""))
            require(
                _VARIABLE.fullmatch(value),
                f"{label} is {value!r}; it must be the name of an environment variable, such as "
                f'"{backend.name.upper()}_{"API_KEY" if label == "key_variable" else "BASE_URL"}"',
            )
        require(
            backend.key_variable != backend.host_variable,
            "key_variable and host_variable are the same variable; give each its own",
        )

    def test_its_host_is_https(self) -> None:
        """Where it sends to by default can be a base URL, and so can be replaced by one."""
        backend = self.backend
        try:
            tidy = optional_host(backend.default_host)
        except ConfigurationError as error:
            fail(f"default_host: {error}")
        require(
            tidy == backend.default_host and str(tidy).startswith("https://"),
            f"default_host is {backend.default_host!r}; it must be https, without a slash at the "
            "end",
        )
        require(
            re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", backend.prefix),
            f'prefix is {backend.prefix!r}; it must be "" or a path such as "/v1"',
        )

    def test_its_models_begin_with_the_default_one(self) -> None:
        """`models()` lists ids, each once, and `default_model` first."""
        models = self.backend.models()
        fine = isinstance(models, tuple) and all(isinstance(m, str) and m for m in models)
        require(fine, f"models() returns {brief(models)}; it must be a tuple of model ids")
        require(
            models and models[0] == self.backend.default_model,
            f"models() begins with {brief(models[:1])}; default_model, "
            f"{self.backend.default_model!r}, comes first",
        )
        require(len(set(models)) == len(models), "models() lists an id twice")

    def test_its_methods_take_what_imagegen_passes(self) -> None:
        """Every method can be called with the arguments that imagegen gives it."""
        wrong = []
        for name, counts in ARGUMENTS.items():
            method = getattr(self.backend, name)
            try:
                for count in counts:
                    inspect.signature(method).bind(*[None] * count)
            except TypeError as error:
                wanted = str(inspect.signature(getattr(Backend, name))).replace("self, ", "")
                wrong.append(f"{name}{inspect.signature(method)}: {error}; write {name}{wanted}")
        require_none(wrong, "imagegen calls it with other arguments, after payment too:")

    def test_it_can_do_what_it_claims(self) -> None:
        """`can_find` comes with `find`, and `can_price` with `current_prices`."""
        for claim, name in (("can_find", "find"), ("can_price", "current_prices")):
            has = getattr(type(self.backend), name) is not getattr(Backend, name)
            require(
                has == bool(getattr(self.backend, claim)),
                f"{claim} is {getattr(self.backend, claim)}, but {name}() is "
                f"{'there' if has else 'not'}: a method and its claim go together",
            )

    def test_a_family_has_its_members(self) -> None:
        """The id that a request is sent to is one of those that the model stands for."""
        wrong = []
        for model in self.asked_models:
            full = self.backend.model_id(model, self.request_for(model))
            members = self.backend.members(model)
            if full not in members:
                wrong.append(f"{model} is sent to {full}, but members() names {members}")
        require_none(wrong, "model_id() and members() disagree:")

    def test_its_modules_import_no_io(self) -> None:
        """Neither its module nor those of its package that it imports know clocks or sockets."""
        wrong = [
            f"{module.__name__} imports {name}"
            for module in modules_of(type(self.backend).__module__)
            for name, _ in _imports(module)
            if _is_impure(name)
        ]
        require_none(
            wrong, "A backend does no I/O: it yields a Call or a Pause, and a driver does it."
        )

    def test_it_is_registered_under_its_name(self) -> None:
        """An entry point lets imagegen find it by its name."""
        name, cls = self.backend.name, type(self.backend)
        path = f"{cls.__module__}:{cls.__qualname__}"
        if not entry_points(group=backends.GROUP, name=name):
            others = [p.name for p in entry_points(group=backends.GROUP) if p.value == path]
            require(
                not others,
                f"the entry point {''.join(others[:1])!r} leads to {cls.__name__}, whose name is "
                f'{name!r}; call it {name} in [project.entry-points."{backends.GROUP}"] and '
                "install again",
            )
            self.unasked(
                f'add the entry point: [project.entry-points."{backends.GROUP}"] '
                f'{name} = "{path}", and install the package'
            )
        try:
            found = backends.load(name)
        except ConfigurationError as error:
            fail(str(error))
        require(
            issubclass(cls, found),
            f"the entry point {name!r} leads to {found.__module__}:{found.__qualname__}, not to "
            f"{path}",
        )

    def test_prices_are_dated_or_unknown(self) -> None:
        """A price has a date and a source, or is None; asked twice, it is the same."""
        wrong = []
        for model in self.asked_models:
            request = self.request_for(model)
            price: Any = self.backend.list_price(model, request)
            if price is not None and not isinstance(price, Price):
                wrong.append(f"{model}: list_price() returns {brief(price)}, no Price and not None")
            elif price and not str(price.source).strip():
                wrong.append(f"{model}: its price has no source; say where it was read")
            elif price != self.backend.list_price(model, request):
                wrong.append(f"{model}: list_price() gives another price the second time")
        require_none(wrong, "Prices are data with a date and a source:")


def _is_impure(name: str) -> bool:
    parts = name.split(".")
    heads = {".".join(parts[:k]) for k in range(1, len(parts) + 1)}
    return name not in LOCKS and bool(heads & IMPURE)


def modules_of(name: str) -> Iterator[ModuleType]:
    """The module *name*, and those of its package that it imports, directly or not."""
    first = sys.modules[name]
    package = name if hasattr(first, "__path__") else name.rpartition(".")[0]
    waiting, known = [name], {name}
    while waiting:
        module = sys.modules.get(waiting.pop())
        if module is None:
            continue
        yield module
        for imported, within in _imports(module):
            for each in (imported, within):
                own = package and (each == package or each.startswith(f"{package}."))
                if own and each not in known:
                    known.add(each)
                    waiting.append(each)


def _imports(module: ModuleType) -> Iterator[tuple[str, str]]:
    """What *module* imports, and the module that this is, or is in; not what types need."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError):
        return
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = _home(node, module)
            yield from ((f"{home}.{alias.name}", home) for alias in node.names)


def _home(node: ast.ImportFrom, module: ModuleType) -> str:
    if not node.level:
        return node.module or ""
    package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
    return resolve_name("." * node.level + (node.module or ""), package)


def _executed(node: Any) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        children = list[ast.AST](node.orelse)
    else:
        yield node
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from _executed(child)
