"""Adafruit_BBIO's pulse widths."""
import _header as _h

from Adafruit_BBIO import _pins

VERSION = "1.2.0"
_running = {}


def _of(channel):
    pwm = _running.get(_pins.name_of(channel))
    if pwm is None:
        raise RuntimeError("You must start() the PWM channel first")
    return pwm


def start(channel, duty_cycle=0.0, frequency=2000.0, polarity=0):
    pwm = _running[_pins.name_of(channel)] = _h.Pwm(_pins.name_of(channel), frequency)
    pwm.inverted = bool(polarity)
    set_duty_cycle(channel, duty_cycle)
    pwm.set(on=True)


def set_duty_cycle(channel, duty_cycle):
    pwm = _of(channel)
    if not 0.0 <= duty_cycle <= 100.0:
        raise ValueError("duty_cycle must have a value from 0.0 to 100.0")
    pwm.set(duty=100.0 - duty_cycle if pwm.inverted else duty_cycle)


def set_frequency(channel, frequency):
    _of(channel).set(hz=frequency)


def stop(channel):
    _of(channel).set(on=False)
    del _running[_pins.name_of(channel)]


def cleanup():
    for pwm in _running.values():
        pwm.set(on=False)
    _running.clear()
