#!/usr/bin/env python3
"""Writes the low-poly meshes of the desktop as glTF binaries: `python3 assets/meshes/make.py`.

Each file has two meshes: `full` for close by and `far` for far away. Vertices carry their colours, so that one material
serves all and thousands of boards are drawn in one go. Axes as glTF has them: y up, a board lies in x and z, [m]; the board's
own size is real, its parts stand where they stand on the real one. Needs nothing beyond Python's own library.
"""

import json
import math
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
MM = 0.001

GREEN, BLACK, BLUE, TEAL = "#1f7a46", "#23262b", "#1d5fa8", "#0d8a92"
CHIP, METAL, GOLD, WHITE = "#17191c", "#b9c0c7", "#d9b04a", "#eef0f2"
CARD, TAPE, RED, ORANGE = "#b98a55", "#d8c39a", "#b5402f", "#e0812b"


def rgb(text):
    """sRGB text to the linear floats that glTF wants."""
    channel = lambda c: c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
    return tuple(channel(int(text[i : i + 2], 16) / 255) for i in (1, 3, 5))


class Mesh:
    """Triangles with flat normals and one colour a shape. Lengths in millimetres."""

    def __init__(self):
        self.vertices, self.indices = [], []

    def face(self, points, color):
        a, b, c = points[0], points[1], points[2]
        u = [b[i] - a[i] for i in range(3)]
        v = [c[i] - a[i] for i in range(3)]
        n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]]
        size = math.sqrt(sum(x * x for x in n)) or 1.0
        n = [x / size for x in n]
        first = len(self.vertices)
        self.vertices += [(p, n, rgb(color)) for p in points]
        for i in range(1, len(points) - 1):
            self.indices += [first, first + i, first + i + 1]

    def box(self, center, size, color, top=None):
        """A cuboid that stands on `center` (x, y of its bottom, z)."""
        (cx, cy, cz), (sx, sy, sz) = center, size
        x0, x1, y0, y1, z0, z1 = cx - sx / 2, cx + sx / 2, cy, cy + sy, cz - sz / 2, cz + sz / 2
        self.face([(x0, y1, z0), (x0, y1, z1), (x1, y1, z1), (x1, y1, z0)], top or color)
        self.face([(x0, y0, z1), (x0, y0, z0), (x1, y0, z0), (x1, y0, z1)], color)
        self.face([(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)], color)
        self.face([(x1, y0, z0), (x0, y0, z0), (x0, y1, z0), (x1, y1, z0)], color)
        self.face([(x1, y0, z1), (x1, y0, z0), (x1, y1, z0), (x1, y1, z1)], color)
        self.face([(x0, y0, z0), (x0, y0, z1), (x0, y1, z1), (x0, y1, z0)], color)

    def tube(self, center, radius, height, color, sides=12, top=None, to=None):
        """A cylinder, or a cone frustum up to radius `to`."""
        cx, cy, cz = center
        to = radius if to is None else to
        ring = lambda r, y: [
            (cx + r * math.sin(2 * math.pi * i / sides), y, cz + r * math.cos(2 * math.pi * i / sides))
            for i in range(sides)
        ]
        low, high = ring(radius, cy), ring(to, cy + height)
        for i in range(sides):
            j = (i + 1) % sides
            self.face([low[i], low[j], high[j], high[i]], color)
        self.face(high, top or color)
        self.face(low[::-1], color)

    def pins(self, start, count, step, rows=1, gap=2.54, height=8.5):
        """A header: its black strip and golden pins."""
        (x, y, z), (dx, dz) = start, step
        length = count * 2.54
        wide = rows * gap
        along = dx != 0
        mid = (x + dx * (count - 1) / 2, y, z + dz * (count - 1) / 2)
        self.box(mid, (length, 2.5, wide) if along else (wide, 2.5, length), CHIP)
        for row in range(rows):
            off = (row - (rows - 1) / 2) * gap
            for i in range(count):
                at = (x + dx * i + (0 if along else off), y + 2.5, z + dz * i + (off if along else 0))
                self.box(at, (0.7, height - 2.5, 0.7), GOLD)


def pi(m):
    m.box((0, 0, 0), (85, 1.6, 56), GREEN)
    for x in (-39, 19):
        for z in (-24.5, 24.5):
            m.tube((x, 1.6, z), 3, 0.2, GOLD, 10)
    m.pins((-35.5 + 0, 1.6, -24.5), 20, (2.54, 0), rows=2)
    m.box((-12, 1.6, -3), (14, 1.4, 14), CHIP)
    m.box((8, 1.6, -8), (12, 1.2, 12), CHIP)
    m.box((34, 1.6, -18), (17, 15.5, 13.2), METAL)
    m.box((34, 1.6, 0), (17, 15.5, 13.2), METAL)
    m.box((32, 1.6, 19), (21, 13.5, 16), METAL)
    m.box((-32, 1.6, 26), (8, 2.8, 5.6), METAL)
    m.box((-10, 1.6, 24), (15, 6, 11.5), METAL)
    m.tube((10, 1.6, 23), 3.4, 6, CHIP, 10)
    m.box((-41, 1.6, 0), (3, 5.5, 22), WHITE)


def esp32(m):
    m.box((0, 0, 0), (55, 1.6, 28), BLACK)
    m.box((14, 1.6, 0), (25.5, 0.8, 18), "#30343a")
    m.box((10.5, 2.4, 0), (17.5, 2.4, 16), METAL)
    for i in range(5):
        m.box((21.2, 2.4, -6.5 + 3.2 * i), (5.5, 0.25, 0.8), GOLD)
    m.box((-25, 1.6, 0), (6, 2.8, 8), METAL)
    m.box((-11, 1.6, -5), (6, 1.2, 6), CHIP)
    m.box((-17, 1.6, 9), (5, 2.4, 3.6), METAL, top=CHIP)
    m.box((-17, 1.6, -9.5), (5, 2.4, 3.6), METAL, top=CHIP)
    m.box((-7, 1.6, 6), (2.4, 1, 1.4), RED)
    for z in (-12.5, 12.5):
        m.pins((-23.5, 1.6, z), 19, (2.54, 0))


def arduino(m):
    m.box((0, 0, 0), (68.6, 1.6, 53.4), TEAL)
    m.box((-30, 1.6, -12), (16, 11, 12), METAL)
    m.box((-29, 1.6, 17), (14, 11, 9), CHIP)
    m.box((10, 1.6, 10), (35, 4, 8), CHIP)
    m.box((-10, 1.6, -8), (7, 1.2, 7), CHIP)
    m.tube((-16, 1.6, 12), 3.4, 6, METAL, 10)
    m.tube((-16, 1.6, 4), 3.4, 6, METAL, 10)
    m.box((-22, 1.6, -22), (5, 3, 5), METAL, top=RED)
    for x, n in ((-8.5, 10), (19, 8)):
        m.box((x + n * 1.27 - 1.27, 1.6, -24), (n * 2.54, 8.5, 2.6), CHIP)
    for x, n in ((-2, 8), (20.5, 6)):
        m.box((x + n * 1.27 - 1.27, 1.6, 24), (n * 2.54, 8.5, 2.6), CHIP)


def beaglebone(m):
    m.box((0, 0, 0), (86.4, 1.6, 54.6), BLACK)
    m.box((6, 1.6, 2), (15, 1.4, 15), CHIP)
    m.box((22, 1.6, 6), (9, 1.2, 14), CHIP)
    m.box((-34, 1.6, 2), (21, 13.5, 16), METAL)
    m.box((-36, 1.6, -17), (14, 11, 9), CHIP)
    m.box((37, 1.6, -10), (14, 7, 14.5), METAL)
    m.box((38, 1.6, 12), (11, 3, 14), METAL)
    for z in (-24, 24):
        m.box((4, 1.6, z), (58.4, 8.5, 5), CHIP)
    for i in range(4):
        m.box((-20 + 3 * i, 1.6, 16), (1.6, 0.8, 1), "#3b82d6")


def pico(m):
    m.box((0, 0, 0), (51, 1.2, 21), GREEN)
    m.box((2, 1.2, 0), (7, 1, 7), CHIP)
    m.box((18, 1.2, 0), (10, 2, 10), METAL)
    m.box((-24, 1.2, 0), (5.6, 2.6, 7.5), METAL)
    m.box((-14, 1.2, 3), (4, 2, 4), WHITE)
    for z in (-9.2, 9.2):
        m.pins((-23.5, 1.2, z), 20, (2.54, 0), height=6)


def module(m):
    m.box((0, 0, 0), (40, 1.6, 26), BLUE)
    m.box((0, 1.6, 0), (12, 1.4, 12), CHIP)
    m.box((-17, 1.6, 0), (6, 2.8, 8), METAL)
    m.pins((-12.7, 1.6, 10.5), 11, (2.54, 0), height=7)
    m.box((14, 1.6, -6), (5, 1, 8), METAL)


def sensor(m):
    m.box((0, 0, 0), (15, 1.4, 12), BLUE)
    m.box((1, 1.4, -1), (4, 1.4, 4), METAL)
    m.tube((-5, 1.4, -4), 1, 0.3, GOLD, 8)
    m.pins((-3.8, 1.4, 4.6), 4, (2.54, 0), height=6)


def probe(m):
    m.tube((0, 0, 0), 3, 26, METAL, 10, to=3)
    m.tube((0, 26, 0), 3.4, 8, CHIP, 10, to=2)
    m.tube((0, 34, 0), 1.4, 8, CHIP, 8)


def soil(m):
    m.box((0, 0, 0), (14, 20, 1.6), BLACK)
    m.box((0, 20, 0), (20, 26, 1.6), "#2c3036")
    m.box((0, 34, 1.4), (10, 6, 2), WHITE)


def light(m):
    m.box((0, 0, 0), (15, 1.4, 15), BLUE)
    m.tube((0, 1.4, 0), 4.5, 2.4, WHITE, 14, to=3.2)


def ranger(m):
    m.box((0, 0, 0), (45, 20, 1.6), BLUE)
    for x in (-13, 13):
        for k in range(8):
            a0, a1 = 2 * math.pi * k / 8, 2 * math.pi * (k + 1) / 8
            r = 8
            p = lambda a, z: (x + r * math.cos(a), 10 + r * math.sin(a), z)
            m.face([p(a0, 0.8), p(a1, 0.8), p(a1, 12), p(a0, 12)], METAL)
        m.face([(x + 8 * math.cos(2 * math.pi * k / 8), 10 + 8 * math.sin(2 * math.pi * k / 8), 12) for k in range(8)], CHIP)


def heater(m):
    m.box((0, 0, 0), (70, 6, 24), CHIP)
    for i in range(7):
        m.box((-30 + 10 * i, 6, 0), (5, 38, 20), WHITE)
    m.box((0, 44, 0), (70, 4, 22), METAL)
    m.box((36, 8, 0), (3, 14, 10), ORANGE)


def fan(m):
    s = 40
    m.box((0, 0, -s / 2 + 2), (s, 10, 4), CHIP)
    m.box((0, 0, s / 2 - 2), (s, 10, 4), CHIP)
    m.box((-s / 2 + 2, 0, 0), (4, 10, s - 8), CHIP)
    m.box((s / 2 - 2, 0, 0), (4, 10, s - 8), CHIP)
    m.tube((0, 1, 0), 7, 8, "#3a3f46", 14)
    for i in range(7):
        a = 2 * math.pi * i / 7
        b = a + 0.55
        p = lambda r, t, y: (r * math.cos(t), y, r * math.sin(t))
        m.face([p(7, a, 3), p(7, b, 7), p(16, b, 7), p(16, a, 3)], "#6c7681")
        m.face([p(16, a, 3), p(16, b, 7), p(7, b, 7), p(7, a, 3)], "#6c7681")


def vent(m):
    m.box((0, 0, -20), (80, 5, 5), METAL)
    m.box((0, 0, 20), (80, 5, 5), METAL)
    m.box((-37.5, 0, 0), (5, 5, 35), METAL)
    m.box((37.5, 0, 0), (5, 5, 35), METAL)
    for i in range(4):
        z = -13 + 8.6 * i
        m.face([(-35, 2, z - 3), (-35, 8, z + 3), (35, 8, z + 3), (35, 2, z - 3)], WHITE)
        m.face([(35, 2, z - 3), (35, 8, z + 3), (-35, 8, z + 3), (-35, 2, z - 3)], WHITE)


def valve(m):
    m.tube((0, 0, 0), 9, 14, METAL, 12)
    m.box((0, 14, 0), (22, 16, 18), BLUE)
    m.box((-18, 4, 0), (18, 7, 7), METAL)
    m.box((18, 4, 0), (18, 7, 7), METAL)


def lamp(m):
    m.tube((0, 0, 0), 12, 5, METAL, 14)
    m.tube((0, 5, 0), 9, 12, "#f3d36b", 14, to=5)


def relay(m):
    m.box((0, 0, 0), (43, 1.6, 17), BLUE)
    m.box((4, 1.6, 0), (19, 15, 15), "#2f6fd0")
    m.box((-16, 1.6, 0), (9, 10, 15), TEAL)


def parcel(m):
    m.box((0, 0, 0), (300, 200, 200), CARD)
    m.box((0, 0.4, 0), (301, 200.4, 40), TAPE)


def broker(m):
    m.box((0, 0, 0), (120, 8, 120), "#3a4049")
    for i in range(4):
        m.box((0, 10 + 34 * i, 0), (104, 30, 104), "#2a2f37")
        m.box((0, 20 + 34 * i, 52.2), (80, 10, 1), "#15181c")
        for k in range(3):
            m.box((-30 + 12 * k, 23 + 34 * i, 53), (5, 4, 1), "#46c28e")
    m.box((0, 146, 0), (110, 6, 110), "#3a4049")
    m.tube((40, 152, 40), 2, 60, METAL, 8)
    m.tube((-40, 152, 40), 2, 60, METAL, 8)


def case(m):
    m.box((0, 0, 0), (60, 34, 44), WHITE)
    m.box((0, 34, 0), (56, 2, 40), "#d7dce1")
    m.box((0, 10, 22.4), (30, 14, 1), "#20242a")


SHAPES = {
    f.__name__: f
    for f in (
        pi, esp32, arduino, beaglebone, pico, module, sensor, probe, soil, light, ranger, heater, fan, vent, valve, lamp, relay,
        parcel, broker, case,
    )
}
# What a board is from afar: its colour and size, and its one tall part.
FAR = {
    "pi": (GREEN, (85, 1.6, 56), ((34, 1.6, 0), (17, 14, 46), METAL)),
    "esp32": (BLACK, (55, 1.6, 28), ((11, 1.6, 0), (18, 3.2, 16), METAL)),
    "arduino": (TEAL, (68.6, 1.6, 53.4), ((-30, 1.6, -10), (16, 11, 12), METAL)),
    "beaglebone": (BLACK, (86.4, 1.6, 54.6), ((-34, 1.6, 2), (21, 13, 16), METAL)),
    "pico": (GREEN, (51, 1.2, 21), ((18, 1.2, 0), (10, 2, 10), METAL)),
    "module": (BLUE, (40, 1.6, 26), ((0, 1.6, 0), (12, 1.4, 12), CHIP)),
}


def far(name):
    m = Mesh()
    color, size, (at, tall, tall_color) = FAR[name]
    m.box((0, 0, 0), size, color)
    m.box(at, tall, tall_color)
    return m


def write(name, meshes):
    blob, views, accessors, out = bytearray(), [], [], []

    def add(data, target, **accessor):
        while len(blob) % 4:
            blob.append(0)
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": len(data), "target": target})
        blob.extend(data)
        accessors.append({"bufferView": len(views) - 1, **accessor})
        return len(accessors) - 1

    for title, m in meshes:
        points = [tuple(round(c * MM, 6) for c in p) for p, _, _ in m.vertices]
        n = len(points)
        floats = lambda rows: b"".join(struct.pack("<3f", *row) for row in rows)
        low, high = ([f(p[i] for p in points) for i in range(3)] for f in (min, max))
        position = add(floats(points), 34962, componentType=5126, count=n, type="VEC3", min=low, max=high)
        normal = add(floats([v[1] for v in m.vertices]), 34962, componentType=5126, count=n, type="VEC3")
        color = add(floats([v[2] for v in m.vertices]), 34962, componentType=5126, count=n, type="VEC3")
        index = add(
            struct.pack(f"<{len(m.indices)}H", *m.indices), 34963, componentType=5123, count=len(m.indices), type="SCALAR"
        )
        attributes = {"POSITION": position, "NORMAL": normal, "COLOR_0": color}
        out.append({"name": title, "primitives": [{"attributes": attributes, "indices": index, "material": 0}]})
    while len(blob) % 4:
        blob.append(0)
    document = {
        "asset": {"version": "2.0", "generator": "assets/meshes/make.py", "copyright": "Twinfleet, MIT OR Apache-2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": name}],
        "meshes": out,
        "materials": [{"name": "board", "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.7}}],
        "buffers": [{"byteLength": len(blob)}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(blob), 0x004E4942) + bytes(blob)
    (HERE / f"{name}.glb").write_bytes(struct.pack("<III", 0x46546C67, 2, 12 + len(body)) + body)


for name, draw in SHAPES.items():
    full = Mesh()
    draw(full)
    meshes = [("full", full)]
    if name in FAR:
        meshes.append(("far", far(name)))
    write(name, meshes)
    print(f"{name}.glb: {len(full.indices) // 3} triangles")
