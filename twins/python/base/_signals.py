"""Signals of the simulation: a process has itself to send them, and the alarm clock, which goes by simulated time."""
import _thread
import signal
import sys

import _twinfleet as _k

pending = []
_handlers = {signal.SIGINT: signal.default_int_handler}
_blocked = set()
_alarm = None  # [when_ns, interval_ns]
_wakeup = -1
PAUSE = object()
_main = _thread.get_ident()
_IGNORED = {signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH, signal.SIGCONT}


def deliver(number):
    """A signal comes: its handler runs in the main thread, as soon as that one is free or done with waiting."""
    number = signal.Signals(number)
    if number not in pending:
        pending.append(number)
    if _wakeup >= 0:
        socket = sys.modules.get("socket")
        of = getattr(socket, "by_number", {}).get(_wakeup)
        if of is not None:
            of.send(bytes([number]))
    _k.threads.rouse(_main)


def run():
    """Runs the handlers of what has come. In the main thread. Whether one ran."""
    if _thread.get_ident() != _main:
        return False
    ran = False
    while True:
        number = next((p for p in pending if p not in _blocked), None)
        if number is None:
            return ran
        pending.remove(number)
        handler = _handlers.get(number, signal.SIG_DFL)
        if handler is signal.SIG_IGN or (handler is signal.SIG_DFL and number in _IGNORED):
            continue
        if handler is signal.SIG_DFL or handler is None:
            _k.end("gone", "ended by its own %s" % number.name)
        ran = True
        handler(int(number), sys._getframe())


def _set(number, handler):
    number = signal.Signals(number)
    if number in (signal.SIGKILL, signal.SIGSTOP):
        raise OSError(22, "Invalid argument")
    if _thread.get_ident() != _main:
        raise ValueError("signal only works in main thread of the main interpreter")
    if not callable(handler) and handler not in (signal.SIG_IGN, signal.SIG_DFL):
        raise TypeError("signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object")
    before = _handlers.get(number, signal.SIG_DFL)
    _handlers[number] = handler if callable(handler) else signal.Handlers(handler)
    return before


def _pause():
    while not _k.threads.wait(None, PAUSE):
        pass


def _ring(mine):
    def ring():
        if _alarm is mine:
            _start(mine[1], mine[1])
            deliver(signal.SIGALRM)

    return ring


def _start(ns, interval_ns):
    global _alarm
    _alarm = None
    if ns > 0:
        _alarm = [_k.now_ns() + ns, interval_ns]
        _k.threads.at(_alarm[0], _ring(_alarm))


def _left():
    return (0.0, 0.0) if _alarm is None else (max(0, _alarm[0] - _k.now_ns()) / 1e9, _alarm[1] / 1e9)


def _setitimer(which, seconds, interval=0.0):
    if which != signal.ITIMER_REAL:
        raise signal.ItimerError(22, "Invalid argument")
    before = _left()
    _start(round(seconds * 1e9), round(interval * 1e9))
    return before


def _set_alarm(seconds):
    before = -(-_left()[0] // 1)
    _start(int(seconds) * 1_000_000_000, 0)
    return int(before)


def _wait(numbers, until_ns=None):
    numbers = set(numbers)
    held, place = numbers - _blocked, object()
    _blocked.update(held)
    try:
        while True:
            for number in pending:
                if number in numbers:
                    pending.remove(number)
                    return number
            if until_ns is not None and _k.now_ns() >= until_ns:
                return None
            _k.threads.wait(until_ns, PAUSE)
    finally:
        _blocked.difference_update(held)


def _timed(numbers, seconds):
    number = _wait(numbers, _k.now_ns() + round(seconds * 1e9))
    return None if number is None else signal.struct_siginfo((int(number), 0, 0, 1000, 0, 0, 0))


def _mask(how, numbers):
    before = set(_blocked)
    numbers = {signal.Signals(n) for n in numbers}
    if how == signal.SIG_BLOCK:
        _blocked.update(numbers)
    elif how == signal.SIG_UNBLOCK:
        _blocked.difference_update(numbers)
    else:
        _blocked.clear()
        _blocked.update(numbers)
    run()
    return before


def _set_wakeup(fd, *, warn_on_full_buffer=True):
    global _wakeup
    before, _wakeup = _wakeup, fd
    return before


def raise_(number):
    deliver(number)
    run()


def install():
    import os

    global _main
    _main = _thread.get_ident()
    new = {"signal": _set, "getsignal": lambda n: _handlers.get(signal.Signals(n), signal.SIG_DFL), "pause": _pause,
           "alarm": _set_alarm, "setitimer": _setitimer, "getitimer": lambda which: _left(), "raise_signal": raise_,
           "sigwait": lambda numbers: _wait(numbers), "sigwaitinfo": lambda numbers: _timed(numbers, 1e9),
           "sigtimedwait": _timed, "sigpending": lambda: set(pending), "pthread_sigmask": _mask,
           "set_wakeup_fd": _set_wakeup, "siginterrupt": lambda number, flag: None,
           "pthread_kill": lambda thread, number: raise_(number) if number else None}
    import _signal

    for name, function in new.items():
        setattr(signal, name, _k.unbound(function))
        setattr(_signal, name, _k.unbound(function))

    def kill(process, number):
        if process not in (0, 1000):
            raise PermissionError(1, "Operation not permitted")
        if number:
            raise_(number)

    os.kill = os.killpg = _k.unbound(kill)
    os._exit = _k.unbound(_k.leave)
    os.abort = _k.unbound(lambda: _k.end("gone", "ended by its own SIGABRT"))
