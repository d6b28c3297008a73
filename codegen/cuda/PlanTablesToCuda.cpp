//===- PlanTablesToCuda.cpp - Planning operations to SIMT code ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe.histogram, pipe.place and pipe.assign on a GPU. Ids are read coalesced,
/// as one flat array of (token, k); counts of experts are in shared memory.
///
//===----------------------------------------------------------------------===//

#include "codegen/PlanStats.h"
#include "codegen/Segments.h"
#include "codegen/cuda/CudaPatterns.h"
#include "codegen/cuda/SimtBuilder.h"
#include "dialect/Layout.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

namespace {

/// Short forms for tables of int32 behind pointers, and for ids.
struct TableBuilder : SimtBuilder {
  using SimtBuilder::SimtBuilder;

  Value entry(Value table, Value i) { return element(table, getI32Type(), i); }
  Value read(Value pointer) {
    return create<LLVM::LoadOp>(getI32Type(), pointer);
  }
  void write(Value value, Value pointer) {
    create<LLVM::StoreOp>(value, pointer);
  }
  void update(LLVM::AtomicBinOp how, Value pointer, Value value) {
    create<LLVM::AtomicRMWOp>(how, pointer, value,
                              LLVM::AtomicOrdering::monotonic);
  }
  Value either(Value a, Value b) { return create<arith::OrIOp>(a, b); }
  Value allLanes() { return i32(-1); }

  Value numIds(Value ids) { return mul(extent(ids, 0), topkOf(ids)); }
  Value topkOf(Value ids) {
    return index(cast<MemRefType>(ids.getType()).getDimSize(1));
  }
  Value loadId(Value ids, Value token, Value k) {
    return toIndex(load(ids, {token, k}));
  }
  /// body(flat, id) for the ids [from, to), shared out among \p scope. Several
  /// loads are under way at once.
  void forIds(SimtScope scope, Value ids, Value from, Value to,
              function_ref<void(Value, Value)> body) {
    constexpr int64_t numLoads = 4;
    Value members = membersOf(scope), topk = topkOf(ids);
    Value step = mul(members, index(numLoads));
    create<scf::ForOp>(
        add(from, memberOf(scope)), to, step, ValueRange{},
        [&](OpBuilder &, Location, Value first, ValueRange) {
          SmallVector<std::array<Value, 3>> loads; // flat, is one, id
          for (int64_t i = 0; i < numLoads; ++i) {
            Value flat = add(first, mul(members, index(i)));
            Value isOne = compare(Cmp::slt, flat, to);
            Value at = select(isOne, flat, first);
            loads.push_back(
                {flat, isOne, loadId(ids, div(at, topk), rem(at, topk))});
          }
          for (auto [flat, isOne, id] : loads)
            ifThen(isOne, [&, flat = flat, id = id] { body(flat, id); });
          create<scf::YieldOp>();
        });
  }
};

constexpr int64_t bytesPerEntry = sizeof(int32_t);

template <typename OpT> struct TablePattern : CudaPattern<OpT> {
  using CudaPattern<OpT>::CudaPattern;

  /// Entries for the scratch use of \p op, from \p offset bytes of shared
  /// memory on where they fit, else those of \p table.
  Value getScratch(TableBuilder &b, Operation *op, int64_t offset,
                   int64_t entries, Value table) const {
    int64_t bytes = offset + entries * bytesPerEntry;
    if (bytes > this->limits.sharedBytes)
      return b.toPointer(b.addressOf(table));
    raiseSharedBytes(op, bytes);
    return b.advance(b.sharedMemory(), offset);
  }
};

//===----------------------------------------------------------------------===//
// pipe.histogram
//===----------------------------------------------------------------------===//

struct LowerHistogram : TablePattern<HistogramOp> {
  using TablePattern::TablePattern;

  LogicalResult matchAndRewrite(HistogramOp op,
                                PatternRewriter &rewriter) const override {
    if (getSimtScope(op) != SimtScope::Block)
      return rewriter.notifyMatchFailure(op, "not for one block");
    TableBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    Value histogram = op.getHistogram(), ids = op.getIds();
    int64_t entries = op.getHistogram().getType().getDimSize(0);
    Value zero = b.index(0), numEntries = b.index(entries);
    Value experts = b.index(entries - 1), none = b.i32(-1);

    // The first bad index is the least, as unsigned: there are fewer ids than
    // 2^31, since slots are int32.
    constexpr int64_t bytesOfBad = 16;
    raiseSharedBytes(op, bytesOfBad);
    Value bad = b.sharedMemory();
    Value counts = getScratch(b, op, bytesOfBad, entries, histogram);
    b.once(SimtScope::Block, [&] { b.write(none, bad); });
    b.forMembers(SimtScope::Block, zero, numEntries,
                 [&](Value e) { b.write(b.i32(0), b.entry(counts, e)); });
    b.sync(SimtScope::Block);
    b.forIds(SimtScope::Block, ids, zero, b.numIds(ids),
             [&](Value flat, Value id) {
               // Unsigned: a negative id is larger than any expert.
               Value isExpert = b.compare(Cmp::ult, id, experts);
               Value bin = b.select(isExpert, id, experts);
               b.update(LLVM::AtomicBinOp::add, b.entry(counts, bin), b.i32(1));
               Value isBad = b.both(b.compare(Cmp::uge, id, experts),
                                    b.compare(Cmp::ne, id, b.index(-1)));
               b.ifThen(isBad, [&] {
                 b.update(LLVM::AtomicBinOp::umin, bad, b.toI32(flat));
               });
             });
    b.sync(SimtScope::Block);
    b.forMembers(SimtScope::Block, zero, numEntries, [&](Value e) {
      b.store(b.read(b.entry(counts, e)), histogram, {e});
    });
    Value first = b.toI64(b.read(bad));
    b.sync(SimtScope::Block);
    rewriter.replaceOp(op, first);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// pipe.place
//===----------------------------------------------------------------------===//

struct LowerPlace : TablePattern<PlaceOp> {
  using TablePattern::TablePattern;

  LogicalResult matchAndRewrite(PlaceOp op,
                                PatternRewriter &rewriter) const override {
    if (getSimtScope(op) != SimtScope::Block)
      return rewriter.notifyMatchFailure(op, "not for one block");
    TableBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    MemRefType type = op.getCounts().getType();
    BlockPlacement placement{type.getDimSize(1), type.getDimSize(0)};
    Value zero = b.index(0), experts = b.index(placement.experts);
    Value ranks = b.index(placement.ranks);

    // A thread per expert: rows of all ranks, and of lower ranks.
    Value segments =
        getScratch(b, op, /*offset=*/0, placement.experts, op.getStarts());
    b.sync(SimtScope::Block);
    b.forMembers(SimtScope::Block, zero, experts, [&](Value e) {
      ValueRange sums = b.forRange(
          zero, ranks, {b.i32(0), b.i32(0)},
          [&](Value source, ValueRange sums) -> SmallVector<Value> {
            Value rows = b.load(op.getCounts(), {source, e});
            Value isLower = b.compare(Cmp::slt, source, op.getRank());
            return {b.add(sums[0], rows),
                    b.add(sums[1], b.select(isLower, rows, b.i32(0)))};
          });
      b.store(sums[0], op.getTotals(), {e});
      b.store(sums[1], op.getBases(), {e});
      b.write(sums[0], b.entry(segments, e));
    });
    b.sync(SimtScope::Block);

    // A thread per rank: segments follow each other on it.
    Value larger = b.index(placement.largerRanks());
    Value perRank = b.index(placement.expertsPerRank());
    b.forMembers(SimtScope::Block, zero, ranks, [&](Value rank) {
      Value first =
          b.add(b.mul(rank, perRank), b.create<arith::MinSIOp>(rank, larger));
      Value isLarger = b.compare(Cmp::slt, rank, larger);
      Value held = b.add(perRank, b.select(isLarger, b.index(1), zero));
      ValueRange last = b.forRange(
          first, b.add(first, held), b.index(op.getCapacity().value_or(0)),
          [&](Value e, ValueRange rows) -> SmallVector<Value> {
            Value segment = b.entry(segments, e);
            Value start = buildStartOf(b, op, e, first, rows[0]);
            Value total = b.toIndex(b.read(segment));
            b.write(b.toI32(start), segment);
            return {buildNextOf(b, op, start, total, rows[0])};
          });
      b.store(b.toI32(buildRowsOf(b, op, last[0])), op.getRows(), {rank});
    });
    b.sync(SimtScope::Block);
    b.forMembers(SimtScope::Block, zero, experts, [&](Value e) {
      Value start = b.read(b.entry(segments, e));
      b.store(start, op.getStarts(), {e});
      b.store(b.add(start, b.load(op.getBases(), {e})), op.getBases(), {e});
    });
    b.sync(SimtScope::Block);
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// pipe.assign
//===----------------------------------------------------------------------===//

/// Of fusco_plan_stats, what a lane counts of its assignments: from
/// assignments, which all are, to rowsScaleOut. `tokens` is before these.
constexpr int64_t numAssignmentStats = 5;

/// What the other ids of its token say about an assignment.
struct PlaceInToken {
  Value place;     ///< among the token's descriptors, in the order (rank, k)
  Value fanout;    ///< of the token
  Value isNewRank; ///< none before it has its rank
  Value isNewNode; ///< likewise, its node
};

/// Each warp of each block takes consecutive assignments. It counts, with its
/// block, what comes before, and then knows the next row of each expert.
struct LowerAssign : TablePattern<AssignOp> {
  using TablePattern::TablePattern;

  static PlaceInToken findPlace(TableBuilder &b, AssignOp op,
                                const BlockPlacement &placement, Value token,
                                Value k, Value rank) {
    Value zero = b.index(0), perNode = b.index(op.getRanksPerNode());
    Value node = b.div(rank, perNode);
    Value yes = b.create<arith::ConstantIntOp>(1, 1);
    Value no = b.create<arith::ConstantIntOp>(0, 1);
    ValueRange found = b.forRange(
        zero, b.topkOf(op.getIds()), {zero, zero, yes, yes},
        [&](Value other, ValueRange known) -> SmallVector<Value> {
          Value id = b.loadId(op.getIds(), token, other);
          Value isRouted = b.compare(Cmp::sge, id, zero);
          Value itsRank = b.rankOfExpert(placement, id);
          Value isSame = b.compare(Cmp::eq, itsRank, rank);
          Value isLower = b.compare(Cmp::slt, itsRank, rank);
          Value isEarlier = b.both(isSame, b.compare(Cmp::slt, other, k));
          Value isBefore = b.both(isRouted, b.either(isLower, isEarlier));
          Value isSameNode = b.compare(Cmp::eq, b.div(itsRank, perNode), node);
          auto add1 = [&](Value sum, Value condition) {
            return b.add(sum, b.select(condition, b.index(1), zero));
          };
          return {add1(known[0], isBefore), add1(known[1], isRouted),
                  b.select(b.both(isBefore, isSame), no, known[2]),
                  b.select(b.both(isBefore, isSameNode), no, known[3])};
        });
    return {found[0], found[1], found[2], found[3]};
  }

  /// Each lane has an assignment, to \p id if \p isRouted. Returns the next row
  /// of its expert, in the order of lanes, and moves \p cursors past all of
  /// them.
  static Value takeRow(TableBuilder &b, Value cursors, Value id,
                       Value isRouted) {
    Value lane = b.toI32(b.laneInWarp()), one = b.i32(1);
    Value same =
        b.create<LLVM::CallIntrinsicOp>(
             b.getI32Type(), b.getStringAttr("llvm.nvvm.match.any.sync.i32"),
             ValueRange{b.allLanes(), b.toI32(id)})
            .getResult(0);
    auto countLanes = [&](Value mask) -> Value {
      return b.create<LLVM::CtPopOp>(mask);
    };
    Value lower = b.sub(b.create<arith::ShLIOp>(one, lane), one);
    Value isHighest =
        b.compare(Cmp::eq, b.create<arith::ShRUIOp>(same, lane), one);
    Value cursor = b.entry(cursors, b.select(isRouted, id, b.index(0)));
    Value next = b.read(cursor);
    b.sync(SimtScope::Warp);
    b.ifThen(b.both(isRouted, isHighest),
             [&] { b.write(b.add(next, countLanes(same)), cursor); });
    b.sync(SimtScope::Warp);
    return b.add(next, countLanes(b.both(same, lower)));
  }

  LogicalResult matchAndRewrite(AssignOp op,
                                PatternRewriter &rewriter) const override {
    SimtScope scope = getSimtScope(op);
    if (scope != SimtScope::Block && scope != SimtScope::Rank)
      return rewriter.notifyMatchFailure(op, "not for blocks");
    TableBuilder b(op.getLoc(), rewriter, limits.threadsPerBlock);
    BlockPlacement placement{op.getBases().getType().getDimSize(0),
                             static_cast<int64_t>(op.getNumRanks())};
    int64_t bytesPerWarp = placement.experts * bytesPerEntry;
    int64_t numWarps =
        std::min(b.warpsPerBlock(), limits.sharedBytes / bytesPerWarp);
    if (numWarps == 0)
      return op.emitOpError("needs ")
             << bytesPerWarp << " bytes of shared memory to count "
             << placement.experts << " experts, but a block has "
             << limits.sharedBytes << "; use fewer experts";
    raiseSharedBytes(op, numWarps * bytesPerWarp);

    Value ids = op.getIds(), zero = b.index(0), one = b.index(1);
    Value experts = b.index(placement.experts), warps = b.index(numWarps);
    Value numTokens = b.extent(ids, 0), topk = b.topkOf(ids);
    Value numIds = b.numIds(ids);
    Value cursors = b.sharedMemory(); // [warps, experts]
    auto cursorsOf = [&](Value warp) {
      return b.entry(cursors, b.mul(warp, experts));
    };

    // Sections of whole steps of a warp, [begin, end) being this warp's; empty
    // for warps that have no cursors.
    Value block = scope == SimtScope::Rank ? b.blockInRank() : zero;
    Value blocks = scope == SimtScope::Rank ? b.blocksOfRank() : one;
    Value warp = b.warpInBlock(), step = b.index(threadsPerWarp);
    auto atMost = [&](Value value, Value bound) -> Value {
      return b.create<arith::MinSIOp>(value, bound);
    };
    Value steps = b.ceilDiv(numIds, b.mul(blocks, b.mul(warps, step)));
    Value perWarp = b.mul(steps, step), perBlock = b.mul(perWarp, warps);
    Value blockBegin = atMost(b.mul(block, perBlock), numIds);
    Value blockEnd = atMost(b.add(blockBegin, perBlock), numIds);
    Value begin = atMost(b.add(blockBegin, b.mul(warp, perWarp)), blockEnd);
    Value end = atMost(b.add(begin, perWarp), blockEnd);

    // Row w of the cursors counts what warp w - 1 has; row 0 starts at the
    // bases and counts what lower blocks have. Their sums are where warp w
    // starts.
    b.sync(SimtScope::Block);
    b.forMembers(SimtScope::Block, zero, experts, [&](Value e) {
      b.write(b.load(op.getBases(), {e}), b.entry(cursors, e));
    });
    b.forMembers(SimtScope::Block, experts, b.mul(warps, experts),
                 [&](Value i) { b.write(b.i32(0), b.entry(cursors, i)); });
    b.sync(SimtScope::Block);
    auto countIds = [&](SimtScope by, Value from, Value to, Value row) {
      b.forIds(by, ids, from, to, [&](Value, Value id) {
        b.ifThen(b.compare(Cmp::sge, id, zero), [&] {
          b.update(LLVM::AtomicBinOp::add, b.entry(row, id), b.i32(1));
        });
      });
    };
    countIds(SimtScope::Block, zero, blockBegin, cursors);
    Value nextWarp = b.add(warp, one);
    b.ifThen(b.compare(Cmp::slt, nextWarp, warps), [&] {
      countIds(SimtScope::Warp, begin, end, cursorsOf(nextWarp));
    });
    b.sync(SimtScope::Block);
    b.forMembers(SimtScope::Block, zero, experts, [&](Value e) {
      b.forRange(zero, warps, b.i32(0),
                 [&](Value w, ValueRange sum) -> SmallVector<Value> {
                   Value cursor = b.entry(cursorsOf(w), e);
                   Value start = b.add(sum[0], b.read(cursor));
                   b.write(start, cursor);
                   return {start};
                 });
    });
    // In the order of fusco_plan_stats.
    b.forMembers(scope, zero, b.index(1 + numAssignmentStats), [&](Value i) {
      Value isTokens = b.compare(Cmp::eq, i, zero);
      b.store(b.select(isTokens, b.toI64(numTokens), b.i64(0)), op.getStats(),
              {i});
    });
    b.sync(scope);

    // The warp's assignments, 32 at a time.
    Value own = cursorsOf(warp), lane = b.laneInWarp(), none = b.index(-1);
    Value perNode = b.index(op.getRanksPerNode());
    Value ownNode = b.div(op.getRank(), perNode);
    Value always = b.create<arith::ConstantIntOp>(1, 1);
    Value ownSteps = b.ceilDiv(b.sub(end, begin), step);
    ValueRange counted = b.forRange(
        zero, ownSteps, SmallVector<Value>(numAssignmentStats, b.i32(0)),
        [&](Value i, ValueRange sums) -> SmallVector<Value> {
          Value first = b.add(begin, b.mul(i, step)), flat = b.add(first, lane);
          Value isOne = b.compare(Cmp::slt, flat, end);
          Value at = b.select(isOne, flat, first);
          Value token = b.div(at, topk), k = b.rem(at, topk);
          Value id = b.select(isOne, b.loadId(ids, token, k), none);
          Value isRouted = b.compare(Cmp::sge, id, zero);
          Value slot = takeRow(b, own, id, isRouted);
          Value rank = b.rankOfExpert(placement, id);
          PlaceInToken found = findPlace(b, op, placement, token, k, rank);
          b.ifThen(isRouted, [&] {
            Value weight = op.getRouterWeights()
                               ? b.load(op.getRouterWeights(), {token, k})
                               : b.f32(1);
            SmallVector<Value> to{token, found.place};
            b.store(b.toI32(rank), op.getRanks(), to);
            b.store(slot, op.getSlots(), to);
            b.store(weight, op.getWeights(), to);
            if (op.getOrder())
              b.store(b.toI32(k), op.getOrder(), to);
          });
          b.ifThen(b.both(isOne, b.compare(Cmp::eq, k, zero)), [&] {
            b.store(b.toI32(found.fanout), op.getFanout(), {token});
          });

          SmallVector<Value> isCounted{always};
          isCounted.append(buildStatsOf(
              b, op,
              {rank, b.div(rank, perNode), found.isNewRank, found.isNewNode},
              ownNode));
          SmallVector<Value> next;
          for (auto [sum, condition] : llvm::zip_equal(sums, isCounted))
            next.push_back(
                b.add(sum, b.create<arith::ExtUIOp>(
                               b.getI32Type(), b.both(isRouted, condition))));
          return next;
        });

    SmallVector<Value> sums;
    for (Value sum : counted)
      sums.push_back(b.create<NVVM::ReduxOp>(
          b.getI32Type(), sum, NVVM::ReduxKind::ADD, b.allLanes()));
    b.ifThen(b.compare(Cmp::eq, lane, zero), [&] {
      Value stats = b.toPointer(b.addressOf(op.getStats()));
      for (auto [i, sum] : llvm::enumerate(sums))
        b.update(LLVM::AtomicBinOp::add,
                 b.element(stats, b.getI64Type(), b.index(1 + i)),
                 b.toI64(sum));
    });
    b.finish(scope);
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void fusco::populatePlanTablesToCudaPatterns(RewritePatternSet &patterns,
                                             const CudaLimits &limits) {
  patterns.add<LowerHistogram, LowerPlace, LowerAssign>(patterns.getContext(),
                                                        limits);
}
