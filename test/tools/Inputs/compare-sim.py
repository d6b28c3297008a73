"""Usage: compare-sim.py SIM.json PLAN RUN.json
What fusco-sim counts of PLAN, and what the plans of a run counted: bytes on links
and imbalance, which both must agree on."""
import json
import sys

sim, plan, run = sys.argv[1:]
modelled = json.load(open(sim))["plans"][plan]
counted = json.load(open(run))["plan"]
wrong = []
for name in ("bytes_scale_out", "bytes_scale_up"):
    if modelled[name] != counted[name]:
        wrong.append((name, modelled[name], counted[name]))
for name in ("forwarder_tx", "forwarder_rx", "rank_rows", "node_rows"):
    a, b = modelled["imbalance"][name], counted["imbalance"][name]
    if abs(a - b) > 1e-9:
        wrong.append((name, a, b))
print(*wrong, sep="\n")
sys.exit(1 if wrong else 0)
