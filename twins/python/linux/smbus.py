"""The SMBus of a Raspberry Pi by its older name."""
from smbus2 import I2cFunc, SMBus, i2c_msg
