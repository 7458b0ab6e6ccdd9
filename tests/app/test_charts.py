"""Charts are pure functions of a recording, small enough for a callback."""

import plotly.io
import pytest

from glowviz.app.callbacks.charts import CHARTS, chart
from tests.app.fake_recording import RECORDING, fake_services
from tests.app.test_recordings import reader  # noqa: F401  # the fixture of a real compilation


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("kind", CHARTS)
def test_every_chart_draws_and_is_small(reader, kind: str, mode: str) -> None:  # noqa: F811
    text = plotly.io.to_json(reader.chart(kind, mode))
    assert '"data":[{' in text
    assert len(text) < 10_000


def test_a_callback_without_a_recording_says_so(tmp_path) -> None:
    services = fake_services(tmp_path)
    assert chart(services, {"recording": RECORDING}, "time")
    gone = chart(services, {"recording": "f" * 32}, "time")
    assert "not on this server" in str(gone)
