"""Adafruit_BBIO's serial ports, which pyserial then opens."""


def setup(channel):
    if channel not in ("UART1", "UART2", "UART4", "UART5"):
        raise ValueError("Invalid UART channel: %s" % channel)


def cleanup():
    pass


setup_uart = setup
