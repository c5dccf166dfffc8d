"""gistmill.toml and GISTMILL_* before real commands, and what `config` says of them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import gistmill
from tests.mill import GISTMILL, PATIENCE, Mill

HEAVY = {"torch", "transformers", "datasets", "celery", "sqlalchemy", "structlog"}


def run(
    folder: Path, *words: str, expect: int = 0, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `gistmill WORDS` in a folder, set by nothing but its file and `variables`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GISTMILL_")}
    ended = subprocess.run(
        [*GISTMILL, *words],
        cwd=folder,
        env={**clean, "COLUMNS": "80", **(variables or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == expect, (ended.returncode, ended.stdout, ended.stderr)
    return ended


def test_a_mill_from_its_file(mill: Mill, tmp_path: Path) -> None:
    """Flags come over the environment, the environment over the file."""
    urls = {name: getattr(mill.settings, name) for name in ("database_url", "broker_url")}
    settings = "".join(f"{name} = {json.dumps(url)}\n" for name, url in urls.items())
    flags = 'model = "lead-2"\nname = "file"\nid-column = "file"\nquiet = true\nwait = false\n'
    (tmp_path / "gistmill.toml").write_text(f"{settings}[submit]\n{flags}")
    (tmp_path / "in.jsonl").write_text('{"text": "One. Two. Three."}\n')
    variables = {"GISTMILL_SUBMIT_NAME": "variable", "GISTMILL_SUBMIT_ID_COLUMN": "variable"}
    ended = run(tmp_path, "submit", "in.jsonl", "--id-column", "flag", variables=variables)
    with mill.client() as client:
        [job] = client.jobs()
    assert ended.stdout == f"{job.id}\n", "quiet, as the file says"
    assert (job.model, job.name, job.source["columns"]["id"]) == ("lead-2", "variable", "flag")


def test_config_shows_each_value_and_who_set_it(tmp_path: Path) -> None:
    path = tmp_path / "gistmill.toml"
    path.write_text(
        'home = "mill"\ndatabase_url = "postgresql://me:se@cret@host/db?sslpassword=secret"\n'
        '[timings]\nlease = 5\n[submit]\nmodel = "lead-3"\ngenerate = ["top_k=5", "top_p=0.5"]\n'
    )
    variables = {"GISTMILL_WORKER_DEVICE": "cpu", "GISTMILL_TIMINGS": '{"slice": 7}'}
    shown = json.loads(run(tmp_path, "config", "--json", variables=variables).stdout)
    assert [tuple(each.values()) for each in shown] == [
        ("home", str(tmp_path / "mill"), str(path)),
        ("database_url", "postgresql://me:***@host/db?sslpassword=***", str(path)),
        ("broker_url", None, "default"),
        ("log_format", "auto", "default"),
        ("allow_insecure", False, "default"),
        ("allowed_sources", None, "default"),
        ("uploads", None, "default"),
        ("max_upload_bytes", 10 * 2**30, "default"),
        ("timings.lease", 5.0, str(path)),
        ("timings.slice", 7.0, "GISTMILL_TIMINGS"),
        ("submit.model", "lead-3", f"{path}: [submit]"),
        ("submit.generate", ["top_k=5", "top_p=0.5"], f"{path}: [submit]"),
        ("worker.device", "cpu", "GISTMILL_WORKER_DEVICE"),
    ]
    table = run(tmp_path, "config", "--all", variables=variables).stdout
    assert "timings.poll" in table
    assert "embedded" in table
    assert "anywhere" in table
    assert "secret" not in table
    assert not (tmp_path / "mill").exists(), "nothing was started"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[sumbit]\nmodel = 1", "no table 'sumbit'; do you mean 'submit'?"),
        ("[ls]\nlimits = 3", "[ls]: no flag 'limits'; do you mean 'limit'?"),
        ('[ls]\nlimit = "many"', "[ls]: --limit: 'many' is not a valid integer"),
        ("[ls]\nlimit = 2.5", "[ls]: --limit: '2.5' is not a valid integer"),
        ("[ls]\nlimit = 0", "[ls]: --limit: 0 is not in the range"),
        ("[ls]\nlimit = [3]", "[ls]: --limit: write one value"),
        ("[ls]\nquiet = 'maybe'", "[ls]: --quiet: 'maybe' is not a valid boolean"),
        ("[submit]\ngenerate = {top_k = 5}", "[submit]: --generate: write a list"),
    ],
)
def test_one_line_for_a_bad_default(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    says: str,
) -> None:
    path = tmp_path / "gistmill.toml"
    path.write_text(text)
    monkeypatch.setenv("GISTMILL_CONFIG", str(path))
    monkeypatch.setattr("sys.argv", ["gistmill", "config"])
    with pytest.raises(SystemExit) as ended:
        gistmill.main()
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"gistmill: {path}: {says}")


def test_a_bad_default_stops_its_command_and_no_help(tmp_path: Path) -> None:
    (tmp_path / "gistmill.toml").write_text("[ls]\nlimits = 3\n")
    assert "limits" in run(tmp_path, "ls", expect=2).stderr
    assert "--limit" in run(tmp_path, "ls", "--help").stdout
    wrong = run(tmp_path, "wait", "x", expect=2, variables={"GISTMILL_WAIT_TIMEOUT": "soon"})
    assert wrong.stderr.startswith("gistmill: GISTMILL_WAIT_TIMEOUT: --timeout: 'soon' is not")


@pytest.mark.parametrize("command", gistmill._names())
def test_help_fits_a_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    gistmill._cli([*command.split(), "--help"], prog_name="gistmill", standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24 or command in ("submit", "text")


def test_the_main_help_fits_a_screen(tmp_path: Path) -> None:
    lines = run(tmp_path, "--help").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24
    assert all(len(short) <= 26 for _, short in gistmill._COMMANDS.values())


def test_a_command_that_there_is_not(tmp_path: Path) -> None:
    said = run(tmp_path, "sumbit", "x", expect=2).stderr
    assert said == (
        "gistmill: No such command 'sumbit'. Did you mean 'submit'? (see gistmill --help)\n"
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(tmp_path: Path, shell: str) -> None:
    script = run(tmp_path, "completion", shell).stdout
    assert f"_GISTMILL_COMPLETE={shell}_complete" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_completion_in_bash(tmp_path: Path) -> None:
    """Tab in a real bash, with a gistmill.toml that is broken: no matter."""
    (tmp_path / "gistmill.toml").write_text("broken")
    (tmp_path / "gistmill").write_text(f'#!/bin/sh\nexec {" ".join(GISTMILL)} "$@"\n')
    (tmp_path / "gistmill").chmod(0o755)
    script = (
        'PATH="$PWD:$PATH"; eval "$(GISTMILL_CONFIG= gistmill completion bash)"\n'
        "tab() { COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()\n"
        '_gistmill_completion gistmill; echo "${COMPREPLY[*]}"; }\n'
        'tab "gistmill su"; tab "gistmill submit --shard"; tab "gistmill completion z"\n'
        "complete -p gistmill"
    )
    ended = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        "submit",
        "--shard-size",
        "zsh",
        "complete -o nosort -F _gistmill_completion gistmill",
    ]


def test_completion_is_light() -> None:
    """For the flags of every command it imports none of the heavy packages."""
    code = (
        "import sys, gistmill\n"
        f"heavy = {HEAVY}\n"
        "group = gistmill._cli\n"
        "context = group.make_context('gistmill', [], resilient_parsing=True)\n"
        "for name in group.list_commands(context):\n"
        "    group.get_command(context, name)\n"
        "    if found := heavy & {*sys.modules}: sys.exit(f'{name} imports {found}')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
