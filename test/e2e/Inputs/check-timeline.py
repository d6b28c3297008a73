"""Checks the trace that `fusco-run --timeline` wrote: its format, that spans nest,
and that each call of each rank has the steps and stages that it is to have.

usage: check-timeline.py TRACE.json NODES RANKS_PER_NODE CALLS PROGRAM=STEPS[:STAGES] ...
STEPS and STAGES are names with commas between them, steps in the order of time.
Options: --blocks: the workers are blocks of a GPU; --drops: events are missing."""

import json
import sys

options = [argument for argument in sys.argv[1:] if argument.startswith("--")]
path, nodes, ranksPerNode, numCalls, *programs = [
    argument for argument in sys.argv[1:] if not argument.startswith("--")
]
numRanks = int(nodes) * int(ranksPerNode)
hasBlocks, hasDrops = "--blocks" in options, "--drops" in options


def parsePrograms():
    expected = {}
    for text in programs:
        name, rest = text.split("=")
        steps, _, stages = rest.partition(":")
        expected[name] = (steps.split(","), set(stages.split(",")) - {""})
    return expected


expected = parsePrograms()
with open(path) as file:
    trace = json.load(file)


def check(condition, text):
    if not condition:
        sys.exit(f"{path}: {text}")


# The format.
dropped = trace["otherData"]["dropped_events"]
check(len(dropped) == numRanks, f"dropped_events is {dropped}")
check((sum(dropped) > 0) == hasDrops, f"dropped_events is {dropped}")
threads, spans = {}, {}
for event in trace["traceEvents"]:
    check(event["ph"] in ("M", "X"), f"neither metadata nor a whole span: {event}")
    check(0 <= event["pid"] < numRanks, f"no such rank: {event}")
    thread = event["pid"], event["tid"]
    if event["ph"] == "M":
        threads[event["name"], thread] = event["args"]
        continue
    for field in ("ts", "dur"):
        check(isinstance(event[field], (int, float)), f"no {field}: {event}")
        check(event[field] >= 0, f"negative {field}: {event}")
    check(event["cat"] in ("call", "step", "stage", "wait", "put"), f"{event}")
    spans.setdefault(thread, []).append(event)
for rank in range(numRanks):
    name = {"name": f"rank {rank} (node {rank // int(ranksPerNode)})"}
    check(threads["process_name", (rank, 0)] == name, f"no name of rank {rank}")
    check((rank, 0) in spans, f"rank {rank} has no spans")
for rank, worker in spans:
    name = {"name": f"{'block' if hasBlocks else 'worker'} {worker}"}
    check(threads["thread_name", (rank, worker)] == name, "no name of a worker")
workers = {worker for _, worker in spans}
check(len(workers) > 1 if hasBlocks else workers == {0}, f"workers {workers}")


def nest(events):
    """Sets the parent of each event; those of a worker nest or follow each other."""
    stack = []
    # A span of no time may begin where the next one does.
    for event in sorted(events, key=lambda e: (toNs(e["ts"]), -toNs(e["dur"]))):
        start, end = toNs(event["ts"]), toNs(event["ts"]) + toNs(event["dur"])
        while stack and toNs(stack[-1]["ts"]) + toNs(stack[-1]["dur"]) <= start:
            if end == start and depthOf(event) > depthOf(stack[-1]):
                break
            stack.pop()
        if stack:
            parent = stack[-1]
            check(
                end <= toNs(parent["ts"]) + toNs(parent["dur"]),
                f"{event} overlaps {parent}",
            )
        event["parent"] = stack[-1] if stack else None
        stack.append(event)


def toNs(us):
    return round(us * 1000)


def depthOf(event):
    return ["call", "step", "stage", "put", "wait"].index(event["cat"])


def ancestors(event):
    while event["parent"]:
        event = event["parent"]
        yield event


for events in spans.values():
    nest(events)

# Who is in what.
for (rank, worker), events in spans.items():
    for event in events:
        kind, above = event["cat"], [parent["cat"] for parent in ancestors(event)]
        arguments = event["args"]
        if kind == "call":
            check(not above, f"a call in another: {event}")
            check(worker == 0, f"a call of worker {worker}")
        elif worker == 0:
            check(above[-1:] == ["call"], f"outside of a call: {event}")
        if kind in ("wait", "put"):
            check("step" in above, f"outside of a step: {event}")
            check(kind not in above, f"in another: {event}")
            check(event["name"] == f"{kind} {arguments['channel']}", f"{event}")
            check(0 <= arguments["peer"] < numRanks, f"no such peer: {event}")
        if kind == "put" and not arguments.get("is_cut"):
            check(arguments["bytes"] >= 0, f"no bytes: {event}")
        if kind == "stage":
            check(above[:1] == ["step"], f"not straight in a step: {event}")
            check(arguments["chunk"] >= 0, f"no chunk: {event}")
        if arguments.get("is_cut"):
            check(hasDrops, f"cut: {event}")

# All phases of all calls.
for rank in range(numRanks):
    events = spans[rank, 0]
    for program, (steps, stages) in expected.items():
        calls = [e for e in events if e["cat"] == "call" and e["name"] == program]
        numbers = [call["args"]["call"] for call in calls]
        check(numbers == list(range(int(numCalls))), f"calls {numbers} of {program}")
        for call in calls:
            children = [e for e in events if e["parent"] is call]
            check(
                all(child["cat"] == "step" for child in children),
                f"not a step in a call of {program}",
            )
            names = [child["name"] for child in children]
            isPrefix = hasDrops and names == steps[: len(names)]
            check(names == steps or isPrefix, f"{program} has the steps {names}")
            inSteps = sum(toNs(child["dur"]) for child in children)
            check(inSteps <= toNs(call["dur"]), "steps take longer than their call")
            inCall = [
                e
                for e in events
                if e["cat"] == "stage" and any(a is call for a in ancestors(e))
            ]
            found = {e["name"] for e in inCall}
            check(found == stages or hasDrops, f"{program} has the stages {found}")
            for stage in found:
                chunks = [e["args"]["chunk"] for e in inCall if e["name"] == stage]
                check(chunks == sorted(set(chunks)), f"chunks {chunks} of {stage}")
                if not hasBlocks:
                    check(chunks == list(range(len(chunks))), f"chunks {chunks}")

# In all, each rank has waited for and told others.
check(hasDrops or any(e["cat"] == "put" for l in spans.values() for e in l), "no puts")
others = {e["name"] for e in (e for l in spans.values() for e in l) if e["cat"] == "call"}
check(others == set(expected), f"calls of {others}")
print(f"{path}: {sum(map(len, spans.values()))} spans of {numRanks} ranks nest")
