//===- RowsToCpu.cpp - Row operations to vector loops ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// pipe.copy_row, pipe.reduce_row and pipe.zero_rows on a CPU. Where the bytes
/// of a layer go, so that everything about a row that is known when compiling
/// (size, alignment, number of pieces) is spelled out in the code.
///
//===----------------------------------------------------------------------===//

#include "codegen/CpuPatterns.h"
#include "codegen/ScalarBuilder.h"
#include "dialect/PipeDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace fusco;
using namespace fusco::pipe;

using Cmp = arith::CmpIPredicate;

namespace {

/// A cache line, and the alignment of every tensor.
constexpr int64_t lineBytes = 64;

/// What is known of the rows of a tensor [?, hidden].
struct RowType {
  explicit RowType(MemRefType type)
      : hidden(type.getDimSize(1)), element(type.getElementType()),
        bytes(hidden * element.getIntOrFloatBitWidth() / 8),
        alignment(std::min<int64_t>(
            lineBytes, int64_t(1) << llvm::countr_zero(uint64_t(bytes)))) {}

  int64_t hidden;
  Type element;
  int64_t bytes;
  int64_t alignment; ///< of the start of any row, in bytes
  int64_t elementBytes() const { return bytes / hidden; }
};

/// Short forms for addresses, beside those for scalars.
struct RowBuilder : ScalarBuilder {
  using ScalarBuilder::ScalarBuilder;

  Type ptrType() { return LLVM::LLVMPointerType::get(getContext()); }
  /// The address of a tensor's first element, as i64.
  Value addressOf(Value memref) {
    return toI64(create<memref::ExtractAlignedPointerAsIndexOp>(memref));
  }
  Value toPointer(Value address) {
    return create<LLVM::IntToPtrOp>(ptrType(), address);
  }
  /// address + row * bytesPerRow, as a pointer.
  Value rowPointer(Value address, Value row, const RowType &type) {
    Value offset = create<arith::MulIOp>(toI64(row), i64(type.bytes));
    return toPointer(create<arith::AddIOp>(address, offset));
  }
  /// pointer + bytes
  Value advance(Value pointer, Value bytes) {
    return create<LLVM::GEPOp>(ptrType(), getI8Type(), pointer,
                               ArrayRef<LLVM::GEPArg>{bytes});
  }
  Value advance(Value pointer, int64_t bytes) {
    return bytes == 0 ? pointer
                      : create<LLVM::GEPOp>(ptrType(), getI8Type(), pointer,
                                            ArrayRef<LLVM::GEPArg>{
                                                static_cast<int32_t>(bytes)});
  }
  /// for (i = from; i < to; i += step) body(i)
  void forEvery(Value from, Value to, int64_t step,
                function_ref<void(Value)> body) {
    create<scf::ForOp>(from, to, index(step), ValueRange{},
                       [&](OpBuilder &, Location, Value i, ValueRange) {
                         body(i);
                         create<scf::YieldOp>();
                       });
  }
  /// An array of the program's frame: it stands at the program's entry, since
  /// an alloca in a loop would grow the stack.
  Value frameArray(ProgramOp program, Type element, int64_t size) {
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(&program.getBody().front());
    return create<LLVM::AllocaOp>(ptrType(), element, i64(size));
  }
  Value element(Value array, Type type, Value i) {
    return create<LLVM::GEPOp>(ptrType(), type, array,
                               ArrayRef<LLVM::GEPArg>{toI64(i)});
  }
};

/// Covers \p total units by a loop of steps of \p unroll pieces of \p width,
/// and what remains by pieces of width, then of its halves. `body(offset,
/// width, pieces)`: pieces of width units from offset (index) on.
void coverRow(RowBuilder &b, int64_t total, int64_t width, int64_t unroll,
              function_ref<void(Value, int64_t, int64_t)> body) {
  int64_t step = width * unroll, done = total / step * step;
  if (done != 0)
    b.forEvery(b.index(0), b.index(done), step,
               [&](Value offset) { body(offset, width, unroll); });
  for (int64_t piece = width; piece > 0; piece /= 2) {
    if (int64_t pieces = (total - done) / piece) {
      body(b.index(done), piece, pieces);
      done += pieces * piece;
    }
  }
}

//===----------------------------------------------------------------------===//
// Descriptors
//===----------------------------------------------------------------------===//

/// The pointers to a token's rows, in the order of its descriptors.
Value buildRowPointers(RowBuilder &b, ProgramOp program, Value token,
                       Value count, Value addresses, Value ranks, Value slots,
                       int64_t topk, const RowType &row) {
  Value pointers = b.frameArray(program, b.ptrType(), topk);
  b.forRange(b.index(0), count, [&](Value i) {
    Value rank = b.toIndex(b.load(ranks, {token, i}));
    Value pointer =
        b.rowPointer(b.load(addresses, {rank}), b.load(slots, {token, i}), row);
    b.create<LLVM::StoreOp>(pointer, b.element(pointers, b.ptrType(), i));
  });
  return pointers;
}

//===----------------------------------------------------------------------===//
// pipe.copy_row
//===----------------------------------------------------------------------===//

/// Copies \p pieces of \p width bytes (a power of two up to a line) at \p
/// offset (index), loads first.
void copyPieces(RowBuilder &b, Value from, Value to, Value offset,
                int64_t width, int64_t pieces, const RowType &row,
                bool isStreaming) {
  // Integers: no other type becomes a streaming store.
  Type type = width >= 4 ? Type(VectorType::get(width / 4, b.getI32Type()))
                         : b.getIntegerType(width * 8);
  unsigned alignment = std::min(row.alignment, width);
  // Rows that share a line must not go past the caches.
  bool isNonTemporal =
      isStreaming && row.alignment == lineBytes && width == lineBytes;
  Value at = b.toI64(offset);
  from = b.advance(from, at);
  to = b.advance(to, at);
  SmallVector<Value> values;
  for (int64_t piece = 0; piece < pieces; ++piece)
    values.push_back(b.create<LLVM::LoadOp>(
        type, b.advance(from, piece * width), alignment));
  for (auto [piece, value] : llvm::enumerate(values))
    b.create<LLVM::StoreOp>(value, b.advance(to, piece * width), alignment,
                            /*isVolatile=*/false, isNonTemporal);
}

/// Destination by destination: after the first the row is in the nearest cache,
/// and each destination is written as one sequential stream.
struct LowerCopyRow : OpRewritePattern<CopyRowOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CopyRowOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType row(op.getSource().getType());
    int64_t topk = op.getRanks().getType().getDimSize(1);
    auto program = op->getParentOfType<ProgramOp>();
    Value count = b.toIndex(b.load(op.getFanout(), {op.getToken()}));
    Value source =
        b.rowPointer(b.addressOf(op.getSource()), op.getToken(), row);
    Value pointers =
        buildRowPointers(b, program, op.getToken(), count, op.getAddresses(),
                         op.getRanks(), op.getSlots(), topk, row);

    b.forRange(b.index(0), count, [&](Value i) {
      Value destination = b.create<LLVM::LoadOp>(
          b.ptrType(), b.element(pointers, b.ptrType(), i));
      coverRow(b, row.bytes, lineBytes, /*unroll=*/4,
               [&](Value offset, int64_t width, int64_t pieces) {
                 copyPieces(b, source, destination, offset, width, pieces, row,
                            op.getStreaming());
               });
    });
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// pipe.copy_rows
//===----------------------------------------------------------------------===//

struct LowerCopyRows : OpRewritePattern<CopyRowsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CopyRowsOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType row(op.getSource().getType());
    Value from = b.rowPointer(b.addressOf(op.getSource()), op.getFrom(), row);
    Value to = b.rowPointer(op.getAddress(), op.getTo(), row);
    Value bytes = b.create<arith::MulIOp>(op.getCount(), b.index(row.bytes));
    if (row.alignment == lineBytes) {
      b.forEvery(b.index(0), bytes, lineBytes, [&](Value offset) {
        copyPieces(b, from, to, offset, lineBytes, /*pieces=*/1, row,
                   op.getStreaming());
      });
    } else {
      b.create<LLVM::MemcpyOp>(to, from, b.toI64(bytes), /*isVolatile=*/false);
    }
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Conversions, bit-exact
//===----------------------------------------------------------------------===//

/// \p type of \p width lanes.
Type lanes(Type type, int64_t width) { return VectorType::get(width, type); }

Value splat(RowBuilder &b, TypedAttr scalar, int64_t width) {
  auto type = cast<ShapedType>(lanes(scalar.getType(), width));
  return b.create<arith::ConstantOp>(DenseElementsAttr::get(type, scalar));
}
Value splatF32(RowBuilder &b, float value, int64_t width) {
  return splat(b, b.getF32FloatAttr(value), width);
}
Value splatInt(RowBuilder &b, int64_t value, Type type, int64_t width) {
  return splat(b, b.getIntegerAttr(type, value), width);
}

/// \p width elements at \p pointer, widened exactly to float32.
Value loadWidened(RowBuilder &b, Value pointer, const RowType &row,
                  int64_t width) {
  unsigned alignment = std::min(row.alignment, width * row.elementBytes());
  if (row.element.isBF16()) {
    Type i32s = lanes(b.getI32Type(), width);
    Value bits = b.create<LLVM::LoadOp>(lanes(b.getI16Type(), width), pointer,
                                        alignment);
    Value wide =
        b.create<arith::ShLIOp>(b.create<arith::ExtUIOp>(i32s, bits),
                                splatInt(b, 16, b.getI32Type(), width));
    return b.create<arith::BitcastOp>(lanes(b.getF32Type(), width), wide);
  }
  Value value =
      b.create<LLVM::LoadOp>(lanes(row.element, width), pointer, alignment);
  if (row.element.isF32())
    return value;
  return b.create<arith::ExtFOp>(lanes(b.getF32Type(), width), value);
}

/// float32 \p value rounded to the row's element, as its bits: to nearest even,
/// denormals kept, one NaN.
Value narrowToBits(RowBuilder &b, Value value, const RowType &row,
                   int64_t width) {
  Type i32 = b.getI32Type(), i16 = b.getI16Type();
  Value isNan =
      b.create<arith::CmpFOp>(arith::CmpFPredicate::UNO, value, value);
  Value bits;
  if (row.element.isF32()) {
    bits = b.create<arith::BitcastOp>(lanes(i32, width), value);
    return b.create<arith::SelectOp>(isNan, splatInt(b, 0x7FFFFFFF, i32, width),
                                     bits);
  }
  if (row.element.isBF16()) {
    // Add just under half of the last place, and its parity to break ties. Not
    // the hardware's conversion, which flushes denormals.
    Value sixteen = splatInt(b, 16, i32, width);
    Value wide = b.create<arith::BitcastOp>(lanes(i32, width), value);
    Value parity = b.create<arith::AndIOp>(
        b.create<arith::ShRUIOp>(wide, sixteen), splatInt(b, 1, i32, width));
    Value bias =
        b.create<arith::AddIOp>(parity, splatInt(b, 0x7FFF, i32, width));
    Value rounded =
        b.create<arith::ShRUIOp>(b.create<arith::AddIOp>(wide, bias), sixteen);
    bits = b.create<arith::TruncIOp>(lanes(i16, width), rounded);
  } else {
    Value rounded = b.create<arith::TruncFOp>(lanes(row.element, width), value);
    bits = b.create<arith::BitcastOp>(lanes(i16, width), rounded);
  }
  return b.create<arith::SelectOp>(isNan, splatInt(b, 0x7FFF, i16, width),
                                   bits);
}

//===----------------------------------------------------------------------===//
// pipe.reduce_row
//===----------------------------------------------------------------------===//

/// Where a descriptor ends a branch of the tree of the sum.
enum TreeEnd { endsNothing = 0, endsRank = 1, endsNode = 2 };

struct LowerReduceRow : OpRewritePattern<ReduceRowOp> {
  using OpRewritePattern::OpRewritePattern;

  /// The levels of the tree that can differ: with one rank there is only the
  /// sum within it, with one node no sum of nodes.
  struct Tree {
    bool hasRanks, hasNodes;
    unsigned levels() const { return 1 + hasRanks + hasNodes; }
  };

  /// For each descriptor its TreeEnd, as bytes.
  static Value buildEnds(RowBuilder &b, ReduceRowOp op, Value count,
                         int64_t topk) {
    Value ends =
        b.frameArray(op->getParentOfType<ProgramOp>(), b.getI8Type(), topk);
    Value last = b.create<arith::SubIOp>(count, b.index(1));
    Value perNode = b.index(op.getRanksPerNode());
    b.forRange(b.index(0), count, [&](Value i) {
      Value isLast = b.create<arith::CmpIOp>(Cmp::eq, i, last);
      Value next = b.create<arith::SelectOp>(
          isLast, i, b.create<arith::AddIOp>(i, b.index(1)));
      Value rank = b.toIndex(b.load(op.getRanks(), {op.getToken(), i}));
      Value nextRank = b.toIndex(b.load(op.getRanks(), {op.getToken(), next}));
      auto ending = [&](Value a, Value c, TreeEnd end) -> Value {
        Value isEnd = b.create<arith::OrIOp>(
            isLast, b.create<arith::CmpIOp>(Cmp::ne, a, c));
        return b.create<arith::SelectOp>(
            isEnd, b.create<arith::ConstantIntOp>(end, 8),
            b.create<arith::ConstantIntOp>(endsNothing, 8));
      };
      Value flags = b.create<arith::OrIOp>(
          ending(rank, nextRank, endsRank),
          ending(b.create<arith::DivUIOp>(rank, perNode),
                 b.create<arith::DivUIOp>(nextRank, perNode), endsNode));
      b.create<LLVM::StoreOp>(flags, b.element(ends, b.getI8Type(), i));
    });
    return ends;
  }

  /// One step of the tree after a descriptor has been added to the rank's sum.
  /// `sums`: the pieces of the rank's sum, of the node's, of all nodes'. -0 is
  /// the neutral element of an addition, +0 where a rank's sum starts.
  static SmallVector<Value> closeBranches(RowBuilder &b, Tree tree, Value flags,
                                          ArrayRef<Value> sums, int64_t pieces,
                                          int64_t width) {
    if (!tree.hasRanks)
      return llvm::to_vector(sums);
    auto isSet = [&](TreeEnd end) {
      Value bit = b.create<arith::AndIOp>(
          flags, b.create<arith::ConstantIntOp>(end, 8));
      return b.create<arith::CmpIOp>(Cmp::ne, bit,
                                     b.create<arith::ConstantIntOp>(0, 8));
    };
    // Adds level `from` to the next one and restarts it.
    auto fold = [&](ArrayRef<Value> values, unsigned from, float start) {
      SmallVector<Value> next(values);
      for (int64_t piece = 0; piece < pieces; ++piece) {
        Value &lower = next[from * pieces + piece];
        Value &upper = next[(from + 1) * pieces + piece];
        upper = b.create<arith::AddFOp>(upper, lower);
        lower = splatF32(b, start, width);
      }
      return next;
    };
    auto when = [&](Value condition, ArrayRef<Value> values,
                    function_ref<SmallVector<Value>(ArrayRef<Value>)> then) {
      auto branch = b.create<scf::IfOp>(
          condition,
          [&](OpBuilder &, Location) { b.create<scf::YieldOp>(then(values)); },
          [&](OpBuilder &, Location) { b.create<scf::YieldOp>(values); });
      return llvm::to_vector_of<Value>(branch.getResults());
    };
    return when(isSet(endsRank), sums, [&](ArrayRef<Value> values) {
      SmallVector<Value> folded = fold(values, 0, 0.0f);
      if (!tree.hasNodes)
        return folded;
      return when(isSet(endsNode), folded,
                  [&](ArrayRef<Value> inner) { return fold(inner, 1, -0.0f); });
    });
  }

  /// Pointers to the rows of the next token, \p count of them, to prefetch.
  /// Where that token has fewer, what its further descriptors still hold is
  /// read: ranks of an older plan, or 0, since plans start as zeros. To
  /// prefetch a row that is not needed costs less than to find out.
  static Value buildNextPointers(RowBuilder &b, ReduceRowOp op, Value count,
                                 int64_t topk, const RowType &row) {
    Value last = b.create<arith::SubIOp>(
        b.create<memref::DimOp>(op.getOut(), 0), b.index(1));
    Value next = b.create<arith::AddIOp>(op.getToken(), b.index(1));
    return buildRowPointers(b, op->getParentOfType<ProgramOp>(),
                            b.create<arith::MinSIOp>(next, last), count,
                            op.getAddresses(), op.getRanks(), op.getSlots(),
                            topk, row);
  }

  /// Rows of one token are as far apart as experts are, and no longer than a
  /// page or two: hardware has hardly seen a stream when it ends. Into the
  /// second cache: the first has fewer reads under way.
  static void prefetch(RowBuilder &b, Value pointer, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += lineBytes)
      b.create<LLVM::Prefetch>(b.advance(pointer, at), /*rw=*/0u, /*hint=*/2u,
                               /*cache=*/1u);
  }

  LogicalResult matchAndRewrite(ReduceRowOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType row(op.getOut().getType());
    int64_t topk = op.getRanks().getType().getDimSize(1);
    int64_t numRanks = op.getNumRanks(), perNode = op.getRanksPerNode();
    Tree tree{numRanks > 1, numRanks > perNode};
    auto program = op->getParentOfType<ProgramOp>();
    Value token = op.getToken();
    Value count = b.toIndex(b.load(op.getFanout(), {token}));
    Value out = b.rowPointer(b.addressOf(op.getOut()), token, row);
    Value pointers =
        buildRowPointers(b, program, token, count, op.getAddresses(),
                         op.getRanks(), op.getSlots(), topk, row);
    Value ends = tree.hasRanks ? buildEnds(b, op, count, topk) : Value();
    bool isStreaming = op.getStreaming() && row.alignment == lineBytes;
    // Where the last level starts: a token without assignments stays there, and
    // shall be +0.
    Value neutral = b.create<arith::SelectOp>(
        b.create<arith::CmpIOp>(Cmp::eq, count, b.index(0)),
        b.create<arith::ConstantOp>(b.getF32FloatAttr(0.0f)),
        b.create<arith::ConstantOp>(b.getF32FloatAttr(-0.0f)));
    Value nextPointers = buildNextPointers(b, op, count, topk, row);

    /// Columns [offset, offset + width * pieces) of the result.
    auto reduceColumns = [&](Value offset, int64_t width, int64_t pieces) {
      int64_t pieceBytes = width * row.elementBytes();
      Value byteOffset =
          b.create<arith::MulIOp>(b.toI64(offset), b.i64(row.elementBytes()));
      SmallVector<Value> initial(pieces, splatF32(b, 0.0f, width));
      if (tree.hasNodes)
        initial.append(pieces, splatF32(b, -0.0f, width));
      if (tree.hasRanks)
        initial.append(pieces, b.create<vector::BroadcastOp>(
                                   lanes(b.getF32Type(), width), neutral));
      auto loop = b.create<scf::ForOp>(
          b.index(0), count, b.index(1), initial,
          [&](OpBuilder &, Location, Value i, ValueRange carried) {
            auto pointerOf = [&](Value array) {
              Value start = b.create<LLVM::LoadOp>(
                  b.ptrType(), b.element(array, b.ptrType(), i));
              return b.advance(start, byteOffset);
            };
            Value pointer = pointerOf(pointers);
            if (pieceBytes * pieces >= lineBytes)
              prefetch(b, pointerOf(nextPointers), pieceBytes * pieces);
            Value weight = op.getWeights()
                               ? b.create<vector::BroadcastOp>(
                                      lanes(b.getF32Type(), width),
                                      b.load(op.getWeights(), {token, i}))
                                     .getResult()
                               : splatF32(b, 1.0f, width);
            SmallVector<Value> sums(carried);
            for (int64_t piece = 0; piece < pieces; ++piece) {
              Value value = loadWidened(
                  b, b.advance(pointer, piece * pieceBytes), row, width);
              sums[piece] = b.create<math::FmaOp>(weight, value, sums[piece]);
            }
            Value flags =
                tree.hasRanks
                    ? b.create<LLVM::LoadOp>(b.getI8Type(),
                                             b.element(ends, b.getI8Type(), i))
                          .getResult()
                    : Value();
            b.create<scf::YieldOp>(
                closeBranches(b, tree, flags, sums, pieces, width));
          });
      Value to = b.advance(out, byteOffset);
      unsigned alignment = std::min(row.alignment, pieceBytes);
      for (int64_t piece = 0; piece < pieces; ++piece) {
        Value sum = loop.getResult((tree.levels() - 1) * pieces + piece);
        Value bits = narrowToBits(b, sum, row, width);
        b.create<LLVM::StoreOp>(bits, b.advance(to, piece * pieceBytes),
                                alignment, /*isVolatile=*/false,
                                isStreaming &&
                                    pieceBytes * pieces >= lineBytes);
      }
    };
    // 64 columns at a time: three levels of four vectors stay in registers.
    coverRow(b, row.hidden, /*width=*/16, /*unroll=*/4, reduceColumns);
    rewriter.eraseOp(op);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// pipe.zero_rows
//===----------------------------------------------------------------------===//

struct LowerZeroRows : OpRewritePattern<ZeroRowsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ZeroRowsOp op,
                                PatternRewriter &rewriter) const override {
    RowBuilder b(op.getLoc(), rewriter);
    RowType row(op.getRows().getType());
    Value from = b.rowPointer(b.addressOf(op.getRows()), op.getFrom(), row);
    Value rows = b.toI64(b.create<arith::SubIOp>(op.getTo(), op.getFrom()));
    Value bytes = b.create<arith::MulIOp>(rows, b.i64(row.bytes));
    b.create<LLVM::MemsetOp>(from, b.create<arith::ConstantIntOp>(0, 8), bytes,
                             /*isVolatile=*/false);
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void fusco::populateRowsToCpuPatterns(RewritePatternSet &patterns) {
  patterns.add<LowerCopyRow, LowerCopyRows, LowerReduceRow, LowerZeroRows>(
      patterns.getContext());
}
