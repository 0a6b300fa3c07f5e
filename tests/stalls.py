"""Memory whose readers stall until it is released: to stop native threads in the middle of a fill."""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import select
import struct
import sys

import numpy as np
import pytest

# userfaultfd(2), by its number, because the C library has no name for it.
SYSCALLS = {"x86_64": 323, "aarch64": 282}
USER_MODE_ONLY = 1
API, REGISTER, UNREGISTER = 0xC018AA3F, 0xC020AA00, 0x8010AA01
REGISTER_MISSING = 1


class StallingArray:
    """Zeros of shape (n_rows, row_nbytes), of which the rows from `first` on stall whoever reads them.

    A row has whole pages. Where the system does not offer that, the test is skipped.
    """

    def __init__(self, n_rows, row_nbytes, first):
        number = SYSCALLS.get(platform.machine()) if sys.platform == "linux" else None
        if number is None:
            pytest.skip("only Linux stalls readers")
        libc = ctypes.CDLL(None, use_errno=True)
        self._faults = libc.syscall(number, os.O_CLOEXEC | os.O_NONBLOCK | USER_MODE_ONLY)
        if self._faults < 0:
            pytest.skip(f"userfaultfd is refused: {errno.errorcode[ctypes.get_errno()]}")
        self.array = np.frombuffer(mmap.mmap(-1, n_rows * row_nbytes), np.uint8).reshape(n_rows, row_nbytes)
        self.array[:first] = 0
        self._range = struct.pack("QQ", self.array.ctypes.data + first * row_nbytes, (n_rows - first) * row_nbytes)
        fcntl.ioctl(self._faults, API, struct.pack("QQQ", 0xAA, 0, 0))
        fcntl.ioctl(self._faults, REGISTER, self._range + struct.pack("QQ", REGISTER_MISSING, 0))

    def wait(self):
        """Return when somebody stalls."""
        assert select.select([self._faults], [], [], 60)[0], "nobody reads"

    def release(self):
        """Let everybody go on."""
        fcntl.ioctl(self._faults, UNREGISTER, self._range)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.release()
        os.close(self._faults)
