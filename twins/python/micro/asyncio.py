# asyncio in simulated time: the names of boards' firmware, and its order of things, which MicroPython's own tests judge.
import sys
import select
import _twinfleet as _t


class CancelledError(BaseException):
    pass


class TimeoutError(Exception):
    pass


# The task that has its turn.
cur_task = None
# Longest pause, [ms]: half of what ticks count.
_LONGEST = 1 << 29
# Where a task's `data` says that it takes part in a `gather`, and in no queue.
_GATHERED = object()


def _ticks():
    # What falls into one millisecond happens in the order in which it was asked for.
    return _t.now_ns() // 1000000


class TaskQueue:
    # Tasks by their time, and where that is the same, as they came.
    def __init__(self):
        self._of = []

    def peek(self):
        return self._of[0] if self._of else None

    def push(self, task, at=None):
        task.data, task.ph_key = None, _ticks() if at is None else at
        of = self._of
        i = len(of)
        while i and of[i - 1].ph_key > task.ph_key:
            i -= 1
        of.insert(i, task)
        # An interrupt may have done it while the loop waits.
        _t.nudged = True

    def pop(self):
        return self._of.pop(0)

    def remove(self, task):
        self._of.remove(task)


class Task:
    # `state`: True while it runs and nobody waits for its end; a queue of those who wait, or what to call; None when it has
    # ended unasked; False when it has ended, and its end was asked for. `data`: what it waits for, and then how it ended.
    def __init__(self, coro, globals=None):
        self.coro, self.data, self.state, self.ph_key = coro, None, True, 0

    def __iter__(self):
        if not self.state:
            self.state = False
        elif self.state is True:
            self.state = TaskQueue()
        elif not isinstance(self.state, TaskQueue):
            raise RuntimeError("can't wait")
        return self

    def __next__(self):
        if not self.state:
            raise self.data
        self.state.push(cur_task)
        cur_task.data = self

    def done(self):
        return not self.state

    def cancel(self):
        if not self.state:
            return False
        if self is cur_task:
            raise RuntimeError("can't cancel self")
        # What it waits for is cancelled, and what that waits for.
        task = self
        while isinstance(task.data, Task):
            task = task.data
        if hasattr(task.data, "remove"):
            task.data.remove(task)
            _queue.push(task)
        elif task.data is _GATHERED:
            _queue.push(task)
        elif task.ph_key > _ticks():
            _queue.remove(task)
            _queue.push(task)
        task.data = CancelledError
        return True


class _Pause:
    # One for all, since a task is in one pause at a time: a pause takes no memory.
    def __init__(self):
        self.until = None

    def __iter__(self):
        return self

    def __next__(self):
        if self.until is None:
            raise StopIteration
        until, self.until = self.until, None
        _queue.push(cur_task, until)


class _Never:
    # A wait that somebody else ends by the queue.
    def __init__(self):
        self.fresh = False

    def __iter__(self):
        return self

    def __next__(self):
        if not self.fresh:
            raise StopIteration
        self.fresh = False


_pause, _never = _Pause(), _Never()


def _for_ever():
    _never.fresh = True
    return _never


def sleep_ms(t):
    if t >= _LONGEST:
        raise OverflowError
    _pause.until = _ticks() + max(0, t)
    return _pause


def sleep(t):
    return sleep_ms(int(t * 1000))


class _Sockets:
    # Who waits for which stream: by it, one task that reads and one that writes.
    def __init__(self):
        self.waits = {}

    def read(self, stream):
        return self._wait(stream, 0)

    def write(self, stream):
        return self._wait(stream, 1)

    def _wait(self, stream, side):
        entry = self.waits.setdefault(id(stream), [None, None, stream])
        entry[side] = cur_task
        cur_task.data = self
        return _for_ever()

    def remove(self, task):
        for key, entry in list(self.waits.items()):
            for side in (0, 1):
                if entry[side] is task:
                    entry[side] = None
            if entry[0] is entry[1] is None:
                del self.waits[key]

    def look(self):
        # Lets those go on whose streams are ready. False: none.
        found = False
        for key, entry in list(self.waits.items()):
            reader, writer, stream = entry
            wanted = (select.POLLIN if reader else 0) | (select.POLLOUT if writer else 0)
            bits = select._state(stream, wanted)
            for side, mask in ((0, ~select.POLLOUT), (1, ~select.POLLIN)):
                if bits & mask and entry[side]:
                    _queue.push(entry[side])
                    entry[side], found = None, True
            if entry[0] is entry[1] is None:
                del self.waits[key]
        return found

    def only_sockets(self):
        return all(hasattr(e[2], "_some") for e in self.waits.values())


_queue, _sockets = TaskQueue(), _Sockets()
_stopper_task = None


def create_task(coro):
    if not hasattr(coro, "send"):
        raise TypeError("coroutine expected")
    task = Task(coro, globals())
    _queue.push(task)
    return task


def _task_of(aw):
    return aw if isinstance(aw, Task) else create_task(aw)


def current_task():
    if cur_task is None:
        raise RuntimeError("no running event loop")
    return cur_task


def _idle():
    # Waits for the next turn. False: nothing will ever happen.
    while True:
        _t.nudged = False
        if _flags.waits:
            _flags.look()
        first = _queue.peek()
        if first is None and not _sockets.waits and not _flags.waits:
            return False
        if _sockets.waits and _sockets.look():
            continue
        now = _t.now_ns()
        until = now + 3600000000000 if first is None else first.ph_key * 1000000
        if until <= now:
            return True
        if not _sockets.only_sockets():
            # Serial ports say nothing by themselves.
            until = min(until, now + 2000000)
        _t.on_net.clear()
        _t.wait(select.opening(until, (e[2] for e in _sockets.waits.values())), True, True)


def run_until_complete(main_task=None):
    global cur_task
    while _idle():
        task = cur_task = _queue.pop()
        if not task.state:
            # It ended by an error a turn ago. Has nobody asked for it since?
            if task.state is None:
                Loop.call_exception_handler(
                    {"message": "Task exception wasn't retrieved", "exception": task.data, "future": task}
                )
            continue
        try:
            thrown, task.data = task.data, None
            if thrown is None:
                task.coro.send(None)
            else:
                task.coro.throw(thrown)
            continue
        except (CancelledError, Exception) as e:
            end = e
        if task is main_task:
            cur_task = None
            task.state, task.data = False, end
            if isinstance(end, StopIteration):
                return end.value
            raise end
        _ended(task, end)
    cur_task = None


def _ended(task, end):
    waiting = False
    if task.state is True:
        task.state = None
    elif callable(task.state):
        call, task.state = task.state, False
        call(task, end)
        waiting = True
    elif task.state:
        while task.state.peek():
            _queue.push(task.state.pop())
            waiting = True
        task.state = False
    if not waiting and not isinstance(end, (CancelledError, StopIteration)):
        # It is told of if nobody asks until its next turn.
        _queue.push(task)
    task.data = end


def run(coro):
    return run_until_complete(create_task(coro))


async def _stops():
    pass


class Loop:
    _handler = None

    def create_task(coro):
        return create_task(coro)

    def run_forever():
        global _stopper_task
        _stopper_task = Task(_stops(), globals())
        run_until_complete(_stopper_task)

    def run_until_complete(aw):
        return run_until_complete(_task_of(aw))

    def stop():
        global _stopper_task
        if _stopper_task is not None:
            _queue.push(_stopper_task)
            _stopper_task = None

    def close():
        pass

    def set_exception_handler(handler):
        Loop._handler = handler

    def get_exception_handler():
        return Loop._handler

    def default_exception_handler(loop, context):
        print(context["message"], file=sys.stderr)
        print("future:", context["future"], "coro=", context["future"].coro, file=sys.stderr)
        sys.print_exception(context["exception"], sys.stderr)

    def call_exception_handler(context):
        (Loop._handler or Loop.default_exception_handler)(Loop, context)


def get_event_loop(runq_len=0, waitq_len=0):
    return Loop


def new_event_loop():
    global _queue, _sockets, cur_task
    _queue, _sockets, cur_task = TaskQueue(), _Sockets(), None
    return Loop


async def gather(*aws, return_exceptions=False):
    if not aws:
        return []
    open_ones, failed, gatherer = 0, None, cur_task

    def ended(task, end):
        nonlocal open_ones, failed
        if gatherer.data is not _GATHERED:
            # It is over, by an error or since it was cancelled.
            return
        open_ones -= 1
        if not return_exceptions and not isinstance(end, StopIteration):
            failed = end
        elif open_ones:
            return
        _queue.push(gatherer)

    tasks = [_task_of(aw) for aw in aws]
    for task in tasks:
        if task.state is True:
            task.state = ended
            open_ones += 1
        elif task.state:
            raise RuntimeError("can't gather")
        elif failed is None and not return_exceptions and not isinstance(task.data, StopIteration):
            failed = task.data
    cancelled = None
    if open_ones and failed is None:
        gatherer.data = _GATHERED
        try:
            await _for_ever()
        except CancelledError as e:
            cancelled = e
    results = []
    for task in tasks:
        if task.state is ended:
            # It goes on alone.
            task.state = True
            if cancelled:
                task.cancel()
            continue
        if not task.state:
            task.state = False
            end = task.data
            results.append(end.value if isinstance(end, StopIteration) else end)
    if cancelled or failed is not None:
        raise cancelled or failed
    return results


class _Came(CancelledError):
    # What ends the pause of a `wait_for` when what it waits for has come.
    pass


async def wait_for(aw, timeout, sleep=sleep):
    aw = _task_of(aw)
    if timeout is None:
        return await aw
    # None: it goes on; True: it has a result; else the error that it ended by.
    how, result = None, None

    async def watch(waiter):
        nonlocal how, result
        try:
            result = await aw
            ended = True
        except BaseException as e:
            ended = e
        if how is None:
            how = ended
            # Unless it is being cancelled from without, which goes first.
            if waiter.data is None and waiter.cancel():
                waiter.data = _Came

    watcher = create_task(watch(cur_task))
    try:
        await sleep(timeout)
    except CancelledError as e:
        if isinstance(e, _Came):
            if how is True:
                return result
            raise how
        # It was cancelled from without, maybe as what it waited for came.
        if how is None:
            how = e
            watcher.cancel()
        raise e
    how = False
    watcher.cancel()
    await watcher
    raise TimeoutError


def wait_for_ms(aw, timeout):
    return wait_for(aw, timeout, sleep_ms)


class Event:
    def __init__(self):
        self.state, self.waiting = False, TaskQueue()

    def is_set(self):
        return self.state

    def set(self):
        while self.waiting.peek():
            _queue.push(self.waiting.pop())
        self.state = True

    def clear(self):
        self.state = False

    async def wait(self):
        if not self.state:
            self.waiting.push(cur_task)
            cur_task.data = self.waiting
            await _for_ever()
        return True


class _Flags:
    # Who waits for which flag. They are looked at with the streams, once a turn.
    def __init__(self):
        self.waits = []

    def remove(self, task):
        self.waits = [w for w in self.waits if w[1] is not task]

    def look(self):
        for flag, task in self.waits:
            if flag.state:
                _queue.push(task)
        self.waits = [w for w in self.waits if not w[0].state]


class ThreadSafeFlag:
    # For interrupts: one task waits, and the flag falls when it goes on.
    def __init__(self):
        self.state = 0

    def set(self):
        self.state = 1
        _t.nudged = True

    def clear(self):
        self.state = 0

    async def wait(self):
        if not self.state:
            _flags.waits.append((self, cur_task))
            cur_task.data = _flags
            await _for_ever()
        self.state = 0


_flags = _Flags()


class Lock:
    # `state`: 0 free, 1 held, or the task that it was handed to and that has not had its turn yet.
    def __init__(self):
        self.state, self.waiting = 0, TaskQueue()

    def locked(self):
        return self.state == 1

    async def acquire(self):
        if self.state != 0:
            self.waiting.push(cur_task)
            cur_task.data = self.waiting
            try:
                await _for_ever()
            except CancelledError as e:
                if self.state is cur_task:
                    # It was handed over at the same time.
                    self.state = 1
                    self.release()
                raise e
        self.state = 1
        return True

    def release(self):
        if self.state != 1:
            raise RuntimeError("Lock not acquired")
        if self.waiting.peek():
            self.state = self.waiting.pop()
            _queue.push(self.state)
        else:
            self.state = 0

    async def __aenter__(self):
        return await self.acquire()

    async def __aexit__(self, *_):
        return self.release()


class Stream:
    # Both ends of a socket, or of a serial port.
    def __init__(self, s, e={}):
        self.s, self.e, self.out_buf = s, e, b""

    def get_extra_info(self, name):
        return self.e[name]

    def close(self):
        pass

    async def wait_closed(self):
        self.s.close()

    async def _some(self, read):
        while True:
            await _sockets.read(self.s)
            data = read()
            if data is not None:
                return data

    async def read(self, n=-1):
        if n >= 0:
            return await self._some(lambda: self.s.read(n))
        all = b""
        while True:
            data = await self._some(lambda: self.s.read(-1))
            if not data:
                return all
            all += data

    async def readinto(self, buf):
        return await self._some(lambda: self.s.readinto(buf))

    async def readexactly(self, n):
        all = b""
        while len(all) < n:
            data = await self._some(lambda: self.s.read(n - len(all)))
            if not data:
                raise EOFError
            all += data
        return all

    async def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            data = await self._some(self.s.readline)
            if not data:
                break
            line += data
        return line

    def write(self, buf):
        if isinstance(buf, str):
            buf = buf.encode()
        if not self.out_buf:
            # What there is room for goes at once, and the rest with `drain`.
            n = self.s.write(buf)
            if n == len(buf):
                return
            if n:
                buf = buf[n:]
        self.out_buf += buf

    async def drain(self):
        if not self.out_buf:
            return await sleep_ms(0)
        data, self.out_buf = self.out_buf, b""
        while data:
            await _sockets.write(self.s)
            data = data[self.s.write(data) or 0:]

    # Its names in programs of before version 1.13.

    async def awrite(self, buf, off=0, sz=-1):
        if off or sz != -1:
            buf = buf[off:len(buf) if sz == -1 else off + sz]
        self.write(buf)
        await self.drain()

    aclose, awritestr = wait_closed, awrite

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()
        await self.wait_closed()


StreamReader = StreamWriter = Stream


async def open_connection(host, port, ssl=None, server_hostname=None):
    import socket

    where = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
    s = socket.socket(*where[:3])
    s.setblocking(False)
    try:
        s.connect(where[-1])
    except OSError as e:
        if e.errno != 115:
            raise e
    await _sockets.write(s)
    if ssl:
        if ssl is True:
            import ssl as _ssl

            ssl = _ssl.SSLContext(_ssl.PROTOCOL_TLS_CLIENT)
        s = ssl.wrap_socket(s, server_hostname=server_hostname, do_handshake_on_connect=False)
        s.setblocking(False)
    stream = Stream(s)
    return stream, stream


class Server:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()
        await self.wait_closed()

    closed = False

    def close(self):
        self.closed = True
        self.task.cancel()

    async def wait_closed(self):
        try:
            await self.task
        except CancelledError as e:
            # It may be the one who waits that is cancelled.
            if not self.closed:
                raise e

    async def _serve(self, s, call):
        try:
            while True:
                await _sockets.read(s)
                try:
                    other, address = s.accept()
                except OSError:
                    continue
                other.setblocking(False)
                stream = Stream(other, {"peername": address})
                create_task(call(stream, stream))
        finally:
            s.close()


async def start_server(cb, host, port, backlog=5, ssl=None):
    import socket

    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(socket.getaddrinfo(host, port)[0][-1])
    s.listen(backlog)
    s.setblocking(False)
    server = Server()
    server.task = create_task(server._serve(s, cb))
    try:
        # It has to have begun, so that it lets go of its socket when it is cancelled.
        await sleep_ms(0)
    except CancelledError as e:
        server.task.cancel()
        raise e
    return server


# On a board it is a package of these.
core = event = funcs = lock = stream = sys.modules[__name__]
for _part in ("core", "event", "funcs", "lock", "stream"):
    sys.modules["asyncio." + _part] = core
