#!/usr/bin/python3
"""Runs a library's ranks in two network namespaces joined by a veth pair.

Each namespace stands for a host with half of the ranks. What crosses between them is TCP
through UCX. Needs root and iproute2; exit code 77: this machine cannot do it.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

SKIP = 77


def ip(*arguments):
    return subprocess.run(
        ["ip", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


class TwoHosts:
    """The namespaces, ended on exit."""

    def __init__(self):
        self.names = [f"fusco{os.getpid()}{side}" for side in "ab"]
        # Names of interfaces have at most 15 characters.
        self.devices = [f"fv{os.getpid() % 100000}{side}" for side in "ab"]
        self.addresses = ["10.250.17.1", "10.250.17.2"]

    def __enter__(self):
        try:
            for name in self.names:
                self.do("netns", "add", name)
            a, b = self.devices
            self.do("link", "add", a, "type", "veth", "peer", "name", b)
            for name, device, address in zip(
                self.names, self.devices, self.addresses
            ):
                self.do("link", "set", device, "netns", name)
                self.do("-n", name, "addr", "add", address + "/24", "dev", device)
                self.do("-n", name, "link", "set", device, "up")
                self.do("-n", name, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.names:
            ip("netns", "del", name)

    def do(self, *arguments):
        done = ip(*arguments)
        if done.returncode != 0:
            print(f"ip {' '.join(arguments)}: {done.stdout.strip()}")
            sys.exit(SKIP)

    def shape(self, shaping):
        """Loss and delay in both directions."""
        for name, device in zip(self.names, self.devices):
            done = subprocess.run(
                ["ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", device]
                + ["root", "netem", *shaping.split()],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if done.returncode != 0:
                print(f"tc netem {shaping}: {done.stdout.strip()}")
                sys.exit(SKIP)

    def cut(self):
        self.do("-n", self.names[0], "link", "set", self.devices[0], "down")

    def start(self, rank, ranks, command):
        side = rank * 2 // ranks
        environment = dict(os.environ)
        environment.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank % (ranks // 2)),
            WORLD_SIZE=str(ranks),
            MASTER_ADDR=self.addresses[0],
            MASTER_PORT="29500",
            FUSCO_JOB_TOKEN="two hosts",
            FUSCO_HOSTID=f"host {side}",
            UCX_TLS="tcp",
            UCX_NET_DEVICES=self.devices[side],
        )
        return subprocess.Popen(
            ["ip", "netns", "exec", self.names[side]] + command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=8)
    parser.add_argument("--netem", help="loss and delay, e.g. 'loss 1%% delay 20ms'")
    parser.add_argument("--cut-after", type=float, help="seconds until the link is cut")
    parser.add_argument("--limit", type=float, default=120, help="seconds for all")
    parser.add_argument("command", nargs="+", help="fusco-run and its arguments")
    options = parser.parse_args()
    if not shutil.which("ip") or os.geteuid() != 0:
        print("expected root and iproute2")
        sys.exit(SKIP)
    command = options.command + ["--launch", "env", "--transport", "ucx"]
    with TwoHosts() as hosts:
        if options.netem:
            hosts.shape(options.netem)
        processes = [
            hosts.start(rank, options.ranks, command) for rank in range(options.ranks)
        ]
        end = time.monotonic() + options.limit
        if options.cut_after is not None:
            time.sleep(options.cut_after)
            hosts.cut()
        failed = False
        for rank, process in enumerate(processes):
            try:
                output = process.communicate(timeout=max(1, end - time.monotonic()))[0]
            except subprocess.TimeoutExpired:
                for other in processes:
                    other.kill()
                sys.exit(f"rank {rank} hangs: {process.communicate()[0]}")
            print(f"rank {rank}: exit code {process.returncode}\n{output}", end="")
            if options.cut_after is None:
                failed |= process.returncode != 0
            else:
                failed |= process.returncode != 1
                failed |= not re.search(f"error: rank {rank}: .*ranks? [0-9]", output)
        sys.exit(failed)


if __name__ == "__main__":
    main()
