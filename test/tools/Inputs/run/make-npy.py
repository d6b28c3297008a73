"""Writes the .npy files of run-routing.test into the current folder: good ones
of every dtype, and one of each kind that fusco-run has to refuse. Experts are
0 to 5, top-3."""
import numpy as np

rng = np.random.default_rng(1)
ids = rng.integers(0, 6, (3, 10, 3))

for dtype in ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]:
    np.save(f"layers-{dtype}.npy", ids.astype(dtype))
np.save("rows.npy", ids[1].astype("i4"))
for dtype in ["f2", "f4", "f8"]:
    np.save(f"weights-{dtype}.npy", rng.random(ids.shape).astype(dtype))
unrouted = ids.astype("i2")
unrouted[:, ::2, 1] = -1
np.save("unrouted.npy", unrouted)
np.save("empty.npy", np.zeros((0, 3), "i4"))

np.save("big-endian.npy", ids.astype(">i4"))
np.save("fortran.npy", np.asfortranarray(ids.astype("i4")))
np.save("floats.npy", ids.astype("f4"))
np.save("complex.npy", ids.astype("c8"))
np.save("objects.npy", ids.astype(object))
np.save("one-dimension.npy", ids[0, 0])
np.save("top2.npy", ids[:, :, :2].astype("i4"))
np.save("weights-shape.npy", rng.random((3, 9, 3)).astype("f4"))
beyond = ids.astype("u8")
beyond[2, 4, 1] = 2**64 - 1
np.save("beyond.npy", beyond)
below = ids.astype("i4")
below[0, 0, 2] = -2
np.save("below.npy", below)

whole = open("layers-i4.npy", "rb").read()


def write(name, data):
    with open(name, "wb") as file:
        file.write(data)


def with_header(header, values=b""):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + values


write("nothing.npy", b"")
write("text.npy", b"0 1 2\n3 4 5\n")
write("cut-header.npy", whole[:60])
write("cut-values.npy", whole[:-5])
write("too-long.npy", whole + b"xx")
write("version3.npy", whole[:6] + b"\x03\x00" + whole[8:])
dict_text = "{'descr': '<i4', 'fortran_order': False, 'shape': (%s), }"
write("overflow.npy", with_header(dict_text % "4294967296, 4294967296, 3" + "\n"))
write("no-shape.npy", with_header("{}\n"))
write("long-header.npy", with_header(" " * 60000 + "\n"))
# The length's low byte is above 127: readers with signed chars fail.
write("header246.npy",
      with_header((dict_text % "2, 3").ljust(245) + "\n", bytes(24)))
