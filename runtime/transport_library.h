//===- transport_library.h - What a transport opens -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// A library that a job may ask for, opened at run time: libnccl or libucp.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_RUNTIME_TRANSPORT_LIBRARY_H
#define FUSCO_RUNTIME_TRANSPORT_LIBRARY_H

#include "runtime/status.h"
#include "runtime/symbols.h"

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

namespace fusco::runtime {

/// The library of a transport, or the reason why it cannot be used.
template <typename Functions> struct TransportLibrary {
  Functions functions;
  bool isUsable = false;
  char reason[errorTextBytes] = "";

  /// Opens the file that the environment variable \p variable names, else
  /// \p file. \p findFunctions fills `functions` from Symbols; \p advice is
  /// what to install where that fails.
  TransportLibrary(const char *transport, const char *variable,
                   const char *file, const char *advice,
                   void (*findFunctions)(Symbols &, Functions &)) {
    const char *given = std::getenv(variable);
    const char *path = given && *given ? given : file;
    Symbols symbols = {dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    if (symbols.library)
      findFunctions(symbols, functions);
    const char *error = symbols.library ? symbols.missing : dlerror();
    isUsable = !error;
    if (!isUsable)
      std::snprintf(reason, sizeof(reason),
                    "transport '%s' cannot use '%s': %s%s; install %s, or name "
                    "it with %s",
                    transport, path, symbols.library ? "it lacks " : "", error,
                    advice, variable);
  }

  /// Its functions, or FUSCO_UNSUPPORTED.
  fusco_status get(const Functions *&found) const {
    if (!isUsable)
      return fail(FUSCO_UNSUPPORTED, "%s", reason);
    found = &functions;
    return FUSCO_OK;
  }
};

} // namespace fusco::runtime

#endif // FUSCO_RUNTIME_TRANSPORT_LIBRARY_H
