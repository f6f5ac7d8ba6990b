"""The prompt, on a real terminal."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
from contextlib import contextmanager

from booru_pipeline_tests.cli.command import BOORU, assert_refused, booru, environment

_PROMPT = "tags>"
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Conversation:
    """What is typed and read on the other end of a terminal."""

    def __init__(self, end):
        self._end = end
        self._seen = ""

    def until(self, text):
        """What is shown up to a text, which is waited for."""
        while text not in self._seen:
            assert select.select([self._end], [], [], 60)[0], f"{text} was never shown, but {self._seen}"
            self._seen += _SEQUENCE.sub("", os.read(self._end, 65536).decode())
        shown, _, self._seen = self._seen.partition(text)
        return shown

    def types(self, text):
        os.write(self._end, text.encode())


@contextmanager
def asking(folder, *options):
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
    # Nobody here answers where the cursor is, which the library would wait for.
    env = {**environment(), "COLUMNS": "100", "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    process = subprocess.Popen(
        [BOORU, "ask", *options],
        cwd=folder,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Conversation(ours), process
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_questions_follow_each_other_and_names_complete_themselves(workplace):
    with asking(workplace, "--top", "3") as (terminal, process):
        terminal.until(_PROMPT)
        terminal.types("bunny_ea")
        terminal.until("rabbit_ears")  # in the list of names, by its alias
        terminal.types("\t\r")
        terminal.until("rabbit_ears (2021a)")
        assert "animal_ears" in terminal.until(_PROMPT)
        terminal.types("+ hat\r")
        terminal.until("rabbit_ears, hat (2021a)")
        terminal.types("- rabbit ears\r")
        terminal.until(" hat (2021a)")
        terminal.types("nothing_like_it\r")
        terminal.until("no label is called nothing_like_it")
        terminal.types("- hat\r")
        terminal.until("nothing is left to ask about without hat")
        terminal.types("- solo\r")
        terminal.until("solo was not asked about")
        terminal.types("+ solo - hat\r")
        terminal.until(" solo (2021a)")
        terminal.types("half a li\x03")  # Ctrl-C gives up the line, not the command
        terminal.types("1girl\r")
        terminal.until("1girl (2021a)")
        terminal.until(_PROMPT)
        terminal.types("\x04")
        assert process.wait(30) == 0


def test_quit_ends_it_as_people_expect(workplace):
    with asking(workplace) as (terminal, process):
        terminal.until(_PROMPT)
        terminal.types("quit\r")
        assert process.wait(30) == 0


def test_without_a_terminal_it_says_what_to_use(workplace):
    assert_refused(booru(workplace, "ask"), "no terminal", "suggest --file -")
