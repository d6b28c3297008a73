//===- Profile.h - How many tokens experts got ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Loads of experts from a .npy file, of ids or of the loads themselves.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_PLACE_PROFILE_H
#define FUSCO_TOOLS_PLACE_PROFILE_H

#include "tools/place/Options.h"

#include <cstdint>
#include <vector>

namespace fusco::place {

struct Profile {
  bool hasLayers = false; ///< whether the file has a dimension of layers
  std::vector<std::vector<int64_t>> loads; ///< [layers][experts]
};

/// Reads the profile that \p options name. Throws Error for a file that
/// does not fit them.
Profile readProfile(const Options &options);

} // namespace fusco::place

#endif // FUSCO_TOOLS_PLACE_PROFILE_H
