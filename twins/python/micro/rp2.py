# What the RP2 port has of its own: the radio's country. Its state machines and its flash are not simulated, and say so.
import _twinfleet as _t

if _t.port != "rp2":
    raise ImportError("no module named 'rp2'")

from network import country


def bootsel_button():
    # Nobody holds it down.
    return 0


class _Absent:
    def __init__(self, *_, **__):
        raise OSError(19, "rp2.%s is not simulated" % type(self).__name__)


class PIO(_Absent):
    IN_LOW, IN_HIGH, OUT_LOW, OUT_HIGH = 0, 1, 2, 3
    SHIFT_LEFT, SHIFT_RIGHT = 0, 1
    JOIN_NONE, JOIN_TX, JOIN_RX = 0, 1, 2
    IRQ_SM0, IRQ_SM1, IRQ_SM2, IRQ_SM3 = 256, 512, 1024, 2048


class StateMachine(_Absent):
    pass


class DMA(_Absent):
    pass


class Flash(_Absent):
    pass


class PIOASMError(Exception):
    pass


def asm_pio(**_):
    # A program for a state machine: it may be written, and none runs it.
    return lambda program: program
