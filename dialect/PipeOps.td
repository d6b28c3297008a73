//===- PipeOps.td - The pipe dialect: pipeline programs -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Programs for workers over memory that ranks share. Nothing here knows a
// target: a rank is one thread on a CPU and some thread blocks on a GPU; an
// operation that touches a row or a table is done by a whole worker together.
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
    A module holds *buffers* and *channels*, whose bytes are known before
    anything runs, and *programs*, one per entry point. A program runs on every
    rank at once, each with its own tensors. Between the operations of this
    dialect it is ordinary `scf`, `arith` and `memref` code.

    Memory. A `symmetric` buffer stands at the same place in each rank's heap. A
    `plan` buffer belongs to one plan and one rank. The ranks of one node address
    each other's heaps (`pipe.peer`), and each other's tensors through their
    *windows*, distances from the heap's base (`pipe.window`), which they
    exchange and `pipe.remote` turns into an address. Memory of another node is
    only ever reached by `pipe.put` and `pipe.put_rows`: an unordered write and
    a counted arrival, which any network can do.

    Time. A *channel* is a ring of slots on each of its lanes. The sender claims
    the next slot, fills it and signals (or puts) it; the receiver waits for it
    (`pipe.receive`) and gives it back (`pipe.release`). Slots are counted and
    never reset, so that a channel goes on where the last call left it. Every
    wait is bounded by the context's deadline.

    Workers. What a program says is done by the rank's first worker, alone, but
    for what workers can share: the iterations of a `pipe.for_each`, a
    `pipe.pipeline`, `pipe.assign`, `pipe.copy_rows`. `pipe-fork-teams` makes a
    `pipe.team` of each of these, which all workers of the rank run, for a target
    that has several.

    Pipelines. A `pipe.pipeline` runs its stages over chunks of tokens, each
    stage some chunks behind the first. `pipe-verify-progress` proves that every
    wait in it can be met.

    Timeline. Where a module has a `pipe.span` for them, workers note when they
    begin and end a call, a step of it, a stage for a chunk, a wait, a put
    (`pipe-add-timeline`). Where it has none, nothing is noted.

    Failure. Waits and `pipe.fail_if` leave the program with a status. A rank
    whose arguments are bad says so (`pipe.status`) in the first exchange, so
    that all ranks leave together.
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

def Pipe_Link : I32EnumAttr<"Link", "what a channel crosses", [
    I32EnumAttrCase<"ScaleUp", 0, "scale_up">,
    I32EnumAttrCase<"ScaleOut", 1, "scale_out">]> {
  let cppNamespace = "::fusco::pipe";
}

def Pipe_Unit : I32EnumAttr<"Unit", "what a row stands for on a link", [
    I32EnumAttrCase<"Assignment", 0, "assignment">,
    I32EnumAttrCase<"Rank", 1, "rank">, I32EnumAttrCase<"Node", 2, "node">]> {
  let cppNamespace = "::fusco::pipe";
}

def Pipe_Freeing : I32EnumAttr<"Freeing", "what frees a slot of a channel", [
    I32EnumAttrCase<"Rounds", 0, "rounds">,
    I32EnumAttrCase<"Start", 1, "start">,
    I32EnumAttrCase<"Credit", 2, "credit">,
    I32EnumAttrCase<"Answer", 3, "answer">,
    I32EnumAttrCase<"Question", 4, "question">]> {
  let cppNamespace = "::fusco::pipe";
}

// The values are fusco_phase of runtime/include/fusco/library.h.
def Pipe_Phase : I32EnumAttr<"Phase", "where a program is, for errors", [
    I32EnumAttrCase<"Plan", 0, "plan">, I32EnumAttrCase<"Rows", 1, "rows">,
    I32EnumAttrCase<"Ready", 2, "ready">,
    I32EnumAttrCase<"Combine", 3, "combine">]> {
  let cppNamespace = "::fusco::pipe";
}

// The values are fusco_span_kind of runtime/include/fusco/library.h.
def Pipe_SpanKind : I32EnumAttr<"SpanKind", "what a worker does in a span", [
    I32EnumAttrCase<"Call", 0, "call">, I32EnumAttrCase<"Step", 1, "step">,
    I32EnumAttrCase<"Stage", 2, "stage">, I32EnumAttrCase<"Wait", 3, "wait">,
    I32EnumAttrCase<"Put", 4, "put">]> {
  let cppNamespace = "::fusco::pipe";
}

def Pipe_Edge : I32EnumAttr<"Edge", "an end of a span", [
    I32EnumAttrCase<"Begin", 0, "begin">, I32EnumAttrCase<"End", 1, "end">]> {
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

def Pipe_AnyRows : MemRefRankOf<[BF16, F16, F32, F8E4M3FN, F8E5M2, I32, I64], [2]>;
def Pipe_Floats : MemRefRankOf<[F32], [2]>;
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
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<MemRefOf<[I8, I32, I64, F32]>>:$type,
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

def Pipe_ChannelOp : Pipe_Op<"channel", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "rings of slots between ranks, one per lane";
  let description = [{
    Each rank has `lanes` lanes, on which it sends, receives or both, to and from
    ranks that the program names; a slot's number on a lane runs through 0 to
    `depth` - 1 again and again. The channel is the counters alone; what a slot
    holds is in buffers. `link`: whether the two ends of a lane can be in
    different nodes. `freed_by` says why the sender may fill a slot again:

    - `rounds`: both ends send and receive on the lane in turn, so that neither
      is more than one round ahead;
    - `start`: all ranks meet at the start of each program, which sends no more
      than `depth` times on a lane (no more than `chunks` in a pipeline);
    - `credit`: the receiver returns a credit (pipe.release);
    - `answer`: it has received the answer to that slot, on the same lane of the
      channel `answer`;
    - `question`: this channel answers another, whose sender asks again only
      once it has received the answer.

    At each rank a lane takes one cache line per slot, where arrivals are
    counted, one for credits, and one that only the owner touches.

    ```mlir
    pipe.channel @rows_out phase rows link scale_out lanes 1 depth 4 freed_by credit
    ```

    - (channel_c1) `lanes` and `depth` are at least 1.
    - (channel_c2) `answer` names a pipe.channel of the same lanes and at least
      the same depth, where `freed_by` is `answer`, and is absent elsewhere.
    - (channel_c3) `chunks` is given where `freed_by` is `start`, and `depth` is
      at least that.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Pipe_Phase:$phase,
    Pipe_Link:$link, I64Attr:$lanes, I64Attr:$depth, Pipe_Freeing:$freed_by,
    OptionalAttr<FlatSymbolRefAttr>:$answer, OptionalAttr<I64Attr>:$chunks,
    OptionalAttr<I64Attr>:$at);
  let assemblyFormat = [{
    $sym_name `phase` $phase `link` $link `lanes` $lanes `depth` $depth
    `freed_by` $freed_by ($answer^)? (`chunks` $chunks^)? (`at` $at^)? attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    static constexpr int64_t bytesPerLine = 64;
    /// Bytes from a lane's start to the line of credits, to the number of slots
    /// that this rank has sent, received, released.
    int64_t getCreditOffset() { return getDepth() * bytesPerLine; }
    int64_t getSentOffset() { return getCreditOffset() + bytesPerLine; }
    int64_t getReceivedOffset() { return getSentOffset() + 8; }
    int64_t getReleasedOffset() { return getSentOffset() + 16; }
    int64_t getBytesPerLane() { return getSentOffset() + bytesPerLine; }
    int64_t getBytes() { return getLanes() * getBytesPerLane(); }
  }];
}

/// An operation that names a buffer and gives a view of it.
class Pipe_BufferUserOp<string mnemonic>
    : Pipe_Op<mnemonic, [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]>;

def Pipe_LocalOp : Pipe_BufferUserOp<"local"> {
  let summary = "this rank's instance of a buffer";
  let description = [{
    - (local_c1) `buffer` names a pipe.buffer of the result's type.
  }];
  let arguments = (ins FlatSymbolRefAttr:$buffer);
  let results = (outs AnyMemRef:$view);
  let assemblyFormat = "$buffer attr-dict `:` type($view)";
}

def Pipe_PeerOp : Pipe_BufferUserOp<"peer"> {
  let summary = "the instance of a symmetric buffer of a rank of this node";
  let description = [{
    - (peer_c1) `buffer` names a pipe.buffer of the result's type.
    - (peer_c2) the buffer is symmetric.
  }];
  let arguments = (ins Index:$rank, FlatSymbolRefAttr:$buffer);
  let results = (outs AnyMemRef:$view);
  let assemblyFormat = "$rank $buffer attr-dict `:` type($view)";
}

def Pipe_ViewOp : Pipe_Op<"view", [Pure]> {
  let summary = "a table or rows inside a buffer of bytes";
  let description = [{
    `buffer[indices]` is a row of bytes; the result starts `offset` bytes into it.

    ```mlir
    %rows = pipe.view %ring[%lane, %slot] at 4096
        : memref<2x4x69632xi8> to memref<16x2048xbf16>
    ```

    - (view_c1) `buffer` holds bytes, in one dimension more than there are
      `indices`.
    - (view_c2) the result has a static shape and lies inside the row of bytes,
      at a multiple of its element's size. Its elements are contiguous, or its
      rows are, at equal distances (`strided`).
  }];
  let arguments = (ins MemRefOf<[I8]>:$buffer, Variadic<Index>:$indices,
                       I64Attr:$offset);
  let results = (outs AnyMemRef:$view);
  let assemblyFormat = [{
    $buffer `[` $indices `]` `at` $offset attr-dict `:` type($buffer) `to`
    type($view)
  }];
  let hasVerifier = 1;
}

def Pipe_RowAddressOp : Pipe_Op<"row_address", [Pure]> {
  let summary = "the address of a row";
  let arguments = (ins Pipe_AnyRows:$rows, Index:$row);
  let results = (outs I64:$address);
  let assemblyFormat = "$rows `[` $row `]` attr-dict `:` type($rows)";
}

def Pipe_RowsAtOp : Pipe_Op<"rows_at", [Pure]> {
  let summary = "rows of a tensor at an address";
  let description = [{
    The rows of a tensor of a rank of this node, at the address that pipe.remote
    gives.

    - (rows_at_c1) the result has a static shape.
  }];
  let arguments = (ins I64:$address);
  let results = (outs Pipe_AnyRows:$rows);
  let assemblyFormat = "$address attr-dict `:` type($rows)";
  let hasVerifier = 1;
}

def Pipe_WindowOp : Pipe_Op<"window", [Pure]> {
  let summary = "where a tensor is, as peers see it";
  let description = [{
    The distance in bytes of the tensor's first element from the base of this
    rank's heap.
  }];
  let arguments = (ins AnyTypeOf<[Pipe_AnyRows, Pipe_Int32s]>:$tensor);
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
    makes, rather than of tokens; `pipe.slots` where each expert has so many of
    its rows; `pipe.by_columns` where its memory is by columns, so that it is used
    by its address only; and `pipe.scaled_columns` where it holds scales,
    each of so many elements of a row. `fills_plan` says that the program writes the plan rather than reads it.

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
    static constexpr ::llvm::StringLiteral slotsAttrName{"pipe.slots"};
    static constexpr ::llvm::StringLiteral byColumnsAttrName{"pipe.by_columns"};
    static constexpr ::llvm::StringLiteral scaledColumnsAttrName{
        "pipe.scaled_columns"};
    ::llvm::StringRef getTensorName(unsigned index) {
      return getArgAttrOfType<::mlir::StringAttr>(index, nameAttrName);
    }
  }];
}

def Pipe_ReturnOp : Pipe_Op<"return", [Pure, Terminator,
                                       ParentOneOf<["ProgramOp", "TeamOp"]>]> {
  let summary = "the program, or the team, has done its work";
  let assemblyFormat = "attr-dict";
}

def Pipe_RankOp : Pipe_Op<"rank", [Pure]> {
  let summary = "this rank's number";
  let results = (outs Index:$rank);
  let assemblyFormat = "attr-dict";
}

def Pipe_WorkerOp : Pipe_Op<"worker"> {
  let summary = "the number of who does this, among those of the rank";
  let description = [{
    Iterations of a pipe.for_each that may be done at the same time see different
    numbers, and so do different stages' workers. It is below the `row-workers`
    of fusco-lower-to-pipe.
  }];
  let results = (outs Index:$number);
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

class Pipe_ChannelUserOp<string mnemonic, list<Trait> traits = []>
    : Pipe_Op<mnemonic, traits # [DeclareOpInterfaceMethods<SymbolUserOpInterface>]>;

def Pipe_FenceOp : Pipe_Op<"fence"> {
  let summary = "rows written so far are seen before later signals";
  let description = [{
    In an iteration of a pipe.for_each, those of this iteration, before what it
    counts with pipe.arrive.
  }];
  let assemblyFormat = "attr-dict";
}

def Pipe_ArriveOp : Pipe_Op<"arrive"> {
  let summary = "count one more arrival, for whoever reads the count";
  let description = [{
    Adds 1 to entry `at` of the table of i32 at `address`, atomically, as other
    ranks may do at the same time. Whoever reads the sum with acquire sees what
    was written here before the last pipe.fence.
  }];
  let arguments = (ins I64:$address, Index:$at);
  let assemblyFormat = "$address `[` $at `]` attr-dict";
}

def Pipe_ClaimOp : Pipe_ChannelUserOp<"claim"> {
  let summary = "the next slot to send on a lane";
  let description = [{
    Waits for the credit that frees it, where the channel has credits. `from` is
    the receiver.

    - (claim_c1) `channel` names a pipe.channel.
  }];
  let arguments = (ins FlatSymbolRefAttr:$channel, Index:$lane, Index:$peer);
  let results = (outs Index:$slot);
  let assemblyFormat = "$channel `[` $lane `]` `from` $peer attr-dict";
}

def Pipe_SignalOp : Pipe_ChannelUserOp<"signal"> {
  let summary = "send the claimed slot: what was written before is there (release)";
  let description = [{
    `lane` is this rank's lane, `their_lane` the receiver's.

    - (signal_c1) `channel` names a pipe.channel.
  }];
  let arguments = (ins FlatSymbolRefAttr:$channel, Index:$lane, Index:$peer,
                       Index:$their_lane);
  let assemblyFormat = [{
    $channel `[` $lane `]` `to` $peer `[` $their_lane `]` attr-dict
  }];
}

def Pipe_ReceiveOp : Pipe_ChannelUserOp<"receive"> {
  let summary = "wait for the next slot of a lane (acquire), or fail at the deadline";
  let description = [{
    - (receive_c1) `channel` names a pipe.channel.
  }];
  let arguments = (ins FlatSymbolRefAttr:$channel, Index:$lane, Index:$peer);
  let results = (outs Index:$slot);
  let assemblyFormat = "$channel `[` $lane `]` `from` $peer attr-dict";
}

def Pipe_HeldOp : Pipe_ChannelUserOp<"held"> {
  let summary = "the slot that was received first of those not released";
  let description = [{
    - (held_c1) `channel` names a pipe.channel.
  }];
  let arguments = (ins FlatSymbolRefAttr:$channel, Index:$lane);
  let results = (outs Index:$slot);
  let assemblyFormat = "$channel `[` $lane `]` attr-dict";
}

def Pipe_ReleaseOp : Pipe_ChannelUserOp<"release"> {
  let summary = "give back the held slot, with a credit where the channel has them";
  let description = [{
    - (release_c1) `channel` names a pipe.channel.
  }];
  let arguments = (ins FlatSymbolRefAttr:$channel, Index:$lane, Index:$peer,
                       Index:$their_lane);
  let assemblyFormat = [{
    $channel `[` $lane `]` `to` $peer `[` $their_lane `]` attr-dict
  }];
}

def Pipe_PutOp : Pipe_ChannelUserOp<"put", [AttrSizedOperandSegments]> {
  let summary = "write the start of a buffer's row to any rank, and count it as arrived";
  let description = [{
    `count` units of `bytes_per_unit` bytes after `head_bytes`, from
    `source[source_indices]` here to `destination[destination_indices]` at `peer`;
    then it sends the claimed slot, as pipe.signal does. It may go on after that:
    the source is free again when the slot is.

    - (put_c1) `channel` names a pipe.channel.
    - (put_c2) `source` and `destination` name symmetric buffers, with one
      dimension more than there are indices, and rows of one size in bytes.
  }];
  let arguments = (ins FlatSymbolRefAttr:$source, Variadic<Index>:$source_indices,
    Index:$peer, FlatSymbolRefAttr:$destination,
    Variadic<Index>:$destination_indices, I64Attr:$head_bytes, Index:$count,
    I64Attr:$bytes_per_unit, FlatSymbolRefAttr:$channel, Index:$lane,
    Index:$their_lane);
  let assemblyFormat = [{
    $source `[` $source_indices `]` `to` $peer $destination `[`
    $destination_indices `]` `bytes` $head_bytes `plus` $count `times`
    $bytes_per_unit `signal` $channel `[` $lane `,` $their_lane `]` attr-dict
  }];
}

def Pipe_PutRowsOp : Pipe_ChannelUserOp<"put_rows"> {
  let summary = "write consecutive rows to a tensor of any rank, and count them as arrived";
  let description = [{
    `count` rows of `source`, from row `from` on, to the tensor at `window` of
    `peer`, from its row `to` on; then it sends the claimed slot.

    - (put_rows_c1) `channel` names a pipe.channel.
  }];
  let arguments = (ins Pipe_AnyRows:$source, Index:$from, Index:$peer,
    I64:$window, Index:$to, Index:$count, FlatSymbolRefAttr:$channel,
    Index:$lane, Index:$their_lane);
  let assemblyFormat = [{
    $source `[` $from `]` `to` $peer `at` $window `[` $to `]` `count` $count
    `signal` $channel `[` $lane `,` $their_lane `]` attr-dict `:` type($source)
  }];
}

//===----------------------------------------------------------------------===//
// Workers
//===----------------------------------------------------------------------===//

def Pipe_ForEachOp : Pipe_Op<"for_each", [SingleBlock, NoTerminator,
                                          RecursiveMemoryEffects]> {
  let summary = "a loop whose iterations do not depend on each other";
  let description = [{
    Runs the body for each of from, ..., to - 1, in any order or at once.

    An iteration that has operations of rows is a warp's work on a GPU, any other
    a thread's.

    ```mlir
    pipe.for_each %c0 to %tokens {
    ^bb0(%token: index):
      ...
    }
    ```

    - (for_each_c1) the body takes an index.
    - (for_each_c2) nothing in the body waits, signals or leaves the program.
  }];
  let arguments = (ins Index:$from, Index:$to);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$from `to` $to $body attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether an iteration has operations of rows.
    bool hasRows();
  }];
}

def Pipe_TeamOp : Pipe_Op<"team", [IsolatedFromAbove, Symbol,
                                   DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "what all workers of a rank do together";
  let description = [{
    The body takes the tensors of `program`, then the values that pipe.fork
    hands over. Its operations are shared out among the workers of the rank.

    - (team_c1) the body's first arguments are those of `program`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$program);
  let regions = (region MinSizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `of` $program $body attr-dict";
}

def Pipe_ForkOp : Pipe_Op<"fork", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "all workers of the rank run a team, and meet at its end";
  let description = [{
    - (fork_c1) `team` names a pipe.team, which takes the operands' types after
      its program's tensors.
  }];
  let arguments = (ins FlatSymbolRefAttr:$team,
    Variadic<AnyTypeOf<[Index, I1, I32, I64, F32]>>:$values);
  let assemblyFormat = "$team (`(` $values^ `:` type($values) `)`)? attr-dict";
}

def Pipe_MeetOp : Pipe_Op<"meet"> {
  let summary = "all workers of the rank meet";
  let description = [{
    What any of them wrote before is seen by all after it. All of them must come
    here.

    - (meet_c1) it stands in a pipe.team.
  }];
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Pipelines
//===----------------------------------------------------------------------===//

def Pipe_PipelineOp : Pipe_Op<"pipeline", [SingleBlock, NoTerminator,
                                           NoRegionArguments]> {
  let summary = "stages over chunks, one behind the other";
  let description = [{
    Each stage runs once for each chunk from 0 to `chunks` - 1, in order. A worker
    that takes several stages does, in step s, chunk s - lag of each, in the
    order in which they stand. `chunks` must be the same on all ranks that share
    channels. Where there are several `workers`, each does this with every
    workers-th chunk, from its own number on; a worker of a lower number never
    waits for one of a higher number, so that one may do the work of several, one
    after the other.

    ```mlir
    pipe.pipeline chunks %n {
      pipe.stage "send" lag 0 { ^bb0(%chunk: index): ... }
      pipe.stage "forward" lag 1 { ^bb0(%chunk: index): ... }
    }
    ```

    - (pipeline_c1) it holds stages only, at least one, whose lags do not
      decrease.
    - (pipeline_c2) it stands straight in a pipe.program or pipe.team.
  }];
  let arguments = (ins Index:$chunks, OptionalAttr<I64Attr>:$workers);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`chunks` $chunks (`workers` $workers^)? $body attr-dict";
  let hasVerifier = 1;
}

def Pipe_StageOp : Pipe_Op<"stage", [SingleBlock, NoTerminator,
                                     HasParent<"PipelineOp">]> {
  let summary = "what a worker does with each chunk";
  let description = [{
    - (stage_c1) the body takes the chunk's number, an index.
    - (stage_c2) `lag` is at least 0.
  }];
  let arguments = (ins StrAttr:$name, I64Attr:$lag);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$name `lag` $lag $body attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Timeline
//===----------------------------------------------------------------------===//

def Pipe_SpanOp : Pipe_Op<"span", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "something whose begin and end workers note";
  let description = [{
    A `call` of a program, a `step` of it, or a `stage` of a pipeline is noted
    where a pipe.mark says so. A `wait` is every wait for a slot or a credit of
    `channel` that the first look does not end, a `put` every pipe.put and
    pipe.put_rows on it: those have no marks.

    ```mlir
    pipe.span @stage.send stage "send"
    pipe.span @wait.rows_out wait "rows_out" of @rows_out
    ```

    - (span_c1) `channel` is given for a `wait` and a `put`, and only there, and
      names a pipe.channel.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Pipe_SpanKind:$kind,
                       StrAttr:$name, OptionalAttr<FlatSymbolRefAttr>:$channel);
  let assemblyFormat = "$sym_name $kind $name (`of` $channel^)? attr-dict";
}

def Pipe_MarkOp : Pipe_Op<"mark", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a worker begins or ends a span";
  let description = [{
    Each worker that comes here notes the time. Spans of a worker nest.

    - (mark_c1) `span` names a pipe.span of a call, a step or a stage.
    - (mark_c2) `chunk` is given where a stage begins, and only there.
    - (mark_c3) it does not stand in a pipe.for_each, whose iterations may be
      done at once.
  }];
  let arguments = (ins Pipe_Edge:$edge, FlatSymbolRefAttr:$span,
                       Optional<Index>:$chunk);
  let assemblyFormat = "$edge $span (`chunk` $chunk^)? attr-dict";
  let hasVerifier = 1;
}

def Pipe_StepOp : Pipe_Op<"step", [HasParent<"ProgramOp">]> {
  let summary = "from here to the next, the program is in this step";
  let description = [{
    Says how to name what follows, for pipe-add-timeline. It does nothing.

    ```mlir
    pipe.step "exchange"
    ```
  }];
  let arguments = (ins StrAttr:$name);
  let assemblyFormat = "$name attr-dict";
}

//===----------------------------------------------------------------------===//
// Failure
//===----------------------------------------------------------------------===//

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

    With a `capacity`, each of a rank's experts has that many slots instead, for
    as many experts as any rank has; where one needs more, `rows` says how many
    rows there are if all have that many.

    - (place_c1) `totals`, `starts` and `bases` have `experts` entries, `rows`
      has `ranks`.
    - (place_c2) `align` is at least 1, and so is `capacity`.
  }];
  let arguments = (ins Pipe_Int32Table:$counts, Index:$rank,
    Pipe_Int32s:$totals, Pipe_Int32s:$starts, Pipe_Int32s:$bases,
    Pipe_Int32s:$rows, I64Attr:$align, OptionalAttr<I64Attr>:$capacity);
  let assemblyFormat = [{
    $counts `of` $rank `into` `(` $totals `,` $starts `,` $bases `,` $rows `)`
    `align` $align (`capacity` $capacity^)? attr-dict `:` type($counts)
    `into` `(` type($totals) `,` type($starts) `,` type($bases) `,` type($rows) `)`
  }];
  let hasVerifier = 1;
}

def Pipe_AssignOp : Pipe_Op<"assign", [AttrSizedOperandSegments]> {
  let summary = "give every assignment its row: the descriptors of a routing";
  let description = [{
    In the order (token, k), an assignment to expert e takes the next row from
    `bases[e]` on. What `bases` holds afterwards is not defined. Token t has `fanout[t]` descriptors, entries i <
    fanout[t] of row t of `ranks`, `slots` and `weights`, in the order (rank, k):
    the order in which combine sums. Where there are no router weights, weights
    are 1. `order[t, i]`, where it is asked for, is the descriptor's k. `stats` is
    counted on the way (fusco_plan_stats of runtime/include/fusco/library.h, up
    to rowsScaleOut): a row crosses scale-out links once for each `scale_out`
    unit of its token on another node, and scale-up links once for each
    `scale_up` unit on a rank of another local index than this one's, which is
    its forwarder's on other nodes.

    - (assign_c1) `bases` has `experts` entries, and `ranks`, `slots`, `weights`,
      `order` have topk columns.
    - (assign_c2) there are as many ranks as `num_ranks` / `ranks_per_node` whole
      nodes.
  }];
  let arguments = (ins Pipe_Ids:$ids, Optional<Pipe_Weights>:$routerWeights,
    Index:$rank, Pipe_Int32s:$bases, Pipe_Int32s:$fanout,
    Pipe_Int32Table:$ranks, Pipe_Int32Table:$slots, Pipe_Weights:$weights,
    Optional<Pipe_Int32Table>:$order, Pipe_Int64s:$stats, I64Attr:$num_ranks,
    I64Attr:$ranks_per_node, Pipe_Unit:$scale_out, Pipe_Unit:$scale_up);
  let assemblyFormat = [{
    $ids (`weights` $routerWeights^)? `of` $rank `at` $bases
    `into` `(` $fanout `,` $ranks `,` $slots `,` $weights `,` $stats `)`
    (`order` $order^)?
    `ranks` $num_ranks `per_node` $ranks_per_node `scale_out` $scale_out
    `scale_up` $scale_up attr-dict
    `:` type($ids) (`weights` type($routerWeights)^)? `at` type($bases)
    `into` `(` type($fanout) `,` type($ranks) `,` type($slots) `,`
    type($weights) `,` type($stats) `)` (`order` type($order)^)?
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

def Pipe_CopyRowOp : Pipe_Op<"copy_row", [AttrSizedOperandSegments]> {
  let summary = "read a row once, write it to each of its destinations";
  let description = [{
    Writes row `row` of `source` to row slots[token, i] of the tensor at
    addresses[ranks[token, i]], for all i in [begin, end). Destinations have rows
    of `row_type`; where that differs from the source's, elements are converted,
    and `weights[token, i]` multiplies them first, in float32, with one rounding
    after it. Rows are written past the caches where `streaming` is true.

    - (copy_row_c1) it stands in a pipe.program or pipe.team.
    - (copy_row_c2) `row_type` is a type of rows of the source's hidden size.
  }];
  let arguments = (ins Pipe_AnyRows:$source, Index:$row,
    Pipe_Int64s:$addresses, Pipe_Int32Table:$ranks, Pipe_Int32Table:$slots,
    Optional<Pipe_Weights>:$weights, Index:$token, Index:$begin, Index:$end,
    TypeAttrOf<Pipe_AnyRows>:$row_type, Optional<I1>:$streaming);
  let assemblyFormat = [{
    $source `[` $row `]` `to` $addresses `at` `(` $ranks `,` $slots `)`
    (`weights` $weights^)? `[` $token `,` $begin `to` $end `]` `as` $row_type
    (`streaming` $streaming^)? attr-dict `:` type($source) `to`
    type($addresses) `at` `(` type($ranks) `,` type($slots) `)`
    (`weights` type($weights)^)?
  }];
  let hasVerifier = 1;
}

def Pipe_StoreRowOp : Pipe_Op<"store_row"> {
  let summary = "copy one row, converting its elements where the types differ";
  let description = [{
    - (store_row_c1) both have the same hidden size.
  }];
  let arguments = (ins Pipe_AnyRows:$source, Index:$from, Pipe_AnyRows:$destination,
                       Index:$to, Optional<I1>:$streaming);
  let assemblyFormat = [{
    $source `[` $from `]` `to` $destination `[` $to `]`
    (`streaming` $streaming^)? attr-dict `:` type($source) `to`
    type($destination)
  }];
  let hasVerifier = 1;
}

def Pipe_QuantizeRowOp : Pipe_Op<"quantize_row"> {
  let summary = "fusco.quantize, of one row";
  let description = [{
    Quantises row `from` of `source` in blocks of `block` elements into row `to`
    of `data` and of `scales`.

    - (quantize_row_c1) `data` has the hidden size of `source`, and `scales` the
      columns that fusco.quantize says.
  }];
  let arguments = (ins Pipe_AnyRows:$source, Index:$from, Pipe_AnyRows:$data,
                       Pipe_AnyRows:$scales, Index:$to, I64Attr:$block);
  let assemblyFormat = [{
    $source `[` $from `]` `into` $data `,` $scales `[` $to `]` `block` $block
    attr-dict `:` type($source) `into` type($data) `,` type($scales)
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
    Index:$to, Index:$count, Optional<I1>:$streaming);
  let assemblyFormat = [{
    $source `[` $from `]` `to` $address `[` $to `]` `count` $count
    (`streaming` $streaming^)? attr-dict `:` type($source)
  }];
}

def Pipe_ReduceRowOp : Pipe_Op<"reduce_row", [AttrSizedOperandSegments]> {
  let summary = "read a token's rows from where they are, write their sum";
  let description = [{
    The sum that fusco.combine defines, over the descriptors [begin, end) of
    `token`, into row `row` of `out`; a partial sum where these are not all. The
    rows read are of `row_type`, and where they are `scaled`, the row of scales of
    `scale_type` for each of them is read at `scale_addresses`. Without `weights`
    they are 1. Row `row` of each of `plus`, or the one row of a tensor of one, is
    added at the end, before the rounding. `partials` is fusco.combine's.

    - (reduce_row_c1) `ranks_per_node` is at least 1.
    - (reduce_row_c2) it stands in a pipe.program or pipe.team.
    - (reduce_row_c3) `row_type` is a type of rows of `out`'s hidden size, and so
      are those of `plus`.
    - (reduce_row_c4) rows are of float8 where they are `scaled`, with the columns
      of scales that fusco.quantize says.
  }];
  let arguments = (ins Pipe_Int64s:$addresses, Pipe_Int32Table:$ranks,
    Pipe_Int32Table:$slots, Optional<Pipe_Weights>:$weights, Index:$token,
    Index:$begin, Index:$end, TypeAttrOf<Pipe_AnyRows>:$row_type,
    Optional<Pipe_Int64s>:$scale_addresses,
    OptionalAttr<TypeAttrOf<Pipe_AnyRows>>:$scale_type,
    OptionalAttr<I64Attr>:$block,
    Pipe_AnyRows:$out, Index:$row, Variadic<Pipe_AnyRows>:$plus,
    I64Attr:$num_ranks, I64Attr:$ranks_per_node,
    OptionalAttr<TypeAttr>:$partials, Optional<I1>:$streaming);
  let assemblyFormat = [{
    $addresses `at` `(` $ranks `,` $slots `)` (`weights` $weights^)?
    `[` $token `,` $begin `to` $end `]` `as` $row_type
    (`scaled` $scale_addresses^ `as` $scale_type `block` $block)?
    `into` $out `[` $row `]` (`plus` $plus^)?
    `ranks` $num_ranks `per_node` $ranks_per_node (`partials` $partials^)?
    (`streaming` $streaming^)? attr-dict
    `:` type($addresses) `at` `(` type($ranks) `,` type($slots) `)`
    (`weights` type($weights)^)? (`scaled` type($scale_addresses)^)?
    `into` type($out) (`plus` type($plus)^)?
  }];
  let hasVerifier = 1;
}

def Pipe_MergeRowOp : Pipe_Op<"merge_row", [AttrSizedOperandSegments]> {
  let summary = "add partial sums, write the result";
  let description = [{
    Adds the rows at addresses[0] to addresses[count - 1], whose elements are
    `partials`, f32 if none is given, in this order and in float32, and rounds the
    sum once to the element of `out`; +0 if there are none. `node` sums those of
    the ranks of a node, and is rounded to `partials` first. Row `row` of each of
    `plus`, or the one row of a tensor of one, is added at the end, before the last
    rounding.

    - (merge_row_c1) each of `plus` has the hidden size of `out`.
    - (merge_row_c2) `partials` is f32 or bf16.
  }];
  let arguments = (ins Pipe_Int64s:$addresses, Index:$count, Pipe_AnyRows:$out,
                       Index:$row, Variadic<Pipe_AnyRows>:$plus,
                       OptionalAttr<TypeAttr>:$partials, UnitAttr:$node,
                       Optional<I1>:$streaming);
  let assemblyFormat = [{
    $addresses `count` $count `into` $out `[` $row `]` (`plus` $plus^)?
    (`partials` $partials^)? (`node` $node^)? (`streaming` $streaming^)? attr-dict
    `:` type($addresses) `into` type($out) (`plus` type($plus)^)?
  }];
  let hasVerifier = 1;
}

def Pipe_DotRowOp : Pipe_Op<"dot_row"> {
  let summary = "the dot product of two rows, in the order of fusco.weight_gradient";
  let description = [{
    - (dot_row_c1) `row_type` is a type of rows of `rows`' hidden size.
  }];
  let arguments = (ins Pipe_AnyRows:$rows, Index:$row, I64:$address,
                       TypeAttrOf<Pipe_AnyRows>:$row_type);
  let results = (outs F32:$dot);
  let assemblyFormat = [{
    $rows `[` $row `]` `with` $address `as` $row_type attr-dict `:` type($rows)
  }];
  let hasVerifier = 1;
}

def Pipe_ZeroRowsOp : Pipe_Op<"zero_rows"> {
  let summary = "write zeros to the rows [from, to) of this rank's tensor";
  let arguments = (ins Pipe_AnyRows:$rows, Index:$from, Index:$to);
  let assemblyFormat = "$rows `[` $from `,` $to `]` attr-dict `:` type($rows)";
}

#endif // FUSCO_DIALECT_PIPEOPS_TD
