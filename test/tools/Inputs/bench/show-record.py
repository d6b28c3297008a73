"""What of a record must be there, with times left out."""
import hashlib
import json
import sys

with open(sys.argv[1]) as file:
    record = json.load(file)


def present(part, names):
    return " ".join(name for name in names if record[part].get(name))


print(present("machine", ["cpu", "cores", "memory_bytes", "kernel"]))
print(present("tools", ["fusco", "compiler", "llvm", "fusco-compile_sha256"]))
sessions = [s for s in record["sessions"] if s["command"] and s["started"] and s["ended"]]
print(f"sessions {len(sessions)}, each with a command, a start and an end")
for cell in record["cells"]:
    text = f"{cell['id']}: {cell['status']}"
    if cell["status"] == "ok":
        name = cell["routing"]["file"]
        with open(f"routing/{name}.ids.npy", "rb") as file:
            same = hashlib.sha256(file.read()).hexdigest() == cell["routing"]["sha256"]
        times = sum(
            len([cell[d]["median_us"], *cell[d]["quartiles_us"]]) for d in ("dispatch", "combine")
        )
        text += f": check {cell['check']['passed']}, sha256 of routing {name if same else '?'}, "
        text += f"{times} times with quartiles, ratio {' '.join(cell['ratio'])}"
    print(text)
