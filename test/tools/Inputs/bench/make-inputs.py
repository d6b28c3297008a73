"""Routing and a table of shapes for fusco-bench: `small` has the experts and
top-k of both files, `wrong` cannot be, `huge` has no memory."""
import json

import numpy

random = numpy.random.default_rng(1)


def save(name, shape):
    ids = random.permuted(numpy.tile(numpy.arange(4, dtype="u1"), (*shape, 1)), axis=-1)[..., :2]
    numpy.save(f"routing/{name}.ids.npy", ids)
    return ids.shape


numpy.save("routing/a.weights.npy", random.random(save("a", (3, 16))).astype("f2"))
save("b", (16,))
shapes = [
    {"name": "small", "hidden": 16, "experts": 4, "topk": 2},
    {"name": "wrong", "hidden": 16, "experts": 4, "topk": 5},
    {"name": "huge", "hidden": 1 << 40, "experts": 4, "topk": 1},
]
with open("shapes.json", "w") as file:
    json.dump({"shapes": shapes}, file)
