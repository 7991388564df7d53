"""How a script ends, and what is told of it: its status or its own traceback, and whom it waits for before."""
import traceback

import _twinfleet as _k

_reserve = None  # memory to tell a lack of memory with


def keep():
    """From here on there is memory to tell a lack of it with."""
    global _reserve
    _reserve = bytearray(1 << 18)


def outcome(call):
    """How a call ended, and with which words."""
    try:
        call()
    except SystemExit as over:
        return "exit", "" if over.code in (None, 0) else str(over.code)
    except BaseException as error:
        _let_go()
        text = _traceback(error)
        if isinstance(error, MemoryError) and text.rstrip().endswith("MemoryError"):
            text = "%s: beyond the %d KiB that its script is given\n" % (text.rstrip(), _k.settings["memory_bytes"] >> 10)
        return "crash", text
    return "exit", ""


def _let_go():
    global _reserve
    _reserve = None


def others():
    """Threads that a program waits for before it ends: all but daemons."""
    import threading
    return [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]


def join():
    """A program ends when its threads have ended, daemons apart; pools of them are told first that nothing more comes."""
    import threading
    for call in reversed(getattr(threading, "_threading_atexits", ())):
        call()
    for thread in others():
        thread.join()


def own(frames):
    """The script's own frames, without what runs it."""
    frames = [f for f in frames if not f.filename.startswith(_k.UNCOUNTED)]
    # The script's process itself is started from a text.
    while frames and frames[0].filename == "<string>":
        del frames[0]
    return frames


def _own_frames(told):
    """Takes what runs the script out of a traceback, and out of those before it."""
    told.stack = traceback.StackSummary.from_list(own(told.stack))
    for before in (told.__cause__, told.__context__):
        if before is not None:
            _own_frames(before)


def _traceback(error):
    """The script's own traceback, without what runs it."""
    try:
        told = traceback.TracebackException.from_exception(error)
        _own_frames(told)
        return "".join(told.format())
    except BaseException:
        return "%s: %s\n" % (type(error).__name__, error)
