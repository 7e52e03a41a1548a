import re
import shutil
import subprocess
from pathlib import Path

import pytest

from telos.reports import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=4000",
    "--dump-dom",
]
LOOK = """<script>addEventListener('load', () => {
  const images = [...document.images], root = document.documentElement;
  const tell = (name, value) => document.body.setAttribute('data-' + name, value);
  tell('images', images.length);
  tell('broken', images.filter(image => !image.naturalWidth).length);
  tell('wide', root.scrollWidth - root.clientWidth);
  tell('requests', performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length);
});</script>"""


def look(path: Path, tmp_path: Path, width: int) -> tuple[dict[str, int], str]:
    """What a browser finds in the page, and what it logs."""
    done = subprocess.run(
        [
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},900",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    found = dict(re.findall(r'data-(images|broken|wide|requests)="(-?\d+)"', done.stdout))
    return {name: int(value) for name, value in found.items()}, done.stderr


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [1280, 500])
def test_the_report_opens_offline_without_errors(run_folder, tmp_path, width):
    source = write_report(run_folder, tmp_path / "report.html").read_text()
    path = tmp_path / "looked_at.html"
    path.write_text(
        source.replace("default-src 'none'", "script-src 'unsafe-inline'; default-src 'none'").replace(
            "</body>", LOOK
        )
    )
    found, log = look(path, tmp_path, width)
    assert found["images"] > 10
    assert (found["broken"], found["requests"]) == (0, 0)
    assert found["wide"] <= 0  # nothing sticks out sideways
    assert "CONSOLE" not in log
