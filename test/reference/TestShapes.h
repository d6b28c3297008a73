//===- TestShapes.h - Small shapes, rows and inputs for tests ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// Short forms to write down the cases of the reference interpreter's tests.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TEST_REFERENCE_TESTSHAPES_H
#define FUSCO_TEST_REFERENCE_TESTSHAPES_H

#include "tools/reference/Reference.h"

#include <stddef.h>

namespace fusco::reference {

using Encodings = std::vector<uint32_t>;

inline void setTypes(Shape &shape, ElementType type) {
  shape.tokenType = shape.rowType = shape.outputType = type;
}

inline Shape f32Shape(int nodes, int ranksPerNode, int64_t experts, int topk) {
  Shape shape;
  shape.nodes = nodes;
  shape.ranksPerNode = ranksPerNode;
  shape.experts = experts;
  shape.topk = topk;
  setTypes(shape, ElementType::F32);
  return shape;
}

inline uint32_t f32(float value) { return narrow(ElementType::F32, value); }

inline Bytes bytesOf(ElementType type, const Encodings &encodings) {
  Bytes bytes(encodings.size() * size_t(bytesPerElement(type)));
  for (size_t i = 0; i != encodings.size(); ++i)
    storeElement(type, bytes.data(), int64_t(i), encodings[i]);
  return bytes;
}

inline Encodings encodingsOf(ElementType type, const Bytes &bytes) {
  Encodings encodings;
  for (size_t i = 0; i != bytes.size() / size_t(bytesPerElement(type)); ++i)
    encodings.push_back(loadElement(type, bytes.data(), int64_t(i)));
  return encodings;
}

/// An input whose tokens have the encodings \p x.
inline RankInput inputOf(const Shape &shape, std::vector<int64_t> ids,
                         const Encodings &x, std::vector<float> weights = {}) {
  RankInput input;
  input.tokens = int64_t(x.size()) / shape.hidden;
  input.ids = std::move(ids);
  input.x = bytesOf(shape.tokenType, x);
  if (shape.weighted && weights.empty())
    weights.assign(input.ids.size(), 1.0f);
  input.weights = std::move(weights);
  return input;
}

inline std::vector<const uint8_t *>
pointersTo(const std::vector<Bytes> &arrays) {
  std::vector<const uint8_t *> pointers;
  for (const Bytes &bytes : arrays)
    pointers.push_back(bytes.data());
  return pointers;
}

} // namespace fusco::reference

#endif // FUSCO_TEST_REFERENCE_TESTSHAPES_H
