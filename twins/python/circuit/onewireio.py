"""CircuitPython's 1-Wire."""
from busio import OneWire  # noqa: F401
