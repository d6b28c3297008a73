//===- ChannelUses.h - Where a program uses its channels --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The operations of a program on channels, and their order on a rank.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_PASSES_CHANNELUSES_H
#define FUSCO_PASSES_CHANNELUSES_H

#include "dialect/PipeDialect.h"
#include "passes/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace fusco {

/// A stage, or what is outside pipelines, where a call counts as a chunk.
struct Place {
  pipe::StageOp stage;              ///< null: outside
  pipe::PipelineOp pipeline;        ///< null: outside
  int64_t lag;                      ///< 0: outside
  llvm::SmallVector<size_t> events; ///< in program order
};

/// What a worker does in one go for a chunk: an operation on a channel, or an
/// outermost loop with all that are in it. Its iterations are about different
/// lanes, so that anything in it may come before or after anything else.
struct Event {
  mlir::Operation *op;
  size_t place;
};

/// An operation on a channel.
struct ChannelUse {
  mlir::Operation *op;
  mlir::Value lane;
  size_t place, event;
  size_t order; ///< among all uses of the program
};

/// A program's uses of one channel.
struct UsesOfChannel {
  /// A copy, since an operation's accessors are not const.
  pipe::ChannelOp getChannel() const { return channel; }
  mlir::FlatSymbolRefAttr getName() const {
    return mlir::FlatSymbolRefAttr::get(getChannel());
  }
  int64_t getDepth() const {
    return static_cast<int64_t>(getChannel().getDepth());
  }
  pipe::Freeing getFreeing() const { return getChannel().getFreedBy(); }
  /// All of them, by kind.
  llvm::SmallVector<ChannelUse> all() const;

  pipe::ChannelOp channel;
  llvm::SmallVector<ChannelUse, 2> claims, sends, receives, helds, releases;
};

/// A program's uses of all channels. Operations are taken as they stand: what a
/// branch guards is guarded alike at both ends of a lane.
class ProgramUses {
public:
  /// Fails, with an error, where control flow is not structured.
  static mlir::FailureOr<ProgramUses> collect(pipe::ProgramOp program,
                                              Workers workers);

  llvm::ArrayRef<Place> getPlaces() const { return places; }
  llvm::ArrayRef<Event> getEvents() const { return events; }
  /// In the order of their first use.
  auto getChannels() const { return llvm::make_second_range(channels); }
  /// Null where the program does not use \p name.
  const UsesOfChannel *lookup(llvm::StringRef name) const;

  /// The least d such that chunk c - d of \p first comes before chunk c of
  /// \p second, on one rank, for every c; null where different workers do them.
  std::optional<int64_t> leastDistance(const ChannelUse &first,
                                       const ChannelUse &second) const;
  /// The latest of \p firsts whose chunk c - \p distance may come after chunk c
  /// of \p second on the same lane; null if there is none. The use of the same
  /// lane is taken to be in the same stage, if one is.
  const ChannelUse *findLate(llvm::ArrayRef<ChannelUse> firsts,
                             const ChannelUse &second, int64_t distance) const;

private:
  void add(mlir::Operation *op, mlir::Value lane,
           llvm::SmallVectorImpl<ChannelUse> &uses);
  size_t getPlace(mlir::Operation *op);
  size_t getEvent(mlir::Operation *op, size_t place);

  Workers workers;
  llvm::SmallVector<Place> places;
  llvm::SmallVector<Event> events;
  llvm::MapVector<llvm::StringRef, UsesOfChannel> channels;
  size_t numUses = 0;
};

/// ChannelRules.cpp: refuses, with an error, a program that uses a channel in
/// another way than it is meant to be used, or in an order in which a slot may
/// be filled before it was read.
mlir::LogicalResult verifyChannelRules(pipe::ProgramOp program,
                                       const ProgramUses &uses);

} // namespace fusco

#endif // FUSCO_PASSES_CHANNELUSES_H
