"""What the command line says to a mistyped word, in every command."""

from __future__ import annotations

import subprocess

import pytest

from benchc_tasks.commands import cli
from benchc_tasks.corruptions import corrupt
from benchc_tasks.stacks.common import conditions_of


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sumary", "runs"], "benchc: error: there is no command 'sumary'; close to it: summary"),
        (["xyz"], "benchc: error: there is no command 'xyz'; benchc --help lists them all"),
        (["summary", "--metrics", "acc_clen", "x"], "close to it: acc_clean"),
        (["summary", "--ras-reading", "brer", "x"], "certainty; close to it: brier"),
        (["summary", "--ras-readng", "brier", "x"], "unknown argument '--ras-readng'; close to it: --ras-reading"),
        (["summary", "--by", "corupption", "x"], "category; close to it: corruption"),
        (["compare", "a", "b", "--latx"], "unknown argument '--latx'; close to it: --latex"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(words, sentence, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


def test_a_mistyped_corruption_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"^There is no corruption 'fogg': .*; close to it: fog\.$"):
        conditions_and_pixels("fogg")
    with pytest.raises(ValueError, match=r"metadata.corruption is 'fogg', .*; close to it: fog$"):
        conditions_of("fogg")


def conditions_and_pixels(name: str) -> None:
    import numpy as np

    corrupt(np.zeros((8, 8, 3), dtype=np.uint8), name, 1)


def test_an_interrupt_ends_a_command_without_a_traceback(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("benchc_tasks.commands.tasks_path.run", interrupted)
    assert cli.main(["tasks-path"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == "benchc: stopped\n"


def test_a_shell_completes_commands_and_options(tmp_path, capsys):
    pytest.importorskip("shtab")
    assert cli.main(["completion", "bash"]) == 0
    script = tmp_path / "benchc.bash"
    script.write_text(
        capsys.readouterr().out
        + """
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); "$function"; echo "${COMPREPLY[@]}"; }
function=$(complete -p benchc | sed 's/.*-F \\([^ ]*\\).*/\\1/')
complete_words benchc summ
complete_words benchc summary --ras-read
""",
        encoding="utf-8",
    )
    finished = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False)
    assert finished.stdout.split() == ["summary", "--ras-reading"], finished.stderr
