"""How every command begins and ends: numbers and files that are refused at once, exit codes, one line for what went wrong."""

import argparse
import importlib
import os
import shlex
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from test_project import PROJECT

from fkp_utils import command
from fkp_utils.errors import BusyError, DatasetError


@pytest.mark.parametrize("error", [DatasetError("a.jpg: cut"), BusyError("a.jpg: cut"), ValueError("a.jpg: cut"),
                                   OSError("a.jpg: cut"), ConnectionResetError("a.jpg: cut"), FloatingPointError("a.jpg: cut")])
def test_what_goes_wrong_is_one_line_and_exit_code_1(error, capsys):
    def job():
        raise error
    assert command.run("name", job) == 1 and capsys.readouterr().err == "name: a.jpg: cut\n"


def test_exit_codes_are_those_of_the_job_and_of_ctrl_c(capsys):
    def stopped():
        raise KeyboardInterrupt
    assert [command.run("name", job) for job in (lambda: 3, lambda: None, lambda: 0)] == [3, 0, 0]
    assert command.run("name", stopped, "stopped; goes on") == 130 and capsys.readouterr().err == "name: stopped; goes on\n"


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(IndexError):
        command.run("name", lambda: [][0])
    assert command.run("name", lambda: [][0], failures=(IndexError,)) == 1


def _python(code, **options):
    return subprocess.run([sys.executable, "-c", f"import sys\nfrom fkp_utils import command\n{code}"], text=True,
                          env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONIOENCODING": "ascii"}, **options)


def test_a_name_that_the_terminal_cannot_show_is_shown_escaped():
    done = _python("sys.exit(command.run('name', lambda: print('gr\\u00f6\\u00dfe \\udcff')))", capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "gr\\xf6\\xdfe \\udcff\n", "")


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_who_has_enough_ends_a_command_without_a_word(lines):
    """One line waits in a buffer until the end, many fail in the middle."""
    reading, writing = os.pipe()
    os.close(reading)
    done = _python(f"sys.exit(command.run('name', lambda: print('x\\n' * {lines})))", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_a_command_whose_streams_are_closed_works_and_what_is_said_gets_into_no_file(tmp_path, closed):
    """Libraries in C write to the numbers 1 and 2, whatever has them."""
    code = ("import os, sys\nfrom fkp_utils import command\ncommand.parser('x', 'x').parse_args([])\n"
            f"file = open({str(tmp_path / 'out.txt')!r}, 'w')\n"
            "def job():\n    sys.stderr.isatty(), sys.stdout.isatty(), print('said'), print('said', file=sys.stderr)\n"
            "    os.write(1, b'more'), os.write(2, b'more'), file.write('mine' + sys.stdin.read())\n"
            "sys.exit(command.run('x', job))")
    line = f"{shlex.join([sys.executable, '-c', code])} {closed}"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(["sh", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
    assert (done.returncode, (tmp_path / "out.txt").read_text()) == (0, "mine"), done.stderr


def test_no_option_may_be_abbreviated(capsys):
    parser = command.parser("name", "What it does.\n\nMore of it.")
    parser.add_argument("--box")
    assert parser.parse_args(["--box", "1"]).box == "1"
    with pytest.raises(SystemExit):
        parser.parse_args(["--bo", "1"])
    told = capsys.readouterr().err
    assert "python -m fkp_utils.name" in told and "--bo" in told
    made = [path.name for path in (PROJECT / "fkp_utils").rglob("*.py") if "ArgumentParser(" in path.read_text()]
    assert sorted(made) == ["command.py"]


COMMANDS = [".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in sorted((PROJECT / "fkp_utils").rglob("*.py"))
            if "command.parser(" in path.read_text()]


@pytest.fixture(params=COMMANDS)
def parser(request, monkeypatch):
    """The parser of each command."""
    made = []

    def keep(self, *arguments):
        made.append(self)
        raise SystemExit
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(argparse.ArgumentParser, "parse_args", keep)
        importlib.import_module(request.param).main()
    return made[0]


def _all(parser):
    """The parser, and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def test_every_option_has_a_help_text_and_every_help_an_example_that_is_right(parser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for each in _all(parser):
        assert [action.dest for action in each._actions if not action.help] == [] and each.description, each.prog
        head, *examples = each.epilog.splitlines()
        assert head.startswith("example") and examples
        for line in examples:
            assert line.startswith(f"  {parser.prog}")
            with pytest.raises(SystemExit) if "--list" in line else nullcontext():
                parser.parse_args(shlex.split(line.removeprefix(f"  {parser.prog}")))
        assert max(map(len, each.format_help().splitlines())) <= 128


def test_a_thing_is_counted_in_the_singular():
    assert [command.counted(number, "photo") for number in (0, 1, 2)] == ["0 photos", "1 photo", "2 photos"]


@pytest.mark.parametrize("text, number", [("1", 1), ("7", 7), (" 3 ", 3)])
def test_whole_numbers_within_their_limits(text, number):
    assert command.whole(1, 7)(text) == number


@pytest.mark.parametrize("text", ["0", "8", "-1", "1.5", "1e3", "nan", "", "many", "99999999999999999999"])
def test_other_numbers_are_wrong_arguments(text):
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):           # argparse names the option for both
        command.whole(1, 7)(text)


def test_files_that_cannot_be_written_are_wrong_arguments(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "file" / "out.csv", "Not a directory"),
                        (tmp_path / ("n" * 300) / "out.csv", "too long"), ("/proc/out.csv", "/proc/out.csv")):
        with pytest.raises(argparse.ArgumentTypeError, match=words):
            command.writable(str(path))
    for path in ("", ".", str(tmp_path / "new") + os.sep):
        with pytest.raises(argparse.ArgumentTypeError, match="is a folder"):
            command.writable(path)
    with pytest.raises(argparse.ArgumentTypeError, match="too long"):
        command.writable(str(tmp_path / ("n" * 256)))
    assert command.writable(str(tmp_path / "new" / "deep" / "out.csv")) == tmp_path / "new" / "deep" / "out.csv"
    assert command.writable(str(tmp_path / "file")) == tmp_path / "file"
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "mine"


def test_folders_that_cannot_be_written_are_wrong_arguments(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for path in ("file", "file/new", "link", "link/new", "n" * 256):
        with pytest.raises(argparse.ArgumentTypeError, match="cannot be written: "):
            command.writable(str(tmp_path / path), folder=True)
    for path in (tmp_path, tmp_path / "new" / "deep", "new"):
        assert command.writable(str(path), folder=True) == Path(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
