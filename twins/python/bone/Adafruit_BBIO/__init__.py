"""Adafruit_BBIO on the virtual BeagleBone."""
__version__ = "1.2.0"
