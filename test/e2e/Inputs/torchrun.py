#!/usr/bin/python3
"""Runs a command once per rank, in the environment that torchrun sets.

--hosts gives each rank a host by name (FUSCO_HOSTID). Exit code 0 only if every rank's is.
"""
import argparse
import os
import socket
import subprocess
import sys


def openStore():
    """Torchrun's own store, at which nobody of us may listen or call; the next port is free."""
    while True:
        store, following = socket.socket(), socket.socket()
        store.bind(("127.0.0.1", 0))
        port = store.getsockname()[1]
        try:
            following.bind(("127.0.0.1", port + 1))
        except (OSError, OverflowError):
            continue
        following.close()
        store.listen()
        return store


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, required=True)
    parser.add_argument("--hosts")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    hosts = options.hosts.split(",") if options.hosts else []
    store = openStore()
    ranks = []
    for rank in range(options.ranks):
        environment = dict(
            os.environ,
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(options.ranks),
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(store.getsockname()[1]),
            TORCHELASTIC_RUN_ID="test",
        )
        if hosts:
            environment["FUSCO_HOSTID"] = hosts[rank]
        ranks.append(
            subprocess.Popen(options.command + ["--launch", "env"], env=environment)
        )
    sys.exit(max(rank.wait() != 0 for rank in ranks))


if __name__ == "__main__":
    main()
