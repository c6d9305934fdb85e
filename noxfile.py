"""The project's chores: `nox -s tests httpx2 lint types docs site browser`, and `benchmark`."""

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "httpx2", "lint", "types", "docs", "site", "browser"]

AXE = "axe-core@4.14.1"
PROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str) -> None:
    """Install the project with every extra, and the dependency groups named."""
    requirements = nox.project.dependency_groups(PROJECT, *groups)
    session.install("--quiet", "--editable", ".[all]", *requirements)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests and require branch coverage; the session `docs` runs the documentation."""
    install(session, "test")
    report = ("--cov", "--cov-report=term", "--ignore=tests/docs")
    session.run("pytest", "--numprocesses=auto", *report, *session.posargs)


@nox.session
def httpx2(session: nox.Session) -> None:
    """Run the tests of the network, the drivers and money with httpx2 in httpx's place."""
    install(session, "test")
    chosen = ("tests/net", "tests/drivers", "tests/money")
    workers = "--numprocesses=auto"
    session.run("pytest", workers, *chosen, *session.posargs, env={"IMAGEGEN_HTTP": "httpx2"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Type-check strictly with mypy and pyright."""
    install(session, "test", "types", "browser")
    session.run("mypy")
    session.run("pyright")


@nox.session
def docs(session: nox.Session) -> None:
    """Execute every example in README and docs, and follow every local link."""
    install(session, "test")
    session.run("pytest", "--numprocesses=auto", "tests/docs", *session.posargs)


@nox.session
def site(session: nox.Session) -> None:
    """Make a site of the documentation in build/site; every warning is an error."""
    install(session, "site")
    folder = Path("build", "site")
    shutil.rmtree(folder, ignore_errors=True)
    strictly = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "--fresh-env")
    session.run("sphinx-build", *strictly, f"-d{session.create_tmp()}", "docs", str(folder))


@nox.session
def browser(session: nox.Session) -> None:
    """Look at a comparison's report and the site in Chromium, which must be there; skip nothing."""
    install(session, "browser")
    folder = Path(session.virtualenv.location, "axe")
    session.run("npm", "install", "--silent", "--ignore-scripts", f"--prefix={folder}", AXE)
    axe = folder / "node_modules" / "axe-core" / "axe.min.js"
    required = {"IMAGEGEN_AXE": str(axe), "IMAGEGEN_BROWSER": "required"}
    session.run("pytest", "tests/browser", *session.posargs, env=required)


@nox.session
def benchmark(session: nox.Session) -> None:
    """Measure everything beside other clients, and write docs/performance.md; about 12 minutes."""
    install(session, "benchmark")
    session.run("python", "-m", "benchmarks", *session.posargs)
