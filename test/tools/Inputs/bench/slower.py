"""Makes another record of RECORD: `slower.py RECORD OUT EDIT`, where EDIT is
  slower   our times, in the first measured cell, are twice as long
  drift    all times of all cells are twice as long
  failed   the first measured cell has failed
  inputs   the first measured cell had other inputs"""
import json
import sys

source, target, edit = sys.argv[1:]
with open(source) as file:
    record = json.load(file)
cells = [cell for cell in record["cells"] if cell["status"] == "ok"]


def double(way, keys):
    for key in keys:
        way[key] = [2 * v for v in way[key]] if isinstance(way[key], list) else 2 * way[key]


def steady(cell):
    """Times without spread, so that what is shown is the edit and not noise."""
    for way in (cell["dispatch"], cell["combine"]):
        way["quartiles_us"] = [way["median_us"]] * 2
    for baseline in cell["baseline"].values():
        for name in ("dispatch", "combine"):
            baseline[name + "_quartiles_us"] = [baseline[name + "_us"]] * 2


for cell in cells:
    steady(cell)
for cell in cells if edit == "drift" else cells[:1] if edit == "slower" else []:
    for way in (cell["dispatch"], cell["combine"]):
        double(way, ["median_us", "quartiles_us"])
    for baseline in cell["baseline"].values() if edit == "drift" else []:
        double(baseline, list(baseline))
if edit == "failed":
    cells[0].update(status="failed", reason="broken")
if edit == "inputs":
    cells[0]["routing_crc32"] = "00000000"
with open(target, "w") as file:
    json.dump(record, file)
