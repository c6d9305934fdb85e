"""Where a provider's key is kept: a variable, the system's keyring, or, with a warning, the file.

No message here quotes what stands under `key`, but for the names of variables and entries.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from imagegen.backends.options import optional_secret
from imagegen.config.tables import wrong_kind
from imagegen.distribution import install
from imagegen.errors import ConfigurationError
from imagegen.redaction import Secret, printable

_ADVICE = 'Write { env = "VARIABLE" }, or { keyring = "service", user = "name" }'
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@frozen
class KeySource:
    """Where a key is kept.

    Attributes:
        kind: what `name` names; ``"file"``: nothing, the key itself is in the file.
        name: a variable, or the service of a keyring's entry.
        user: the user of a keyring's entry.
        secret: the key itself, if it is in the file.
    """

    kind: Literal["env", "keyring", "file"]
    name: str = ""
    user: str = ""
    secret: Secret | None = field(default=None, repr=False)

    def __str__(self) -> str:
        match self.kind:
            case "env":
                return self.name
            case "keyring":
                return f"keyring {printable(self.name)}, user {printable(self.user)}"
            case _:
                return "the file itself"

    def key(self, environ: Mapping[str, str]) -> Secret | None:
        """Look the key up.

        Raises:
            ConfigurationError: it is not there, or cannot be a key.
        """
        match self.kind:
            case "env":
                return _from_variable(self.name, environ)
            case "keyring":
                return _from_keyring(self.name, self.user)
            case _:
                return self.secret


def key_source(given: object) -> KeySource:
    """Read what stands under `key`.

    Raises:
        ConfigurationError: it is neither a key nor a table that names one.
    """
    if isinstance(given, str):
        secret = Secret(given)
        del given  # a traceback may show locals
        return KeySource("file", secret=_checked(secret))
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"a key cannot be {_kind(given)}", advice=_ADVICE)
    names = {name for name in given if given[name] and isinstance(given[name], str)}
    whole = len(names) == len(given)
    if whole and names == {"env"} and _VARIABLE.fullmatch(given["env"]):
        return KeySource("env", given["env"])
    if whole and names == {"keyring", "user"}:
        return KeySource("keyring", given["keyring"], given["user"])
    raise ConfigurationError("this table does not say where the key is", advice=_ADVICE)


def _kind(given: object) -> str:
    return wrong_kind(given, str).message.removeprefix("it is ").partition(", not ")[0]


def _checked(secret: Secret) -> Secret:
    if optional_secret(secret) is None:
        raise ConfigurationError("the key is empty", advice=_ADVICE)
    return secret


def _from_variable(name: str, environ: Mapping[str, str]) -> Secret | None:
    secret = Secret(environ.get(name, ""))
    del environ  # a traceback may show locals
    if not secret.reveal():
        raise ConfigurationError(
            f"the variable {name} is not set", advice=f"Set it: export {name}=…", field="api_key"
        )
    return optional_secret(secret)


def _from_keyring(service: str, user: str) -> Secret | None:
    entry = f"{shlex.quote(printable(service))} {shlex.quote(printable(user))}"
    try:
        from keyring import get_password  # noqa: PLC0415 - an extra, and slow to load

        found = Secret(get_password(service, user) or "")
    except ImportError:
        problem, advice = "keyring is not installed", f"Run {install('keyring')}"
    except Exception as error:  # noqa: BLE001 - a keyring's backend can raise anything
        problem = f"the keyring cannot be read ({type(error).__name__})"
        advice = f"See whether `keyring get {entry}` works, or name a variable instead"
    else:
        if found.reveal():
            return optional_secret(found)
        problem = "the keyring has no such entry"
        advice = f"Make it: keyring set {entry}"
    raise ConfigurationError(f"{entry}: {problem}", advice=advice, field="api_key")
