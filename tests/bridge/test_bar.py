"""A long command tells how far it is: on a terminal in one line, elsewhere now and then."""

from __future__ import annotations

from io import StringIO

from bridge.management.bar import Bar, line


class Terminal(StringIO):
    def isatty(self):
        return True


def ticking(*moments):
    times = iter(moments)
    return lambda: next(times)


def test_the_line_tells_how_much_is_left_how_fast_it_goes_and_how_long_it_takes():
    assert line("leads read", 500, 2000, 2.0) == (
        "  [######..................] 500 of about 2,000 leads read, 250 a second, 6 s left"
    )
    assert line("leads read", 1000, 100_000, 10.0).endswith("100 a second, 16 min left")


def test_what_is_not_known_is_not_told():
    assert line("leads read", 0, 0, 0.0) == "  0 leads read"
    assert line("leads read", 500, 0, 2.0) == "  500 leads read, 250 a second"
    # More than was thought.
    assert line("leads read", 500, 400, 2.0) == "  [########################] 500 leads read, 250 a second"


def test_a_terminal_has_one_line_and_a_log_one_now_and_then():
    terminal, log = Terminal(), StringIO()
    for out in (terminal, log):
        bar = Bar(out, "leads read", clock=ticking(0.0, 1.0, 1.1, 3.0))
        for done in (250, 300, 1000):
            bar.at(done)
        bar.end()

    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().count("\r") == 2
    assert log.getvalue() == "  250 leads read, 250 a second\n"
