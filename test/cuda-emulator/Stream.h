//===- Stream.h - Streams, events and graphs ---------------------*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
/// \file
/// What the driver's handles stand for, and how they turn into the GPU's work.
/// All of it is guarded by the GPU's mutex.
//
//===----------------------------------------------------------------------===//
#ifndef FUSCO_TEST_CUDA_EMULATOR_STREAM_H
#define FUSCO_TEST_CUDA_EMULATOR_STREAM_H

#include "test/cuda-emulator/Cuda.h"
#include "test/cuda-emulator/Gpu.h"

/// Work to be, and which of the graph's nodes it follows.
struct CUgraph_st {
  struct Node {
    fusco::emulator::Work work;
    std::vector<std::size_t> dependencies;
  };
  std::vector<Node> nodes;
};

struct CUgraphExec_st {
  CUgraph_st graph;
};

struct CUstream_st {
  bool isBlocking = true;            ///< in order with the default stream
  fusco::emulator::WorkPtr last;     ///< nullptr: nothing was submitted
  CUgraph capture = nullptr;         ///< records, instead of submitting
  std::vector<std::size_t> captured; ///< nodes that the next one follows
};

struct CUevent_st {
  fusco::emulator::WorkPtr work;
  CUgraph capture = nullptr; ///< recorded while a stream was captured
  std::vector<std::size_t> captured;
};

namespace fusco::emulator {

CUstream createStream(bool isBlocking);
void destroyStream(CUstream stream);
/// The handle, or the default stream.
CUstream getStream(CUstream handle);
/// Forgets what all streams did.
void resetStreams();

/// Submits or records \p work behind all that \p stream has.
void submit(CUstream stream, Work work);
void recordEvent(CUevent event, CUstream stream);
CUresult waitForEvent(CUstream stream, CUevent event);

CUresult beginCapture(CUstream stream);
CUresult endCapture(CUstream stream, CUgraph &graph);
void launchGraph(const CUgraph_st &graph, CUstream stream);

} // namespace fusco::emulator

#endif // FUSCO_TEST_CUDA_EMULATOR_STREAM_H
