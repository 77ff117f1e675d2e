import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bertx.cli.main import make_parser, run_command
from bertx.errors import CheckpointError, ConfigError, DataError, TrainingError, UsageError
from tests.commands import bertx

COMMANDS = sorted(make_parser()._subparsers._group_actions[0].choices)


def raising(error):
    def run(args):
        raise error

    return SimpleNamespace(run=run)


def python(*arguments, **options):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)


def test_help_imports_neither_torch_nor_numpy_nor_pydantic():
    code = "import sys; from bertx.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'numpy', 'pydantic', 'tokenizers', 'tqdm'} & set(sys.modules)))"
    assert python("-c", code).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    shown = bertx(command, "--help")
    assert shown.status == 0
    assert f"\n  bertx {command}" in shown.out.split("example")[1]


def test_no_command_is_a_mistake_and_prints_help_to_stderr():
    done = bertx()
    assert (done.status, done.out) == (2, "")
    assert "examples:" in done.err


def test_the_version_is_printed():
    assert bertx("--version").out.startswith("0.")


@pytest.mark.parametrize(
    ("error", "status"),
    [(UsageError, 2), (ConfigError, 2), (DataError, 4), (CheckpointError, 4), (TrainingError, 5)],
)
def test_a_users_mistake_is_one_line_and_its_status(error, status, capsys):
    assert run_command(raising(error("a.jsonl:1: wrong"))) == status
    assert capsys.readouterr() == ("", "a.jsonl:1: wrong\n")


def test_a_bug_is_status_one_with_its_traceback_in_a_file(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run_command(raising(RuntimeError("oh"))) == 1
    (report,) = tmp_path.glob("bertx-bug-*.log")
    assert "raise error\nRuntimeError: oh\n" in report.read_text()
    assert "a bug: RuntimeError: oh\n" in capsys.readouterr().err


def test_debugging_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("BERTX_DEBUG", "1")
    with pytest.raises(RuntimeError, match="oh"):
        run_command(raising(RuntimeError("oh")))


def test_an_interruption_is_status_130(capsys):
    assert run_command(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_full_disk_is_no_bug(capsys):
    assert run_command(raising(OSError(28, "No space left on device", "x.json"))) == 4
    assert capsys.readouterr().err == "x.json: cannot be written: No space left on device\n"


def test_an_unknown_option_is_status_two():
    assert bertx("predict", "run", "in.jsonl", "--batchsize", "3").status == 2


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_program_with_its_status(number, status, trained):
    command = [sys.executable, "-m", "bertx", "predict", str(trained.run), "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as it:
        for _ in range(40):  # a window, so that its first line tells that it is at work
            it.stdin.write(b'{"text": "good"}\n')
        it.stdin.flush()
        it.stdout.readline()
        it.send_signal(number)
        assert it.wait(timeout=30) == status
        assert b"Traceback" not in it.stderr.read()


def test_a_closed_pipe_ends_the_program_quietly(trained, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "good"}\n' * 3000)
    command = [sys.executable, "-m", "bertx", "predict", str(trained.run), str(tmp_path / "in.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as it:
        it.stdout.readline()
        it.stdout.close()
        assert it.wait(timeout=60) == 141
        assert it.stderr.read() == b""
