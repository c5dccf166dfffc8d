"""The supervisor behind `gistmill up`: one log, restarts, and nothing left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mill import PATIENCE, eventually, mentioning

RUN = """
import sys
from jobs.errors import UsageError
from jobs.processes import Child, run
names = iter(["one", "second"])
children = [Child(next(names), [sys.executable, "-u", "-c", code], {}) for code in sys.argv[2:]]
try:
    run(children, drain=float(sys.argv[1]), out=sys.stdout, form="console")
except UsageError as error:
    sys.exit(f"refused: {error}")
"""

LIVES = "import time; print('alive', flush=True); time.sleep(600) # {mark}"
# Says a last word, as a worker does when it is asked to stop.
TALKS = (
    "import signal; signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), exit()));"
    + LIVES
)
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + LIVES


class Supervised:
    """A supervisor in a session of its own, its children running the given code."""

    def __init__(self, folder: Path, *codes: str, drain: float = 0.0, piped: bool = False) -> None:
        self.mark = f"mark-{folder.name}-{os.getpid()}"
        self._log = folder / "log"
        words = [str(drain), *(code.replace("{mark}", self.mark) for code in codes)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN, *words],
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                # Buffered, as for users: what could not be printed is tried again at the end.
                env={**os.environ, "PYTHONUNBUFFERED": ""},
                start_new_session=True,
            )

    def said(self) -> str:
        return self._log.read_text()

    def end(self, number: signal.Signals) -> int:
        """Signal the whole group, as a terminal does; returns the exit code."""
        os.killpg(self.process.pid, number)
        return self.process.wait(PATIENCE)

    def gone(self) -> bool:
        return not mentioning(self.mark)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_log_and_one_signal(tmp_path: Path, number: signal.Signals) -> None:
    both = Supervised(tmp_path, LIVES, LIVES)
    eventually(lambda: both.said().count("alive") == 2, "both run")
    assert "one    | alive" in both.said()
    assert "second | alive" in both.said()
    assert both.end(number) == 0
    assert both.said().endswith("stopping; workers finish the batch in hand (Ctrl-C again kills)\n")
    assert both.gone()


def test_what_dies_is_started_again(tmp_path: Path) -> None:
    dying = Supervised(tmp_path, "import sys; print('here'); sys.exit(7)", LIVES)
    eventually(lambda: dying.said().count("here") >= 3, "started again and again")
    assert "one    | ended with 7; again in 0.5 s" in dying.said()
    assert "one    | ended with 7; again in 1.0 s" in dying.said()
    assert dying.said().count("alive") == 1
    assert dying.end(signal.SIGINT) == 0


def test_a_usage_error_ends_all(tmp_path: Path) -> None:
    refused = Supervised(tmp_path, LIVES, "import sys; print('no such device'); sys.exit(2)")
    assert refused.process.wait(PATIENCE) == 1
    assert "refused: second can not run: no such device" in refused.said()
    assert refused.gone()


def test_a_line_is_printed_once_it_is_whole(tmp_path: Path) -> None:
    pieces = "import os, time; os.write(1, b'half '); time.sleep(0.5); os.write(1, b'whole\\nend')"
    slow = Supervised(tmp_path, pieces)
    eventually(lambda: "again in" in slow.said(), "its end")
    assert slow.said().startswith("one | half whole\none | end\none | ended with 0")
    assert slow.end(signal.SIGINT) == 0


def test_nobody_reads(tmp_path: Path) -> None:
    """As when Ctrl-C ends the `tee` behind us: all are stopped, and in order, all the same."""
    both = Supervised(tmp_path, TALKS, TALKS, piped=True)
    assert both.process.stdout is not None
    said = [both.process.stdout.readline() for _ in range(2)]
    assert all(line.endswith(b"alive\n") for line in said)
    both.process.stdout.close()
    assert both.end(signal.SIGINT) == 0
    assert both.said() == "stopping; workers finish the batch in hand (Ctrl-C again kills)\n"
    assert both.gone()


def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    """At once on the second signal, well before the five seconds' margin and the drain."""
    deaf = Supervised(tmp_path, STUBBORN, drain=600.0)
    eventually(lambda: "alive" in deaf.said(), "it runs")
    os.killpg(deaf.process.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        deaf.process.wait(1)
    assert deaf.end(signal.SIGINT) == 0
    assert deaf.gone()


def test_a_killed_supervisor_leaves_nothing(tmp_path: Path) -> None:
    killed = Supervised(tmp_path, LIVES, LIVES)
    eventually(lambda: killed.said().count("alive") == 2, "both run")
    killed.end(signal.SIGKILL)
    eventually(killed.gone, "the children follow")
