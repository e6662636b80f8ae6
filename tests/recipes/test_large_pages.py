"""The program starts itself once more, with large pages asked for, and leaves a choice of the user's alone."""

import os
import subprocess
import sys

import pytest

SHOW = ("import runpy, os, jaxtrunc.cli; jaxtrunc.cli.main = lambda: print(os.getpid(), os.environ.get('GLIBC_TUNABLES')); "
        "runpy.run_module('jaxtrunc', run_name='__main__')")


@pytest.mark.skipif(sys.platform != "linux", reason="a variable of the C library of Linux")
@pytest.mark.parametrize("chosen", [None, "glibc.malloc.check=0"])
def test_one_process_with_large_pages_asked_for(chosen):
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    environment |= {"GLIBC_TUNABLES": chosen} if chosen else {}
    with subprocess.Popen([sys.executable, "-c", SHOW], env=environment, stdout=subprocess.PIPE, text=True) as child:
        pid, found = child.communicate()[0].split()
    assert int(pid) == child.pid  # replaced, not a child of it: signals arrive
    assert found == (chosen or "glibc.malloc.hugetlb=1")
