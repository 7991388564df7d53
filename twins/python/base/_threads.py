"""Python's threads and locks, of the simulation: one runs at a time, and goes on until it waits; who waits for a lock waits
in simulated time."""
import _thread
import queue
import threading
import traceback

import _confine
import _twinfleet as _k

_real_lock = _thread.allocate_lock
_real_start = _thread.start_new_thread
_ident = _thread.get_ident


class Lock:
    """A lock of the simulation: who waits for it waits in simulated time."""

    def __init__(self):
        self._held = False

    def acquire(self, blocking=True, timeout=-1):
        if not self._held:
            self._held = True
            return True
        if not blocking:
            return False
        until = None if timeout is None or timeout < 0 else _k.now_ns() + int(timeout * 1e9)
        # Whoever releases hands the lock over.
        return _k.threads.wait(until, self)

    def release(self):
        if not self._held:
            raise RuntimeError("release unlocked lock")
        if not _k.threads.wake(self):
            self._held = False

    def locked(self):
        return self._held

    def _at_fork_reinit(self):
        self._held = False

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()

    acquire_lock, release_lock, locked_lock = acquire, release, locked


def start_new_thread(function, args, kwargs={}):
    if len(_k.threads.gates) >= _confine.THREADS:
        raise RuntimeError("can't start new thread: a device's script has at most %d" % _confine.THREADS)
    born = _real_lock()
    born.acquire()
    ident = []

    def run():
        gate = _k.threads.gate()
        ident.append(_ident())
        _k.threads.ready.append(gate)
        born.release()
        gate.acquire()
        _k.count(True)
        try:
            function(*args, **kwargs)
        except SystemExit:
            pass
        except BaseException:
            _k.ask("crash", _k.hexed(_k.clipped(traceback.format_exc())))
        finally:
            _k.count(False)
            sentinel = _sentinels.pop(_ident(), None)
            if sentinel is not None and sentinel._held:
                sentinel.release()
            _k.threads.over()

    _real_start(run, ())
    born.acquire()
    return ident[0]


_sentinels = {}


def _set_sentinel():
    lock = _sentinels[_ident()] = Lock()
    return lock


class Handle:
    """What later versions of Python join a thread by."""

    def __init__(self):
        self.ident, self._done = None, False

    def is_done(self):
        return self._done

    def _set_done(self):
        self._done = True
        _k.threads.wake(self, 1 << 30)

    def join(self, timeout=None):
        until = None if timeout is None or timeout < 0 else _k.now_ns() + int(timeout * 1e9)
        while not self._done and (until is None or _k.now_ns() < until):
            _k.threads.wait(until, self)


def start_joinable_thread(function, handle=None, daemon=True):
    handle = Handle() if handle is None else handle

    def run():
        try:
            function()
        finally:
            handle._set_done()

    handle.ident = start_new_thread(run, ())
    return handle


def install():
    _thread.allocate_lock = _thread.allocate = Lock
    _thread.start_new_thread = _thread.start_new = start_new_thread
    _thread._set_sentinel = _set_sentinel
    threading._allocate_lock = threading.Lock = Lock
    threading._start_new_thread = start_new_thread
    threading._set_sentinel = _set_sentinel
    threading._CRLock = None
    if hasattr(threading, "_start_joinable_thread"):
        threading._start_joinable_thread = _thread.start_joinable_thread = start_joinable_thread
        threading._ThreadHandle = _thread._ThreadHandle = Handle
    threading.RLock = threading._PyRLock
    threading.settrace(None)
    queue.SimpleQueue = queue._PySimpleQueue
    # The locks that were made before are the main thread's own.
    threading._active_limbo_lock = threading.RLock()
    threading._shutdown_locks_lock = Lock()
    main = threading.main_thread()
    main._started = threading.Event()
    main._started._flag = True
    main._tstate_lock = None
