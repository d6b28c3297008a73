#!/usr/bin/env bash
#===- install-deps.sh - Debian 12 packages that fusco needs ---------------===//
#
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#===-----------------------------------------------------------------------===//
#
# Installs the packages that are missing to build, test and run fusco, as root
# or through sudo. Does nothing, and asks for nothing, when all are there.
#
#===-----------------------------------------------------------------------===//
set -euo pipefail

packages=(
  build-essential              # the C++17 compiler, libc headers
  ccache                       # quick rebuilds; the build works without it
  clang-format-14              # tools/check.sh checks formatting
  cmake                        # configures
  git                          # tools/check.sh asks it which files to check
  iproute2                     # tests make network namespaces
  libboost-dev                 # headers; Asio among them
  libboost-program-options-dev # command lines of the tools
  libdlpack-dev                # tensors in the C ABI
  libfmt-dev                   # text and tables
  libgtest-dev                 # unit tests
  libmlir-19-dev               # the compiler's libraries
  libopenmpi-dev               # MPI, for a baseline of fusco-run
  libpmix-dev                  # headers: ranks that mpirun or srun started
  libucx-dev                   # headers and UCX, for ranks on several hosts
  libxtensor-dev               # reads .npy files
  llvm-19-dev                  # likewise the compiler's libraries
  llvm-19-tools                # lit, FileCheck, not, count
  mlir-19-tools                # mlir-tblgen
  ninja-build                  # builds
  nlohmann-json3-dev           # reports and config files
  openmpi-bin                  # mpirun: tests and a baseline of fusco-run
  python3                      # runs lit
  python3-matplotlib           # plots of fusco-bench; it works without them
  python3-numpy                # tests write .npy files with it; fusco-bench
  python3-pip                  # tools/check.sh installs ml_dtypes with it
  python3-psutil               # lit ends a test that hangs, and its children
  ucx-utils                    # ucx_perftest, which benchmarks compare with
)

fail() {
  echo "install-deps.sh: error: $1" >&2
  exit 1
}

command -v dpkg-query >/dev/null ||
  fail "expected Debian 12, got a system without dpkg; install there by hand: ${packages[*]}"

# dpkg-query fails when it does not know some package: that one is missing.
installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' \
  "${packages[@]}" 2>/dev/null || true)"
missing=()
for package in "${packages[@]}"; do
  [[ $installed == *" installed:$package "* ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

asRoot=()
if ((EUID != 0)); then
  command -v sudo >/dev/null ||
    fail "expected to run as root or to find sudo, to install: ${missing[*]}"
  # Without a terminal sudo cannot ask for a password: refuse, do not wait.
  asRoot=(sudo -n)
  if [[ -z ${CI:-} ]] && : 2>/dev/null </dev/tty; then asRoot=(sudo); fi
  "${asRoot[@]}" true ||
    fail "expected to run as root or to be let by sudo, to install: ${missing[*]}"
fi

aptGet=("${asRoot[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
  -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
echo "installing ${missing[*]}"
"${aptGet[@]}" update </dev/null ||
  fail "cannot update apt's lists of packages (see above)"
"${aptGet[@]}" install --no-install-recommends "${missing[@]}" </dev/null ||
  fail "apt-get could not install: ${missing[*]} (see above)"
