def osdebug(*_):
    pass


def flash_size():
    return 4194304


def sleep_type(*_):
    pass
