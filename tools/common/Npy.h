//===- Npy.h - Read-only .npy files ----------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Arrays in NumPy's file format, whatever their number type.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TOOLS_COMMON_NPY_H
#define FUSCO_TOOLS_COMMON_NPY_H

#include <cstdint>
#include <string>
#include <vector>

namespace fusco {

/// An array of numbers in C order, as it was in its file.
class NpyArray {
public:
  /// Reads \p path: formats 1.0 and 2.0, little endian, C order, elements i1 to
  /// i8, u1 to u8, f2 to f8. Throws Error for everything else, a file that is
  /// shorter or longer than its header says included.
  explicit NpyArray(const std::string &path);

  const std::vector<size_t> &shape() const { return extents; }
  std::string shapeText() const; ///< like "[26, 8327, 6]"
  bool isInteger() const { return kind != 'f'; }

  /// Element \p index in C order. An unsigned value that int64_t cannot hold
  /// becomes the largest that it can.
  int64_t integerAt(size_t index) const;
  /// Likewise; f8 is rounded to nearest.
  float floatAt(size_t index) const;

private:
  std::vector<size_t> extents;
  char kind;            ///< 'i', 'u' or 'f'
  size_t bytesPerValue; ///< 1, 2, 4 or 8
  std::vector<char> bytes;
};

} // namespace fusco

#endif // FUSCO_TOOLS_COMMON_NPY_H
