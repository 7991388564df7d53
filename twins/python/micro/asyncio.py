# asyncio in simulated time, with the names that boards' firmware gives it.
import sys
import time
import _twinfleet as _t


class CancelledError(BaseException):
    pass


class TimeoutError(Exception):
    pass


_never = 1 << 62
_tasks = []
cur_task = None
_handler = None


class Task:
    def __init__(self, coro):
        self.coro, self._at, self._throw = coro, 0, None
        self.data, self._done, self._waiting = None, False, []
        self._order = Task._count = Task._count + 1
        _tasks.append(self)

    _count = 0

    def done(self):
        return self._done

    def cancel(self):
        if self._done or self is cur_task:
            return False
        self._throw, self._at = CancelledError(), 0
        return True

    def _end(self, value, error):
        self._done, self.data, self._error = True, value, error
        _tasks.remove(self)
        for task in self._waiting:
            task._at = 0
        if error and not self._waiting and not isinstance(error, CancelledError):
            _report({"message": "Task exception wasn't retrieved", "exception": error, "future": self})

    _error = None

    def __iter__(self):
        while not self._done:
            self._waiting.append(cur_task)
            cur_task._at = _never
            yield
        if self._error:
            raise self._error
        return self.data

    __await__ = __iter__


def _report(context):
    if _handler:
        _handler(_loop, context)
    else:
        print(context["message"])
        sys.print_exception(context["exception"])


def create_task(coro):
    return Task(coro)


def current_task():
    return cur_task


def _wait(until):
    cur_task._at = until
    yield


def sleep_ms(t):
    return _wait(_t.now_ns() + max(0, int(t)) * 1000000)


def sleep(t):
    return sleep_ms(t * 1000)


def run_until_complete(main):
    global cur_task
    while main is None or not main._done:
        if not _tasks:
            return None
        first = min(_tasks, key=lambda t: (t._at, t._order))
        if first._at > _t.now_ns():
            _t.wait(min(first._at, _t.now_ns() + 3600000000000))
            continue
        cur_task, first._at = first, 0
        Task._count += 1
        first._order = Task._count
        error, first._throw = first._throw, None
        try:
            if error:
                first.coro.throw(error)
            else:
                first.coro.send(None)
        except StopIteration as e:
            first._end(e.value, None)
        except (Exception, CancelledError) as e:
            first._end(None, e)
            if first is main:
                raise
    return main.data


def run(coro):
    return run_until_complete(create_task(coro))


async def gather(*aws, return_exceptions=False):
    tasks = [a if isinstance(a, Task) else create_task(a) for a in aws]
    results = []
    for task in tasks:
        try:
            results.append(await task)
        except (Exception, CancelledError) as e:
            if not return_exceptions:
                raise
            results.append(e)
    return results


async def wait_for(aw, timeout, sleep=sleep):
    if timeout is None:
        return await aw
    task = aw if isinstance(aw, Task) else create_task(aw)
    until = _t.now_ns() + int(timeout * 1000000000)
    while not task._done:
        task._waiting.append(cur_task)
        await _wait(until)
        if not task._done and _t.now_ns() >= until:
            task.cancel()
            raise TimeoutError
    if task._error:
        raise task._error
    return task.data


def wait_for_ms(aw, timeout):
    return wait_for(aw, timeout / 1000)


class Event:
    def __init__(self):
        self.state, self._w = False, []

    def is_set(self):
        return self.state

    def set(self):
        self.state = True
        for task in self._w:
            task._at = 0
        self._w = []

    def clear(self):
        self.state = False

    async def wait(self):
        while not self.state:
            self._w.append(cur_task)
            await _wait(_never)
        return True


class ThreadSafeFlag(Event):
    async def wait(self):
        await Event.wait(self)
        self.state = False


class Lock:
    def __init__(self):
        self._held, self._w = False, []

    def locked(self):
        return self._held

    async def acquire(self):
        while self._held:
            self._w.append(cur_task)
            await _wait(_never)
        self._held = True
        return True

    def release(self):
        if not self._held:
            raise RuntimeError("Lock not acquired")
        self._held = False
        if self._w:
            self._w.pop(0)._at = 0

    async def __aenter__(self):
        return await self.acquire()

    async def __aexit__(self, *_):
        self.release()


class Loop:
    def create_task(self, coro):
        return create_task(coro)

    def run_forever(self):
        run_until_complete(None)

    def run_until_complete(self, aw):
        return run_until_complete(aw if isinstance(aw, Task) else create_task(aw))

    def stop(self):
        pass

    def close(self):
        pass

    def set_exception_handler(self, handler):
        global _handler
        _handler = handler

    def default_exception_handler(self, loop, context):
        _report(context)


_loop = Loop()


def get_event_loop(*_):
    return _loop


def new_event_loop():
    _tasks.clear()
    return _loop
