"""What watch.py does about losses: it asks for what is missing, and rebuilds it from parity; docs/PROTOCOL.md, section 8."""
from struct import pack, unpack_from
NACK, PARITY, XOR, PICTURE, KEPT, TRIES, PATIENCE = 0x21, 0x11, 2, 1, 4, 2, 30_000  # Times are in microseconds.
# Of a Join: role watch, scheme 2 is understood, datagrams of any size; WANT with REPAIR: it asks, and waits for the next picture.
JOIN = pack(">BBH", 0, XOR, 0) + pack(">HHHHBH", 20, 7, 40, 3, 1, 65_535)

class Unit:  # A picture: the name that its parts have in common, and what came.
    def __init__(self, name, parts):
        self.name, self.parts, self.objects, self.asked, self.symbols = name, parts, {}, {}, []

class Repair:
    def __init__(self):
        self.units = {}
    def came(self, whole):  # An object with its CRC.
        (kind, stream, rendition, cut), (unit, part, parts) = unpack_from(">xB2xQBB", whole), unpack_from(">IHH", whole, 16)
        newest = max(self.units, default=unit)
        if kind == PICTURE and parts and unit > newest - KEPT:
            known = self.units.setdefault(unit, Unit((stream, kind, rendition, cut), parts))
            known.objects[part] = whole
            self.units = {number: known for number, known in self.units.items() if number > max(newest, unit) - KEPT}
    def parity(self, data):  # Yields what can be rebuilt now; whoever takes it checks its CRC.
        scheme, kind, rendition, cut, stream, unit, first, k, _, _, stride, length = unpack_from(">4BQIH4BH", data)
        if (scheme, kind) == (XOR, PICTURE) and unit in self.units:
            self.units[unit].symbols.append((range(first, first + k * stride, stride), data[24:24 + length]))
            yield from self.rebuilt(unit)
    def rebuilt(self, unit):
        known = self.units.get(unit)
        for members, symbol in list(known.symbols) if known else []:
            missing = [part for part in members if part not in known.objects]
            if len(missing) == 1:
                total = int.from_bytes(symbol, "big")
                for part in set(members) - set(missing):
                    whole = known.objects[part]
                    total ^= int.from_bytes((pack(">H", len(whole)) + whole).ljust(len(symbol), b"\0"), "big")
                member = total.to_bytes(len(symbol), "big")
                known.symbols.remove((members, symbol))
                yield member[2:2 + int.from_bytes(member[:2], "big")]
    def asks(self, session, now):  # The Nack that is due, or nothing.
        names = []
        for unit, known in sorted(self.units.items()):
            # Parts are sent in their order: what lies before one that came was sent, and so was all of an older picture.
            sent = known.parts if unit < max(self.units) else max(known.objects, default=0)
            for part in (part for part in range(sent) if part not in known.objects):
                tries, at = known.asked.get(part, (0, -PATIENCE))
                if tries < TRIES and now - at >= PATIENCE and len(names) < 64:
                    known.asked[part] = tries + 1, now
                    names.append(pack(">QBBBxIHQ", *known.name, unit, part, 1))
        return pack(">QB", session, len(names)) + b"".join(names) if names else b""
