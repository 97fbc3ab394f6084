"""The end of a program is as without rjobs: finalizers run in their order, files are flushed, temporary ones go."""

from __future__ import annotations

REFERRERS = """
import gc, sys
gc.disable()
{imported}
def function(): pass
print(sorted(type(each).__name__ for each in gc.get_referrers(sys.modules["__main__"].__dict__)))
print(sys.getrefcount(sys.modules["__main__"].__dict__))
"""


def test_importing_refers_to_nothing_of_the_program(run):
    plain, with_rjobs = (run(REFERRERS.format(imported=imported)) for imported in ("import json", "import rjobs"))
    assert (plain.code, plain.err) == (0, "")
    assert (with_rjobs.code, with_rjobs.err) == (0, "")
    assert with_rjobs.out == plain.out
