"""Pins of a single-board computer's header, as RPi.GPIO and Adafruit_BBIO treat them: set up first, then read, written and
watched. A pin is known by its name on the board."""
import _twinfleet as _k


class Header:
    """`rising`, `falling`, `both`, `in_`, `out` and `pulls` are the module's own numbers for these."""

    def __init__(self, name_of, channel_of, rising, falling, in_, out, pulls):
        self.name_of, self.channel_of = name_of, channel_of
        self.rising, self.falling, self.in_, self.out, self.pulls = rising, falling, in_, out, pulls
        self.pins = {}  # name: [direction, pull]
        self.levels = {}
        self.edges = {}  # name: [edge, callbacks, bouncetime_ms, happened, last_ns]
        self.place = object()
        _k.threads.pollers.append(self.news)

    def setup(self, channel, direction, pull_up_down, initial):
        if direction not in (self.in_, self.out):
            raise ValueError("An invalid direction was passed to setup()")
        for c in _list(channel):
            pin = self.name_of(c)
            driven = self.function(c) == self.out
            self.pins[pin] = [direction, self.pulls[pull_up_down]]
            if direction == self.in_:
                _k.ask_ok("free" if driven else "in", pin, self.pulls[pull_up_down])
            elif initial not in (None, -1):
                self.drive(pin, initial)

    def drive(self, pin, value):
        self.levels[pin] = 1 if value else 0
        _k.drive(pin, self.levels[pin])

    def known(self, channel, direction=None):
        pin = self.name_of(channel)
        if pin not in self.pins:
            raise RuntimeError("You must setup() the GPIO channel first")
        if direction is not None and self.pins[pin][0] != direction:
            raise RuntimeError("The GPIO channel has not been set up as an OUTPUT")
        return pin

    def output(self, channel, value):
        values = _list(value)
        for i, c in enumerate(_list(channel)):
            self.drive(self.known(c, self.out), values[i % len(values)])

    def input(self, channel):
        pin = self.known(channel)
        direction, pull = self.pins[pin]
        if direction == self.out:
            return self.levels.get(pin, 0)
        return _k.level(pin, pull)

    def function(self, channel):
        pin = self.name_of(channel)
        return self.pins[pin][0] if pin in self.pins else self.in_

    def cleanup(self, channel=None):
        for pin in [self.name_of(c) for c in _list(channel)] if channel is not None else list(self.pins):
            if pin in self.edges:
                del self.edges[pin]
                _k.ask_ok("unwatch", pin)
            remove = self.pins.pop(pin, None)
            if remove and remove[0] == self.out:
                _k.drive(pin, 0)

    def add_event_detect(self, channel, edge, callback=None, bouncetime=0):
        pin = self.known(channel)
        if pin in self.edges:
            raise RuntimeError("Conflicting edge detection already enabled for this GPIO channel")
        self.edges[pin] = [edge, [callback] if callback else [], max(0, bouncetime or 0), False, -(1 << 62)]
        _k.ask_ok("watch", pin, self.pins[pin][1])

    def remove_event_detect(self, channel):
        pin = self.name_of(channel)
        self.edges.pop(pin, None)
        _k.ask_ok("unwatch", pin)

    def add_event_callback(self, channel, callback, bouncetime=0):
        self.edges[self.name_of(channel)][1].append(callback)

    def event_detected(self, channel):
        edge = self.edges.get(self.name_of(channel))
        if edge is None:
            return False
        happened, edge[3] = edge[3], False
        return happened

    def wait_for_edge(self, channel, edge, bouncetime=0, timeout=-1):
        mine = self.name_of(channel) not in self.edges
        if mine:
            self.add_event_detect(channel, edge, None, bouncetime)
        until = None if timeout is None or timeout < 0 else _k.now_ns() + int(timeout * 1e6)
        happened = False
        while not happened:
            happened = self.event_detected(channel)
            if happened or (until is not None and _k.now_ns() >= until):
                break
            _k.threads.wait(until, self.place)
        if mine:
            self.remove_event_detect(channel)
        return channel if happened else None

    def news(self, what):
        if not what.startswith("edge:"):
            return
        pin, level = what.split(":")[1:3]
        edge = self.edges.get(pin)
        if edge is None or (edge[0] == self.rising and level == "0") or (edge[0] == self.falling and level == "1"):
            return
        if _k.now_ns() - edge[4] < edge[2] * 1_000_000:
            return
        edge[3], edge[4] = True, _k.now_ns()
        _k.threads.wake(self.place, 1 << 30)
        if edge[1]:

            def call(callbacks=list(edge[1]), channel=self.channel_of(pin)):
                for callback in callbacks:
                    callback(channel)

            _k.locks.start_new_thread(call, ())


def _list(of):
    return list(of) if isinstance(of, (list, tuple)) else [of]


class Pwm:
    """A pulse width on a pin; `duty` in percent."""

    def __init__(self, pin, hz, duty=0.0, on=False):
        self.pin, self.hz, self.duty, self.on = pin, hz, duty, on

    def set(self, hz=None, duty=None, on=None):
        if duty is not None and not 0.0 <= duty <= 100.0:
            raise ValueError("dutycycle must have a value from 0.0 to 100.0")
        if hz is not None and hz <= 0:
            raise ValueError("frequency must be greater than 0.0")
        self.hz = self.hz if hz is None else hz
        self.duty = self.duty if duty is None else duty
        self.on = self.on if on is None else on
        _k.ask_ok("pwm", self.pin, self.hz, self.duty / 100 if self.on else 0)
