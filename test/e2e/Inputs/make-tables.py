# Tables for 10 experts and 16 physical ones, good and bad, and routing that has hot
# experts.
import numpy as np

rng = np.random.default_rng(7)
tables = [np.concatenate([np.arange(10), rng.integers(0, 10, 6)]) for _ in range(2)]
for table in tables:
    rng.shuffle(table)
np.save("a.npy", np.array([np.arange(16) % 10, tables[0]], "i4"))
np.save("b.npy", tables[1].astype("i8"))
np.save("c.npy", np.array([0] * 7 + list(range(1, 10)), "u1"))  # one expert everywhere
np.save("short.npy", np.arange(15) % 10)
np.save("lacks.npy", np.arange(16) % 9)
large = np.arange(16) % 10
large[3] = 10
np.save("large.npy", large)
heat = rng.random((2, 200, 10))
heat[:, :, 3] += 2
ids = np.argsort(-heat, axis=-1)[:, :, :4]
ids[rng.random(ids.shape) < 0.1] = -1
np.save("ids.npy", ids)
