"""Root without its privileges, for tests of files that may not be read or written."""

import ctypes
import os


def drop_privileges():
    """Give up what root may do beyond the owner of a file, for the rest of this process.

    Other users' rights do not serve: they may not even read the Python that runs the tests.
    Linux only; nothing happens elsewhere, and to processes that have no privileges.
    """
    if os.name != "posix" or os.geteuid() or not hasattr(os, "sched_getaffinity"):
        return
    version_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
    none = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice 32 of them
    if ctypes.CDLL(None, use_errno=True).capset(version_3, none):
        raise OSError(ctypes.get_errno(), "the privileges of root could not be dropped")
