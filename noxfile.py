"""The project's chores: `nox` runs those that `.ci/run` does; `nox --list` has every one.

Packages come from `requirements/`, locked by version and hash; what is tested is the wheel.
"""

import shutil
import tarfile
import tempfile
from functools import cache
from itertools import chain
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "httpx2", "lint", "types", "docs", "site", "dist", "browser"]

AXE = "axe-core@4.14.1"
PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
RUNTIME = ("pyproject.toml", "--all-extras")
LOCKS = {
    "dev": (*RUNTIME, "--group=dev"),
    "runtime": RUNTIME,
    "tests": (*RUNTIME, "--group=test"),
    "types": (*RUNTIME, "--group=test", "--group=types", "--group=browser"),
    "browser": (*RUNTIME, "--group=browser"),
    "site": (*RUNTIME, "--group=site"),
    "lint": ("--group=lint",),
    "dist": ("--group=dist",),
    "audit": ("--group=audit",),
    "nox": ("--group=nox",),
    "uv": ("--group=uv",),
}
"""What each file of `requirements/` is locked for; all have the versions of the first."""
INSTALLED = {"PYTHONSAFEPATH": "1", "IMAGEGEN_INSTALLED": "required"}
"""No process finds `imagegen` in the folder where it is started, and a test makes sure of it."""
PARALLEL = "--numprocesses=auto"
LICENCES = (
    "Apache-2.0",
    "Apache-2.0 OR BSD-3-Clause",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "MIT",
    "MIT License",
    "MIT-0",
    "MIT-CMU",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
)
"""What a package that we need may be under: none asks for more than to be named."""


@cache
def with_uv(session: nox.Session) -> None:
    """Install uv, which installs the rest in a second."""
    session.install("--quiet", "--require-hashes", "--requirement=requirements/uv.txt")


def uv(session: nox.Session, *arguments: str) -> None:
    """Run uv for the environment of the session."""
    with_uv(session)
    environment = {"VIRTUAL_ENV": session.virtualenv.location}
    session.run_install("uv", *arguments, "--quiet", env=environment)


def locked(session: nox.Session, lock: str) -> None:
    """Install what a lock names, if it has the hash that is named there."""
    uv(session, "pip", "install", "--require-hashes", f"--requirement=requirements/{lock}.txt")


def build(session: nox.Session, what: str, folder: str, source: str = ".") -> Path:
    """Build the ``"wheel"`` or the ``"sdist"``, with a build backend that is locked too."""
    backend = ("--require-hashes", "--build-constraints=requirements/dist.txt")
    uv(session, "build", f"--{what}", f"--out-dir={folder}", *backend, source)
    (path,) = Path(folder).glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[what])
    return path


@cache
def scratch() -> tempfile.TemporaryDirectory[str]:
    """Make a folder that is there as long as nox runs."""
    return tempfile.TemporaryDirectory(prefix="imagegen-")


def wheel(session: nox.Session, *options: str, extras: str = "") -> None:
    """Install the wheel, which the first session builds, over any that is there."""
    folder = scratch().name
    path = next(Path(folder).glob("*.whl"), None) or build(session, "wheel", folder)
    renewed = "--reinstall-package=imagegen-client"
    uv(session, "pip", "install", renewed, *options, f"{path}{extras}")


def installed(session: nox.Session, lock: str) -> None:
    """Install a lock and this project's wheel, whose requirements the lock has to meet."""
    locked(session, lock)
    wheel(session, "--no-deps")
    uv(session, "pip", "check")


def pytest(session: nox.Session, *arguments: str, **environment: str) -> None:
    """Run tests with what is installed, on all cores."""
    chosen = (PARALLEL, *arguments, *session.posargs)
    session.run("pytest", *chosen, env=INSTALLED | environment)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests and require branch coverage; the session `docs` runs the documentation."""
    installed(session, "tests")
    pytest(session, "--cov", "--cov-report=term", "--ignore=tests/docs")


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run the tests on each Python that the project names, as far as it is there."""
    installed(session, "tests")
    pytest(session, "--ignore=tests/docs")


def lower_bounds() -> list[str]:
    """Make constraints of the lower bounds of all that we need, with every extra."""
    project = PROJECT["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    named = map(Requirement, [*project["dependencies"], *extras])
    return [str(each).replace(">=", "==") for each in named if each.name != project["name"]]


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest version that we allow of each package that we name."""
    constraints = Path(scratch().name, "lowest.txt")
    constraints.write_text("\n".join(lower_bounds()), encoding="utf-8")
    groups = nox.project.dependency_groups(PROJECT, "test")
    wheel(session, f"--constraint={constraints}", *groups, extras="[all]")
    pytest(session, "--ignore=tests/docs")


@nox.session
def httpx2(session: nox.Session) -> None:
    """Run the tests of the network, the drivers and money with httpx2 in httpx's place."""
    installed(session, "tests")
    chosen = ("test_drivers.py", "test_sockets.py")
    folders = ("tests/net", "tests/money")
    pytest(session, *folders, *(f"tests/drivers/{name}" for name in chosen), IMAGEGEN_HTTP="httpx2")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting, and the workflows."""
    locked(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    workflows = sorted(map(str, Path(".github/workflows").glob("*.yml")))
    schema = "--builtin-schema=vendor.github-workflows"
    session.run("check-jsonschema", "--quiet", schema, *workflows)
    dependabot = "--builtin-schema=vendor.dependabot"
    session.run("check-jsonschema", "--quiet", dependabot, ".github/dependabot.yml")
    session.run("zizmor", "--quiet", "--offline", ".github")


@nox.session
def types(session: nox.Session) -> None:
    """Type-check strictly with mypy and pyright: the tree, then a caller of what is installed."""
    installed(session, "types")
    session.run("mypy")
    session.run("pyright")
    caller = Path(session.create_tmp(), "caller")
    shutil.copytree("tests/typing", caller, dirs_exist_ok=True)
    with session.chdir(caller):
        session.run("mypy", "--config-file=mypy.ini", ".")
        session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """Execute every example in README and docs, and follow every local link."""
    installed(session, "tests")
    pytest(session, "tests/docs")


@nox.session
def dist(session: nox.Session) -> None:
    """Build what is published, twice to the same bytes, into `dist/`, and look at all of it."""
    locked(session, "dist")
    shutil.rmtree("dist", ignore_errors=True)
    sdist = build(session, "sdist", "dist")
    found = build(session, "wheel", "dist", str(sdist))
    with tempfile.TemporaryDirectory() as folder:
        for again in (build(session, "sdist", folder), build(session, "wheel", folder)):
            if again.read_bytes() != Path("dist", again.name).read_bytes():
                session.error(f"{again.name} is not the same when it is built again")
    session.run("validate-pyproject", "pyproject.toml")
    session.run("twine", "check", "--strict", str(sdist), str(found))
    session.run("check-wheel-contents", str(found))
    session.run("python", "tools/contents.py", str(sdist), str(found))


@nox.session
def released(session: nox.Session) -> None:
    """See that `dist/` is what a tag names, and that the sdist's tests pass with the wheel."""
    (tag,) = session.posargs
    (sdist,), (found,) = Path("dist").glob("*.tar.gz"), Path("dist").glob("*.whl")
    version = PROJECT["project"]["version"]
    if tag != f"v{version}" or f"## {version}" not in Path("CHANGELOG.md").read_text("utf-8"):
        session.error(f"pyproject.toml says {version}: the tag or CHANGELOG.md does not")
    locked(session, "tests")
    uv(session, "pip", "install", "--no-deps", "--reinstall", str(found))
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        with session.chdir(Path(folder, sdist.name.removesuffix(".tar.gz"))):
            session.run("pytest", PARALLEL, "--ignore=tests/docs", env=INSTALLED)


@nox.session
def smoke(session: nox.Session) -> None:
    """Make a picture with the installed command, through each provider's sandbox."""
    installed(session, "runtime")
    for model in ("minimax:image-01", "wavespeed:minimax/image-01"):
        options = ("--sandbox", f"--model={model}", f"--out={session.create_tmp()}")
        session.run("imagegen", "generate", "a fox", *options, env=INSTALLED)


@nox.session
def audit(session: nox.Session) -> None:
    """Look at the licences of what we need, then for known vulnerabilities of all that is locked.

    The second asks the package index, and fails where that does not tell.
    """
    locked(session, "audit")
    with tempfile.TemporaryDirectory() as folder:
        uv(session, "venv", folder)
        chosen = ("--require-hashes", "--requirement=requirements/runtime.txt")
        uv(session, "pip", "install", f"--python={folder}", *chosen)
        (python,) = (*Path(folder).glob("bin/python"), *Path(folder).glob("Scripts/python.exe"))
        allowed = f"--allow-only={';'.join(LICENCES)}"
        session.run("pip-licenses", f"--python={python}", "--from=mixed", allowed)
    locks = [f"--requirement=requirements/{lock}.txt" for lock in ("runtime", "dev")]
    session.run("pip-audit", "--strict", "--disable-pip", "--require-hashes", *locks)


@nox.session
def site(session: nox.Session) -> None:
    """Make a site of the documentation in build/site; every warning is an error."""
    installed(session, "site")
    folder = Path("build", "site")
    shutil.rmtree(folder, ignore_errors=True)
    strictly = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--fresh-env")
    session.run("sphinx-build", *strictly, f"-d{session.create_tmp()}", "docs", str(folder))


@nox.session
def browser(session: nox.Session) -> None:
    """Look at a comparison's report and the site in Chromium, which must be there; skip nothing."""
    installed(session, "browser")
    folder = Path(session.virtualenv.location, "axe")
    session.run("npm", "install", "--silent", "--ignore-scripts", f"--prefix={folder}", AXE)
    axe = folder / "node_modules" / "axe-core" / "axe.min.js"
    required = {"IMAGEGEN_AXE": str(axe), "IMAGEGEN_BROWSER": "required"}
    session.run("pytest", "tests/browser", *session.posargs, env=INSTALLED | required)


@nox.session
def benchmark(session: nox.Session) -> None:
    """Measure everything beside other clients, and write docs/performance.md; about 12 minutes."""
    groups = nox.project.dependency_groups(PROJECT, "benchmark")
    session.install("--quiet", "--editable", ".[all]", *groups)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the modules that money rests on and write docs/mutation.md; about an hour."""
    groups = nox.project.dependency_groups(PROJECT, "test", "mutation")
    session.install("--quiet", "--editable", ".[all]", *groups)
    session.run("python", "-m", "tools.mutation", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Renew `requirements/` as pyproject.toml asks; `nox -s lock -- --upgrade` takes the newest."""
    form = ("--universal", "--python-version=3.11", "--generate-hashes", "--no-strip-extras")
    plain = ("--no-header", "--no-annotate")
    for name, wanted in LOCKS.items():
        same = () if name == "dev" else ("--constraint=requirements/dev.txt",)
        out = f"--output-file=requirements/{name}.txt"
        uv(session, "pip", "compile", *form, *plain, *same, out, *session.posargs, *wanted)


@nox.session
def develop(session: nox.Session) -> None:
    """Put all that is locked into `.venv`, and the project as it stands in this folder."""
    uv(session, "pip", "sync", "--python=.venv", "--require-hashes", "requirements/dev.txt")
    uv(session, "pip", "install", "--python=.venv", "--no-deps", "--editable=.")
