"""The header's pins by the names that Adafruit_BBIO knows: position, kernel's name, function."""
import _twinfleet as _k

KERNEL = {
    "GPIO2_2": "P8_7", "GPIO2_3": "P8_8", "GPIO2_5": "P8_9", "GPIO2_4": "P8_10", "GPIO1_13": "P8_11", "GPIO1_12": "P8_12",
    "GPIO0_23": "P8_13", "GPIO0_26": "P8_14", "GPIO1_15": "P8_15", "GPIO1_14": "P8_16", "GPIO0_27": "P8_17",
    "GPIO2_1": "P8_18", "GPIO0_22": "P8_19", "GPIO1_29": "P8_26", "GPIO0_30": "P9_11", "GPIO1_28": "P9_12",
    "GPIO0_31": "P9_13", "GPIO1_18": "P9_14", "GPIO1_16": "P9_15", "GPIO1_19": "P9_16", "GPIO0_5": "P9_17",
    "GPIO0_4": "P9_18", "GPIO0_13": "P9_19", "GPIO0_12": "P9_20", "GPIO0_3": "P9_21", "GPIO0_2": "P9_22",
    "GPIO1_17": "P9_23", "GPIO0_15": "P9_24", "GPIO0_14": "P9_26", "GPIO3_19": "P9_27", "GPIO3_16": "P9_30",
    "GPIO0_20": "P9_41", "GPIO0_7": "P9_42",
    "AIN0": "P9_39", "AIN1": "P9_40", "AIN2": "P9_37", "AIN3": "P9_38", "AIN4": "P9_33", "AIN5": "P9_36", "AIN6": "P9_35",
    "EHRPWM1A": "P9_14", "EHRPWM1B": "P9_16", "EHRPWM2A": "P8_19", "EHRPWM2B": "P8_13", "ECAPPWM0": "P9_42",
    "UART1_TXD": "P9_24", "UART1_RXD": "P9_26",
}
_there = set(_k.ask_ok("board")[1:])


def name_of(channel):
    """The board's name of a pin."""
    if not isinstance(channel, str):
        raise TypeError("Channel must be a string, such as \"P8_10\"")
    name = KERNEL.get(channel, channel)
    for known in (name, name.replace("_0", "_")):
        if known in _there:
            return known
    raise ValueError("The channel sent is invalid on a BeagleBone: %s" % channel)
