"""Progress on a terminal must not take results along."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WITH_BAR = """
from cli.progress import progress_bar
with progress_bar("upscaling") as update:
    update(0.5, "a.png")
    print("x" * 300, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals on this system")
def test_results_stay_on_stdout_where_only_stderr_is_a_terminal(tmp_path: Path) -> None:
    reader, terminal = os.openpty()
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", WITH_BAR], stdout=out, stderr=terminal, check=True)
    os.close(terminal)
    shown = os.read(reader, 1 << 16).decode()
    os.close(reader)
    assert (tmp_path / "out").read_text() == "x" * 300 + "\n"
    assert "upscaling" in shown
    assert "xxx" not in shown
