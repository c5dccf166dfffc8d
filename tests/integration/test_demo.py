"""The demo's own processes. What it shows is `make demo`."""

from pathlib import Path

import pytest

from jobs.errors import UsageError
from jobs.settings import Settings
from producer import demo
from tests.mill import eventually


def test_a_process_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    mill = Settings(home=tmp_path, database_url="nonsense")
    with (
        demo._running(mill) as check,
        pytest.raises(UsageError, match=r"ended with 2: gistmill: .*not a URL.*demo-\w+.log"),
    ):
        eventually(check, "the end of a process")
