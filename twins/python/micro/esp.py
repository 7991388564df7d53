def osdebug(*_):
    pass


def flash_size():
    return 4194304


def flash_id():
    return 0x1640EF


def flash_user_start():
    return 0x200000


def sleep_type(*_):
    pass
