//===- Stream.cpp - Streams, events and graphs ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cuda-emulator/Stream.h"

#include <algorithm>

using namespace fusco::emulator;

static std::vector<std::unique_ptr<CUstream_st>> &getStreams() {
  static auto &streams = *new std::vector<std::unique_ptr<CUstream_st>>;
  // The first is the default stream.
  if (streams.empty())
    streams.push_back(std::make_unique<CUstream_st>());
  return streams;
}

CUstream fusco::emulator::createStream(bool isBlocking) {
  getStreams().push_back(std::make_unique<CUstream_st>());
  CUstream stream = getStreams().back().get();
  stream->isBlocking = isBlocking;
  return stream;
}

void fusco::emulator::destroyStream(CUstream stream) {
  auto &streams = getStreams();
  streams.erase(
      std::remove_if(streams.begin() + 1, streams.end(),
                     [&](const auto &other) { return other.get() == stream; }),
      streams.end());
}

CUstream fusco::emulator::getStream(CUstream handle) {
  // 1 is CU_STREAM_LEGACY.
  bool isDefault = reinterpret_cast<std::uintptr_t>(handle) <= 1;
  return isDefault ? getStreams().front().get() : handle;
}

void fusco::emulator::resetStreams() {
  for (const auto &stream : getStreams()) {
    stream->last = nullptr;
    stream->capture = nullptr;
  }
}

/// What comes next on \p stream waits for these.
static std::vector<WorkPtr> getDependencies(CUstream stream) {
  std::vector<WorkPtr> dependencies;
  auto add = [&](const WorkPtr &work) {
    if (work)
      dependencies.push_back(work);
  };
  add(stream->last);
  CUstream defaultStream = getStreams().front().get();
  if (stream == defaultStream) {
    for (const auto &other : getStreams())
      if (other->isBlocking && other.get() != stream)
        add(other->last);
  } else if (stream->isBlocking) {
    add(defaultStream->last);
  }
  return dependencies;
}

void fusco::emulator::submit(CUstream stream, Work work) {
  if (stream->capture) {
    auto &nodes = stream->capture->nodes;
    nodes.push_back({std::move(work), stream->captured});
    stream->captured = {nodes.size() - 1};
    return;
  }
  for (WorkPtr &dependency : getDependencies(stream))
    work.dependencies.push_back(std::move(dependency));
  stream->last = std::make_shared<Work>(std::move(work));
  Gpu::get().submit(stream->last);
}

void fusco::emulator::recordEvent(CUevent event, CUstream stream) {
  *event = CUevent_st();
  if (stream->capture) {
    event->capture = stream->capture;
    event->captured = stream->captured;
    return;
  }
  submit(stream, Work());
  event->work = stream->last;
}

CUresult fusco::emulator::waitForEvent(CUstream stream, CUevent event) {
  if (event->capture) {
    // The other stream joins the capture.
    if (stream->capture && stream->capture != event->capture)
      return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    stream->capture = event->capture;
    stream->captured.insert(stream->captured.end(), event->captured.begin(),
                            event->captured.end());
    return CUDA_SUCCESS;
  }
  if (stream->capture)
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  Work work;
  if (event->work)
    work.dependencies.push_back(event->work);
  submit(stream, std::move(work));
  return CUDA_SUCCESS;
}

CUresult fusco::emulator::beginCapture(CUstream stream) {
  if (stream->capture || stream == getStreams().front().get())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  stream->capture = new CUgraph_st;
  stream->captured.clear();
  return CUDA_SUCCESS;
}

CUresult fusco::emulator::endCapture(CUstream stream, CUgraph &graph) {
  graph = stream->capture;
  if (!graph)
    return CUDA_ERROR_INVALID_VALUE;
  for (const auto &other : getStreams())
    if (other->capture == graph) {
      other->capture = nullptr;
      other->captured.clear();
    }
  return CUDA_SUCCESS;
}

void fusco::emulator::launchGraph(const CUgraph_st &graph, CUstream stream) {
  std::vector<WorkPtr> works;
  Work end;
  for (const CUgraph_st::Node &node : graph.nodes) {
    works.push_back(std::make_shared<Work>(node.work));
    for (std::size_t dependency : node.dependencies)
      works.back()->dependencies.push_back(works[dependency]);
    for (WorkPtr &before : getDependencies(stream))
      works.back()->dependencies.push_back(std::move(before));
    end.dependencies.push_back(works.back());
  }
  for (const WorkPtr &work : works)
    Gpu::get().submit(work);
  submit(stream, std::move(end));
}
