"""What drivers that run on both use of MicroPython."""


def const(x):
    return x


def native(f):
    return f


viper = asm_thumb = native


def opt_level(*_):
    return 0


def alloc_emergency_exception_buf(size):
    pass


kbd_intr = heap_lock = heap_unlock = mem_info = qstr_info = opt_level


def schedule(f, x):
    f(x)
