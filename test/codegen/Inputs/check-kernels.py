# Checks what a report says of the kernels of a GPU: no spills, and registers that
# 384 threads have.
import json
import sys

report = json.load(open(sys.argv[1]))
for program in report["programs"]:
    kernel = program["kernel"]
    print(kernel)
    if kernel["spill_bytes"] != 0 or not 16 <= kernel["registers"] <= 168:
        sys.exit(f"{kernel['name']}: spills, or too many registers")
