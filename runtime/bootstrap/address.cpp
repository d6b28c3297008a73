//===- address.cpp - Where rank 0 can be reached --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// The addresses of this machine's interfaces, as the system lists them.
//
//===----------------------------------------------------------------------===//

#include "runtime/bootstrap/address.h"

#include "runtime/status.h"

#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <random>

using namespace fusco::runtime;

bool fusco::runtime::parseAddress(const std::string &text, std::string &host,
                                  std::uint16_t &port) {
  std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return false;
  char *end;
  const char *digits = text.c_str() + colon + 1;
  unsigned long value = std::strtoul(digits, &end, 10);
  // strtoul would take a sign, and spaces.
  if (*digits < '0' || *digits > '9' || *end || value < 1 || value > 65535)
    return false;
  host = text.substr(0, colon);
  port = static_cast<std::uint16_t>(value);
  return true;
}

/// The first IPv4 address of an interface that is up and no loopback; empty if
/// there is none.
static std::string findOwnAddress() {
  ifaddrs *list;
  if (getifaddrs(&list) != 0)
    return "";
  std::string found;
  for (ifaddrs *at = list; at && found.empty(); at = at->ifa_next) {
    bool isUsable = (at->ifa_flags & IFF_UP) && !(at->ifa_flags & IFF_LOOPBACK);
    if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || !isUsable)
      continue;
    char text[INET_ADDRSTRLEN];
    const auto *address = reinterpret_cast<sockaddr_in *>(at->ifa_addr);
    if (inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text)))
      found = text;
  }
  freeifaddrs(list);
  return found;
}

fusco_status
fusco::runtime::openServer(bool isOneHost,
                           std::unique_ptr<RendezvousServer> &server,
                           std::string &host, std::uint16_t &port) {
  const char *given = std::getenv("FUSCO_ADDRESS");
  if (given && *given)
    host = given;
  else
    host = isOneHost ? "" : findOwnAddress();
  if (host.empty())
    host = "127.0.0.1";
  if (fusco_status status = RendezvousServer::open(host, 0, server))
    return status;
  port = server->getPort();
  return FUSCO_OK;
}

std::string fusco::runtime::makeToken() {
  std::random_device random;
  std::string token;
  for (int word = 0; word < 4; ++word) {
    char text[9];
    std::snprintf(text, sizeof(text), "%08x", random());
    token += text;
  }
  return token;
}
