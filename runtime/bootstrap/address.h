//===- address.h - Where rank 0 can be reached ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Opening a server on an address of this machine's own choice, for jobs whose
/// launcher names none.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_BOOTSTRAP_ADDRESS_H
#define FUSCO_RUNTIME_BOOTSTRAP_ADDRESS_H

#include "runtime/bootstrap/rendezvous.h"

#include <cstdint>
#include <memory>
#include <string>

namespace fusco::runtime {

/// Splits "host:port"; false if it is anything else.
bool parseAddress(const std::string &text, std::string &host,
                  std::uint16_t &port);

/// Opens a server on a free port of FUSCO_ADDRESS, else of the loopback if
/// \p isOneHost, else of the first address of this machine that others may
/// reach.
fusco_status openServer(bool isOneHost,
                        std::unique_ptr<RendezvousServer> &server,
                        std::string &host, std::uint16_t &port);

/// 128 random bits as text.
std::string makeToken();

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_BOOTSTRAP_ADDRESS_H
