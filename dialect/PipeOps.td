//===- PipeOps.td - The pipe dialect: pipeline programs -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Programs for workers over memory that ranks share. Nothing here knows a
// target: a worker is a thread on a CPU and a warp on a GPU; an operation that
// touches a row or a table is done by the whole worker together.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_DIALECT_PIPEOPS_TD
#define FUSCO_DIALECT_PIPEOPS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Pipe_Dialect : Dialect {
  let name = "pipe";
  let cppNamespace = "::fusco::pipe";
  let summary = "pipeline programs that move rows between ranks";
  let description = [{
    A module holds *buffers* and *counters*, whose bytes are known before
    anything runs, and *programs*, one per entry point. A program runs on every
    rank at once, each with its own tensors. Between the operations of this
    dialect it is ordinary `scf`, `arith` and `memref` code.

    Memory. A `symmetric` buffer stands at the same place in each rank's heap,
    and peers may address it (`pipe.peer`). A `plan` buffer belongs to one plan
    and one rank. A tensor of the caller is reached by peers through its
    *window*, its distance from the heap's base (`pipe.window`), which the ranks
    exchange, and `pipe.remote` turns into an address.

    Time. `pipe.signal` adds one to a peer's counter after all that was written
    before the last `pipe.fence`; `pipe.wait` takes one signal of a peer, and is
    bounded by the context's deadline. Signals and waits pair up, so that a
    counter needs no reset.

    Failure. `pipe.wait` and `pipe.fail_if` leave the program with a status.
    A rank whose arguments are bad says so (`pipe.status`) in the first exchange,
    so that all ranks leave together.
  }];
}

class Pipe_Op<string mnemonic, list<Trait> traits = []>
    : Op<Pipe_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// Enums
//===----------------------------------------------------------------------===//

def Pipe_Scope : I32EnumAttr<"Scope", "whose memory a buffer is in", [
    I32EnumAttrCase<"Symmetric", 0, "symmetric">,
    I32EnumAttrCase<"Plan", 1, "plan">]> {
  let cppNamespace = "::fusco::pipe";
}

// The values are fusco_phase of runtime/include/fusco/library.h.
def Pipe_Phase : I32EnumAttr<"Phase", "where a program is, for errors", [
    I32EnumAttrCase<"Plan", 0, "plan">, I32EnumAttrCase<"Rows", 1, "rows">,
    I32EnumAttrCase<"Ready", 2, "ready">,
    I32EnumAttrCase<"Combine", 3, "combine">]> {
  let cppNamespace = "::fusco::pipe";
}

// The values are fusco_status of runtime/include/fusco/runtime.h.
def Pipe_Status : I32EnumAttr<"Status", "why a program failed", [
    I32EnumAttrCase<"Refused", 1, "refused">,
    I32EnumAttrCase<"InvalidRouting", 2, "invalid_routing">,
    I32EnumAttrCase<"Capacity", 3, "capacity">,
    I32EnumAttrCase<"PeerFailed", 5, "peer_failed">]> {
  let cppNamespace = "::fusco::pipe";
}

def Pipe_AnyRows : MemRefRankOf<[BF16, F16, F32], [2]>;
def Pipe_Ids : MemRefRankOf<[I32, I64], [2]>;
def Pipe_Weights : MemRefRankOf<[F32], [2]>;
def Pipe_Int32s : MemRefRankOf<[I32], [1]>;
def Pipe_Int32Table : MemRefRankOf<[I32], [2]>;
def Pipe_Int64s : MemRefRankOf<[I64], [1]>;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

def Pipe_BufferOp : Pipe_Op<"buffer", [Symbol]> {
  let summary = "memory of a rank, of a size known at compile time";
  let description = [{
    `at` is the byte offset in the heap or plan, which `pipe-assign-memory`
    sets.

    ```mlir
    pipe.buffer @counts : memref<8x64xi32> symmetric
    ```

    - (buffer_c1) the shape is static.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<MemRefOf<[I32, I64, F32]>>:$type,
                       Pipe_Scope:$scope, OptionalAttr<I64Attr>:$at);
  let assemblyFormat = [{
    $sym_name `:` $type $scope (`at` $at^)? attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::MemRefType getMemRefType() {
      return ::llvm::cast<::mlir::MemRefType>(getType());
    }
    /// The bytes that the buffer takes.
    int64_t getBytes();
  }];
}

def Pipe_CounterOp : Pipe_Op<"counter", [Symbol]> {
  let summary = "one counter per peer, at every rank";
  let description = [{
    Counter p of a rank counts the signals of peer p; beside it stands, in a
    cache line of its own, how many of them the rank has taken.

    ```mlir
    pipe.counter @counts_arrived phase plan peers 8
    ```

    - (counter_c1) there is at least one peer.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Pipe_Phase:$phase,
                       I64Attr:$peers, OptionalAttr<I64Attr>:$at);
  let assemblyFormat = [{
    $sym_name `phase` $phase `peers` $peers (`at` $at^)? attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Bytes between the counters of two peers: a line that the peer writes and
    /// a line that only the owner touches.
    static constexpr int64_t bytesPerPeer = 128;
    static constexpr int64_t takenOffset = 64;
    int64_t getBytes() { return getPeers() * bytesPerPeer; }
  }];
}

/// An operation that names a buffer and gives a view of it.
class Pipe_ViewOp<string mnemonic>
    : Pipe_Op<mnemonic, [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]>;

def Pipe_LocalOp : Pipe_ViewOp<"local"> {
  let summary = "this rank's instance of a buffer";
  let description = [{
    - (local_c1) `buffer` names a pipe.buffer of the result's type.
  }];
  let arguments = (ins FlatSymbolRefAttr:$buffer);
  let results = (outs AnyMemRef:$view);
  let assemblyFormat = "$buffer attr-dict `:` type($view)";
}

def Pipe_PeerOp : Pipe_ViewOp<"peer"> {
  let summary = "another rank's instance of a symmetric buffer";
  let description = [{
    - (peer_c1) `buffer` names a pipe.buffer of the result's type.
    - (peer_c2) the buffer is symmetric.
  }];
  let arguments = (ins Index:$rank, FlatSymbolRefAttr:$buffer);
  let results = (outs AnyMemRef:$view);
  let assemblyFormat = "$rank $buffer attr-dict `:` type($view)";
}

def Pipe_WindowOp : Pipe_Op<"window", [Pure]> {
  let summary = "where a tensor is, as peers see it";
  let description = [{
    The distance in bytes of the tensor's first element from the base of this
    rank's heap.
  }];
  let arguments = (ins Pipe_AnyRows:$tensor);
  let results = (outs I64:$window);
  let assemblyFormat = "$tensor attr-dict `:` type($tensor)";
}

def Pipe_RemoteOp : Pipe_Op<"remote", [Pure]> {
  let summary = "the address of a peer's window";
  let arguments = (ins Index:$rank, I64:$window);
  let results = (outs I64:$address);
  let assemblyFormat = "$rank `,` $window attr-dict";
}

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

def Pipe_ProgramOp : Pipe_Op<"program", [IsolatedFromAbove,
                                         FunctionOpInterface]> {
  let summary = "what one entry point does, on every rank";
  let description = [{
    The arguments are the entry point's tensors, in order. Each has a name
    (`pipe.name`), `pipe.output` where the program writes it, and
    `pipe.expert_rows` where it holds rows of experts, as many as the routing
    makes, rather than of tokens. `fills_plan` says that the program writes the plan rather than reads it.

    - (program_c1) arguments are memrefs, and there are no results.
    - (program_c2) every argument has a `pipe.name`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
    TypeAttrOf<FunctionType>:$function_type, UnitAttr:$fills_plan,
    OptionalAttr<DictArrayAttr>:$arg_attrs,
    OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region MinSizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    ::mlir::ArrayRef<::mlir::Type> getArgumentTypes() {
      return getFunctionType().getInputs();
    }
    ::mlir::ArrayRef<::mlir::Type> getResultTypes() {
      return getFunctionType().getResults();
    }
    /// Names of argument attributes.
    static constexpr ::llvm::StringLiteral nameAttrName{"pipe.name"};
    static constexpr ::llvm::StringLiteral outputAttrName{"pipe.output"};
    static constexpr ::llvm::StringLiteral expertRowsAttrName{
        "pipe.expert_rows"};
    ::llvm::StringRef getTensorName(unsigned index) {
      return getArgAttrOfType<::mlir::StringAttr>(index, nameAttrName);
    }
  }];
}

def Pipe_ReturnOp : Pipe_Op<"return", [Pure, Terminator,
                                       HasParent<"ProgramOp">]> {
  let summary = "the program has done its work";
  let assemblyFormat = "attr-dict";
}

def Pipe_RankOp : Pipe_Op<"rank", [Pure]> {
  let summary = "this rank's number";
  let results = (outs Index:$rank);
  let assemblyFormat = "attr-dict";
}

def Pipe_StatusOp : Pipe_Op<"status", [Pure]> {
  let summary = "0, or why the host refused this rank's arguments";
  let results = (outs I64:$status);
  let assemblyFormat = "attr-dict";
}

//===----------------------------------------------------------------------===//
// Time and failure
//===----------------------------------------------------------------------===//

class Pipe_CounterUserOp<string mnemonic>
    : Pipe_Op<mnemonic, [DeclareOpInterfaceMethods<SymbolUserOpInterface>]>;

def Pipe_TurnOp : Pipe_CounterUserOp<"turn"> {
  let summary = "which of two buffers this round of a counter uses";
  let description = [{
    The number of signals that this rank has taken from itself, modulo 2. A peer
    is at most one round ahead, so that what ranks exchange in a round is safe
    from the next one in a buffer of two, even where a round ends in an error.

    - (turn_c1) `counter` names a pipe.counter.
  }];
  let arguments = (ins FlatSymbolRefAttr:$counter);
  let results = (outs Index:$turn);
  let assemblyFormat = "$counter attr-dict";
}

def Pipe_FenceOp : Pipe_Op<"fence"> {
  let summary = "rows written so far are seen before later signals";
  let assemblyFormat = "attr-dict";
}

def Pipe_SignalOp : Pipe_CounterUserOp<"signal"> {
  let summary = "add one to a peer's counter for this rank (release)";
  let description = [{
    - (signal_c1) `counter` names a pipe.counter.
  }];
  let arguments = (ins FlatSymbolRefAttr:$counter, Index:$rank);
  let assemblyFormat = "$counter `to` $rank attr-dict";
}

def Pipe_WaitOp : Pipe_CounterUserOp<"wait"> {
  let summary = "take one signal of a peer (acquire), or fail at the deadline";
  let description = [{
    - (wait_c1) `counter` names a pipe.counter.
  }];
  let arguments = (ins FlatSymbolRefAttr:$counter, Index:$rank);
  let assemblyFormat = "$counter `from` $rank attr-dict";
}

def Pipe_FailIfOp : Pipe_Op<"fail_if"> {
  let summary = "leave the program with a status";
  let description = [{
    What the values mean depends on the status; see fusco_program_fail in
    runtime/include/fusco/library.h.
  }];
  let arguments = (ins I1:$condition, Pipe_Status:$status, I64:$a, I64:$b,
                       I64:$c);
  let assemblyFormat = [{
    $condition `,` $status `(` $a `,` $b `,` $c `)` attr-dict
  }];
}

//===----------------------------------------------------------------------===//
// Planning
//===----------------------------------------------------------------------===//

def Pipe_HistogramOp : Pipe_Op<"histogram"> {
  let summary = "count the assignments of each expert";
  let description = [{
    `histogram[e]` becomes the number of e in `ids`; its last entry, of experts
    + 1, takes what is not an expert. The result is the flat index of the first
    id outside [-1, experts), or -1.

    - (histogram_c1) `histogram` has a static size of at least 2.
  }];
  let arguments = (ins Pipe_Ids:$ids, Pipe_Int32s:$histogram);
  let results = (outs I64:$bad);
  let assemblyFormat = [{
    $ids `into` $histogram attr-dict `:` type($ids) `,` type($histogram)
  }];
  let hasVerifier = 1;
}

def Pipe_PlaceOp : Pipe_Op<"place"> {
  let summary = "from all ranks' counts to exact offsets";
  let description = [{
    `counts` [ranks, experts] are the assignments that each rank has for each
    expert. Experts are placed in blocks on ranks. For each expert e on its rank:
    `totals[e]` rows in all, `starts[e]` the row at which its segment starts (a
    multiple of `align`), and `bases[e]` the row at which this rank's rows in the
    segment start. `rows[d]` is the number of rows of rank d, pads included.

    - (place_c1) `totals`, `starts` and `bases` have `experts` entries, `rows`
      has `ranks`.
    - (place_c2) `align` is at least 1.
  }];
  let arguments = (ins Pipe_Int32Table:$counts, Index:$rank,
    Pipe_Int32s:$totals, Pipe_Int32s:$starts, Pipe_Int32s:$bases,
    Pipe_Int32s:$rows, I64Attr:$align);
  let assemblyFormat = [{
    $counts `of` $rank `into` `(` $totals `,` $starts `,` $bases `,` $rows `)`
    `align` $align attr-dict `:` type($counts)
    `into` `(` type($totals) `,` type($starts) `,` type($bases) `,` type($rows) `)`
  }];
  let hasVerifier = 1;
}

def Pipe_AssignOp : Pipe_Op<"assign"> {
  let summary = "give every assignment its row: the descriptors of a routing";
  let description = [{
    In the order (token, k), an assignment to expert e takes the row `bases[e]`,
    which is then advanced. Token t has `fanout[t]` descriptors, entries i <
    fanout[t] of row t of `ranks`, `slots` and `weights`, in the order (rank, k):
    the order in which combine sums. Where there are no router weights, weights
    are 1. `stats` is counted on the way (fusco_plan_stats of
    runtime/include/fusco/library.h, up to rowsScaleOut).

    - (assign_c1) `bases` has `experts` entries, and `ranks`, `slots`, `weights`
      have topk columns.
    - (assign_c2) there are as many ranks as `num_ranks` / `ranks_per_node` whole
      nodes.
  }];
  let arguments = (ins Pipe_Ids:$ids, Optional<Pipe_Weights>:$routerWeights,
    Index:$rank, Pipe_Int32s:$bases, Pipe_Int32s:$fanout,
    Pipe_Int32Table:$ranks, Pipe_Int32Table:$slots, Pipe_Weights:$weights,
    Pipe_Int64s:$stats, I64Attr:$num_ranks, I64Attr:$ranks_per_node);
  let assemblyFormat = [{
    $ids (`weights` $routerWeights^)? `of` $rank `at` $bases
    `into` `(` $fanout `,` $ranks `,` $slots `,` $weights `,` $stats `)`
    `ranks` $num_ranks `per_node` $ranks_per_node attr-dict
    `:` type($ids) (`weights` type($routerWeights)^)? `at` type($bases)
    `into` `(` type($fanout) `,` type($ranks) `,` type($slots) `,`
    type($weights) `,` type($stats) `)`
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

def Pipe_CopyRowOp : Pipe_Op<"copy_row"> {
  let summary = "read a row once, write it to each of its destinations";
  let description = [{
    Copies row `token` of `source` to row slots[token, i] of the tensor at
    addresses[ranks[token, i]], for all i < fanout[token]. Destinations have the
    row type of `source`. `streaming` rows are written past the caches.

    - (copy_row_c1) it stands in a pipe.program.
  }];
  let arguments = (ins Pipe_AnyRows:$source, Index:$token,
    Pipe_Int64s:$addresses, Pipe_Int32s:$fanout, Pipe_Int32Table:$ranks,
    Pipe_Int32Table:$slots, UnitAttr:$streaming);
  let assemblyFormat = [{
    $source `[` $token `]` `to` $addresses `at` `(` $fanout `,` $ranks `,` $slots
    `)` (`streaming` $streaming^)? attr-dict `:` type($source) `to`
    type($addresses) `at` `(` type($fanout) `,` type($ranks) `,` type($slots) `)`
  }];
  let hasVerifier = 1;
}

def Pipe_CopyRowsOp : Pipe_Op<"copy_rows"> {
  let summary = "copy consecutive rows";
  let description = [{
    Copies `count` rows of `source`, from row `from` on, to the tensor at
    `address`, from its row `to` on. The destination has the row type of
    `source`.
  }];
  let arguments = (ins Pipe_AnyRows:$source, Index:$from, I64:$address,
    Index:$to, Index:$count, UnitAttr:$streaming);
  let assemblyFormat = [{
    $source `[` $from `]` `to` $address `[` $to `]` `count` $count
    (`streaming` $streaming^)? attr-dict `:` type($source)
  }];
}

def Pipe_ReduceRowOp : Pipe_Op<"reduce_row"> {
  let summary = "read a token's rows from where they are, write their sum";
  let description = [{
    The sum that fusco.combine defines, over the descriptors of `token`, into row
    `token` of `out`. The rows read have the row type of `out`. Without `weights`
    they are 1.

    - (reduce_row_c1) `ranks_per_node` is at least 1.
    - (reduce_row_c2) it stands in a pipe.program.
  }];
  let arguments = (ins Pipe_Int64s:$addresses, Pipe_Int32s:$fanout,
    Pipe_Int32Table:$ranks, Pipe_Int32Table:$slots,
    Optional<Pipe_Weights>:$weights, Pipe_AnyRows:$out, Index:$token, I64Attr:$num_ranks,
    I64Attr:$ranks_per_node, UnitAttr:$streaming);
  let assemblyFormat = [{
    $addresses `at` `(` $fanout `,` $ranks `,` $slots `)`
    (`weights` $weights^)? `into` $out `[` $token `]` `ranks` $num_ranks `per_node` $ranks_per_node
    (`streaming` $streaming^)? attr-dict `:` type($addresses)
    `at` `(` type($fanout) `,` type($ranks) `,` type($slots) `)`
    (`weights` type($weights)^)? `into` type($out)
  }];
  let hasVerifier = 1;
}

def Pipe_ZeroRowsOp : Pipe_Op<"zero_rows"> {
  let summary = "write zeros to the rows [from, to) of this rank's tensor";
  let arguments = (ins Pipe_AnyRows:$rows, Index:$from, Index:$to);
  let assemblyFormat = "$rows `[` $from `,` $to `]` attr-dict `:` type($rows)";
}

#endif // FUSCO_DIALECT_PIPEOPS_TD
