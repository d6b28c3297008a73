//===- ProgramBuilder.h - What the builders of programs share ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Short forms for the IR that recurs in programs: constants, loops, walks over
/// descriptors, exchange of headers, stages of a pipeline; and the builders of
/// programs themselves.
///
//===----------------------------------------------------------------------===//

#ifndef FUSCO_PASSES_PROGRAMBUILDER_H
#define FUSCO_PASSES_PROGRAMBUILDER_H

#include "dialect/PipeDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/SharedMemory.h"

namespace fusco {

/// The tensors of a rank that others use, so that all are told where they are.
struct Exposure {
  llvm::SmallVector<mlir::Value, 2> rows;   ///< tensors that peers write
  llvm::SmallVector<mlir::Value, 2> tokens; ///< that ranks of the node read
  mlir::Value outputs; ///< of experts, that ranks of the node read; or null
  mlir::Value rowWeights, ready; ///< that peers write, or null
};

/// What a rank tells its peers in the first exchange of a program.
struct Header {
  mlir::Value status; ///< i64: 0 or a fusco_status
  mlir::Value rows;   ///< index: room in the tensor that peers will address
  mlir::Value tokens; ///< index: of this rank
  mlir::Value placementHash; ///< i64: of its table of placement, or null
  Exposure exposed;          ///< whose windows are told
};

/// Entries that a header tells: the first \p count of a table of i32.
struct HeaderTable {
  mlir::Value table;
  int64_t count;
};

/// A tensor of this rank that is too small, which all ranks must learn of.
struct Shortage {
  mlir::Value isShort;     ///< i1; null where nothing can be short
  mlir::Value needed, has; ///< i64
};

/// The tables that say where the assignments of tokens, or of the units in a
/// slot, are: fanout [n], the rest [n, topk]. Descriptors of a token are in the
/// order (rank, k).
struct Descriptors {
  mlir::Value fanout, ranks, slots, weights;
};

/// Part of a row of descriptors: [begin, end) of \p token's.
struct Run {
  mlir::Value token, begin, end;
};

/// A piece of a run that travels as one row.
struct UnitRun {
  Run run;
  mlir::Value rank;   ///< of its first descriptor
  mlir::Value number; ///< among the units of the run, from 0
};

/// A slot of a ring, laid out as SlotLayout says.
struct RingSlot {
  mlir::Value count; ///< memref<1xi32>: units in it
  Descriptors by;
  llvm::SmallVector<mlir::Value, 2> rows; ///< of each tensor on the way
};

/// Another node, as seen from this rank.
struct OtherNode {
  mlir::Value node;
  mlir::Value lane;      ///< this rank's lane for it
  mlir::Value peer;      ///< the partner there, with which lanes are shared
  mlir::Value theirLane; ///< that rank's lane for this node
};

/// Builds IR at one place of one program.
class ProgramBuilder {
public:
  ProgramBuilder(mlir::ImplicitLocOpBuilder &builder, const ShuffleShape &shape,
                 pipe::ProgramOp program)
      : b(builder), shape(shape), program(program) {}

  /// Who forwards, from here on.
  void setForwarders(Forwarders kind) { forwarders = kind; }
  Forwarders getForwarders() const { return forwarders; }

  /// The program's next step begins, as a timeline shall call it.
  void step(llvm::StringRef name);

  //===--- Scalars --------------------------------------------------------===//

  mlir::Value index(int64_t value);
  mlir::Value i32(int64_t value);
  mlir::Value i64(int64_t value);
  /// A sign-extending or truncating cast from or to index.
  mlir::Value toI64(mlir::Value value);
  mlir::Value toI32(mlir::Value index);
  mlir::Value toIndex(mlir::Value value);
  mlir::Value compare(mlir::arith::CmpIPredicate predicate, mlir::Value a,
                      mlir::Value b);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value index, int64_t value);
  mlir::Value minimum(mlir::Value a, mlir::Value b);

  //===--- Control --------------------------------------------------------===//

  /// for (i = from; i < to; ++i) body(i)
  void forRange(mlir::Value from, mlir::Value to,
                llvm::function_ref<void(mlir::Value)> body);
  /// The same, where no iteration depends on another (pipe.for_each).
  void forEach(mlir::Value from, mlir::Value to,
               llvm::function_ref<void(mlir::Value)> body);
  void forEachRank(llvm::function_ref<void(mlir::Value)> body);
  /// The sum (i32) of value(i) over i in [from, to).
  mlir::Value sum(mlir::Value from, mlir::Value to,
                  llvm::function_ref<mlir::Value(mlir::Value)> value);
  /// Over the local indices of a node.
  void forEachLocal(llvm::function_ref<void(mlir::Value)> body);
  void ifThen(mlir::Value condition, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise = {});

  //===--- Ranks and nodes ------------------------------------------------===//

  mlir::Value rank();
  mlir::Value nodeOf(mlir::Value rank);
  mlir::Value localOf(mlir::Value rank);
  mlir::Value rankOf(mlir::Value node, mlir::Value local);
  /// The next local index, in a circle.
  mlir::Value localAfter(mlir::Value local);
  /// Whether \p rank's memory is addressable (i1).
  mlir::Value isInOwnNode(mlir::Value rank);
  /// The rank that holds \p expert, as \p placement says.
  mlir::Value rankOfExpert(const BlockPlacement &placement, mlir::Value expert);
  /// The rank in \p node with which this one shares lanes.
  mlir::Value partnerIn(mlir::Value node);
  /// The rank of this node that shares lanes with \p other, or is it.
  mlir::Value partnerOf(mlir::Value other);
  /// The other nodes in ascending order. Lanes for nodes count only those.
  void forEachOtherNode(llvm::function_ref<void(const OtherNode &)> body);
  /// The lane of a rank in node \p of for node \p node.
  mlir::Value laneOfNode(mlir::Value of, mlir::Value node);

  //===--- Memory ---------------------------------------------------------===//

  /// This rank's, or rank \p rank's, instance of the buffer \p name.
  mlir::Value local(llvm::StringRef name);
  mlir::Value peer(mlir::Value rank, llvm::StringRef name);
  mlir::Value load(mlir::Value memref, mlir::ValueRange indices);
  void store(mlir::Value value, mlir::Value memref, mlir::ValueRange indices);
  /// Entry \p at of the table of i32 \p name, as index.
  mlir::Value loadEntry(llvm::StringRef name, mlir::Value at);
  void storeEntry(mlir::Value index, llvm::StringRef name, mlir::Value at);
  /// Loads it and adds one.
  mlir::Value takeEntry(llvm::StringRef name, mlir::Value at);
  void zeroEntries(llvm::StringRef name);
  /// The first \p count (index) rows of a table.
  mlir::Value firstRows(mlir::Value table, mlir::Value count);
  /// All elements of a tensor like \p type at \p address, as one column, and
  /// where one of a tensor that is stored by columns is among them: of row \p
  /// row, column \p column, of \p rows (index) in all.
  mlir::Value viewElements(mlir::Value address, mlir::MemRefType type);
  mlir::Value placeByColumns(mlir::MemRefType type, mlir::Value row,
                             mlir::Value column, mlir::Value rows);
  /// A tensor's extent of its first dimension.
  mlir::Value rowsOf(mlir::Value tensor);

  /// The slot \p slot of lane \p lane in \p ring, a memref of bytes, with rows
  /// of \p packed where that is not null.
  RingSlot viewSlot(mlir::Value ring, mlir::Value lane, mlir::Value slot,
                    const SlotLayout &layout, const PackedRow *packed);
  /// The partial sums of that slot, one per token of a chunk, of \p element.
  mlir::Value viewSums(mlir::Value ring, mlir::Value lane, mlir::Value slot,
                       mlir::Type element);
  /// The slot \p slot of lane \p lane in \p ring, of lists of units.
  RingSlot viewList(mlir::Value ring, mlir::Value lane, mlir::Value slot);

  //===--- Descriptors ----------------------------------------------------===//

  /// Those of the plan.
  Descriptors planDescriptors();
  /// All of \p token's.
  Run wholeRun(const Descriptors &by, mlir::Value token);
  /// Runs \p body on the pieces of \p run that share a node, a rank, or are one
  /// assignment, in order. Returns how many there are.
  mlir::Value forEachUnit(const Descriptors &by, const Run &run,
                          pipe::Unit unit,
                          llvm::function_ref<void(const UnitRun &)> body);
  /// Writes \p run as unit \p number of \p to.
  void appendUnit(const Descriptors &to, mlir::Value number,
                  const Descriptors &from, const Run &run);

  //===--- Exchange -------------------------------------------------------===//

  /// Tells all ranks \p header and, behind it in \p headers, \p tables, on the
  /// channel \p exchange; waits for all peers. Returns which of the two places
  /// of \p headers this round uses.
  mlir::Value exchangeHeaders(llvm::StringRef headers, llvm::StringRef exchange,
                              const Header &header,
                              llvm::ArrayRef<HeaderTable> tables = {});
  /// What this rank's header says: the host's refusal, or else \p shortage, or
  /// else \p otherwise (i64).
  mlir::Value ownStatus(mlir::Value otherwise, const Shortage &shortage);
  /// Leaves the program if the header spoke of a refusal or \p shortage.
  void failIfRefused(const Shortage &shortage);
  /// Leaves the program if a rank's header says that it failed.
  void failWithPeers(llvm::StringRef headers, mlir::Value turn);
  /// Whatever ranks tell each other behind headers, from word \p first on: a
  /// memref [ranks, count].
  mlir::Value viewTold(llvm::StringRef headers, mlir::Value turn, int64_t first,
                       int64_t count);
  /// The hash of the table of placement that rank \p rank has (i64).
  mlir::Value placementHashOf(llvm::StringRef headers, mlir::Value turn,
                              mlir::Value rank);
  /// The room for rows that rank \p rank has (i64).
  mlir::Value roomOf(llvm::StringRef headers, mlir::Value turn,
                     mlir::Value rank);
  /// Where the tensor of rank \p rank is, as that rank sees it (i64).
  mlir::Value windowOf(llvm::StringRef headers, mlir::Value turn,
                       mlir::Value rank);
  /// Fills the tables of addresses of the ranks of this node, of what is
  /// \p exposed.
  void resolveAddresses(llvm::StringRef headers, mlir::Value turn,
                        const Exposure &exposed);
  /// Lets every entry of `addresses` be this rank's \p tensor.
  void addressOwn(mlir::Value tensor);
  /// Makes the rows written so far visible, and meets the ranks of this node.
  void meet(llvm::StringRef channel);

  /// Leaves the program with \p status if \p condition.
  void failIf(mlir::Value condition, pipe::Status status, mlir::Value a,
              mlir::Value b, mlir::Value c);

  //===--- Pipelines ------------------------------------------------------===//

  /// Fills `chunks` from the tokens in \p headers; runs \p stages over as many
  /// chunks as any rank has.
  void buildPipeline(llvm::StringRef headers, mlir::Value turn,
                     llvm::function_ref<void()> stages);
  /// The next stage of the pipeline; stages are `stageLag` chunks apart.
  void stage(llvm::StringRef name, llvm::function_ref<void(mlir::Value)> body);
  /// Runs \p body if rank \p source has the chunk.
  void ifHasChunk(mlir::Value source, mlir::Value chunk,
                  llvm::function_ref<void()> body);
  /// The tokens of this rank's \p chunk, of \p tokens (index) in all.
  void forEachToken(mlir::Value chunk, mlir::Value tokens,
                    llvm::function_ref<void(mlir::Value)> body);
  mlir::Value claim(llvm::StringRef channel, mlir::Value lane,
                    mlir::Value peer);
  mlir::Value receive(llvm::StringRef channel, mlir::Value lane,
                      mlir::Value peer);
  void signal(llvm::StringRef channel, mlir::Value lane, mlir::Value peer,
              mlir::Value theirLane);
  void release(llvm::StringRef channel, mlir::Value lane, mlir::Value peer,
               mlir::Value theirLane);

  /// Claims, or receives, a slot of each other node's lane: to `node_slots`,
  /// with `node_counts` 0.
  void claimNodeSlots(llvm::StringRef channel);
  void receiveNodeSlots(llvm::StringRef channel);
  /// Claims, or receives, a slot of the lane of each rank of this node that is
  /// for tokens of node \p origin: to `rank_slots`, with `rank_counts` 0.
  void claimRankSlots(llvm::StringRef channel, mlir::Value origin);
  void receiveRankSlots(llvm::StringRef channel, mlir::Value origin);
  /// Claims, or receives, a slot of each local rank's lane of lists: to
  /// `list_slots`, with `list_counts` 0.
  void claimListSlots(llvm::StringRef channel);
  void receiveListSlots(llvm::StringRef channel);

  //===--- Dealing --------------------------------------------------------===//

  /// Begins to deal the units of this rank's \p chunk.
  void startDealing(mlir::Value chunk);
  /// The local index of the forwarder of the next unit for the node of
  /// \p lane.
  mlir::Value deal(mlir::Value lane);
  /// Adds a token's \p run, for the node of \p lane, to the list in \p ring for
  /// the rank that its unit is dealt to.
  void appendToList(llvm::StringRef ring, const Descriptors &by, const Run &run,
                    mlir::Value lane);
  /// Sends the lists of a chunk, which are in \p ring.
  void sendLists(llvm::StringRef channel, llvm::StringRef ring);
  /// Runs \p body for each unit of \p list with its token and lane, in order.
  void
  forEachInList(const RingSlot &list,
                llvm::function_ref<void(mlir::Value unit, mlir::Value token,
                                        mlir::Value lane)>
                    body);

  mlir::ImplicitLocOpBuilder &b;
  const ShuffleShape &shape;

private:
  mlir::MemRefType lookupBufferType(llvm::StringRef name);
  using TakeSlot = mlir::Value (ProgramBuilder::*)(llvm::StringRef, mlir::Value,
                                                   mlir::Value);
  void takeNodeSlots(TakeSlot take, llvm::StringRef channel);
  void takeRankSlots(TakeSlot take, llvm::StringRef channel,
                     mlir::Value origin);
  void takeListSlots(TakeSlot take, llvm::StringRef channel);
  mlir::Value loadField(mlir::Value table, mlir::Value turn, mlir::Value rank,
                        int64_t field);

  pipe::ProgramOp program;
  Forwarders forwarders = Forwarders::Rail;
  int64_t numStages = 0;
};

//===----------------------------------------------------------------------===//
// PlanSteps.cpp
//===----------------------------------------------------------------------===//

struct ExchangedCounts {
  mlir::Value turn;   ///< of the exchange
  mlir::Value units;  ///< memref [ranks, nodes]; null if they are not told
  mlir::Value counts; ///< memref [ranks, experts]
  mlir::Value ids;    ///< memref [tokens, topk], what is counted
};
/// Counts this rank's assignments, and if \p tellsUnits its units; tells all
/// ranks the counts, where \p exposed are, what \p room (index) it has and
/// whether anything is wrong; leaves, all ranks together, if anything is; fills
/// `totals`, `starts`, `bases` and `rank_rows`; leaves if some rank has too
/// little room.
/// \p placement may be null.
ExchangedCounts buildCountExchange(ProgramBuilder &p, mlir::Value ids,
                                   mlir::Value placement,
                                   const Exposure &exposed, mlir::Value room,
                                   const Shortage &shortage, bool tellsUnits);

/// For a plan that is made already: tells all ranks where \p exposed are, what
/// \p tokens (index) this rank has and whether anything is wrong here, such as
/// \p room (index) that is too little for the rows that this rank's experts
/// got; leaves, all ranks together, if anything is. Returns the turn of the
/// exchange.
mlir::Value buildReadyExchange(ProgramBuilder &p, const Exposure &exposed,
                               mlir::Value tokens, mlir::Value room);

/// The ids (i32, of as many tokens) that come of \p ids by giving each
/// assignment another one: newId(expert, number), both index, where `number` is
/// its place among all ranks' assignments to the expert, in the order (source
/// rank, token, k). \p counts [ranks, experts] are all ranks'.
mlir::Value
buildOtherIds(ProgramBuilder &p, mlir::Value ids, mlir::Value counts,
              llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> newId);

/// Fills the descriptors, an expert's rows starting at \p bases, which are
/// advanced. \p weights may be null.
void buildAssignment(ProgramBuilder &p, mlir::Value ids, mlir::Value weights,
                     mlir::Value bases, const Route &route);

/// The experts that a placement puts on this rank: `first` to first + count
/// (index).
struct LocalExperts {
  mlir::Value first, count;
};
LocalExperts buildLocalExperts(ProgramBuilder &p,
                               const BlockPlacement &placement);

/// Makes the ids of experts in \p ids, of rows that have all arrived, numbers
/// of this rank's own experts, -1 for all others.
void buildLocalIds(ProgramBuilder &p, mlir::Value ids);

/// Writes counts and offsets, either of which may be null, and zeroes pads:
/// zeroRows(from, to), unless rows are slots.
void buildSegments(ProgramBuilder &p, mlir::Value counts, mlir::Value offsets,
                   llvm::function_ref<void(mlir::Value, mlir::Value)> zeroRows);

//===----------------------------------------------------------------------===//
// Forwarders.cpp
//===----------------------------------------------------------------------===//

/// Counts the units of \p ids: of each chunk and node to `chunk_units`, of each
/// node to `node_units`.
void buildUnitCounts(ProgramBuilder &p, mlir::Value ids);

/// From all ranks' \p units [ranks, nodes], or null where they are not told:
/// who forwards, as the module's shuffles need it, and what that means for the
/// load, for the plan's stats. The plan's descriptors are there.
void buildForwarders(ProgramBuilder &p, mlir::Value units,
                     mlir::Value numTokens, const Route &route);

//===----------------------------------------------------------------------===//
// SplitReplicas.cpp
//===----------------------------------------------------------------------===//

/// A placement that is given as a table.
struct PlacementCheck {
  /// i64: 0 if every expert is there and nothing else; 1: entry `where` is
  /// `what`; 2: expert `where` is not there.
  mlir::Value problem, where, what;
  mlir::Value hash; ///< i64, which other tables hardly have
};
/// Checks \p placement; lists each expert's replicas in `replica_starts` and
/// `replicas`.
PlacementCheck buildPlacementCheck(ProgramBuilder &p, mlir::Value placement);

/// Divides what ranks have for each expert, \p counts [ranks, routed experts],
/// among its replicas: to `placed_counts`, with the quotas in `quotas`.
void buildQuotas(ProgramBuilder &p, mlir::Value counts);

/// The ids of physical experts that this rank's assignments \p ids go to.
mlir::Value buildPhysicalIds(ProgramBuilder &p, mlir::Value ids,
                             mlir::Value counts);

//===----------------------------------------------------------------------===//
// DropOverflow.cpp
//===----------------------------------------------------------------------===//

/// All ranks' counts without the assignments that \p counts [ranks, experts]
/// have beyond an expert's slots.
mlir::Value buildKeptCounts(ProgramBuilder &p, mlir::Value counts);

/// The ids of this rank's assignments, \p ids, with -1 for what is dropped.
mlir::Value buildKeptIds(ProgramBuilder &p, mlir::Value ids,
                         mlir::Value counts);

/// Says in \p keptIds, which may be null, what of \p ids is left in \p planned,
/// and in the plan's stats how much is not.
void buildDropReport(ProgramBuilder &p, mlir::Value ids, mlir::Value planned,
                     mlir::Value keptIds);

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

/// One of the tensors that a dispatch moves.
struct Payload {
  mlir::Value x;    ///< null: its rows are made on the way, by a Quantization
  mlir::Value rows; ///< where they go
  WireRows wire;    ///< what they are between nodes
  bool isByColumns = false; ///< whether `rows` are stored by columns
};

/// Rows of `x`, quantised on the way into those of two payloads.
struct Quantization {
  mlir::Value x;
  unsigned data, scales; ///< numbers of payloads
  int64_t block;
};

/// The tensors of a program that dispatches. Without `ids` the plan is made
/// already. `weights`, `counts`, `offsets`, `localIds` and `keptIds` may be
/// null; `outputs` and `weightGradient` are given together, where the program
/// also computes that.
struct DispatchTensors {
  llvm::SmallVector<Payload, 2> payloads;
  llvm::SmallVector<Quantization, 1> quantizations;
  mlir::Value ids, weights, counts, offsets, outputs, weightGradient;
  mlir::Value placement; ///< which expert each physical one is, or null
  mlir::Value localIds;  ///< of `rows`: becomes numbers of local experts
  mlir::Value keptIds;   ///< of what has a row, or null
  mlir::Value rowWeights, ready; ///< or null

  /// A tensor of tokens: all have as many.
  mlir::Value tokens() const {
    return quantizations.empty() ? payloads.front().x : quantizations.front().x;
  }
  /// All tensors of tokens.
  llvm::SmallVector<mlir::Value, 2> allTokens() const {
    llvm::SmallVector<mlir::Value, 2> all;
    for (const Payload &payload : payloads)
      if (payload.x)
        all.push_back(payload.x);
    for (const Quantization &made : quantizations)
      all.push_back(made.x);
    return all;
  }
  /// Where rows go.
  llvm::SmallVector<mlir::Value, 2> rows() const {
    return llvm::map_to_vector<2>(
        payloads, [](const Payload &payload) { return payload.rows; });
  }
};
/// DispatchProgram.cpp. \p weighted: each assignment's row is multiplied by its
/// weight. \p streaming (i1): rows are stored past the caches where it is true;
/// null is false.
void buildDispatch(ProgramBuilder &p, const DispatchTensors &tensors,
                   const Route &route, bool weighted, mlir::Value streaming);

/// The tensors of a program that combines, and how it sums.
struct CombineTensors {
  mlir::Value y, out;
  llvm::SmallVector<mlir::Value, 2>
      summands;       ///< in the order of their addition
  mlir::Value scales; ///< of `y`, one for each `block` elements; or null
  int64_t block = 0;
  mlir::Type partials; ///< element of partial sums, f32 or bf16
};
/// CombineProgram.cpp: for each token, the sum of its rows at `addresses`, each
/// of the type of `y`, and of its summands, into `out`.
void buildSums(ProgramBuilder &p, const CombineTensors &tensors, bool weighted,
               mlir::Value streaming);
/// CombineProgram.cpp.
void buildCombine(ProgramBuilder &p, const CombineTensors &tensors,
                  const Route &route, bool weighted, mlir::Value streaming);

/// What lies between the steps of the unfused form: rows by destination and by
/// source.
struct Workspace {
  mlir::Value send, recv;
};
/// UnfusedPrograms.cpp.
void buildUnfusedDispatch(ProgramBuilder &p, const DispatchTensors &tensors,
                          const Workspace &workspace, mlir::Value streaming);
void buildUnfusedCombine(ProgramBuilder &p, const CombineTensors &tensors,
                         const Workspace &workspace, bool weighted,
                         mlir::Value streaming);

} // namespace fusco

#endif // FUSCO_PASSES_PROGRAMBUILDER_H
