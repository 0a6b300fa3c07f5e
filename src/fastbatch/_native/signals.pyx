import threading

from fastbatch._native.c cimport fb_poll

cdef extern from "Python.h":
    # Declared without its exception value: the error stays pending until the call has unwound.
    int PyErr_CheckSignals() noexcept
    bint PyErr_Occurred() noexcept

# Work below this many bytes ends within milliseconds.
cdef size_t SHORT_NBYTES = 1 << 20


cdef int check_signals(void *argument) noexcept nogil:
    with gil:
        return PyErr_CheckSignals()


cdef fb_poll poll_for(size_t nbytes):
    cdef fb_poll poll
    poll.function = NULL
    poll.argument = NULL
    if nbytes >= SHORT_NBYTES and threading.get_ident() == threading.main_thread().ident:
        poll.function = check_signals
    return poll


cdef int raise_pending() except -1:
    if not PyErr_Occurred():
        raise RuntimeError("a native call was interrupted without a reason")
    return -1
