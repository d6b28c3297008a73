//===- Passes.td - Passes that decide how rows move -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// IR to IR, with no knowledge of a target. What a pass decides it writes into
// the IR.
//
//===----------------------------------------------------------------------===//

#ifndef FUSCO_PASSES_PASSES_TD
#define FUSCO_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

def FuseShufflePass : Pass<"fusco-fuse-shuffle", "::mlir::ModuleOp"> {
  let summary = "make one dispatch or combine of the steps that a framework runs";
  let description = [{
    permute, all_to_all and permute become a fusco.dispatch; unpermute,
    all_to_all and unpermute, the sum, a fusco.combine. Nothing uses the counts
    and offsets of such a dispatch. All bits stay as they were.

    A dispatch takes in one cast of its rows, before, between or after the
    steps. A combine takes in a cast to f32 before the sum, which is exact, and a
    cast of a sum in f32, which then is rounded once.

    Steps are fused where they stand in one block, use one plan, and nothing else
    uses the rows between them. `remarks` asks for a remark on the last step of
    each other chain, and on each cast left beside a dispatch or combine.

    Example: test/passes/fuse-shuffle.mlir.
  }];
  let options = [
    Option<"remarks", "remarks", "bool", /*default=*/"false",
           "say why a chain of steps or a cast was not fused">
  ];
  let dependentDialects = ["::fusco::FuscoDialect"];
}

def PlanDedupPass : Pass<"fusco-plan-dedup", "::mlir::ModuleOp"> {
  let summary = "decide the hops of each dispatch and combine";
  let description = [{
    Gives each fusco.dispatch and fusco.combine without `hops` those that a cost
    model over the topology's links finds cheapest: between nodes through a
    forwarder (scale_out), then between ranks of a node (scale_up), each with
    rows that are unique per assignment, rank or node. The model, in
    passes/CostModel.h, takes routing as uniform and the slowest of a rank's
    memory and links as what decides; between equals the sum of all three does,
    then the simpler hops. The choice, the alternatives and their costs become
    decisions of the module.

    In the layout rank_major a token has one slot on a rank, so that per rank and
    per assignment are the same there.

    Example: test/passes/plan-dedup.mlir.
  }];
  let options = [
    Option<"unique", "unique", "::fusco::UniqueOption",
           /*default=*/"::fusco::UniqueOption::Auto",
           "what rows are unique per on every hop, as far as the hop can: "
           "scale_up hops are unique per rank at most, and combine's scale_out "
           "hop is always unique per node",
           "::fusco::uniqueOptionValues()">,
    Option<"remarks", "remarks", "bool", /*default=*/"false",
           "remark on each operation what was chosen and rejected, at what cost">
  ];
  let dependentDialects = ["::fusco::FuscoDialect"];
}

def PlanBalancePass : Pass<"fusco-plan-balance", "::mlir::ModuleOp"> {
  let summary = "decide who forwards between nodes";
  let description = [{
    Sets `forwarders` of the scale_out hop of each fusco.dispatch and
    fusco.combine; #fusco.hop says what they are. Left to the cost model
    (passes/CostModel.h), they are `balanced` where the topology gives speeds by
    which evening out the links between nodes saves more than the row's further
    way through its node costs, and else `rail`. A dispatch beside a
    fusco.weight_gradient is never `balanced`. The choice becomes a decision of
    the module.

    Assumes hops; a shuffle without them is left alone.

    Example: test/passes/plan-balance.mlir.
  }];
  let options = [
    Option<"policy", "policy", "::fusco::PolicyOption",
           /*default=*/"::fusco::PolicyOption::Auto", "who forwards",
           "::fusco::policyOptionValues()">
  ];
  let dependentDialects = ["::fusco::FuscoDialect"];
}

def AddBaselinePass : Pass<"fusco-add-baseline", "::mlir::ModuleOp"> {
  let summary = "add each function's unfused form, to be measured against";
  let description = [{
    For each function NAME with an unweighted fusco.dispatch to expert_major or
    a fusco.combine from it, adds a function `NAME.unfused` that does the same by
    permute, all_to_all and permute, or by their mirror images. Where a dispatch
    casts rows, a cast of all of them comes first; the sum casts by itself. Such
    programs are no entry points; fusco-run finds them in the library.

    Example: test/passes/add-baseline.mlir.
  }];
  let dependentDialects = ["::fusco::FuscoDialect"];
}

def DeriveBackwardPass : Pass<"fusco-derive-backward", "::mlir::ModuleOp"> {
  let summary = "add each function's backward, for training";
  let description = [{
    Write (t, k) for an assignment and s(t, k) for its slot. Both shuffles are
    linear in their rows, so the backward of each is the transposed map applied
    to the gradient of its result:

        dispatch   rows[s(t, k)] = x[t]                   dx[t] = sum_k drows[s(t, k)]
        combine    out[t] = sum_k w[t, k] * y[s(t, k)]    dy[s(t, k)] = w[t, k] * dout[t]
                                                          dw[t, k] = <dout[t], y[s(t, k)]>

    which are a combine without weights, a dispatch that is weighted as the
    combine was, and a weight gradient. For each function NAME with one
    fusco.dispatch the pass adds

        NAME_backward(%drows, %plan) -> %dx

    and for each with one fusco.combine

        NAME_backward(%dout, %y, %plan) -> (%dy, %dweights)

    or, if it is not weighted, `NAME_backward(%dout, %plan) -> %dy`. A gradient
    has the type of what it is the gradient of. The plan is the forward pass's,
    and so are the slots. The attribute `fusco.name` of an argument or result is
    the name above.

    Functions whose names end in `.unfused` or `_backward` are left alone, and so
    are those with another number of shuffles, which lowering refuses. It is an
    error if NAME_backward exists, if the rows are not expert_major or if the
    dispatch is weighted.

    Example: test/passes/derive-backward.mlir.
  }];
  let dependentDialects = ["::fusco::FuscoDialect"];
}

def LowerToPipePass : Pass<"fusco-lower-to-pipe", "::mlir::ModuleOp"> {
  let summary = "from intent with hops to pipeline programs";
  let description = [{
    Each function becomes a pipe.program of the same name, whose arguments are
    the tensors that the function takes and returns; a plan becomes the memory of
    `plan` buffers.

    Assumes one fusco.group, and one hidden size and expert_major alignment in
    the module. Each function holds one fusco.dispatch, straight between
    arguments and results, with the fusco.plan that it goes by or with one that
    is given, and then perhaps the fusco.weight_gradient of what it dispatches;
    or one fusco.combine; or one of them in the unfused form, whose intermediate
    rows become arguments too (`send`, `recv`). Hops are those of
    fusco-plan-dedup. Anything else is an error at its place.

    Rows travel as the hops say: in one node and per assignment, straight to and
    from their slots; otherwise in a pipe.pipeline over chunks of tokens. Memory
    of other nodes is only ever reached by pipe.put and pipe.put_rows.

    Guarantees that a program sends and receives on each channel equally often
    on every path that does not fail, and that all ranks fail together where a
    rank's arguments or routing are bad.

    Examples: test/passes/lower-to-pipe*.mlir.
  }];
  let options = [
    Option<"cacheBytes", "cache-bytes", "int64_t", /*default=*/"1 << 20",
           "bytes that a rank may write in one call before its rows are stored "
           "past the caches">,
    Option<"chunkTokens", "chunk-tokens", "int64_t", /*default=*/"0",
           "tokens of a chunk of a pipeline; 0: as many as a cache holds">,
    Option<"ringChunks", "ring-chunks", "int64_t", /*default=*/"0",
           "slots of a lane of a channel; 0: one more than the stages need">,
    Option<"stageLag", "stage-lag", "int64_t", /*default=*/"1",
           "chunks that a stage of a pipeline is behind the one before it">,
    Option<"rowWorkers", "row-workers", "int64_t", /*default=*/"1",
           "who may work on rows of a rank at once, each with memory of its own">,
    Option<"steps", "steps", "bool", /*default=*/"false",
           "say where the steps of a program begin (pipe.step)">
  ];
  let dependentDialects = ["::fusco::pipe::PipeDialect",
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"];
}

def AddTimelinePass : Pass<"pipe-add-timeline", "::mlir::ModuleOp"> {
  let summary = "spans of what workers do, for a timeline of a call";
  let description = [{
    Adds a pipe.span for each program, for each step that a pipe.step begins, for
    each stage of a pipeline, and for the waits and the puts on each channel; and
    brackets programs, steps and stages with marks. Steps of one name are one
    span, and so are stages. No pipe.step is left.

    Assumes structured control flow, and that workers have not been given their
    parts yet: pipe-fork-teams takes a step's span into its teams.

    Example: test/passes/add-timeline.mlir.
  }];
  let dependentDialects = ["::fusco::pipe::PipeDialect"];
}

def VerifyProgressPass : Pass<"pipe-verify-progress", "::mlir::ModuleOp"> {
  let summary = "prove that every wait of every program can be met";
  let description = [{
    Refuses a program that it cannot prove to go on: with the depths and rules of
    freeing of its channels and the lags of its stages, each wait is met, however
    many chunks and ranks there are, and no slot is filled again before it was
    read. Leaves what it has proven as the module's attribute `pipe.progress`.

    A wait depends on the operation at the other end of its lane, and everything
    on what its worker does before it. These dependencies, with their distances
    in chunks, make a graph. Where a cycle of it does not go back in chunks, its
    waits are errors, with the slots that would be enough. Whether slots are free
    without a wait (`start`, `answer`, `question`) is a matter of order.

    Assumes that the ends of a lane agree: an operation under a condition is done
    on one rank exactly if its counterpart is, and lanes of operations at one
    end, or of the iterations of a loop, differ. What can be seen to be
    otherwise is an error.

    Guarantees nothing about deadlines, or about ranks that fail.

    Example: test/passes/verify-progress.mlir.
  }];
  let options = [
    Option<"workers", "workers", "::fusco::Workers",
           /*default=*/"::fusco::Workers::One",
           "who does the stages of a pipeline", "::fusco::workersValues()">
  ];
  let dependentDialects = ["::fusco::pipe::PipeDialect"];
}

def AssignMemoryPass : Pass<"pipe-assign-memory", "::mlir::ModuleOp"> {
  let summary = "give buffers and channels their byte offsets";
  let description = [{
    Sets `at` of every pipe.channel and pipe.buffer, each aligned to 64 bytes, and
    the module's attributes `pipe.symmetric_bytes` and `pipe.plan_bytes`: the exact
    sizes of a rank's heap and of a plan. A heap starts with all that a network
    reads or writes, which ends at `pipe.network_bytes`: channels whose link is
    `scale_out`, and buffers that a pipe.put on one of them names.

    Example: test/passes/assign-memory.mlir.
  }];
  let dependentDialects = ["::fusco::pipe::PipeDialect"];
}

def SplitPipelinesPass : Pass<"pipe-split-pipelines", "::mlir::ModuleOp"> {
  let summary = "pipelines for several workers of a rank";
  let description = [{
    Each of `workers` workers takes every workers-th chunk through all stages, on
    lanes of its own of each channel, and in its own part of each buffer that
    stages write, both of which become `workers` times as many. Ranks agree on
    who takes a chunk, since its number says it. What pipe-verify-progress has
    proven for one worker holds for each.

    Example: test/passes/split-pipelines.mlir.
  }];
  let options = [
    Option<"workers", "workers", "int64_t", /*default=*/"1",
           "workers of a rank">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect",
    "::mlir::memref::MemRefDialect", "::fusco::pipe::PipeDialect"];
}

def ForkTeamsPass : Pass<"pipe-fork-teams", "::mlir::ModuleOp"> {
  let summary = "what workers can share becomes teams";
  let description = [{
    For a target on which a rank has several workers. Each of these becomes a
    pipe.team, with a pipe.fork in its place: a pipe.for_each over rows, a
    pipe.pipeline, a pipe.assign, a pipe.copy_rows outside of these. A team takes
    the program's tensors and the scalars that it needs; what a buffer or a
    constant gives, it gets itself. In a step that has a span each worker's part
    of the team is such a span, too.

    Example: test/passes/fork-teams.mlir.
  }];
  let dependentDialects = ["::fusco::pipe::PipeDialect"];
}

#endif // FUSCO_PASSES_PASSES_TD
