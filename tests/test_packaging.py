"""The wheel holds everything that the app needs, starts without the working copy, and declares what it imports."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from glowviz import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOOSE = {"__pycache__", ".DS_Store"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `pip wheel .` makes it; nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def files_of(folder: Path) -> set[str]:
    """All files below a folder, as paths from its parent; what Python leaves behind does not count."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not LOOSE & set(path.parts))
    return {path.relative_to(folder.parent).as_posix() for path in paths if path.suffix != ".pyc"}


def test_the_wheel_holds_the_package_its_data_and_the_assets(wheel: Path) -> None:
    assert wheel.name.startswith(f"glowviz-{__version__}-py3-none-any")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"glowviz-{__version__}.dist-info/METADATA").decode()
        entry = archive.read(f"glowviz-{__version__}.dist-info/entry_points.txt").decode()
    wanted = files_of(ROOT / "glowviz") | {f"glowviz/{name}" for name in files_of(ROOT / "assets")}
    assert wanted <= names, f"not in the wheel: {sorted(wanted - names)}"
    strangers = {name for name in names - wanted if not name.startswith(("glowviz/golden/", "glowviz-"))}
    assert not strangers
    assert {".woff2", ".css", ".js", ".svg", ".yaml", ".json"} <= {Path(name).suffix for name in names}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "License-Expression: Apache-2.0" in metadata
    assert "# glowviz" in metadata
    assert "glowviz = glowviz.cli:main" in entry
    assert wheel.stat().st_size < 4 << 20


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    declared = {_canonical(re.split(r"[<>=]", one)[0]) for one in PROJECT["dependencies"]}
    extras = [one for name in ("bench", "cluster") for one in PROJECT["optional-dependencies"][name]]
    optional = {_canonical(re.split(r"[<>=]", one)[0]) for one in extras}
    owners = packages_distributions()
    imported = {_canonical(owner) for name in _imports(ROOT / "glowviz") for owner in owners.get(name, [name])}
    assert imported - declared - optional == set(), "imported, but not declared"
    assert declared - imported == set(), "declared, but never imported"


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imports(folder: Path) -> set[str]:
    """First names of everything imported that is neither Python's nor ours."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    first = {"google.protobuf" if name.startswith("google.") else name.split(".")[0] for name in found}
    first = {"google" if name == "google.protobuf" else name for name in first}
    return first - set(sys.stdlib_module_names) - {"glowviz"}


def test_every_dependency_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = text.split("dependencies = [\n", 1)[1].split("\n]", 1)[0]
    assert all(re.search(r",\s+# \w.{5}", line) for line in block.splitlines()), block


@contextmanager
def served(command: list[str], cwd: Path, **environment: str) -> Iterator[str]:
    """The address of an app that was started by `command` on a free port, elsewhere than in the working copy."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "GLOWVIZ"))}
    process = subprocess.Popen([*command, "--no-browser", "--port", "0"], cwd=cwd, env=clean | environment, text=True,
                               stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line
        yield found[0]
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stderr.close()


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=120) as answer:
        return answer.read()


def check_the_app(address: str) -> None:
    """The page, its fonts and modules, the gallery, and one card compiled to the end."""
    page = get(address + "/").decode()
    assert "glowviz" in page
    for asset in ("main.js", "graph/view.js", "fonts/inter-400.woff2", "icons/glowviz.svg"):
        assert get(f"{address}/assets/{asset}") == (ROOT / "assets" / asset).read_bytes()
    cards = json.loads(get(address + "/api/gallery"))["cards"]
    assert len(cards) >= 6
    assert all(card["picture"] for card in cards)
    request = urllib.request.Request(address + "/api/compile", json.dumps({"gallery": cards[0]["id"]}).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        recording = json.load(answer)["recording"]
    passes = json.loads(get(f"{address}/api/r/{recording}/passes"))
    assert passes["rows"]["name"][0] == "Imported"


def test_the_wheel_starts_without_the_working_copy(wheel: Path, tmp_path: Path) -> None:
    """Unpacked into a folder of its own, in front of everything that is installed here."""
    inside = tmp_path / "inside"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(inside)
    environment = {"PYTHONPATH": str(inside), "GLOWVIZ_CACHE": str(tmp_path / "cache")}
    where = [sys.executable, "-c", "import glowviz; print(glowviz.__file__)"]
    told = subprocess.run(where, cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True, check=True)
    assert told.stdout.startswith(str(inside))
    with served([sys.executable, "-m", "glowviz"], tmp_path, **environment) as address:
        check_the_app(address)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_installs_into_a_new_environment(wheel: Path, tmp_path: Path) -> None:
    """Everything it needs is fetched from the package registry, nothing of this environment is used."""
    place = tmp_path / "environment"
    venv.create(place, with_pip=True)
    subprocess.run([place / "bin" / "pip", "install", "--quiet", wheel], check=True)
    environment = {"GLOWVIZ_CACHE": str(tmp_path / "cache")}
    glowviz = str(place / "bin" / "glowviz")
    with served([glowviz], tmp_path, **environment) as address:
        check_the_app(address)
    ran = subprocess.run([glowviz, "run", "gallery:digit"], cwd=tmp_path, env=os.environ | environment,
                         capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[1].endswith("largest at 0")
