"""Letting long native calls be interrupted by signals."""

from fastbatch._native.c cimport fb_poll


# A poll that runs Python's signal handlers, or asks nobody: off the main thread, and where the call is too short to
# wait for. To be made with the GIL held; asked without.
cdef fb_poll poll_for(size_t nbytes)

# Raises what a signal handler raised when the poll ended a call.
cdef int raise_pending() except -1
